//! The kernel as the provider sees it, where the process has one already: `ntoskrnl.exe` of the
//! host that has loaded this image.
//!
//! Takes the place of `crate::kernel`, with the same names as far as the provider uses them. IRPs,
//! MDLs and pool are that kernel's, so that there are no books about them here, and it alone
//! decides at which IRQL a thread runs: the checks that the simulated kernel makes are not made.
//!
//! - `layout`, `object`, `own_mdl`, `lent`: the simulator's own
//! - `irp`: IRPs are given to the provider, completed and cancelled
//! - `irql`, `pool`, `mdl`, `wait`, `thread`: what the provider asks for

pub(crate) mod irp;
pub(crate) mod irql;
#[path = "../../kernel/layout.rs"]
pub(crate) mod layout;
#[path = "../../kernel/lent.rs"]
pub(crate) mod lent;
pub(crate) mod mdl;
pub(crate) mod ntoskrnl;
#[path = "../../kernel/object.rs"]
pub(crate) mod object;
#[path = "../../kernel/own_mdl.rs"]
mod own_mdl;
pub(crate) mod pool;
pub(crate) mod thread;
pub(crate) mod wait;

use std::sync::Mutex;

/// The kernel's books, as far as there are any.
#[derive(Default)]
pub(crate) struct Kernel {
    pub(crate) pool: Mutex<pool::Pool>,
}
