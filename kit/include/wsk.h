/*
 * wsk.h: Winsock Kernel (WSK), version 1.0.
 *
 * Written for this project from the published interface, at the level of the Windows 11 22H2 kit. All of it is
 * declared whatever NTDDI_VERSION says: tables grew at their end, and how long a table is on the running system is a
 * question for run time. The functions are exports of netio.sys.
 */
#pragma once

#include <netioddk.h>
#include <ws2def.h>
#include <ws2ipdef.h>
#include <mswsockdef.h>
#include <mstcpip.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WSKAPI NTAPI

/* The NPI of WSK; its data is in uuid.lib. */
extern CONST NPIID NPI_WSK_INTERFACE_ID;

/* A version is one number: major in bits 8 to 15, minor in bits 0 to 7. */
#define MAKE_WSK_VERSION(Mj, Mn) ((USHORT)((Mj) << 8) | (USHORT)((Mn) & 0xFF))
#define WSK_MAJOR_VERSION(V)     ((UCHAR)((V) >> 8))
#define WSK_MINOR_VERSION(V)     ((UCHAR)(V))

/* Flags of event callbacks. The flag spaces are per function: equal numbers mean different things. */
#define WSK_FLAG_AT_DISPATCH_LEVEL      0x8
#define WSK_FLAG_RELEASE_ASAP           0x2
#define WSK_FLAG_ENTIRE_MESSAGE         0x4

/* Flag of WskDisconnect and of its event. */
#define WSK_FLAG_ABORTIVE               0x1

/* Flags of WskSocket: the category of the socket, which decides the dispatch tables of both sides. */
#define WSK_FLAG_BASIC_SOCKET           0x0
#define WSK_FLAG_LISTEN_SOCKET          0x1
#define WSK_FLAG_CONNECTION_SOCKET      0x2
#define WSK_FLAG_DATAGRAM_SOCKET        0x4
#define WSK_FLAG_STREAM_SOCKET          0x8

/* Flags of WskSend and WskReceive. */
#define WSK_FLAG_OOB                    0x1
#define WSK_FLAG_NODELAY                0x2
#define WSK_FLAG_WAITALL                0x2
#define WSK_FLAG_DRAIN                  0x4

/* Control codes of WskControlClient. */
#define WSK_TRANSPORT_LIST_QUERY        2
#define WSK_TRANSPORT_LIST_CHANGE       3
#define WSK_CACHE_SD                    4
#define WSK_RELEASE_SD                  5
#define WSK_TDI_DEVICENAME_MAPPING      6
#define WSK_SET_STATIC_EVENT_CALLBACKS  7
#define WSK_TDI_BEHAVIOR                8

/* Input of WSK_TDI_BEHAVIOR. */
#define WSK_TDI_BEHAVIOR_BYPASS_TDI     0x1

/* Options of level SOL_SOCKET that only WSK has. */
#define SO_WSK_SECURITY                 (WSK_SO_BASE + 1)
#define SO_WSK_EVENT_CALLBACK           (WSK_SO_BASE + 2)

/* Bits of WSK_EVENT_CALLBACK_CONTROL.EventMask. WSK_EVENT_DISABLE goes with exactly one of the others. */
#define WSK_EVENT_SEND_BACKLOG          0x00000010
#define WSK_EVENT_RECEIVE               0x00000040
#define WSK_EVENT_DISCONNECT            0x00000080
#define WSK_EVENT_RECEIVE_FROM          0x00000100
#define WSK_EVENT_ACCEPT                0x00000200
#define WSK_EVENT_DISABLE               0x80000000

/* Control codes of sockets that only WSK has. */
#define SIO_WSK_SET_REMOTE_ADDRESS      _WSAIOW(IOC_WSK, 1)
#define SIO_WSK_REGISTER_EXTENSION      _WSAIORW(IOC_WSK, 2)
#define SIO_WSK_QUERY_IDEAL_SEND_BACKLOG _WSAIOR(IOC_WSK, 3)
#define SIO_WSK_QUERY_RECEIVE_BACKLOG   _WSAIOR(IOC_WSK, 4)
#define SIO_WSK_QUERY_INSPECT_ID        _WSAIOR(IOC_WSK, 5)
#define SIO_WSK_SET_SENDTO_ADDRESS      _WSAIOW(IOC_WSK, 6)
#define SIO_WSK_SET_TCP_SILENT_MODE     _WSAIO(IOC_WSK, 7)
#define SIO_WSK_SET_RECEIVE_EX_CALLBACK _WSAIOW(IOC_WSK, 8)

