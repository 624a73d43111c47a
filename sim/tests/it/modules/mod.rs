//! Network modules as drivers in C would write them, for the tests of the registrar: a client and a
//! provider of a small interface whose tables hold one function.
//!
//! - `log`: what they were asked, written down
//! - `callbacks`: their callbacks, and the function of their tables
//! - `registered`: registering and deregistering
//!
//! They count the calls that run through each binding, answer a detach with `STATUS_PENDING` while
//! there are any, and free their binding contexts in the cleanup callback only.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "network modules in the manner of C")]

mod callbacks;
mod log;
mod registered;

use core::ptr;
use core::sync::atomic::AtomicUsize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wdk_sys::ntddk::{ExAllocatePool2, KeGetCurrentIrql};
use wdk_sys::{GUID, HANDLE, NTSTATUS, PVOID};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, NPIID, NmrClientDetachProviderComplete,
    NmrProviderDetachClientComplete, npi_moduleid_guid,
};

use crate::common::TAG;
use callbacks::{cleanup, client_attach, detach, provider_attach, serve};

pub use log::{Event, Log, What, check};
pub use registered::Registered;

const NON_PAGED: u64 = 0x40;

/// The interface of these modules.
pub const NPI: NPIID = guid(1);

pub const fn guid(number: u32) -> GUID {
    GUID {
        Data1: number,
        Data2: 0x1234,
        Data3: 0x5678,
        Data4: [1, 2, 3, 4, 5, 6, 7, 8],
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    Client,
    Provider,
}

pub const SIDES: [Side; 2] = [Side::Client, Side::Provider];

/// How a module answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    Accept,
    /// Answers with this status, and calls nothing.
    Refuse(NTSTATUS),
    /// A client that offers tables of these versions in turn; a provider that takes one of this.
    Versions(u32, u32),
}

/// When a module that nothing runs in has detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    AtOnce,
    /// Completes before the callback returns `STATUS_PENDING`.
    WhileRunning,
    /// Completes on a system worker thread.
    Later,
    /// Never completes: breaks the rule.
    Never,
}

/// Those that keep the rules.
pub const DETACHES: [Detach; 3] = [Detach::AtOnce, Detach::WhileRunning, Detach::Later];

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub interface: NPIID,
    pub attach: Attach,
    pub detach: Detach,
    pub cleanup: bool,
}

pub const PLAIN: Plan = Plan {
    interface: NPI,
    attach: Attach::Accept,
    detach: Detach::AtOnce,
    cleanup: true,
};

/// The table of either side.
#[repr(C)]
pub struct Table {
    pub version: u32,
    pub call: unsafe extern "C" fn(PVOID),
}

static TABLES: [Table; 3] = [
    Table {
        version: 0,
        call: serve,
    },
    Table {
        version: 1,
        call: serve,
    },
    Table {
        version: 2,
        call: serve,
    },
];

/// A binding context: what the peer calls the module with.
#[repr(C)]
#[derive(Clone, Copy)]
struct Context {
    alive: usize,
    binding: usize,
    module: *const Module,
}

const ALIVE: usize = 0xA11E;

/// What a module keeps of a binding.
struct Bound {
    handle: usize,
    binding: usize,
    peer: usize,
    table: usize,
    calls: u32,
    detaching: bool,
}

/// A module, at an address that does not change.
pub struct Module {
    side: Side,
    number: u32,
    plan: Plan,
    log: Log,
    interface: NPIID,
    id: NPI_MODULEID,
    bindings: Mutex<BTreeMap<usize, Bound>>,
    /// Contexts that are not from pool.
    kept: Mutex<Vec<usize>>,
    pub served: AtomicUsize,
}

// SAFETY: the characteristics are not changed after they are registered.
unsafe impl Sync for Module {}
// SAFETY: as above.
unsafe impl Send for Module {}

