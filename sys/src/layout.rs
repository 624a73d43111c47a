//! The layouts that the library relies on, asserted against whatever headers the bindings come
//! from: size, alignment, and the offset of every member, in bytes. They are those of 64-bit
//! Windows, on x64 and on arm64.
//!
//! A dispatch table is an array of function pointers, so offsets are also the order of its slots.

use core::mem::offset_of;

macro_rules! layout {
    ($module:ident; $($name:ident: $size:literal $(/ $align:literal)? {
        $($member:ident @ $offset:literal),* $(,)?
    })*) => {
        $(const _: () = {
            assert!(size_of::<$module::$name>() == $size);
            $(assert!(align_of::<$module::$name>() == $align);)?
            $(assert!(offset_of!($module::$name, $member) == $offset);)*
        };)*
    };
}

// wsk.h
layout! { crate;
    WSK_SOCKET: 8 / 8 { Dispatch @ 0 }
    WSK_PROVIDER_CHARACTERISTICS: 4 / 2 { HighestVersion @ 0, LowestVersion @ 2 }
    WSK_TRANSPORT: 28 / 4 {
        Version @ 0, SocketType @ 2, Protocol @ 4, AddressFamily @ 8, ProviderId @ 12,
    }
    WSK_BUF: 24 / 8 { Mdl @ 0, Offset @ 8, Length @ 16 }
    WSK_DATA_INDICATION: 32 / 8 { Next @ 0, Buffer @ 8 }
    WSK_DATAGRAM_INDICATION: 56 / 8 {
        Next @ 0, Buffer @ 8, ControlInfo @ 32, ControlInfoLength @ 40, RemoteAddress @ 48,
    }
    WSK_INSPECT_ID: 16 / 8 { Key @ 0, SerialNumber @ 8 }
    WSK_TDI_MAP: 16 / 8 { SocketType @ 0, AddressFamily @ 2, Protocol @ 4, TdiDeviceName @ 8 }
    WSK_TDI_MAP_INFO: 16 / 8 { ElementCount @ 0, Map @ 8 }
    WSK_EVENT_CALLBACK_CONTROL: 16 / 8 { NpiId @ 0, EventMask @ 8 }
    WSK_EXTENSION_CONTROL_IN: 24 / 8 { NpiId @ 0, ClientContext @ 8, ClientDispatch @ 16 }
    WSK_EXTENSION_CONTROL_OUT: 16 / 8 { ProviderContext @ 0, ProviderDispatch @ 8 }
    WSK_BUF_LIST: 32 / 8 { Next @ 0, Buffer @ 8 }
    WSK_CLIENT_DISPATCH: 16 / 8 { Version @ 0, Reserved @ 2, WskClientEvent @ 8 }
    WSK_CLIENT_LISTEN_DISPATCH: 24 / 8 {
        WskAcceptEvent @ 0, WskInspectEvent @ 8, WskAbortEvent @ 16,
    }
    WSK_CLIENT_DATAGRAM_DISPATCH: 8 / 8 { WskReceiveFromEvent @ 0 }
    WSK_CLIENT_CONNECTION_DISPATCH: 24 / 8 {
        WskReceiveEvent @ 0, WskDisconnectEvent @ 8, WskSendBacklogEvent @ 16,
    }
    WSK_CLIENT_STREAM_DISPATCH: 16 / 8 { Listen @ 0, Connect @ 8 }
    WSK_PROVIDER_DISPATCH: 56 / 8 {
        Version @ 0, Reserved @ 2, WskSocket @ 8, WskSocketConnect @ 16, WskControlClient @ 24,
        WskGetAddressInfo @ 32, WskFreeAddressInfo @ 40, WskGetNameInfo @ 48,
    }
    WSK_PROVIDER_BASIC_DISPATCH: 16 / 8 { WskControlSocket @ 0, WskCloseSocket @ 8 }
    WSK_PROVIDER_LISTEN_DISPATCH: 48 / 8 {
        WskBind @ 16, WskAccept @ 24, WskInspectComplete @ 32, WskGetLocalAddress @ 40,
    }
    WSK_PROVIDER_DATAGRAM_DISPATCH: 64 / 8 {
        WskBind @ 16, WskSendTo @ 24, WskReceiveFrom @ 32, WskRelease @ 40,
        WskGetLocalAddress @ 48, WskSendMessages @ 56,
    }
    WSK_PROVIDER_CONNECTION_DISPATCH: 104 / 8 {
        WskBind @ 16, WskConnect @ 24, WskGetLocalAddress @ 32, WskGetRemoteAddress @ 40,
        WskSend @ 48, WskReceive @ 56, WskDisconnect @ 64, WskRelease @ 72, WskConnectEx @ 80,
        WskSendEx @ 88, WskReceiveEx @ 96,
    }
    WSK_PROVIDER_STREAM_DISPATCH: 120 / 8 {
        WskBind @ 16, WskAccept @ 24, WskConnect @ 32, WskListen @ 40, WskSend @ 48,
        WskReceive @ 56, WskDisconnect @ 64, WskRelease @ 72, WskGetLocalAddress @ 80,
        WskGetRemoteAddress @ 88, WskConnectEx @ 96, WskSendEx @ 104, WskReceiveEx @ 112,
    }
    WSK_CLIENT_NPI: 16 / 8 { ClientContext @ 0, Dispatch @ 8 }
    WSK_PROVIDER_NPI: 16 / 8 { Client @ 0, Dispatch @ 8 }
    WSK_REGISTRATION: 24 / 8 {
        ReservedRegistrationState @ 0, ReservedRegistrationContext @ 8,
        ReservedRegistrationLock @ 16,
    }
    WSK_PROVIDER_NDK_DISPATCH: 16 / 8 { WskOpenNdkAdapter @ 0, WskCloseNdkAdapter @ 8 }
}

