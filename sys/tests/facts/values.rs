//! What the source of the bindings does not tell: constants and types that Rust code defines, in
//! this crate or in wdk-sys.
//!
//! Only names are listed, never numbers: the compiler supplies those. A fact about a name that is
//! neither here nor in the bindings is an error of the comparison.

// UNSAFETY: the GUID of a module identifier is an arm of a union.
#![expect(unsafe_code, reason = "access to a C union")]

use std::collections::BTreeMap;

use wsk_sys::{wdk_sys, *};

use crate::bindings::{Bindings, Outside};

macro_rules! numbers {
    ($module:ident { $($name:ident,)* }) => {
        [$((stringify!($name), i64::from($module::$name)),)*]
    };
}

macro_rules! outside {
    ($($name:ident,)*) => {
        [$((
            stringify!($name),
            size_of::<wdk_sys::$name>(),
            align_of::<wdk_sys::$name>(),
            std::any::type_name::<wdk_sys::$name>(),
        ),)*]
    };
}

/// The members of structures of wdk-sys: offset and size.
macro_rules! members {
    ($($name:ident { $($member:ident at $($path:ident).+,)* })*) => {
        [$((stringify!($name), vec![$((
            stringify!($member),
            std::mem::offset_of!(wdk_sys::$name, $($path).+) as u64,
            size_of_member(|it: *const wdk_sys::$name| {
                // SAFETY: never called; only the type of the result counts.
                unsafe { &raw const (*it).$($path).+ }
            }),
        ),)*]),)*]
    };
}

/// Everything the crate offers, as a model.
pub fn model() -> Bindings {
    let mut bindings = Bindings::default();
    for (name, size, align, definition) in outside() {
        let outside = Outside {
            size: size as u64,
            align: align as u64,
            definition: syn::parse_str(definition).expect("the name of a type is a type"),
            members: BTreeMap::new(),
        };
        bindings.outside.insert(name.into(), outside);
    }
    for (name, members) in outside_members() {
        let outside = bindings.outside.get_mut(name).expect("listed below");
        outside.members = members
            .into_iter()
            .map(|(name, at, size)| (name.into(), (at, size)))
            .collect();
    }
    let source = std::fs::read_to_string(env!("WSK_SYS_BINDINGS")).expect("build.rs has made it");
    bindings.read(&source);
    bindings.read(include_str!("../../src/port_reservation.rs"));
    bindings.read(include_str!("../../src/ndk.rs"));
    bindings.read(include_str!("../../src/nmr.rs"));
    for (name, value) in by_hand().into_iter().chain(statuses()) {
        bindings.numbers.insert(name.into(), value);
    }
    bindings
}

/// What a macro with parameters gives.
pub fn evaluate(name: &str, arguments: &[u64]) -> Option<u64> {
    let small = |at: usize| u16::try_from(arguments[at]).expect("a sample fits");
    let code = |at: usize| u32::try_from(arguments[at]).expect("a sample fits");
    Some(match name {
        "MAKE_WSK_VERSION" => MAKE_WSK_VERSION(small(0), small(1)).into(),
        "WSK_MAJOR_VERSION" => WSK_MAJOR_VERSION(small(0)).into(),
        "WSK_MINOR_VERSION" => WSK_MINOR_VERSION(small(0)).into(),
        "_WSAIO" => _WSAIO(code(0), code(1)).into(),
        "_WSAIOR" => _WSAIOR(code(0), code(1)).into(),
        "_WSAIOW" => _WSAIOW(code(0), code(1)).into(),
        "_WSAIORW" => _WSAIORW(code(0), code(1)).into(),
        "WSA_CMSGHDR_ALIGN" => WSA_CMSGHDR_ALIGN(arguments[0]),
        "WSA_CMSGDATA_ALIGN" => WSA_CMSGDATA_ALIGN(arguments[0]),
        "WSA_CMSG_SPACE" => WSA_CMSG_SPACE(arguments[0]),
        "WSA_CMSG_LEN" => WSA_CMSG_LEN(arguments[0]),
        _ => return None,
    })
}

/// A string constant, as text.
pub fn text(name: &str) -> Option<String> {
    let wide: &[u16] = match name {
        "NMR_REG_KEY_PATH" => &NMR_REG_KEY_PATH,
        _ => return None,
    };
    let (end, text) = wide.split_last()?;
    (*end == 0).then(|| String::from_utf16_lossy(text))
}

