/*
 * mstcpip.h: control codes of Microsoft's TCP/IP, and what they take and give.
 *
 * Written for this project from the published interface, at the level of the Windows 11 22H2 kit. The header of the
 * kit also has user-mode functions on addresses as text; a driver has none of them, and neither has this one.
 */
#pragma once

#include <ws2def.h>

typedef enum _TCPSTATE {
    TCPSTATE_CLOSED = 0,
    TCPSTATE_LISTEN = 1,
    TCPSTATE_SYN_SENT = 2,
    TCPSTATE_SYN_RCVD = 3,
    TCPSTATE_ESTABLISHED = 4,
    TCPSTATE_FIN_WAIT_1 = 5,
    TCPSTATE_FIN_WAIT_2 = 6,
    TCPSTATE_CLOSE_WAIT = 7,
    TCPSTATE_CLOSING = 8,
    TCPSTATE_LAST_ACK = 9,
    TCPSTATE_TIME_WAIT = 10,
    TCPSTATE_MAX = 11
} TCPSTATE;

/* Input of SIO_KEEPALIVE_VALS; times in milliseconds. */
struct tcp_keepalive {
    ULONG onoff;
    ULONG keepalivetime;
    ULONG keepaliveinterval;
};

#define SIO_RCVALL                      _WSAIOW(IOC_VENDOR, 1)
#define SIO_RCVALL_MCAST                _WSAIOW(IOC_VENDOR, 2)
#define SIO_RCVALL_IGMPMCAST            _WSAIOW(IOC_VENDOR, 3)
#define SIO_KEEPALIVE_VALS              _WSAIOW(IOC_VENDOR, 4)
#define SIO_ABSORB_RTRALERT             _WSAIOW(IOC_VENDOR, 5)
#define SIO_UCAST_IF                    _WSAIOW(IOC_VENDOR, 6)
#define SIO_LIMIT_BROADCASTS            _WSAIOW(IOC_VENDOR, 7)
#define SIO_INDEX_BIND                  _WSAIOW(IOC_VENDOR, 8)
#define SIO_INDEX_MCASTIF               _WSAIOW(IOC_VENDOR, 9)
#define SIO_INDEX_ADD_MCAST             _WSAIOW(IOC_VENDOR, 10)
#define SIO_INDEX_DEL_MCAST             _WSAIOW(IOC_VENDOR, 11)
#define SIO_RCVALL_MCAST_IF             _WSAIOW(IOC_VENDOR, 13)
#define SIO_RCVALL_IF                   _WSAIOW(IOC_VENDOR, 14)
#define SIO_LOOPBACK_FAST_PATH          _WSAIOW(IOC_VENDOR, 16)
#define SIO_TCP_INITIAL_RTO             _WSAIOW(IOC_VENDOR, 17)
#define SIO_APPLY_TRANSPORT_SETTING     _WSAIOW(IOC_VENDOR, 19)
#define SIO_QUERY_TRANSPORT_SETTING     _WSAIOW(IOC_VENDOR, 20)
#define SIO_CPU_AFFINITY                _WSAIOW(IOC_VENDOR, 21)
#define SIO_TCP_SET_ICW                 _WSAIOW(IOC_VENDOR, 22)
#define SIO_TCP_SET_ACK_FREQUENCY       _WSAIOW(IOC_VENDOR, 23)
#define SIO_SET_PRIORITY_HINT           _WSAIOW(IOC_VENDOR, 24)
#define SIO_PRIORITY_HINT               SIO_SET_PRIORITY_HINT
#define SIO_TCP_INFO                    _WSAIORW(IOC_VENDOR, 39)
#define SIO_GET_TX_TIMESTAMP            _WSAIOW(IOC_VENDOR, 234)
#define SIO_TIMESTAMPING                _WSAIOW(IOC_VENDOR, 235)

#define SO_TIMESTAMP                    0x300A
#define SO_TIMESTAMP_ID                 0x300B

/* Input of SIO_RCVALL and SIO_RCVALL_IF. */
typedef enum {
    RCVALL_OFF = 0,
    RCVALL_ON = 1,
    RCVALL_SOCKETLEVELONLY = 2,
    RCVALL_IPLEVEL = 3
} RCVALL_VALUE, *PRCVALL_VALUE;

typedef struct {
    RCVALL_VALUE Mode;
    ULONG Interface;
} RCVALL_IF, *PRCVALL_IF;

/* Input of SIO_TCP_INITIAL_RTO. */
#define TCP_INITIAL_RTO_UNSPECIFIED_RTT ((USHORT)-1)
#define TCP_INITIAL_RTO_UNSPECIFIED_MAX_SYN_RETRANSMISSIONS ((UCHAR)-1)
#define TCP_INITIAL_RTO_DEFAULT_RTT     0
#define TCP_INITIAL_RTO_DEFAULT_MAX_SYN_RETRANSMISSIONS 0
#define TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS ((UCHAR)-2)