/* WaitTimeout of WskCaptureProviderNPI; any other value is milliseconds. */
#define WSK_NO_WAIT                     0
#define WSK_INFINITE_WAIT               0xFFFFFFFF

/* What an inspecting listener decides about a connection. */
typedef enum {
    WskInspectReject = 0,
    WskInspectAccept = 1,
    WskInspectPend = 2,
    WskInspectMax = 3
} WSK_INSPECT_ACTION, *PWSK_INSPECT_ACTION;

/* What WskControlSocket is asked to do. */
typedef enum {
    WskSetOption = 0,
    WskGetOption = 1,
    WskIoctl = 2,
    WskControlMax = 3
} WSK_CONTROL_SOCKET_TYPE, *PWSK_CONTROL_SOCKET_TYPE;

/* The client object of the WSK subsystem, opaque. */
typedef PVOID PWSK_CLIENT;

/* A socket. WSK owns it; Dispatch points to the provider table of the socket's category. */
typedef struct _WSK_SOCKET {
    CONST VOID *Dispatch;
} WSK_SOCKET, *PWSK_SOCKET;

/* Lowest and highest version that the provider has. */
typedef struct _WSK_PROVIDER_CHARACTERISTICS {
    USHORT HighestVersion;
    USHORT LowestVersion;
} WSK_PROVIDER_CHARACTERISTICS, *PWSK_PROVIDER_CHARACTERISTICS;

/* One element of the answer to WSK_TRANSPORT_LIST_QUERY. */
typedef struct _WSK_TRANSPORT {
    USHORT Version;
    USHORT SocketType;
    ULONG Protocol;
    ADDRESS_FAMILY AddressFamily;
    GUID ProviderId;
} WSK_TRANSPORT, *PWSK_TRANSPORT;

/* Bytes in an MDL chain. Offset lies in the first MDL. */
typedef struct _WSK_BUF {
    PMDL Mdl;
    ULONG Offset;
    SIZE_T Length;
} WSK_BUF, *PWSK_BUF;

/* A chain of buffers, one message each. */
typedef struct _WSK_BUF_LIST {
    struct _WSK_BUF_LIST *Next;
    WSK_BUF Buffer;
} WSK_BUF_LIST, *PWSK_BUF_LIST;

/* Stream data handed to a receive event. */
typedef struct _WSK_DATA_INDICATION {
    struct _WSK_DATA_INDICATION *Next;
    WSK_BUF Buffer;
} WSK_DATA_INDICATION, *PWSK_DATA_INDICATION;

/* Datagrams handed to a receive-from event. */
typedef struct _WSK_DATAGRAM_INDICATION {
    struct _WSK_DATAGRAM_INDICATION *Next;
    WSK_BUF Buffer;
    PCMSGHDR ControlInfo;
    ULONG ControlInfoLength;
    PSOCKADDR RemoteAddress;
} WSK_DATAGRAM_INDICATION, *PWSK_DATAGRAM_INDICATION;

/* Names a connection under inspection. The tail is padding: compare the members. */
typedef struct _WSK_INSPECT_ID {
    ULONG_PTR Key;
    ULONG SerialNumber;
} WSK_INSPECT_ID, *PWSK_INSPECT_ID;

/* Input of WSK_TDI_DEVICENAME_MAPPING. */
typedef struct _WSK_TDI_MAP {
    USHORT SocketType;
    ADDRESS_FAMILY AddressFamily;
    ULONG Protocol;
    PCWSTR TdiDeviceName;
} WSK_TDI_MAP, *PWSK_TDI_MAP;

typedef struct _WSK_TDI_MAP_INFO {
    CONST ULONG ElementCount;
    CONST WSK_TDI_MAP *Map;
} WSK_TDI_MAP_INFO, *PWSK_TDI_MAP_INFO;