/// The GUID of an identifier, in its usual form.
pub fn guid(name: &str) -> Option<String> {
    let module = match name {
        "NPI_WSK_INTERFACE_ID" => return Some(show(&NPI_WSK_INTERFACE_ID)),
        "NPI_MS_IPV4_MODULEID" => &NPI_MS_IPV4_MODULEID,
        "NPI_MS_IPV6_MODULEID" => &NPI_MS_IPV6_MODULEID,
        "NPI_MS_UDP_MODULEID" => &NPI_MS_UDP_MODULEID,
        "NPI_MS_TCP_MODULEID" => &NPI_MS_TCP_MODULEID,
        "NPI_MS_NDIS_MODULEID" => &NPI_MS_NDIS_MODULEID,
        _ => return None,
    };
    if usize::from(module.Length) != size_of::<NPI_MODULEID>() || module.Type != MIT_GUID {
        return None;
    }
    // SAFETY: plain bytes, all of them initialised: the whole union was zero before the GUID was
    // set.
    Some(show(unsafe { &module.__bindgen_anon_1.Guid }))
}

fn show(guid: &wdk_sys::GUID) -> String {
    let (first, last) = guid.Data4.split_at(2);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    format!(
        "{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
        guid.Data1,
        guid.Data2,
        guid.Data3,
        hex(first),
        hex(last)
    )
}

fn by_hand() -> impl IntoIterator<Item = (&'static str, i64)> {
    numbers! { wsk_sys {
    SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_REGISTER_EXTENSION, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_QUERY_INSPECT_ID, SIO_WSK_SET_SENDTO_ADDRESS,
    SIO_WSK_SET_TCP_SILENT_MODE, SIO_WSK_SET_RECEIVE_EX_CALLBACK, SO_DONTLINGER,
    SO_EXCLUSIVEADDRUSE, _SS_ALIGNSIZE, _SS_PAD1SIZE, _SS_PAD2SIZE, SIO_ASSOCIATE_HANDLE,
    SIO_ENABLE_CIRCULAR_QUEUEING, SIO_FIND_ROUTE, SIO_FLUSH, SIO_GET_BROADCAST_ADDRESS,
    SIO_GET_EXTENSION_FUNCTION_POINTER, SIO_GET_QOS, SIO_GET_GROUP_QOS, SIO_MULTIPOINT_LOOPBACK,
    SIO_MULTICAST_SCOPE, SIO_SET_QOS, SIO_SET_GROUP_QOS, SIO_TRANSLATE_HANDLE,
    SIO_ROUTING_INTERFACE_QUERY, SIO_ROUTING_INTERFACE_CHANGE, SIO_ADDRESS_LIST_QUERY,
    SIO_ADDRESS_LIST_CHANGE, SIO_QUERY_TARGET_PNP_HANDLE, SIO_QUERY_RSS_PROCESSOR_INFO,
    SIO_ADDRESS_LIST_SORT, SIO_RESERVED_1, SIO_RESERVED_2,
    SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER, INADDR_ANY, INADDR_LOOPBACK, INADDR_BROADCAST,
    INADDR_NONE, IP_UNSPECIFIED_TYPE_OF_SERVICE, IP_UNSPECIFIED_USER_MTU, IPV6_ADDRESS_BITS,
    SIO_GET_INTERFACE_LIST, SIO_GET_INTERFACE_LIST_EX, SIO_SET_MULTICAST_FILTER,
    SIO_GET_MULTICAST_FILTER, SIO_IDEAL_SEND_BACKLOG_QUERY, SIO_IDEAL_SEND_BACKLOG_CHANGE,
    IP_UNSPECIFIED_HOP_LIMIT, PROTECTION_LEVEL_DEFAULT, SIO_SET_COMPATIBILITY_MODE, SIO_RCVALL,
    SIO_RCVALL_MCAST, SIO_RCVALL_IGMPMCAST, SIO_KEEPALIVE_VALS, SIO_ABSORB_RTRALERT, SIO_UCAST_IF,
    SIO_LIMIT_BROADCASTS, SIO_INDEX_BIND, SIO_INDEX_MCASTIF, SIO_INDEX_ADD_MCAST,
    SIO_INDEX_DEL_MCAST, SIO_RCVALL_MCAST_IF, SIO_RCVALL_IF, SIO_LOOPBACK_FAST_PATH,
    SIO_TCP_INITIAL_RTO, SIO_APPLY_TRANSPORT_SETTING, SIO_QUERY_TRANSPORT_SETTING,
    SIO_TCP_SET_ICW, SIO_TCP_SET_ACK_FREQUENCY, SIO_SET_PRIORITY_HINT, SIO_PRIORITY_HINT,
    SIO_TCP_INFO, SIO_CPU_AFFINITY, SIO_TIMESTAMPING, SIO_GET_TX_TIMESTAMP,
    TCP_INITIAL_RTO_UNSPECIFIED_RTT, TCP_INITIAL_RTO_UNSPECIFIED_MAX_SYN_RETRANSMISSIONS,
    TCP_INITIAL_RTO_DEFAULT_RTT, TCP_INITIAL_RTO_DEFAULT_MAX_SYN_RETRANSMISSIONS,
    TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS, SIO_ACQUIRE_PORT_RESERVATION,
    SIO_RELEASE_PORT_RESERVATION, SIO_ASSOCIATE_PORT_RESERVATION, SIO_SET_SECURITY,
    SIO_QUERY_SECURITY, SIO_SET_PEER_TARGET_NAME, SIO_DELETE_PEER_TARGET_NAME,
    SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT,
    SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, SIO_SOCKET_USAGE_NOTIFICATION,
    SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE, SIO_QUERY_RSS_SCALABILITY_INFO,
    WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH, WSK_CLIENT_VERSION_1_0,
    } }
}

