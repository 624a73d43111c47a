//! Options of TCP.
//!
//! [TCP socket options](https://learn.microsoft.com/windows/win32/winsock/ipproto-tcp-socket-options)

use wsk_sys::{
    IPPROTO, TCP_ATMARK, TCP_CONGESTION_ALGORITHM, TCP_DELAY_FIN_ACK, TCP_EXPEDITED_1122,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR, TCP_FASTOPEN, TCP_ICMP_ERROR_INFO, TCP_KEEPCNT, TCP_KEEPIDLE,
    TCP_KEEPINTVL, TCP_MAXRT, TCP_MAXRTMS, TCP_MAXSEG, TCP_NODELAY, TCP_NOSYNRETRIES, TCP_NOURG,
    TCP_OFFLOAD_PREFERENCE, TCP_STDURG, TCP_TIMESTAMPS,
};

use super::options;

options! {
    IPPROTO::IPPROTO_TCP.cast_unsigned();

    /// Whether small amounts of data are sent at once. `TCP_NODELAY`
    NO_DELAY: Flag, OfTcp = TCP_NODELAY, Any;

    /// Whether urgent data is where RFC 1122 has it. `TCP_EXPEDITED_1122`
    EXPEDITED_1122: Flag, OfTcp = TCP_EXPEDITED_1122, Any;

    /// How long a connection is idle before the peer is asked for a sign of life, if
    /// [`KEEP_ALIVE`](super::KEEP_ALIVE) is on. Since Windows 10, version 1709. `TCP_KEEPIDLE`
    KEEP_ALIVE_IDLE: Seconds, OfTcp = TCP_KEEPIDLE, Any;

    /// How long after an unanswered question the next one follows. Since Windows 10, version 1709.
    /// `TCP_KEEPINTVL`
    KEEP_ALIVE_INTERVAL: Seconds, OfTcp = TCP_KEEPINTVL, Any;

    /// After how many unanswered questions the connection is given up. Since Windows 10, version
    /// 1703. `TCP_KEEPCNT`
    KEEP_ALIVE_COUNT: Number, OfTcp = TCP_KEEPCNT, Any;

    /// The largest segment, in bytes. `TCP_MAXSEG`
    MAX_SEGMENT: Number, OfTcp, ReadOnly = TCP_MAXSEG, Any;

    /// How long data is sent again before the connection is given up. `TCP_MAXRT`
    MAX_RETRANSMISSION_TIME: Seconds, OfTcp = TCP_MAXRT, Any;

    /// The same, finer. `TCP_MAXRTMS`
    MAX_RETRANSMISSION_TIME_MS: Milliseconds, OfTcp = TCP_MAXRTMS, Any;

    /// Whether urgent data is where everybody has it. `TCP_STDURG`
    STANDARD_URGENT: Flag, OfTcp = TCP_STDURG, Any;

    /// Whether urgent data is data like any other. `TCP_NOURG`
    NO_URGENT: Flag, OfTcp = TCP_NOURG, Any;

    /// Whether what is received next is behind the urgent data. `TCP_ATMARK`
    AT_MARK: Flag, OfTcp, ReadOnly = TCP_ATMARK, Any;

    /// Whether connecting asks once only. `TCP_NOSYNRETRIES`
    NO_SYN_RETRIES: Flag, OfTcp = TCP_NOSYNRETRIES, BeforeConnect;

    /// Whether segments carry timestamps. `TCP_TIMESTAMPS`
    TIMESTAMPS: Flag, OfTcp = TCP_TIMESTAMPS, BeforeConnect;

    /// Whether the connection should be offloaded: one of `TCP_OFFLOAD_NO_PREFERENCE` (0),
    /// `TCP_OFFLOAD_NOT_PREFERRED` (1), `TCP_OFFLOAD_PREFERRED` (2). `TCP_OFFLOAD_PREFERENCE`
    OFFLOAD_PREFERENCE: Number, OfTcp = TCP_OFFLOAD_PREFERENCE, BeforeConnect;

    /// The number of the algorithm against congestion. `TCP_CONGESTION_ALGORITHM`
    CONGESTION_ALGORITHM: Number, OfTcp = TCP_CONGESTION_ALGORITHM, Any;

    /// Whether the acknowledgement of the other side's end is delayed. `TCP_DELAY_FIN_ACK`
    DELAY_FIN_ACK: Flag, OfTcp = TCP_DELAY_FIN_ACK, Any;

    /// Whether the first data may go with the first packet: before
    /// [`connect_with_data`](crate::ConnectionSocket::connect_with_data). Off at first.
    /// `TCP_FASTOPEN`
    ///
    /// [PFN_WSK_CONNECT_EX](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex)
    FAST_OPEN: Flag, OfTcp = TCP_FASTOPEN, BeforeConnect;

    /// Whether connecting fails on an ICMP error, instead of trying on.
    /// `TCP_FAIL_CONNECT_ON_ICMP_ERROR`
    FAIL_CONNECT_ON_ICMP_ERROR: Flag, OfTcp = TCP_FAIL_CONNECT_ON_ICMP_ERROR, BeforeConnect;

    /// The ICMP error that connecting failed by. `TCP_ICMP_ERROR_INFO`
    ICMP_ERROR_INFO: IcmpErrorInfo, OfTcp, ReadOnly = TCP_ICMP_ERROR_INFO, Any;
}