/* Input of WSK_SET_STATIC_EVENT_CALLBACKS and of SO_WSK_EVENT_CALLBACK. */
typedef struct _WSK_EVENT_CALLBACK_CONTROL {
    PNPIID NpiId;
    ULONG EventMask;
} WSK_EVENT_CALLBACK_CONTROL, *PWSK_EVENT_CALLBACK_CONTROL;

/* Input and output of SIO_WSK_REGISTER_EXTENSION. */
typedef struct _WSK_EXTENSION_CONTROL_IN {
    PNPIID NpiId;
    PVOID ClientContext;
    CONST VOID *ClientDispatch;
} WSK_EXTENSION_CONTROL_IN, *PWSK_EXTENSION_CONTROL_IN;

typedef struct _WSK_EXTENSION_CONTROL_OUT {
    PVOID ProviderContext;
    CONST VOID *ProviderDispatch;
} WSK_EXTENSION_CONTROL_OUT, *PWSK_EXTENSION_CONTROL_OUT;

/*
 * Event callbacks of the client: called at up to DISPATCH_LEVEL.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_CLIENT_EVENT)(
    PVOID ClientContext,
    ULONG EventType,
    PVOID Information,
    SIZE_T InformationLength
    );

typedef struct _WSK_CLIENT_DISPATCH {
    USHORT Version;
    USHORT Reserved;
    PFN_WSK_CLIENT_EVENT WskClientEvent;
} WSK_CLIENT_DISPATCH, *PWSK_CLIENT_DISPATCH;

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE_FROM_EVENT)(
    PVOID SocketContext,
    ULONG Flags,
    PWSK_DATAGRAM_INDICATION DataIndication
    );

typedef struct _WSK_CLIENT_DATAGRAM_DISPATCH {
    PFN_WSK_RECEIVE_FROM_EVENT WskReceiveFromEvent;
} WSK_CLIENT_DATAGRAM_DISPATCH, *PWSK_CLIENT_DATAGRAM_DISPATCH;

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE_EVENT)(
    PVOID SocketContext,
    ULONG Flags,
    PWSK_DATA_INDICATION DataIndication,
    SIZE_T BytesIndicated,
    SIZE_T *BytesAccepted
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE_EX_EVENT)(
    PVOID SocketContext,
    ULONG Flags,
    PWSK_DATA_INDICATION DataIndication,
    PCMSGHDR ControlInfo,
    ULONG ControlInfoLength,
    SIZE_T BytesIndicated,
    SIZE_T *BytesAccepted
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_DISCONNECT_EVENT)(
    PVOID SocketContext,
    ULONG Flags
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_SEND_BACKLOG_EVENT)(
    PVOID SocketContext,
    SIZE_T IdealBacklogSize
    );

typedef struct _WSK_CLIENT_CONNECTION_DISPATCH {
    PFN_WSK_RECEIVE_EVENT WskReceiveEvent;
    PFN_WSK_DISCONNECT_EVENT WskDisconnectEvent;
    PFN_WSK_SEND_BACKLOG_EVENT WskSendBacklogEvent;
} WSK_CLIENT_CONNECTION_DISPATCH, *PWSK_CLIENT_CONNECTION_DISPATCH;

typedef NTSTATUS
(WSKAPI *PFN_WSK_ACCEPT_EVENT)(
    PVOID SocketContext,
    ULONG Flags,
    PSOCKADDR LocalAddress,
    PSOCKADDR RemoteAddress,
    PWSK_SOCKET AcceptSocket,
    PVOID *AcceptSocketContext,
    CONST WSK_CLIENT_CONNECTION_DISPATCH **AcceptSocketDispatch
    );

typedef WSK_INSPECT_ACTION
(WSKAPI *PFN_WSK_INSPECT_EVENT)(
    PVOID SocketContext,
    PSOCKADDR LocalAddress,
    PSOCKADDR RemoteAddress,
    PWSK_INSPECT_ID InspectID
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_ABORT_EVENT)(
    PVOID SocketContext,
    PWSK_INSPECT_ID InspectID
    );

typedef struct _WSK_CLIENT_LISTEN_DISPATCH {
    PFN_WSK_ACCEPT_EVENT WskAcceptEvent;
    PFN_WSK_INSPECT_EVENT WskInspectEvent;
    PFN_WSK_ABORT_EVENT WskAbortEvent;
} WSK_CLIENT_LISTEN_DISPATCH, *PWSK_CLIENT_LISTEN_DISPATCH;

/* The two tables of a stream socket, which may turn into either. */
typedef struct _WSK_CLIENT_STREAM_DISPATCH {
    CONST WSK_CLIENT_LISTEN_DISPATCH *Listen;
    CONST WSK_CLIENT_CONNECTION_DISPATCH *Connect;
} WSK_CLIENT_STREAM_DISPATCH, *PWSK_CLIENT_STREAM_DISPATCH;