fn statuses() -> impl IntoIterator<Item = (&'static str, i64)> {
    numbers! { wdk_sys {
    STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_PENDING, STATUS_EVENT_PENDING, STATUS_BUFFER_OVERFLOW,
    STATUS_UNSUCCESSFUL, STATUS_NOT_IMPLEMENTED, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER, STATUS_INVALID_DEVICE_REQUEST, STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL, STATUS_OBJECT_NAME_COLLISION,
    STATUS_DELETE_PENDING, STATUS_INTEGER_OVERFLOW, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_DEVICE_NOT_READY, STATUS_PIPE_DISCONNECTED, STATUS_IO_TIMEOUT,
    STATUS_FILE_FORCED_CLOSED, STATUS_NOT_SUPPORTED, STATUS_NETWORK_BUSY,
    STATUS_INVALID_NETWORK_RESPONSE, STATUS_REQUEST_NOT_ACCEPTED, STATUS_CANCELLED,
    STATUS_LOCAL_DISCONNECT, STATUS_REMOTE_DISCONNECT, STATUS_LINK_FAILED, STATUS_LINK_TIMEOUT,
    STATUS_INVALID_CONNECTION, STATUS_INVALID_ADDRESS, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_TOO_MANY_ADDRESSES,
    STATUS_ADDRESS_ALREADY_EXISTS, STATUS_ADDRESS_CLOSED, STATUS_CONNECTION_DISCONNECTED,
    STATUS_CONNECTION_RESET, STATUS_DATA_NOT_ACCEPTED, STATUS_NOT_FOUND,
    STATUS_CONNECTION_REFUSED, STATUS_GRACEFUL_DISCONNECT, STATUS_ADDRESS_ALREADY_ASSOCIATED,
    STATUS_ADDRESS_NOT_ASSOCIATED, STATUS_CONNECTION_INVALID, STATUS_CONNECTION_ACTIVE,
    STATUS_NETWORK_UNREACHABLE, STATUS_HOST_UNREACHABLE, STATUS_PROTOCOL_UNREACHABLE,
    STATUS_PORT_UNREACHABLE, STATUS_REQUEST_ABORTED, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_COUNT_LIMIT, STATUS_NO_MATCH, STATUS_NOINTERFACE, STATUS_TRANSPORT_FULL,
    } }
}

/// Name, size, alignment, and what the name stands for.
fn outside() -> impl IntoIterator<Item = (&'static str, usize, usize, &'static str)> {
    outside! {
    BOOLEAN, CHAR, GUID, HANDLE, INT, KSPIN_LOCK, LARGE_INTEGER, LPCGUID, LPGUID, LUID, NTSTATUS,
    PCWSTR, PEPROCESS, PETHREAD, PHANDLE, PIRP, PLUID, PMDL, PROCESSOR_NUMBER,
    PSECURITY_DESCRIPTOR, PULONG, PUNICODE_STRING, PVOID, PWSTR, SIZE_T, UCHAR, UINT16, UINT32,
    UINT64, UINT8, ULONG, ULONG64, ULONGLONG, ULONG_PTR, UNICODE_STRING, USHORT, WCHAR,
    }
}

/// Name, and for each member its name, offset and size.
type Members = (&'static str, Vec<(&'static str, u64, u64)>);

fn outside_members() -> impl IntoIterator<Item = Members> {
    members! {
        GUID {
            Data1 at Data1, Data2 at Data2, Data3 at Data3, Data4 at Data4,
        }
        LUID {
            LowPart at LowPart, HighPart at HighPart,
        }
        LARGE_INTEGER {
            LowPart at __bindgen_anon_1.LowPart, HighPart at __bindgen_anon_1.HighPart,
            QuadPart at QuadPart,
        }
        UNICODE_STRING {
            Length at Length, MaximumLength at MaximumLength, Buffer at Buffer,
        }
    }
}

/// The size of what `member` points to.
fn size_of_member<T, M>(_member: fn(*const T) -> *const M) -> u64 {
    size_of::<M>() as u64
}
