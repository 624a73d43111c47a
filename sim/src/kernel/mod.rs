//! The exports of ntoskrnl and HAL that drivers of this kind import.
//!
//! Each file holds one subject: thin `extern "C"` functions with the names and signatures of the
//! kernel (checked against `wdk-sys` in `exports`), over safe code that keeps the books and
//! enforces the rules.
//!
//! - `layout`, `object`, `own_mdl`: views of what driver and kernel share in memory
//! - `pool`, `lookaside`, `lent`, `mdl`, `pages`: memory
//! - `irql`, `region`, `wait`, `timer`, `dpc`, `thread`, `work_item`: execution
//! - `event`, `queue`, `spin_lock`, `fast_mutex`, `resource`, `rundown`: synchronisation
//! - `list`, `slist`, `interlocked`: lists
//! - `irp`, `dispatch`, `completion`, `cancel`, `csq`, `device`, `program`, `driver`: the I/O
//!   manager
//! - `handle`, `security`, `registry`, `rtl`, `time`, `debug`: the rest
//! - `exports`: the list, for `MmGetSystemRoutineAddress` and for the linker

mod cancel;
mod completion;
mod csq;
pub(crate) mod debug;
pub(crate) mod device;
mod dispatch;
pub(crate) mod dpc;
pub(crate) mod driver;
mod event;
pub(crate) mod exports;
mod fast_mutex;
pub(crate) mod handle;
mod interlocked;
pub(crate) mod irp;
pub(crate) mod irql;
pub(crate) mod layout;
pub(crate) mod lent;
mod list;
mod lookaside;
pub(crate) mod mdl;
pub(crate) mod object;
mod own_mdl;
mod pages;
pub(crate) mod pool;
pub(crate) mod program;
mod queue;
pub(crate) mod region;
pub(crate) mod registry;
mod resource;
pub(crate) mod rtl;
pub(crate) mod rundown;
mod security;
mod slist;
mod spin_lock;
pub(crate) mod thread;
mod time;
mod timer;
pub(crate) mod wait;
pub(crate) mod work_item;

use std::sync::Mutex;

use crate::sim::lock;
use crate::verifier::DriverNumber;

/// The kernel's books of one simulation.
#[derive(Default)]
pub(crate) struct Kernel {
    pub(crate) pool: Mutex<pool::Pool>,
    pub(crate) irps: Mutex<irp::Irps>,
    pub(crate) calls: Mutex<dispatch::Calls>,
    pub(crate) mdls: Mutex<mdl::Mdls>,
    pub(crate) handles: Mutex<handle::Handles>,
    pub(crate) registry: Mutex<registry::Registry>,
    pub(crate) rundowns: Mutex<rundown::Rundowns>,
    pub(crate) work_items: Mutex<work_item::WorkItems>,
    pub(crate) devices: Mutex<device::Devices>,
    pub(crate) dpcs: dpc::Dpcs,
    pub(crate) lookasides: Mutex<lookaside::Lookasides>,
    pub(crate) resources: Mutex<resource::Resources>,
    pub(crate) process: thread::Process,
    pub(crate) drivers: Mutex<driver::Drivers>,
    pub(crate) debug: Mutex<Vec<String>>,
    /// The lock which `IoCancelIrp` holds while it calls a cancel routine.
    pub(crate) cancel_lock: std::sync::atomic::AtomicUsize,
}

impl Kernel {
    /// What is still allocated, open or referenced, of one driver or of all.
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let mut left = lock(&self.irps).leaks(driver);
        left.extend(lock(&self.mdls).leaks(driver));
        left.extend(lock(&self.handles).leaks(driver));
        left.extend(lock(&self.work_items).leaks(driver));
        left.extend(lock(&self.devices).leaks(driver));
        left.extend(lock(&self.lookasides).leaks(driver));
        left.extend(lock(&self.resources).leaks(driver));
        left.extend(lock(&self.pool).leaks(driver));
        left
    }
}