typedef struct _TCP_INITIAL_RTO_PARAMETERS {
    USHORT Rtt;
    UCHAR MaxSynRetransmissions;
} TCP_INITIAL_RTO_PARAMETERS, *PTCP_INITIAL_RTO_PARAMETERS;

/* Input of SIO_TCP_SET_ICW. */
typedef enum {
    TCP_ICW_LEVEL_DEFAULT = 0,
    TCP_ICW_LEVEL_HIGH = 1,
    TCP_ICW_LEVEL_VERY_HIGH = 2,
    TCP_ICW_LEVEL_AGGRESSIVE = 3,
    TCP_ICW_LEVEL_EXPERIMENTAL = 4,
    TCP_ICW_LEVEL_COMPAT = 254,
    TCP_ICW_LEVEL_MAX = 255
} TCP_ICW_LEVEL, *PTCP_ICW_LEVEL;

typedef struct _TCP_ICW_PARAMETERS {
    TCP_ICW_LEVEL Level;
} TCP_ICW_PARAMETERS, *PTCP_ICW_PARAMETERS;

/* Input of SIO_TCP_SET_ACK_FREQUENCY. */
typedef struct _TCP_ACK_FREQUENCY_PARAMETERS {
    UCHAR TcpDelayedAckFrequency;
} TCP_ACK_FREQUENCY_PARAMETERS, *PTCP_ACK_FREQUENCY_PARAMETERS;

/* Output of SIO_TCP_INFO; its input is the version, 0 or 1. */
typedef struct _TCP_INFO_v0 {
    TCPSTATE State;
    ULONG Mss;
    ULONG64 ConnectionTimeMs;
    BOOLEAN TimestampsEnabled;
    ULONG RttUs;
    ULONG MinRttUs;
    ULONG BytesInFlight;
    ULONG Cwnd;
    ULONG SndWnd;
    ULONG RcvWnd;
    ULONG RcvBuf;
    ULONG64 BytesOut;
    ULONG64 BytesIn;
    ULONG BytesReordered;
    ULONG BytesRetrans;
    ULONG FastRetrans;
    ULONG DupAcksIn;
    ULONG TimeoutEpisodes;
    UCHAR SynRetrans;
} TCP_INFO_v0, *PTCP_INFO_v0;

typedef struct _TCP_INFO_v1 {
    TCPSTATE State;
    ULONG Mss;
    ULONG64 ConnectionTimeMs;
    BOOLEAN TimestampsEnabled;
    ULONG RttUs;
    ULONG MinRttUs;
    ULONG BytesInFlight;
    ULONG Cwnd;
    ULONG SndWnd;
    ULONG RcvWnd;
    ULONG RcvBuf;
    ULONG64 BytesOut;
    ULONG64 BytesIn;
    ULONG BytesReordered;
    ULONG BytesRetrans;
    ULONG FastRetrans;
    ULONG DupAcksIn;
    ULONG TimeoutEpisodes;
    UCHAR SynRetrans;
    ULONG SndLimTransRwin;
    ULONG SndLimTimeRwin;
    ULONG64 SndLimBytesRwin;
    ULONG SndLimTransCwnd;
    ULONG SndLimTimeCwnd;
    ULONG64 SndLimBytesCwnd;
    ULONG SndLimTransSnd;
    ULONG SndLimTimeSnd;
    ULONG64 SndLimBytesSnd;
} TCP_INFO_v1, *PTCP_INFO_v1;

/* Ports set aside for one owner. */
#define SIO_ACQUIRE_PORT_RESERVATION    _WSAIOW(IOC_VENDOR, 100)
#define SIO_RELEASE_PORT_RESERVATION    _WSAIOW(IOC_VENDOR, 101)
#define SIO_ASSOCIATE_PORT_RESERVATION  _WSAIOW(IOC_VENDOR, 102)

typedef struct _INET_PORT_RANGE {
    USHORT StartPort;
    USHORT NumberOfPorts;
} INET_PORT_RANGE, *PINET_PORT_RANGE, *PINET_PORT_RESERVATION;
typedef INET_PORT_RANGE INET_PORT_RESERVATION;

typedef struct {
    ULONG64 Token;
} INET_PORT_RESERVATION_TOKEN, *PINET_PORT_RESERVATION_TOKEN;

typedef struct {
#ifdef __cplusplus
    INET_PORT_RESERVATION Reservation;
    INET_PORT_RESERVATION_TOKEN Token;
#else
    INET_PORT_RESERVATION;
    INET_PORT_RESERVATION_TOKEN;
#endif
} INET_PORT_RESERVATION_INSTANCE, *PINET_PORT_RESERVATION_INSTANCE;

typedef struct {
    ULONG OwningPid;
} INET_PORT_RESERVATION_INFORMATION, *PINET_PORT_RESERVATION_INFORMATION;