/*
 * Functions of the provider that belong to no socket.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_SOCKET)(
    PWSK_CLIENT Client,
    ADDRESS_FAMILY AddressFamily,
    USHORT SocketType,
    ULONG Protocol,
    ULONG Flags,
    PVOID SocketContext,
    CONST VOID *Dispatch,
    PEPROCESS OwningProcess,
    PETHREAD OwningThread,
    PSECURITY_DESCRIPTOR SecurityDescriptor,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_SOCKET_CONNECT)(
    PWSK_CLIENT Client,
    USHORT SocketType,
    ULONG Protocol,
    PSOCKADDR LocalAddress,
    PSOCKADDR RemoteAddress,
    ULONG Flags,
    PVOID SocketContext,
    CONST WSK_CLIENT_CONNECTION_DISPATCH *Dispatch,
    PEPROCESS OwningProcess,
    PETHREAD OwningThread,
    PSECURITY_DESCRIPTOR SecurityDescriptor,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_CONTROL_CLIENT)(
    PWSK_CLIENT Client,
    ULONG ControlCode,
    SIZE_T InputSize,
    PVOID InputBuffer,
    SIZE_T OutputSize,
    PVOID OutputBuffer,
    SIZE_T *OutputSizeReturned,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_GET_ADDRESS_INFO)(
    PWSK_CLIENT Client,
    PUNICODE_STRING NodeName,
    PUNICODE_STRING ServiceName,
    ULONG NameSpace,
    GUID *Provider,
    PADDRINFOEXW Hints,
    PADDRINFOEXW *Result,
    PEPROCESS OwningProcess,
    PETHREAD OwningThread,
    PIRP Irp
    );

typedef VOID
(WSKAPI *PFN_WSK_FREE_ADDRESS_INFO)(
    PWSK_CLIENT Client,
    PADDRINFOEXW AddrInfo
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_GET_NAME_INFO)(
    PWSK_CLIENT Client,
    PSOCKADDR SockAddr,
    ULONG SockAddrLength,
    PUNICODE_STRING NodeName,
    PUNICODE_STRING ServiceName,
    ULONG Flags,
    PEPROCESS OwningProcess,
    PETHREAD OwningThread,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_DISPATCH {
    USHORT Version;
    USHORT Reserved;
    PFN_WSK_SOCKET WskSocket;
    PFN_WSK_SOCKET_CONNECT WskSocketConnect;
    PFN_WSK_CONTROL_CLIENT WskControlClient;
    PFN_WSK_GET_ADDRESS_INFO WskGetAddressInfo;
    PFN_WSK_FREE_ADDRESS_INFO WskFreeAddressInfo;
    PFN_WSK_GET_NAME_INFO WskGetNameInfo;
} WSK_PROVIDER_DISPATCH, *PWSK_PROVIDER_DISPATCH;

/*
 * Functions of sockets of every category. Each takes an IRP and may pend it.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_CONTROL_SOCKET)(
    PWSK_SOCKET Socket,
    WSK_CONTROL_SOCKET_TYPE RequestType,
    ULONG ControlCode,
    ULONG Level,
    SIZE_T InputSize,
    PVOID InputBuffer,
    SIZE_T OutputSize,
    PVOID OutputBuffer,
    SIZE_T *OutputSizeReturned,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_CLOSE_SOCKET)(
    PWSK_SOCKET Socket,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_BASIC_DISPATCH {
    PFN_WSK_CONTROL_SOCKET WskControlSocket;
    PFN_WSK_CLOSE_SOCKET WskCloseSocket;
} WSK_PROVIDER_BASIC_DISPATCH, *PWSK_PROVIDER_BASIC_DISPATCH;

typedef NTSTATUS
(WSKAPI *PFN_WSK_BIND)(
    PWSK_SOCKET Socket,
    PSOCKADDR LocalAddress,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_GET_LOCAL_ADDRESS)(
    PWSK_SOCKET Socket,
    PSOCKADDR LocalAddress,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_GET_REMOTE_ADDRESS)(
    PWSK_SOCKET Socket,
    PSOCKADDR RemoteAddress,
    PIRP Irp
    );

/*
 * Listening sockets. In this table and the next three the basic table comes first; in C it has no name, so its
 * members are members of the larger table.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_ACCEPT)(
    PWSK_SOCKET ListenSocket,
    ULONG Flags,
    PVOID AcceptSocketContext,
    CONST WSK_CLIENT_CONNECTION_DISPATCH *AcceptSocketDispatch,
    PSOCKADDR LocalAddress,
    PSOCKADDR RemoteAddress,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_INSPECT_COMPLETE)(
    PWSK_SOCKET ListenSocket,
    PWSK_INSPECT_ID InspectID,
    WSK_INSPECT_ACTION Action,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_LISTEN_DISPATCH {
#ifdef __cplusplus
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    WSK_PROVIDER_BASIC_DISPATCH;
#endif
    PFN_WSK_BIND WskBind;
    PFN_WSK_ACCEPT WskAccept;
    PFN_WSK_INSPECT_COMPLETE WskInspectComplete;
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
} WSK_PROVIDER_LISTEN_DISPATCH, *PWSK_PROVIDER_LISTEN_DISPATCH;

/*
 * Datagram sockets.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_SEND_TO)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PSOCKADDR RemoteAddress,
    ULONG ControlInfoLength,
    PCMSGHDR ControlInfo,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE_FROM)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PSOCKADDR RemoteAddress,
    PULONG ControlLength,
    PCMSGHDR ControlInfo,
    PULONG ControlFlags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST)(
    PWSK_SOCKET Socket,
    PWSK_DATAGRAM_INDICATION DatagramIndication
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_SEND_MESSAGES)(
    PWSK_SOCKET Socket,
    PWSK_BUF_LIST BufferList,
    ULONG Flags,
    PSOCKADDR RemoteAddress,
    ULONG ControlInfoLength,
    PCMSGHDR ControlInfo,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_DATAGRAM_DISPATCH {
#ifdef __cplusplus
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    WSK_PROVIDER_BASIC_DISPATCH;
#endif
    PFN_WSK_BIND WskBind;
    PFN_WSK_SEND_TO WskSendTo;
    PFN_WSK_RECEIVE_FROM WskReceiveFrom;
    PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST WskRelease;
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
    PFN_WSK_SEND_MESSAGES WskSendMessages;
} WSK_PROVIDER_DATAGRAM_DISPATCH, *PWSK_PROVIDER_DATAGRAM_DISPATCH;

/*
 * Connection sockets.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_CONNECT)(
    PWSK_SOCKET Socket,
    PSOCKADDR RemoteAddress,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_SEND)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_DISCONNECT)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RELEASE_DATA_INDICATION_LIST)(
    PWSK_SOCKET Socket,
    PWSK_DATA_INDICATION DataIndication
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_CONNECT_EX)(
    PWSK_SOCKET Socket,
    PSOCKADDR RemoteAddress,
    PWSK_BUF Buffer,
    ULONG Flags,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_SEND_EX)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    ULONG ControlInfoLength,
    PCMSGHDR ControlInfo,
    PIRP Irp
    );

typedef NTSTATUS
(WSKAPI *PFN_WSK_RECEIVE_EX)(
    PWSK_SOCKET Socket,
    PWSK_BUF Buffer,
    ULONG Flags,
    PULONG ControlInfoLength,
    PCMSGHDR ControlInfo,
    PULONG ControlFlags,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_CONNECTION_DISPATCH {
#ifdef __cplusplus
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    WSK_PROVIDER_BASIC_DISPATCH;
#endif
    PFN_WSK_BIND WskBind;
    PFN_WSK_CONNECT WskConnect;
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
    PFN_WSK_GET_REMOTE_ADDRESS WskGetRemoteAddress;
    PFN_WSK_SEND WskSend;
    PFN_WSK_RECEIVE WskReceive;
    PFN_WSK_DISCONNECT WskDisconnect;
    PFN_WSK_RELEASE_DATA_INDICATION_LIST WskRelease;
    PFN_WSK_CONNECT_EX WskConnectEx;
    PFN_WSK_SEND_EX WskSendEx;
    PFN_WSK_RECEIVE_EX WskReceiveEx;
} WSK_PROVIDER_CONNECTION_DISPATCH, *PWSK_PROVIDER_CONNECTION_DISPATCH;

/*
 * Stream sockets.
 */
