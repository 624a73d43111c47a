//! What an interface is: its identifier, and the types of what its modules show each other.
//!
//! The trait is the one place where a driver's author promises what no compiler can check: that
//! everybody who speaks the interface means the same memory. The [`npi!`](crate::npi) macro, below,
//! makes that promise for interfaces between drivers in Rust.

// UNSAFETY: traits and a constructor that carry promises, and the macro that keeps them.
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
/// For an interface that extends sockets (see [`Extension`](crate::Extension)), the same holds for
/// the tables of whoever offers it and registers for it, as long as the socket is open.
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

    pub(crate) const fn dispatch(self) -> &'static D {
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
/// same layout whoever compiled them. No references: a peer's memory may go away with its driver.
///
/// ```
/// #[derive(Clone, Copy, Debug)]
/// #[repr(C)]
/// pub struct Totals {
///     pub calls: u64,
///     pub sum: u64,
/// }
///
/// // SAFETY: numbers, as C lays them out; the name says which version of the structure it is.
/// unsafe impl wsk::nmr::Plain for Totals {
///     const NAME: &'static str = "counter totals 1";
/// }
/// ```
///
/// # Safety
///
/// The layout is that of C (`#[repr(C)]`), every bit pattern of that size is a value, and whatever
/// has the same [`NAME`](Self::NAME), in any driver, has the same layout.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed between drivers",
    note = "use integers, or structures with `#[repr(C)]` for which `nmr::Plain` is implemented"
)]
pub unsafe trait Plain {
    /// Names the layout; the identifiers of interfaces depend on it. Change it with the layout.
    const NAME: &'static str;
}

macro_rules! plain {
    ($($number:ty)*) => {
        $(
            // SAFETY: a number of a fixed size, all values of which are valid, by its own name.
            unsafe impl Plain for $number {
                const NAME: &'static str = stringify!($number);
            }
        )*
    };
}

plain! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize crate::Status }

