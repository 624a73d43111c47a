//! Network modules on the simulator's registrar: a small interface, and modules of both kinds that
//! write down what happens to them.
//!
//! - `pair`: one client and one provider
//! - `crowd`: many modules, many schedules
//! - `faulty`: peers in C that break the rules, hangs, faults
//! - `versions`: an interface by hand, of several versions
//! - `subsystem`: WSK as the provider

mod crowd;
mod faulty;
mod pair;
mod subsystem;
mod versions;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{
    Result,
    nmr::{
        self, AsClient, AsProvider, AttachError, Binding, ClientOffer, Guid, Instance, ModuleId,
        ProviderOffer,
    },
};
use wsk_sim::Sim;

use crate::common::passive;

wsk::npi! {
    /// A service that counts.
    pub interface Counter = 0x8B0F7D52_3E0F_4C7A_9B1D_2F6A84E1903C;

    /// What a provider does for its clients.
    pub provider trait Count, table CountDispatch {
        /// Adds `by`, and returns the sum.
        fn add(&self, by: u32) -> u32;
        /// Has the client called back with the sum.
        fn report(&self);
    }

    /// What a client wants to hear.
    pub client trait Listen, table ListenDispatch {
        /// This is the sum.
        fn sum(&self, sum: u32);
    }
}

/// What the modules of a test write down.
#[derive(Default)]
pub struct Log {
    /// Contexts that exist.
    pub contexts: AtomicUsize,
    /// What the provider's functions have added up.
    pub sum: AtomicU32,
    /// The last sum that a client heard.
    pub heard: AtomicU32,
    pub detaches: AtomicUsize,
    pub failures: Mutex<Vec<AttachError>>,
    pub clients: Mutex<Vec<Binding<Counter, AsClient>>>,
    pub providers: Mutex<Vec<Binding<Counter, AsProvider>>>,
}

impl Log {
    pub fn contexts(&self) -> usize {
        self.contexts.load(SeqCst)
    }

    pub fn failures(&self) -> Vec<AttachError> {
        self.failures.lock().expect("not poisoned").clone()
    }

    fn keep<B>(list: &Mutex<Vec<B>>, binding: B) {
        list.lock().expect("not poisoned").push(binding);
    }

    /// The binding that the client has attached.
    pub fn client(&self, sim: &Sim) -> Binding<Counter, AsClient> {
        loop {
            let found = self.clients.lock().expect("not poisoned").first().cloned();
            match found {
                Some(binding) => return binding,
                None => sim.sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The binding that the provider has been asked for.
    pub fn provider(&self) -> Binding<Counter, AsProvider> {
        self.providers.lock().expect("not poisoned")[0].clone()
    }
}

/// The context of a binding, on either side.
pub struct Context {
    log: Arc<Log>,
    /// A context may keep its own binding.
    client: Option<Binding<Counter, AsProvider>>,
    alive: AtomicBool,
}

impl Context {
    fn new(log: &Arc<Log>, client: Option<&Binding<Counter, AsProvider>>) -> Self {
        log.contexts.fetch_add(1, SeqCst);
        Self {
            log: log.clone(),
            client: client.cloned(),
            alive: AtomicBool::new(true),
        }
    }

    fn check_alive(&self) {
        assert!(self.alive.load(SeqCst), "called after the cleanup");
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let before = self.log.contexts.fetch_sub(1, SeqCst);
        assert!(before > 0, "dropped twice");
        assert!(self.alive.swap(false, SeqCst), "dropped twice");
    }
}

impl Count for Context {
    fn add(&self, by: u32) -> u32 {
        self.check_alive();
        self.log.sum.fetch_add(by, SeqCst) + by
    }

    fn report(&self) {
        self.check_alive();
        let binding = self.client.as_ref().expect("a provider's context");
        if let Ok(client) = binding.enter() {
            client.sum(self.log.sum.load(SeqCst));
        }
    }
}

impl Listen for Context {
    fn sum(&self, sum: u32) {
        self.check_alive();
        self.log.heard.store(sum, SeqCst);
    }
}

/// A handler that attaches to all, or none.
pub struct Module {
    log: Arc<Log>,
    declines: bool,
}

impl nmr::ClientModule<Counter> for Module {
    type Context = Context;

    fn offered(
        &self,
        _: &Instance<'_, ()>,
        binding: &Binding<Counter, AsClient>,
    ) -> Result<Option<ClientOffer<Counter, Context>>> {
        assert!(binding.enter().is_err(), "not attached yet");
        let tables = const { &[ListenDispatch::of()] };
        Ok((!self.declines).then(|| ClientOffer {
            context: Context::new(&self.log, None),
            tables,
        }))
    }

    fn attached(&self, _: &Context, binding: &Binding<Counter, AsClient>) {
        Log::keep(&self.log.clients, binding.clone());
    }

    fn failed(&self, error: AttachError) {
        Log::keep(&self.log.failures, error);
    }

    fn detaching(&self, _: &Context, binding: &Binding<Counter, AsClient>) {
        assert!(binding.enter().is_err(), "[wsk 12.11]");
        self.log.detaches.fetch_add(1, SeqCst);
    }
}

impl nmr::ProviderModule<Counter> for Module {
    type Context = Context;

    fn offered(
        &self,
        _: &Instance<'_, ()>,
        _: &ListenDispatch,
        binding: &Binding<Counter, AsProvider>,
    ) -> Result<Option<ProviderOffer<Counter, Context>>> {
        assert!(binding.enter().is_err(), "[wsk 12.9]");
        Ok((!self.declines).then(|| {
            Log::keep(&self.log.providers, binding.clone());
            ProviderOffer {
                context: Context::new(&self.log, Some(binding)),
                table: CountDispatch::of(),
            }
        }))
    }

    fn failed(&self, error: AttachError) {
        Log::keep(&self.log.failures, error);
    }

    fn detaching(&self, _: &Context, binding: &Binding<Counter, AsProvider>) {
        assert!(binding.enter().is_err(), "[wsk 12.11]");
        self.log.detaches.fetch_add(1, SeqCst);
    }
}

pub type Client = nmr::Client<Counter, Module>;
pub type Provider = nmr::Provider<Counter, Module>;

pub fn id(number: u128) -> Instance<'static, ()> {
    Instance::of(ModuleId::Guid(Guid::from_u128(number)))
}

fn module(log: &Arc<Log>, declines: bool) -> Module {
    let log = log.clone();
    Module { log, declines }
}

/// A client that declines every provider, or none.
pub fn try_client_that(log: &Arc<Log>, declines: bool) -> Result<Client> {
    Client::register(id(1), module(log, declines), passive())
}

/// A provider that declines every client, or none.
pub fn try_provider_that(log: &Arc<Log>, declines: bool) -> Result<Provider> {
    Provider::register(id(2), module(log, declines), passive())
}

pub fn try_client(log: &Arc<Log>) -> Result<Client> {
    try_client_that(log, false)
}

pub fn try_provider(log: &Arc<Log>) -> Result<Provider> {
    try_provider_that(log, false)
}

pub fn client(log: &Arc<Log>) -> Client {
    try_client(log).expect("registered")
}

pub fn provider(log: &Arc<Log>) -> Provider {
    try_provider(log).expect("registered")
}

/// Both, in the order that the seed says.
pub fn pair(sim: &Sim, log: &Arc<Log>) -> (Client, Provider) {
    if sim.seed().is_multiple_of(2) {
        let provider = provider(log);
        (client(log), provider)
    } else {
        let client = client(log);
        (client, provider(log))
    }
}
