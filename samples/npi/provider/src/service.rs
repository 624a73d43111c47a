//! The module: it agrees to every client, and counts for each.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wdk::println;
use wsk::{
    Passive, Result,
    nmr::{
        AsProvider, AttachError, Binding, Guid, Instance, ModuleId, Provider, ProviderModule,
        ProviderOffer,
    },
};
use wsk_npi::{Count, CountDispatch, Counter, Listen, ListenDispatch};

use crate::statistics::Statistics;

const MODULE: ModuleId = ModuleId::Guid(Guid::from_u128(0x0B7A61D4_2C95_4E38_8F1B_D46A50E3C719));

/// The registered module.
pub struct Service {
    provider: Provider<Counter, Handler>,
    statistics: Arc<Statistics>,
}

impl Service {
    /// Registers it: clients attach from now on, those first that are there already.
    pub fn start(passive: Passive) -> Result<Self> {
        let statistics = Arc::new(Statistics::default());
        let handler = Handler(statistics.clone());
        let provider = Provider::register(Instance::of(MODULE), handler, passive)?;
        println!("wsk_npi_provider: started");
        Ok(Self {
            provider,
            statistics,
        })
    }

    /// Has all clients detached, waits for the calls that are in flight, and forgets them.
    pub fn stop(self, passive: Passive) {
        self.provider.deregister(passive);
        println!("wsk_npi_provider: stopped: {}", self.statistics);
    }
}

/// Whom the registrar asks about clients.
struct Handler(Arc<Statistics>);

impl ProviderModule<Counter> for Handler {
    type Context = Customer;

    fn offered(
        &self,
        _client: &Instance<'_, ()>,
        _dispatch: &ListenDispatch,
        binding: &Binding<Counter, AsProvider>,
    ) -> Result<Option<ProviderOffer<Counter, Customer>>> {
        self.0.clients.fetch_add(1, Relaxed);
        Ok(Some(ProviderOffer {
            context: Customer::new(binding.clone(), self.0.clone()),
            table: CountDispatch::of(),
        }))
    }

    fn failed(&self, error: AttachError) {
        println!("wsk_npi_provider: nothing came of a client: {error}");
    }
}

/// One client, as long as it is attached: what its calls work on.
struct Customer {
    count: AtomicU64,
    step: AtomicU64,
    /// The way to call it back.
    client: Binding<Counter, AsProvider>,
    statistics: Arc<Statistics>,
}

impl Customer {
    fn new(client: Binding<Counter, AsProvider>, statistics: Arc<Statistics>) -> Self {
        statistics.contexts.fetch_add(1, Relaxed);
        Self {
            count: AtomicU64::new(0),
            step: AtomicU64::new(0),
            client,
            statistics,
        }
    }
}

impl Count for Customer {
    fn add(&self, by: u64) -> u64 {
        let before = self.count.fetch_add(by, Relaxed);
        let count = before.wrapping_add(by);
        self.statistics.adds.fetch_add(1, Relaxed);
        let step = self.step.load(Relaxed);
        let has_passed = step != 0 && before / step != count / step;
        // Once the detach has begun there is nobody to be told.
        if has_passed && let Ok(client) = self.client.enter() {
            client.passed(count);
            self.statistics.told.fetch_add(1, Relaxed);
        }
        count
    }

    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn tell_every(&self, step: u64) {
        self.step.store(step, Relaxed);
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.statistics.contexts.fetch_sub(1, Relaxed);
    }
}