/// The characteristics of either side, where the registrar finds them.
pub enum Characteristics {
    Client(Box<NPI_CLIENT_CHARACTERISTICS>),
    Provider(Box<NPI_PROVIDER_CHARACTERISTICS>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Module {
    pub fn new(side: Side, number: u32, plan: Plan, log: &Log) -> Arc<Self> {
        Arc::new(Self {
            side,
            number,
            plan,
            log: log.clone(),
            interface: plan.interface,
            id: npi_moduleid_guid(guid(number)),
            bindings: Mutex::default(),
            kept: Mutex::default(),
            served: AtomicUsize::new(0),
        })
    }

    pub fn characteristics(self: &Arc<Self>) -> Characteristics {
        let instance = NPI_REGISTRATION_INSTANCE {
            Version: 0,
            Size: 40,
            NpiId: &raw const self.interface,
            ModuleId: &raw const self.id,
            Number: self.number,
            NpiSpecificCharacteristics: ptr::null(),
        };
        match self.side {
            Side::Client => Characteristics::Client(Box::new(NPI_CLIENT_CHARACTERISTICS {
                Version: 0,
                Length: 72,
                ClientAttachProvider: Some(client_attach),
                ClientDetachProvider: Some(detach),
                ClientCleanupBindingContext: self.plan.cleanup.then_some(cleanup as _),
                ClientRegistrationInstance: instance,
            })),
            Side::Provider => Characteristics::Provider(Box::new(NPI_PROVIDER_CHARACTERISTICS {
                Version: 0,
                Length: 72,
                ProviderAttachClient: Some(provider_attach),
                ProviderDetachClient: Some(detach),
                ProviderCleanupBindingContext: self.plan.cleanup.then_some(cleanup as _),
                ProviderRegistrationInstance: instance,
            })),
        }
    }

    /// Characteristics with another detach callback.
    pub fn characteristics_with_detach(
        self: &Arc<Self>,
        detach: unsafe extern "C" fn(PVOID) -> NTSTATUS,
    ) -> Characteristics {
        let mut characteristics = self.characteristics();
        match &mut characteristics {
            Characteristics::Client(all) => all.ClientDetachProvider = Some(detach),
            Characteristics::Provider(all) => all.ProviderDetachClient = Some(detach),
        }
        characteristics
    }

    fn write(&self, what: What, binding: usize) {
        let event = Event {
            side: self.side,
            module: self.number,
            what,
            binding,
            // SAFETY: within a simulation.
            irql: unsafe { KeGetCurrentIrql() },
        };
        self.log.write(event);
    }

    /// Allocates a binding context; null without memory. Without a cleanup callback it is not from
    /// pool, and goes with the module.
    fn context(&self, binding: usize) -> *mut Context {
        if !self.plan.cleanup {
            let context = Box::into_raw(Box::new(self.fresh_context(binding)));
            locked(&self.kept).push(context.expose_provenance());
            return context;
        }
        // SAFETY: within a simulation.
        let memory = unsafe { ExAllocatePool2(NON_PAGED, size_of::<Context>() as u64, TAG) };
        let context = memory.cast::<Context>();
        if !context.is_null() {
            // SAFETY: allocated above.
            unsafe { context.write(self.fresh_context(binding)) };
        }
        context
    }

    fn fresh_context(&self, binding: usize) -> Context {
        Context {
            alive: ALIVE,
            binding,
            module: ptr::from_ref(self),
        }
    }

    fn bind(
        &self,
        context: *mut Context,
        binding: usize,
        handle: HANDLE,
        peer: PVOID,
        table: usize,
    ) {
        let bound = Bound {
            handle: handle.addr(),
            binding,
            peer: peer.expose_provenance(),
            table,
            calls: 0,
            detaching: false,
        };
        let before = locked(&self.bindings).insert(context.expose_provenance(), bound);
        assert!(before.is_none(), "a context for one binding");
        self.write(What::Attached, binding);
    }

    /// Calls every peer once.
    pub fn call_peers(&self) {
        let contexts: Vec<_> = locked(&self.bindings).keys().copied().collect();
        for context in contexts {
            let target = match locked(&self.bindings).get_mut(&context) {
                Some(bound) if !bound.detaching => {
                    bound.calls += 1;
                    Some((bound.peer, bound.table))
                }
                _ => None,
            };
            if let Some((peer, table)) = target {
                let table: *const Table = ptr::with_exposed_provenance(table);
                // SAFETY: the peer keeps its table while calls run.
                let call = unsafe { (*table).call };
                // SAFETY: the peer keeps its context while calls run.
                unsafe { call(ptr::with_exposed_provenance_mut(peer)) };
                self.leave(context);
            }
        }
    }

    fn leave(&self, context: usize) {
        let mut bindings = locked(&self.bindings);
        let bound = bindings.get_mut(&context).expect("kept while calls run");
        bound.calls -= 1;
        let last = (bound.detaching && bound.calls == 0).then_some(bound.handle);
        let binding = bound.binding;
        drop(bindings);
        if let Some(handle) = last {
            self.write(What::Detached, binding);
            self.complete(handle);
        }
    }

    fn complete(&self, handle: usize) {
        let handle = ptr::without_provenance_mut(handle);
        match self.side {
            // SAFETY: the detach is pending.
            Side::Client => unsafe { NmrClientDetachProviderComplete(handle) },
            // SAFETY: as above.
            Side::Provider => unsafe { NmrProviderDetachClientComplete(handle) },
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        for context in locked(&self.kept).drain(..) {
            let context: *mut Context = ptr::with_exposed_provenance_mut(context);
            // SAFETY: it came from a box, and the module is deregistered.
            drop(unsafe { Box::from_raw(context) });
        }
    }
}
