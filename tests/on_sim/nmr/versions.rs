//! An interface by hand, whose tables say their version, and whose modules say something about
//! themselves.

// UNSAFETY: an interface by hand.
#![expect(unsafe_code, reason = "promises about tables")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use wsk::{
    ErrorKind, Result,
    nmr::{
        AsClient, AsProvider, AttachError, Binding, Client, ClientModule, ClientOffer, Guid,
        Instance, ModuleId, Npi, Provider, ProviderModule, ProviderOffer, Table,
    },
};

use crate::common::passive;

/// A table that has no functions.
#[derive(Debug, PartialEq, Eq)]
#[repr(C)]
struct Numbered {
    version: u32,
}

/// One definition, and others that mean the same or do not.
mod definitions {
    wsk::npi! {
        pub interface One = 1;
        pub provider trait Adds, table AddsDispatch { fn add(&self, by: u32) -> u32; }
        pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
    }

    pub mod again {
        wsk::npi! {
            /// With words.
            pub interface One = 1;
            /// With words.
            pub provider trait Adds, table AddsDispatch {
                /// With words.
                fn add(&self, by: u32) -> u32;
            }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }

    pub mod changed {
        wsk::npi! {
            pub interface One = 1;
            pub provider trait Adds, table AddsDispatch { fn add(&self, by: u64) -> u32; }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }

    pub mod renamed {
        type Number = u32;
        wsk::npi! {
            pub interface One = 1;
            pub provider trait Adds, table AddsDispatch { fn add(&self, by: Number) -> Number; }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }

    pub mod disguised {
        #[expect(non_camel_case_types, reason = "pretends to be another type")]
        type u32 = u64;
        wsk::npi! {
            pub interface One = 1;
            pub provider trait Adds, table AddsDispatch { fn add(&self, by: u32) -> u32; }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }

    pub mod exact {
        wsk::npi! {
            // SAFETY: nobody registers for it.
            pub interface One = unsafe 1;
            pub provider trait Adds, table AddsDispatch { fn add(&self, by: u32) -> u32; }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }

    pub mod other {
        wsk::npi! {
            pub interface One = 2;
            pub provider trait Adds, table AddsDispatch { fn add(&self, by: u32) -> u32; }
            pub client trait Hears, table HearsDispatch { fn sum(&self, sum: u32); }
        }
    }
}

#[test]
fn interfaces_are_the_same_only_if_they_are_defined_the_same() {
    let id = definitions::One::ID;
    assert_eq!(id, definitions::again::One::ID);
    assert_eq!(id, definitions::renamed::One::ID);
    assert_ne!(id, definitions::changed::One::ID);
    assert_ne!(id, definitions::disguised::One::ID);
    assert_ne!(id, definitions::other::One::ID);
    assert_eq!(definitions::exact::One::ID, Guid::from_u128(1));
}

enum Interface {}

// SAFETY: all modules of the interface are in this file.
unsafe impl Npi for Interface {
    const ID: Guid = Guid::from_u128(0x5500_0000_0000_0000_0000_0000_0000_0001);
    type ClientDispatch = Numbered;
    type ProviderDispatch = Numbered;
    type ClientCharacteristics = u32;
    type ProviderCharacteristics = u64;
}

const fn table(version: &'static Numbered) -> Table<Numbered, ()> {
    // SAFETY: it has no functions.
    unsafe { Table::new(version) }
}

static ONE: Numbered = Numbered { version: 1 };
static TWO: Numbered = Numbered { version: 2 };
static THREE: Numbered = Numbered { version: 3 };
static LATEST_FIRST: [Table<Numbered, ()>; 3] = [table(&THREE), table(&TWO), table(&ONE)];

const CLIENT: ModuleId = ModuleId::Guid(Guid::from_u128(8));
const PROVIDER: ModuleId = ModuleId::InterfaceLuid(0x0017_0000_0500_0000);

/// A handler that has the versions up to `latest`, and writes down what it is told.
#[derive(Default)]
struct Module {
    latest: u32,
    asked: Mutex<Vec<u32>>,
    attached: Mutex<Vec<u32>>,
    failures: Mutex<Vec<AttachError>>,
}

#[derive(Clone)]
struct Handler(Arc<Module>);

fn handler(latest: u32) -> Handler {
    Handler(Arc::new(Module {
        latest,
        ..Module::default()
    }))
}

fn push<T>(list: &Mutex<Vec<T>>, value: T) {
    list.lock().expect("not poisoned").push(value);
}

fn taken<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    core::mem::take(&mut list.lock().expect("not poisoned"))
}

impl ClientModule<Interface> for Handler {
    type Context = ();

