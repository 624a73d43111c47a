//! The macro that makes an interface between drivers in Rust of two traits.

/// Defines an interface between drivers in Rust, for a crate that both use.
///
/// Each trait is implemented by the context of one side's bindings, and by what the other side
/// gets when it [enters](crate::nmr::Binding::enter) a binding: so each side calls the other's
/// methods. The methods take `&self`, and arguments that are [`Plain`](crate::nmr::Plain). A table
/// is a structure with one function pointer for each method, in their order; `of` makes one for a
/// type that implements the trait.
///
/// The interface's identity is its identifier: change that whenever a trait changes, as otherwise
/// drivers that were built with different versions of it call each other's wrong functions.
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
        $visibility:vis interface $interface:ident = $id:literal;

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

        // SAFETY: whoever registers for this identifier is compiled from this definition, whose
        // tables are constants.
        unsafe impl $crate::nmr::Npi for $interface {
            const ID: $crate::nmr::Guid = $crate::nmr::Guid::from_u128($id);
            type ClientDispatch = $client_table;
            type ProviderDispatch = $provider_table;
            type ClientCharacteristics = ();
            type ProviderCharacteristics = ();
        }

        $crate::npi! {
            @side $interface, $crate::nmr::AsClient,
            $(#[$provider_about])* $provider_visibility $provider $provider_table,
            $($provider_methods)*
        }
        $crate::npi! {
            @side $interface, $crate::nmr::AsProvider,
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
            #[doc = concat!("The table of the functions that call a `", stringify!($name), "`.")]
            #[must_use]
            $visibility const fn of<C: $name + Send + Sync + 'static>()
            -> $crate::nmr::Table<Self, C> {
                const fn plain<T: $crate::nmr::Plain>() {}
                $($(plain::<$type>();)* $(plain::<$result>();)?)*
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

        impl $name for $crate::nmr::Entered<'_, $interface, $caller> {
            $(
                fn $method(&self $(, $argument: $type)*) $(-> $result)? {
                    let function = self.dispatch().$method;
                    // SAFETY: the peer's function with the peer's context, while the binding is
                    // entered.
                    unsafe { function(self.context() $(, $argument)*) }
                }
            )*
        }
    };
}