typedef NTSTATUS
(WSKAPI *PFN_WSK_LISTEN)(
    PWSK_SOCKET Socket,
    PIRP Irp
    );

typedef struct _WSK_PROVIDER_STREAM_DISPATCH {
#ifdef __cplusplus
    WSK_PROVIDER_BASIC_DISPATCH Basic;
#else
    WSK_PROVIDER_BASIC_DISPATCH;
#endif
    PFN_WSK_BIND WskBind;
    PFN_WSK_ACCEPT WskAccept;
    PFN_WSK_CONNECT WskConnect;
    PFN_WSK_LISTEN WskListen;
    PFN_WSK_SEND WskSend;
    PFN_WSK_RECEIVE WskReceive;
    PFN_WSK_DISCONNECT WskDisconnect;
    PFN_WSK_RELEASE_DATA_INDICATION_LIST WskRelease;
    PFN_WSK_GET_LOCAL_ADDRESS WskGetLocalAddress;
    PFN_WSK_GET_REMOTE_ADDRESS WskGetRemoteAddress;
    PFN_WSK_CONNECT_EX WskConnectEx;
    PFN_WSK_SEND_EX WskSendEx;
    PFN_WSK_RECEIVE_EX WskReceiveEx;
} WSK_PROVIDER_STREAM_DISPATCH, *PWSK_PROVIDER_STREAM_DISPATCH;