    fn offered(
        &self,
        provider: &Instance<'_, u64>,
        _: &Binding<Interface, AsClient>,
    ) -> Result<Option<ClientOffer<Interface, ()>>> {
        assert_eq!(provider.module, PROVIDER);
        assert_eq!((provider.number, provider.characteristics), (4, Some(&44)));
        let skipped = LATEST_FIRST.len() - usize::try_from(self.0.latest).expect("small");
        Ok(Some(ClientOffer {
            context: (),
            tables: &LATEST_FIRST[skipped..],
        }))
    }

    fn attached(&self, (): &(), binding: &Binding<Interface, AsClient>) {
        let provider = binding.enter().expect("attached");
        push(&self.0.attached, provider.dispatch().version);
    }

    fn failed(&self, error: AttachError) {
        push(&self.0.failures, error);
    }
}

impl ProviderModule<Interface> for Handler {
    type Context = ();

    fn offered(
        &self,
        client: &Instance<'_, u32>,
        dispatch: &Numbered,
        _: &Binding<Interface, AsProvider>,
    ) -> Result<Option<ProviderOffer<Interface, ()>>> {
        assert_eq!(client.module, CLIENT);
        assert_eq!((client.number, client.characteristics), (3, Some(&33)));
        push(&self.0.asked, dispatch.version);
        let matching = [&ONE, &TWO, &THREE]
            .into_iter()
            .find(|own| *own == dispatch);
        let agreed = matching.filter(|own| own.version <= self.0.latest);
        Ok(agreed.map(|own| ProviderOffer {
            context: (),
            table: table(own),
        }))
    }
}

fn client(handler: &Handler) -> Client<Interface, Handler> {
    let instance = Instance {
        module: CLIENT,
        number: 3,
        characteristics: Some(&33),
    };
    Client::register(instance, handler.clone(), passive()).expect("registered")
}

fn provider(handler: &Handler) -> Provider<Interface, Handler> {
    let instance = Instance {
        module: PROVIDER,
        number: 4,
        characteristics: Some(&44),
    };
    Provider::register(instance, handler.clone(), passive()).expect("registered")
}

// [wsk 12.7]
#[test]
fn client_tries_versions_in_turn_until_the_provider_has_one() {
    for (client_has, provider_has) in [(1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3)] {
        wsk_sim::seeds(50, move |sim| {
            let (ours, theirs) = (handler(client_has), handler(provider_has));
            let modules = (provider(&theirs), client(&ours));
            sim.sleep(Duration::from_millis(10));
            let agreed = client_has.min(provider_has);
            let asked: Vec<_> = (agreed..=client_has).rev().collect();
            assert_eq!(taken(&theirs.0.asked), asked);
            assert_eq!(taken(&ours.0.attached), [agreed]);
            assert_eq!(taken(&ours.0.failures), []);
            drop(modules);
        });
    }
}

// [wsk 12.6, 12.7]: the last status is what the client hears.
#[test]
fn client_whose_versions_are_all_refused_hears_so() {
    wsk_sim::seeds(50, |sim| {
        let (ours, theirs) = (handler(3), handler(0));
        let modules = (client(&ours), provider(&theirs));
        sim.sleep(Duration::from_millis(10));
        assert_eq!(taken(&theirs.0.asked), [3, 2, 1]);
        assert_eq!(taken(&ours.0.attached), []);
        let failures = taken(&ours.0.failures);
        let [AttachError::Failed(error)] = failures[..] else {
            panic!("{failures:?}");
        };
        assert_eq!(error.kind(), ErrorKind::VersionNotSupported);
        assert_eq!(error.call(), "NmrClientAttachProvider");
        drop(modules);
    });
}

// [wsk 12.7]
#[test]
fn client_without_a_table_has_nothing_to_offer() {
    wsk_sim::run(|sim| {
        let (ours, theirs) = (handler(0), handler(3));
        let modules = (client(&ours), provider(&theirs));
        sim.sleep(Duration::from_millis(10));
        assert_eq!(taken(&theirs.0.asked), []);
        assert_eq!(taken(&ours.0.failures).len(), 1);
        drop(modules);
    });
}
