//! What an interface is: its identifier, and the types of what its modules show each other.
//!
//! The trait is the one place where a driver's author promises what no compiler can check: that
//! everybody who speaks the interface means the same memory. The [`npi!`](crate::npi) macro makes
//! that promise for interfaces between drivers in Rust.

// UNSAFETY: traits and a constructor that carry promises; no operation.
#![expect(unsafe_code, reason = "promises about C tables")]

use core::{fmt, marker::PhantomData};

use super::id::Guid;

/// A network programming interface: what its client and provider modules have to know of each
/// other.
///
/// Implemented by the [`npi!`](crate::npi) macro; by hand for an interface that others define.
/// Whoever has no table for the other side, or no characteristics, has the unit type for it.
///
/// # Safety
///
/// Every module that registers for [`ID`](Self::ID), in whatever driver and language, keeps to
/// this:
///
/// - its dispatch table is a value of the type named here, or null where that type has no size;
/// - its NPI-specific characteristics are null, or a value of the type named here;
/// - table and characteristics do not change, and stay as long as the registrar demands it
///   [wsk 12.1].
///
/// [Network programming interface](https://learn.microsoft.com/windows-hardware/drivers/network/network-programming-interface)
pub unsafe trait Npi: Sized + 'static {
    /// The identifier of the interface.
    const ID: Guid;
    /// The functions that clients offer to their providers.
    type ClientDispatch: Sync + 'static;
    /// The functions that providers offer to their clients.
    type ProviderDispatch: Sync + 'static;
    /// What clients say about themselves.
    type ClientCharacteristics: Sync + 'static;
    /// What providers say about themselves.
    type ProviderCharacteristics: Sync + 'static;
}

/// A dispatch table whose functions work on a `C`: the context of this side's bindings.
///
/// The [`npi!`](crate::npi) macro makes them: `MyDispatch::of::<C>()`.
pub struct Table<D: 'static, C> {
    dispatch: &'static D,
    context: PhantomData<fn(&C)>,
}

impl<D: 'static, C> Table<D, C> {
    /// Says what the functions of a table work on.
    ///
    /// # Safety
    ///
    /// The functions of `dispatch` may be called by whoever follows the rules of the interface, on
    /// any thread, with the address of a `C` that is shared and stays until they have returned as
    /// their binding context.
    #[must_use]
    pub const unsafe fn new(dispatch: &'static D) -> Self {
        Self {
            dispatch,
            context: PhantomData,
        }
    }

    pub(super) const fn dispatch(self) -> &'static D {
        self.dispatch
    }
}

impl<D, C> Clone for Table<D, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D, C> Copy for Table<D, C> {}

impl<D, C> fmt::Debug for Table<D, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table")
            .field(&core::ptr::from_ref(self.dispatch))
            .finish()
    }
}

/// What the functions of an [`npi!`](crate::npi) interface may take and give: values that have the
/// same layout whoever compiled them, and references to such values.
///
/// # Safety
///
/// The layout is that of C (`#[repr(C)]`), and every value that a peer may pass is valid.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed between drivers",
    note = "use integers, structures with `#[repr(C)]` for which `nmr::Plain` is implemented, and \
            references to them"
)]
pub unsafe trait Plain {}

macro_rules! plain {
    ($($number:ty)*) => {
        // SAFETY: a number of a fixed size, all values of which are valid.
        $(unsafe impl Plain for $number {})*
    };
}

plain! { () u8 u16 u32 u64 usize i8 i16 i32 i64 isize crate::Status }

// SAFETY: a pointer; the peer keeps the promise of the reference, as it is compiled from the same
// interface.
unsafe impl<T: Plain> Plain for &T {}
// SAFETY: as above.
unsafe impl<T: Plain> Plain for &mut T {}
// SAFETY: values one after the other.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
