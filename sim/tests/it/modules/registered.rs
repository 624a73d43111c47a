//! A module while it is registered, and how it gets there and away.

// UNSAFETY: plays drivers in C, which call the registrar.
#![expect(unsafe_code, reason = "calls the registrar")]

use core::ptr;
use std::sync::Arc;

use wdk_sys::{HANDLE, NTSTATUS, STATUS_PENDING, STATUS_SUCCESS};
use wsk_sys::{
    NmrDeregisterClient, NmrDeregisterProvider, NmrRegisterClient, NmrRegisterProvider,
    NmrWaitForClientDeregisterComplete, NmrWaitForProviderDeregisterComplete,
};

use super::log::{Log, What};
use super::{Characteristics, Module, Plan, Side, locked};

/// A module's registration, and the memory that goes with it.
pub struct Registered {
    pub module: Arc<Module>,
    pub handle: HANDLE,
    _characteristics: Characteristics,
}

// SAFETY: the handle is a number.
unsafe impl Send for Registered {}

impl Module {
    /// Registers; the error is the status.
    pub fn register(self: &Arc<Self>) -> Result<Registered, NTSTATUS> {
        self.register_as(self.characteristics())
    }

    /// Registers with these characteristics; the error is the status.
    pub fn register_as(
        self: &Arc<Self>,
        characteristics: Characteristics,
    ) -> Result<Registered, NTSTATUS> {
        let context = Arc::as_ptr(self).cast_mut().cast();
        let mut handle = ptr::null_mut();
        let status = match &characteristics {
            // SAFETY: characteristics and context stay where they are.
            Characteristics::Client(all) => unsafe {
                NmrRegisterClient(&raw const **all, context, &raw mut handle)
            },
            // SAFETY: as above.
            Characteristics::Provider(all) => unsafe {
                NmrRegisterProvider(&raw const **all, context, &raw mut handle)
            },
        };
        if status != STATUS_SUCCESS {
            return Err(status);
        }
        self.write(What::Registered, 0);
        Ok(Registered {
            module: Arc::clone(self),
            handle,
            _characteristics: characteristics,
        })
    }
}

impl Registered {
    pub fn new(side: Side, number: u32, plan: Plan, log: &Log) -> Self {
        let module = Module::new(side, number, plan, log);
        module.register().expect("the registrar has memory")
    }

    pub fn start_deregistering(&self) -> NTSTATUS {
        match self.module.side {
            // SAFETY: registered once.
            Side::Client => unsafe { NmrDeregisterClient(self.handle) },
            // SAFETY: as above.
            Side::Provider => unsafe { NmrDeregisterProvider(self.handle) },
        }
    }

    pub fn wait(&self) -> NTSTATUS {
        match self.module.side {
            // SAFETY: any handle may be passed.
            Side::Client => unsafe { NmrWaitForClientDeregisterComplete(self.handle) },
            // SAFETY: as above.
            Side::Provider => unsafe { NmrWaitForProviderDeregisterComplete(self.handle) },
        }
    }

    /// Deregisters, waits, and checks that nothing is left.
    pub fn deregister(self) {
        assert_eq!(self.start_deregistering(), STATUS_PENDING);
        assert_eq!(self.wait(), STATUS_SUCCESS);
        self.module.write(What::Gone, 0);
        let left = locked(&self.module.bindings).len();
        assert!(
            left == 0 || !self.module.plan.cleanup,
            "{left} bindings left"
        );
    }

    pub fn bindings(&self) -> usize {
        locked(&self.module.bindings).len()
    }
}
