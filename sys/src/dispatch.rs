//! The provider's dispatch tables.
//!
//! Each of the four larger tables starts with a [`WSK_PROVIDER_BASIC_DISPATCH`] which has no name
//! in C: bindgen leaves padding in its place. [`basic_dispatch`] reads a table by that prefix.
//! Whoever builds a table, as the simulator of the provider does, uses the types with `_FULL` in
//! their names, in which the prefix is the member `Basic`, as it is in C++.

// UNSAFETY: a pointer to a table is read as a pointer to its prefix.
#![expect(unsafe_code, reason = "access to the prefix of a C structure")]
#![expect(non_snake_case, reason = "the names of the C headers")]

use core::{mem::offset_of, ptr};

use crate::{
    PFN_WSK_ACCEPT, PFN_WSK_BIND, PFN_WSK_CONNECT, PFN_WSK_CONNECT_EX, PFN_WSK_DISCONNECT,
    PFN_WSK_GET_LOCAL_ADDRESS, PFN_WSK_GET_REMOTE_ADDRESS, PFN_WSK_INSPECT_COMPLETE,
    PFN_WSK_LISTEN, PFN_WSK_RECEIVE, PFN_WSK_RECEIVE_EX, PFN_WSK_RECEIVE_FROM,
    PFN_WSK_RELEASE_DATA_INDICATION_LIST, PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST, PFN_WSK_SEND,
    PFN_WSK_SEND_EX, PFN_WSK_SEND_MESSAGES, PFN_WSK_SEND_TO, WSK_PROVIDER_BASIC_DISPATCH,
    WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_PROVIDER_LISTEN_DISPATCH,
    WSK_PROVIDER_STREAM_DISPATCH,
};

/// A dispatch table of a socket, of any category.
///
/// # Safety
/// The type is `repr(C)` and starts with a [`WSK_PROVIDER_BASIC_DISPATCH`].
pub unsafe trait WskProviderDispatch {}

// SAFETY: it is the prefix itself.
unsafe impl WskProviderDispatch for WSK_PROVIDER_BASIC_DISPATCH {}

/// The functions that sockets of every category have: the prefix of `table`.
///
/// # Safety
/// `table` is one that a provider made: its prefix, which some of the types show as plain bytes,
/// holds functions or null.
#[must_use]
pub const unsafe fn basic_dispatch<T: WskProviderDispatch>(
    table: &T,
) -> &WSK_PROVIDER_BASIC_DISPATCH {
    // SAFETY: the trait promises that the table starts with the prefix, and the caller that
    // functions are in it. The result lives as long as the borrow of the table.
    unsafe { &*ptr::from_ref(table).cast() }
}

