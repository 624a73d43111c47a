//! A simulated thread: its identity, its IRQL and what the verifier must remember about it.
//!
//! Shared between the thread itself, the scheduler and the handle table. It decides nothing.

use core::ffi::c_void;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};

use super::fiber::Exit;
use crate::kernel::layout::Header;
use crate::kernel::object::{Object, THREAD};
use crate::kernel::region::Regions;
use crate::sim::Shared;
use crate::verifier::{DriverNumber, Site};

/// Why a thread exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The test's own code.
    Test,
    /// Made by the driver with `PsCreateSystemThread`; must end before the test does.
    Driver,
    /// Carries deliveries and work items, as the system's worker threads and idle processors do.
    Helper,
}

/// A simulated thread.
pub(crate) struct Thread {
    pub(crate) sim: Arc<Shared>,
    pub(crate) id: usize,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) site: Site,
    /// What a driver sees as the thread object.
    object: Header,
    irql: AtomicU8,
    /// The driver whose code it runs now.
    driver: AtomicU32,
    /// How many completion routines are on this thread's stack.
    pub(crate) completions: AtomicU32,
    /// The spin locks it holds: address, and the IRQL before the lock was taken (none for the
    /// `AtDpcLevel` functions).
    pub(crate) locks: Mutex<Vec<(usize, Option<u8>)>>,
    pub(crate) regions: Regions,
    /// The list whose `SLIST_HEADER` it looked at last.
    pub(crate) last_list: AtomicUsize,
    /// Where the stack is to which `PsTerminateSystemThread` jumps back.
    pub(crate) base: AtomicPtr<c_void>,
    pub(super) exit: Exit,
}

impl Thread {
    pub(super) fn new(sim: Arc<Shared>, id: usize, role: Role, name: String, site: Site) -> Self {
        let driver = site.driver();
        Self {
            sim,
            id,
            role,
            name,
            site,
            object: Header::new(THREAD, 0x80, 0),
            irql: AtomicU8::new(0),
            driver: AtomicU32::new(driver),
            completions: AtomicU32::new(0),
            locks: Mutex::new(Vec::new()),
            regions: Regions::default(),
            last_list: AtomicUsize::new(0),
            base: AtomicPtr::default(),
            exit: Exit::default(),
        }
    }

    pub(crate) fn object(&self) -> Object {
        Object::of(&self.object)
    }

    pub(crate) fn irql(&self) -> u8 {
        self.irql.load(Relaxed)
    }

    pub(crate) fn set_irql(&self, irql: u8) -> u8 {
        self.irql.swap(irql, Relaxed)
    }

    pub(crate) fn driver(&self) -> DriverNumber {
        self.driver.load(Relaxed)
    }

    /// Makes a call into the code of `driver`.
    pub(crate) fn as_driver<T>(&self, driver: DriverNumber, call: impl FnOnce() -> T) -> T {
        let before = self.driver.swap(driver, Relaxed);
        let result = call();
        self.driver.store(before, Relaxed);
        result
    }

    pub(crate) fn describe(&self) -> String {
        format!("thread {} \"{}\"", self.id, self.name)
    }
}