// netioddk.h and netiodef.h
layout! { crate;
    NPI_MODULEID: 24 / 4 { Length @ 0, Type @ 4 }
    NPI_REGISTRATION_INSTANCE: 40 / 8 {
        Version @ 0, Size @ 2, NpiId @ 8, ModuleId @ 16, Number @ 24,
        NpiSpecificCharacteristics @ 32,
    }
    NPI: 16 / 8 { Handle @ 0, Dispatch @ 8 }
    NPI_CLIENT_CHARACTERISTICS: 72 / 8 {
        Version @ 0, Length @ 2, ClientAttachProvider @ 8, ClientDetachProvider @ 16,
        ClientCleanupBindingContext @ 24, ClientRegistrationInstance @ 32,
    }
    NPI_PROVIDER_CHARACTERISTICS: 72 / 8 {
        Version @ 0, Length @ 2, ProviderAttachClient @ 8, ProviderDetachClient @ 16,
        ProviderCleanupBindingContext @ 24, ProviderRegistrationInstance @ 32,
    }
}

// addresses, options and name resolution
layout! { crate;
    IN_ADDR: 4 / 4 { S_un @ 0 }
    SOCKADDR: 16 / 2 { sa_family @ 0, sa_data @ 2 }
    SOCKET_ADDRESS: 16 / 8 { lpSockaddr @ 0, iSockaddrLength @ 8 }
    SOCKET_ADDRESS_LIST: 24 / 8 { iAddressCount @ 0, Address @ 8 }
    SOCKADDR_STORAGE: 128 / 8 { ss_family @ 0, __ss_pad1 @ 2, __ss_align @ 8, __ss_pad2 @ 16 }
    SOCKADDR_IN: 16 / 4 { sin_family @ 0, sin_port @ 2, sin_addr @ 4, sin_zero @ 8 }
    CMSGHDR: 16 / 8 { cmsg_len @ 0, cmsg_level @ 8, cmsg_type @ 12 }
    ADDRINFOEXW: 72 / 8 {
        ai_flags @ 0, ai_family @ 4, ai_socktype @ 8, ai_protocol @ 12, ai_addrlen @ 16,
        ai_canonname @ 24, ai_addr @ 32, ai_blob @ 40, ai_bloblen @ 48, ai_provider @ 56,
        ai_next @ 64,
    }
    IN6_ADDR: 16 / 2 { u @ 0 }
    SOCKADDR_IN6: 28 / 4 { sin6_family @ 0, sin6_port @ 2, sin6_flowinfo @ 4, sin6_addr @ 8 }
    tcp_keepalive: 12 / 4 { onoff @ 0, keepalivetime @ 4, keepaliveinterval @ 8 }
    INET_PORT_RESERVATION_INSTANCE: 16 / 8 { Reservation @ 0, Token @ 8 }
    INET_PORT_RESERVATION_INFORMATION: 4 / 4 { OwningPid @ 0 }
}

// wdm.h. Whether an IRP is aligned to 8 or 16 bytes depends on the headers; the kernel itself
// allocates it.
layout! { wdk_sys;
    IRP: 208 {
        Type @ 0, Size @ 2, MdlAddress @ 8, Flags @ 0x10, AssociatedIrp @ 0x18,
        ThreadListEntry @ 0x20, IoStatus @ 0x30, RequestorMode @ 0x40, PendingReturned @ 0x41,
        StackCount @ 0x42,
        CurrentLocation @ 0x43, Cancel @ 0x44, CancelIrql @ 0x45, CancelRoutine @ 0x68,
        UserBuffer @ 0x70, Tail @ 0x78,
    }
    IO_STACK_LOCATION: 72 / 8 {
        MajorFunction @ 0, MinorFunction @ 1, Flags @ 2, Control @ 3, Parameters @ 8,
        DeviceObject @ 0x28, FileObject @ 0x30, CompletionRoutine @ 0x38, Context @ 0x40,
    }
    IO_STATUS_BLOCK: 16 / 8 { Information @ 8 }
    MDL: 48 / 8 {
        Next @ 0, Size @ 8, MdlFlags @ 10, Process @ 0x10, MappedSystemVa @ 0x18, StartVa @ 0x20,
        ByteCount @ 0x28, ByteOffset @ 0x2C,
    }
    OBJECT_ATTRIBUTES: 48 / 8 {
        Length @ 0, RootDirectory @ 8, ObjectName @ 16, Attributes @ 24, SecurityDescriptor @ 32,
        SecurityQualityOfService @ 40,
    }
    KSPIN_LOCK: 8 / 8 {}
}