/*
 * Registration.
 */
typedef struct _WSK_CLIENT_NPI {
    PVOID ClientContext;
    CONST WSK_CLIENT_DISPATCH *Dispatch;
} WSK_CLIENT_NPI, *PWSK_CLIENT_NPI;

typedef struct _WSK_PROVIDER_NPI {
    PWSK_CLIENT Client;
    CONST WSK_PROVIDER_DISPATCH *Dispatch;
} WSK_PROVIDER_NPI, *PWSK_PROVIDER_NPI;

/* Opaque. It stays where it is, in memory that is resident, from WskRegister to the return of WskDeregister. */
typedef struct _WSK_REGISTRATION {
    ULONGLONG ReservedRegistrationState;
    PVOID ReservedRegistrationContext;
    KSPIN_LOCK ReservedRegistrationLock;
} WSK_REGISTRATION, *PWSK_REGISTRATION;

NTSTATUS
WskRegister(
    PWSK_CLIENT_NPI WskClientNpi,
    PWSK_REGISTRATION WskRegistration
    );

NTSTATUS
WskCaptureProviderNPI(
    PWSK_REGISTRATION WskRegistration,
    ULONG WaitTimeout,
    PWSK_PROVIDER_NPI WskProviderNpi
    );

VOID
WskReleaseProviderNPI(
    PWSK_REGISTRATION WskRegistration
    );

NTSTATUS
WskQueryProviderCharacteristics(
    PWSK_REGISTRATION WskRegistration,
    PWSK_PROVIDER_CHARACTERISTICS WskProviderCharacteristics
    );

VOID
WskDeregister(
    PWSK_REGISTRATION WskRegistration
    );

#ifdef __cplusplus
}
#endif