/* Security of a connection, by IPsec. */
#define SIO_SET_SECURITY                _WSAIOW(IOC_VENDOR, 200)
#define SIO_QUERY_SECURITY              _WSAIORW(IOC_VENDOR, 201)
#define SIO_SET_PEER_TARGET_NAME        _WSAIOW(IOC_VENDOR, 202)
#define SIO_DELETE_PEER_TARGET_NAME     _WSAIOW(IOC_VENDOR, 203)
#define SIO_SOCKET_USAGE_NOTIFICATION   _WSAIOW(IOC_VENDOR, 204)
#define SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE _WSAIOR(IOC_VENDOR, 205)
#define SIO_QUERY_RSS_SCALABILITY_INFO  _WSAIOR(IOC_VENDOR, 210)
#define SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS _WSAIOW(IOC_VENDOR, 220)
#define SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT _WSAIOW(IOC_VENDOR, 221)
#define SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS _WSAIOW(IOC_VENDOR, 222)

typedef enum _SOCKET_SECURITY_PROTOCOL {
    SOCKET_SECURITY_PROTOCOL_DEFAULT = 0,
    SOCKET_SECURITY_PROTOCOL_IPSEC = 1,
    SOCKET_SECURITY_PROTOCOL_IPSEC2 = 2,
    SOCKET_SECURITY_PROTOCOL_INVALID = 3
} SOCKET_SECURITY_PROTOCOL;

#define SOCKET_SETTINGS_GUARANTEE_ENCRYPTION                      0x1
#define SOCKET_SETTINGS_ALLOW_INSECURE                            0x2
#define SOCKET_SETTINGS_IPSEC_SKIP_FILTER_INSTANTIATION           0x1
#define SOCKET_SETTINGS_IPSEC_OPTIONAL_PEER_NAME_VERIFICATION     0x2
#define SOCKET_SETTINGS_IPSEC_ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED 0x4
#define SOCKET_SETTINGS_IPSEC_PEER_NAME_IS_RAW_FORMAT             0x8
#define SOCKET_QUERY_IPSEC2_ABORT_CONNECTION_ON_FIELD_CHANGE      0x1
#define SOCKET_QUERY_IPSEC2_FIELD_MASK_MM_SA_ID                   0x1
#define SOCKET_QUERY_IPSEC2_FIELD_MASK_QM_SA_ID                   0x2
#define SOCKET_INFO_CONNECTION_SECURED                            0x1
#define SOCKET_INFO_CONNECTION_ENCRYPTED                          0x2
#define SOCKET_INFO_CONNECTION_IMPERSONATED                       0x4

typedef struct _SOCKET_SECURITY_SETTINGS {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    ULONG SecurityFlags;
} SOCKET_SECURITY_SETTINGS;

typedef struct _SOCKET_SECURITY_SETTINGS_IPSEC {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    ULONG SecurityFlags;
    ULONG IpsecFlags;
    GUID AuthipMMPolicyKey;
    GUID AuthipQMPolicyKey;
    GUID Reserved;
    UINT64 Reserved2;
    ULONG UserNameStringLen;
    ULONG DomainNameStringLen;
    ULONG PasswordStringLen;
    wchar_t AllStrings[0];
} SOCKET_SECURITY_SETTINGS_IPSEC;

typedef struct _SOCKET_PEER_TARGET_NAME {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    SOCKADDR_STORAGE PeerAddress;
    ULONG PeerTargetNameStringLen;
    wchar_t AllStrings[0];
} SOCKET_PEER_TARGET_NAME;

typedef struct _SOCKET_SECURITY_QUERY_TEMPLATE {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    SOCKADDR_STORAGE PeerAddress;
    ULONG PeerTokenAccessMask;
} SOCKET_SECURITY_QUERY_TEMPLATE;

typedef struct _SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2 {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    SOCKADDR_STORAGE PeerAddress;
    ULONG PeerTokenAccessMask;
    ULONG Flags;
    ULONG FieldMask;
} SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2;

typedef struct _SOCKET_SECURITY_QUERY_INFO {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    ULONG Flags;
    UINT64 PeerApplicationAccessTokenHandle;
    UINT64 PeerMachineAccessTokenHandle;
} SOCKET_SECURITY_QUERY_INFO;

typedef struct _SOCKET_SECURITY_QUERY_INFO_IPSEC2 {
    SOCKET_SECURITY_PROTOCOL SecurityProtocol;
    ULONG Flags;
    UINT64 PeerApplicationAccessTokenHandle;
    UINT64 PeerMachineAccessTokenHandle;
    UINT64 MmSaId;
    UINT64 QmSaId;
    UINT32 NegotiationWinerr;
    GUID SaLookupContext;
} SOCKET_SECURITY_QUERY_INFO_IPSEC2;
