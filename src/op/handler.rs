//! What a socket's event callbacks work on: a value of the driver's, of any type, in nonpaged pool,
//! with the table of callbacks that knows the type.
//!
//! The type is forgotten here and remembered by the table: both are made together, once, and never
//! parted.

// UNSAFETY: forgets and remembers the type of a value.
#![expect(unsafe_code, reason = "type erasure")]

use core::{ffi::c_void, ptr::NonNull};

use crate::{mem::pool, status::Result};

/// What callbacks work on.
pub(crate) trait Attend: Send + Sync + 'static {
    /// The socket is dead, whoever says so: tells the driver, once. IRQL <= DISPATCH_LEVEL.
    fn report_death(&self);
}

/// A handler and the client dispatch table of its type.
///
/// # Invariants
///
/// `value` came from `pool::allocate` for the type that the other members were made for.
pub(crate) struct Handler {
    value: NonNull<()>,
    drop_value: unsafe fn(NonNull<()>),
    report_death: unsafe fn(NonNull<()>),
    table: NonNull<c_void>,
}

// SAFETY: made of a `Send + Sync` value and a table that nobody changes.
unsafe impl Send for Handler {}
// SAFETY: as for `Send`.
unsafe impl Sync for Handler {}

impl Handler {
    /// Moves `value` into the pool.
    ///
    /// # Safety
    ///
    /// `table` is a client dispatch table of the category that the handler will be used for, whose
    /// callbacks take the handler of their socket for an `H`.
    pub(crate) unsafe fn new<H: Attend, T>(value: H, table: &'static T) -> Result<Self> {
        let value = pool::allocate(value)?;
        Ok(Self {
            value: value.cast(),
            drop_value: drop_value::<H>,
            report_death: report_death::<H>,
            table: NonNull::from(table).cast(),
        })
    }

    /// What WSK is given.
    pub(crate) fn table(&self) -> *const c_void {
        self.table.as_ptr()
    }

    /// See [`Attend::report_death`].
    pub(super) fn report_death(&self) {
        // SAFETY: by the invariants.
        unsafe { (self.report_death)(self.value) }
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// `H` is the type that it was made with.
    pub(crate) unsafe fn value<H>(&self) -> &H {
        // SAFETY: the caller's promise; dropped with `self` only.
        unsafe { self.value.cast().as_ref() }
    }
}

/// # Safety
///
/// `value` came from `pool::allocate` for an `H`, and nobody uses it any more.
unsafe fn drop_value<H>(value: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { pool::free(value.cast::<H>()) }
}

/// # Safety
///
/// `value` came from `pool::allocate` for an `H`, and is not freed yet.
unsafe fn report_death<H: Attend>(value: NonNull<()>) {
    // SAFETY: the caller's promise; a handler is shared by callbacks.
    unsafe { value.cast::<H>().as_ref() }.report_death();
}

impl Drop for Handler {
    fn drop(&mut self) {
        // SAFETY: by the invariants, and once.
        unsafe { (self.drop_value)(self.value) }
    }
}

impl core::fmt::Debug for Handler {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Handler").field(&self.value).finish()
    }
}