macro_rules! full_dispatch {
    ($(#[$doc:meta])* $full:ident of $c:ident {
        $($(#[$note:meta])* $member:ident: $pfn:ty,)*
    }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Default)]
        pub struct $full {
            /// The functions that sockets of every category have.
            pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
            $($(#[$note])* pub $member: $pfn,)*
        }

        const _: () = {
            assert!(size_of::<$full>() == size_of::<$c>());
            assert!(align_of::<$full>() == align_of::<$c>());
            assert!(offset_of!($full, Basic) == 0);
            $(assert!(offset_of!($full, $member) == offset_of!($c, $member));)*
        };

        impl $full {
            /// The table under its C type, as a socket's `Dispatch` points to it.
            #[must_use]
            pub const fn as_c(&self) -> &$c {
                // SAFETY: same size, alignment and offsets, asserted above; the bytes that the C
                // type shows for the prefix may have any value.
                unsafe { &*ptr::from_ref(self).cast() }
            }
        }

        // SAFETY: `repr(C)`, and `Basic` is at offset 0.
        unsafe impl WskProviderDispatch for $full {}

        // SAFETY: `repr(C)` by bindgen, and laid out as the type above.
        unsafe impl WskProviderDispatch for $c {}
    };
}

full_dispatch! {
    /// [`WSK_PROVIDER_LISTEN_DISPATCH`] with its prefix named.
    WSK_PROVIDER_LISTEN_DISPATCH_FULL of WSK_PROVIDER_LISTEN_DISPATCH {
        /// Gives the socket its local address and starts listening.
        WskBind: PFN_WSK_BIND,
        /// Takes an incoming connection.
        WskAccept: PFN_WSK_ACCEPT,
        /// Decides about a connection whose inspection was pended.
        WskInspectComplete: PFN_WSK_INSPECT_COMPLETE,
        /// Gives the local address.
        WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
    }
}

full_dispatch! {
    /// [`WSK_PROVIDER_DATAGRAM_DISPATCH`] with its prefix named.
    WSK_PROVIDER_DATAGRAM_DISPATCH_FULL of WSK_PROVIDER_DATAGRAM_DISPATCH {
        /// Gives the socket its local address.
        WskBind: PFN_WSK_BIND,
        /// Sends one datagram.
        WskSendTo: PFN_WSK_SEND_TO,
        /// Receives one datagram.
        WskReceiveFrom: PFN_WSK_RECEIVE_FROM,
        /// Gives retained datagrams back.
        WskRelease: PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST,
        /// Gives the local address.
        WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
        /// Sends several datagrams. Windows 8 and later.
        WskSendMessages: PFN_WSK_SEND_MESSAGES,
    }
}

full_dispatch! {
    /// [`WSK_PROVIDER_CONNECTION_DISPATCH`] with its prefix named.
    WSK_PROVIDER_CONNECTION_DISPATCH_FULL of WSK_PROVIDER_CONNECTION_DISPATCH {
        /// Gives the socket its local address.
        WskBind: PFN_WSK_BIND,
        /// Connects to a remote address.
        WskConnect: PFN_WSK_CONNECT,
        /// Gives the local address.
        WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
        /// Gives the remote address.
        WskGetRemoteAddress: PFN_WSK_GET_REMOTE_ADDRESS,
        /// Sends bytes.
        WskSend: PFN_WSK_SEND,
        /// Receives bytes.
        WskReceive: PFN_WSK_RECEIVE,
        /// Ends the connection.
        WskDisconnect: PFN_WSK_DISCONNECT,
        /// Gives retained data back.
        WskRelease: PFN_WSK_RELEASE_DATA_INDICATION_LIST,
        /// Connects and sends in one call. Windows 10 1703 and later.
        WskConnectEx: PFN_WSK_CONNECT_EX,
        /// Sends bytes with control information. Windows 10 1809 and later.
        WskSendEx: PFN_WSK_SEND_EX,
        /// Receives bytes with control information. Windows 10 1809 and later.
        WskReceiveEx: PFN_WSK_RECEIVE_EX,
    }
}

full_dispatch! {
    /// [`WSK_PROVIDER_STREAM_DISPATCH`] with its prefix named.
    WSK_PROVIDER_STREAM_DISPATCH_FULL of WSK_PROVIDER_STREAM_DISPATCH {
        /// Gives the socket its local address.
        WskBind: PFN_WSK_BIND,
        /// Takes an incoming connection.
        WskAccept: PFN_WSK_ACCEPT,
        /// Connects to a remote address.
        WskConnect: PFN_WSK_CONNECT,
        /// Starts listening.
        WskListen: PFN_WSK_LISTEN,
        /// Sends bytes.
        WskSend: PFN_WSK_SEND,
        /// Receives bytes.
        WskReceive: PFN_WSK_RECEIVE,
        /// Ends the connection.
        WskDisconnect: PFN_WSK_DISCONNECT,
        /// Gives retained data back.
        WskRelease: PFN_WSK_RELEASE_DATA_INDICATION_LIST,
        /// Gives the local address.
        WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
        /// Gives the remote address.
        WskGetRemoteAddress: PFN_WSK_GET_REMOTE_ADDRESS,
        /// Connects and sends in one call. Windows 10 1703 and later.
        WskConnectEx: PFN_WSK_CONNECT_EX,
        /// Sends bytes with control information. Windows 10 1809 and later.
        WskSendEx: PFN_WSK_SEND_EX,
        /// Receives bytes with control information. Windows 10 1809 and later.
        WskReceiveEx: PFN_WSK_RECEIVE_EX,
    }
}