/// Defines an interface between drivers in Rust, for a crate that both use.
///
/// Each trait is implemented by the context of one side's bindings, and by what the other side
/// gets when it [enters](crate::nmr::Binding::enter) a binding: so each side calls the other's
/// methods. The methods take `&self`, and arguments that are [`Plain`](crate::nmr::Plain). A table
/// is a structure with one function pointer for each method, in their order; `of` makes one for a
/// type that implements the trait.
///
/// Only drivers that were built with the same definition meet: the identifier that they register
/// for is made of the one that is written here, of the names of all methods, and of the
/// [names](crate::nmr::Plain::NAME) of their types. Change a method, and it is another interface.
///
/// An interface that is defined elsewhere has the identifier that it has. That is written with
/// `unsafe`, as in `pub interface Bell = unsafe 0x11223344_5566_7788_99AA_BBCCDDEEFF00;`, and
/// promises that whoever else registers for it has tables of exactly these functions of C's, each
/// with the context of the binding as its first argument. What cannot be expressed that way is an
/// implementation of [`Npi`](crate::nmr::Npi).
///
/// ```
/// wsk::npi! {
///     /// A service that counts.
///     pub interface Counter = 0x8B0F7D52_3E0F_4C7A_9B1D_2F6A84E1903C;
///
///     /// What a provider does for its clients.
///     pub provider trait Count, table CountDispatch {
///         /// Adds `by`, and returns the sum.
///         fn add(&self, by: u32) -> u32;
///     }
///
///     /// What a client wants to hear.
///     pub client trait Listen, table ListenDispatch {
///         /// The sum is a multiple of a hundred.
///         fn hundred(&self, sum: u32);
///     }
/// }
/// ```
#[macro_export]
macro_rules! npi {
    (
        $(#[$about:meta])*
        $visibility:vis interface $interface:ident = unsafe $id:literal;
        $($traits:tt)*
    ) => {
        $crate::npi! { @define $(#[$about])* $visibility $interface, exact $id, $($traits)* }
    };
    (
        $(#[$about:meta])*
        $visibility:vis interface $interface:ident = $id:literal;
        $($traits:tt)*
    ) => {
        $crate::npi! { @define $(#[$about])* $visibility $interface, derived $id, $($traits)* }
    };
    (@id exact $id:literal, $($table:ident)*) => {
        $crate::nmr::Guid::from_u128($id)
    };
    (@id derived $id:literal, $($table:ident)*) => {
        $crate::nmr::Guid::of_definition($id, [$($table::SIGNATURES),*])
    };
    (
        @define $(#[$about:meta])* $visibility:vis $interface:ident, $kind:ident $id:literal,

        $(#[$provider_about:meta])*
        $provider_visibility:vis provider trait $provider:ident, table $provider_table:ident {
            $($provider_methods:tt)*
        }

        $(#[$client_about:meta])*
        $client_visibility:vis client trait $client:ident, table $client_table:ident {
            $($client_methods:tt)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug)]
        $visibility enum $interface {}

        // SAFETY: whoever registers for this identifier has tables of the same functions in the
        // same order, which are constants: the identifier is made of the definition; or whoever
        // wrote `unsafe` has promised it.
        unsafe impl $crate::nmr::Npi for $interface {
            const ID: $crate::nmr::Guid =
                $crate::npi!(@id $kind $id, $provider_table $client_table);
            type ClientDispatch = $client_table;
            type ProviderDispatch = $provider_table;
            type ClientCharacteristics = ();
            type ProviderCharacteristics = ();
        }

        $crate::npi! {
            @side $interface,
            $crate::nmr::Entered<'_, $interface, $crate::nmr::AsClient>,
            $(#[$provider_about])* $provider_visibility $provider $provider_table,
            $($provider_methods)*
        }
        $crate::npi! {
            @call $provider, $crate::EnteredExtension<'_, $interface>, $($provider_methods)*
        }
        $crate::npi! {
            @side $interface,
            $crate::nmr::Entered<'_, $interface, $crate::nmr::AsProvider>,
            $(#[$client_about])* $client_visibility $client $client_table,
            $($client_methods)*
        }
    };
    (
        @side $interface:ident, $caller:ty,
        $(#[$about:meta])* $visibility:vis $name:ident $table:ident,
        $(
            $(#[$method_about:meta])*
            fn $method:ident(&self $(, $argument:ident: $type:ty)* $(,)?) $(-> $result:ty)?;
        )*
    ) => {
        $(#[$about])*
        $visibility trait $name {
            $($(#[$method_about])* fn $method(&self $(, $argument: $type)*) $(-> $result)?;)*
        }

        #[doc = concat!("The functions that [`", stringify!($name), "`] is called by.")]
        #[derive(Debug)]
        #[repr(C)]
        $visibility struct $table {
            $($method: unsafe extern "C" fn(
                *mut ::core::ffi::c_void
                $(, $type)*
            ) $(-> $result)?,)*
        }

        impl $table {
            /// What the identifier of the interface depends on.
            const SIGNATURES: &'static [&'static str] = &[$(
                stringify!($method),
                $(<$type as $crate::nmr::Plain>::NAME,)*
                $("->", <$result as $crate::nmr::Plain>::NAME,)?
                ";",
            )*];

            #[doc = concat!("The table of the functions that call a `", stringify!($name), "`.")]
            #[must_use]
            $visibility const fn of<C: $name + Send + Sync + 'static>()
            -> $crate::nmr::Table<Self, C> {
                $(
                    unsafe extern "C" fn $method<C: $name + 'static>(
                        context: *mut ::core::ffi::c_void
                        $(, $argument: $type)*
                    ) $(-> $result)? {
                        // SAFETY: the table is for bindings with such a context, which is shared
                        // and stays until this has returned.
                        let context = unsafe { &*context.cast::<C>() };
                        <C as $name>::$method(context $(, $argument)*)
                    }
                )*
                // SAFETY: the functions are those above.
                const { unsafe { $crate::nmr::Table::new(&Self { $($method: $method::<C>),* }) } }
            }
        }

        $crate::npi! {
            @call $name, $caller,
            $($(#[$method_about])* fn $method(&self $(, $argument: $type)*) $(-> $result)?;)*
        }
    };
    (
        @call $name:ident, $caller:ty,
        $(
            $(#[$method_about:meta])*
            fn $method:ident(&self $(, $argument:ident: $type:ty)* $(,)?) $(-> $result:ty)?;
        )*
    ) => {
        impl $name for $caller {
            $(
                fn $method(&self $(, $argument: $type)*) $(-> $result)? {
                    let function = self.dispatch().$method;
                    // SAFETY: the peer's function with the peer's context, while the peer is
                    // entered.
                    unsafe { function(self.context() $(, $argument)*) }
                }
            )*
        }
    };
}
