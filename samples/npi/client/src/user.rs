//! The module: it attaches to every provider, and has tasks call it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use wdk::println;
use wsk::{
    Executor, Passive, Result, Spawner,
    nmr::{
        AsClient, AttachError, Binding, Client, ClientModule, ClientOffer, Guid, Instance, ModuleId,
    },
};
use wsk_npi::{Count, Counter, Listen, ListenDispatch};

use crate::{statistics::Statistics, visits};

const MODULE: ModuleId = ModuleId::Guid(Guid::from_u128(0x91E3C8A7_5D04_4BF2_B6A8_27F1D09C4E35));

/// Tasks that call each provider, and threads that run the tasks.
const CALLERS: usize = 2;

/// The callers are to be told whenever their count has passed a multiple of this.
const STEP: u64 = 10;

/// The registered module.
pub struct User {
    client: Client<Counter, Handler>,
    executor: Executor,
    statistics: Arc<Statistics>,
}

impl User {
    /// Registers it: it attaches to providers from now on, to those first that are there already.
    pub fn start(passive: Passive) -> Result<Self> {
        let statistics = Arc::new(Statistics::default());
        let executor = Executor::new(CALLERS, passive)?;
        let handler = Handler {
            spawner: executor.spawner(),
            statistics: statistics.clone(),
        };
        let client = Client::register(Instance::of(MODULE), handler, passive)?;
        println!("wsk_npi_client: started");
        Ok(Self {
            client,
            executor,
            statistics,
        })
    }

    /// Detaches from all providers, which ends the tasks, and waits for them: for those that are
    /// inside a provider by deregistering, for the rest by shutting the executor down.
    pub fn stop(self, passive: Passive) {
        self.client.deregister(passive);
        self.executor.shutdown(passive);
        println!("wsk_npi_client: stopped: {}", self.statistics);
    }
}

/// Whom the registrar asks about providers.
struct Handler {
    spawner: Spawner,
    statistics: Arc<Statistics>,
}

impl ClientModule<Counter> for Handler {
    type Context = Listener;

    fn offered(
        &self,
        _provider: &Instance<'_, ()>,
        _binding: &Binding<Counter, AsClient>,
    ) -> Result<Option<ClientOffer<Counter, Listener>>> {
        Ok(Some(ClientOffer {
            context: Listener::new(self.statistics.clone()),
            tables: const { &[ListenDispatch::of()] },
        }))
    }

    fn attached(&self, _context: &Listener, binding: &Binding<Counter, AsClient>) {
        let Ok(provider) = binding.enter() else {
            return;
        };
        self.statistics.providers.fetch_add(1, Relaxed);
        println!(
            "wsk_npi_client: attached, the count is {}",
            provider.count()
        );
        provider.tell_every(STEP);
        for _ in 0..CALLERS {
            let visits = visits::run(binding.clone(), self.statistics.clone());
            if let Err(error) = self.spawner.spawn(visits) {
                println!("wsk_npi_client: a provider is not called: {error}");
            }
        }
    }

    fn failed(&self, error: AttachError) {
        println!("wsk_npi_client: nothing came of a provider: {error}");
    }

    fn detaching(&self, _context: &Listener, _binding: &Binding<Counter, AsClient>) {
        println!("wsk_npi_client: detaching");
    }
}

/// What a provider's calls work on: one for each provider, as long as it is attached.
struct Listener {
    has_heard: AtomicBool,
    statistics: Arc<Statistics>,
}

impl Listener {
    fn new(statistics: Arc<Statistics>) -> Self {
        statistics.contexts.fetch_add(1, Relaxed);
        Self {
            has_heard: AtomicBool::new(false),
            statistics,
        }
    }
}

impl Listen for Listener {
    fn passed(&self, count: u64) {
        self.statistics.heard.fetch_add(1, Relaxed);
        if !self.has_heard.swap(true, Relaxed) {
            println!("wsk_npi_client: told that the count is {count}");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.statistics.contexts.fetch_sub(1, Relaxed);
    }
}
