//! Tables of older Windows [wsk 2.11]: which functions they lack.

// UNSAFETY: plays a driver in C, which reads the provider's tables.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use wdk_sys::STATUS_INVALID_PARAMETER;
use wsk_sim::{Windows, builder};
use wsk_sys::{WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_STREAM_SOCKET};

use crate::common::{Client, Io, Socket};
use crate::control::Making;

#[test]
fn wsk_2_11_windows_before_7_has_no_names() {
    for (windows, has) in [
        (Windows::Vista, false),
        (Windows::Seven, true),
        (Windows::Eight, true),
    ] {
        builder().windows(windows).run(move |_| {
            let client = Client::new();
            // SAFETY: the provider's table is valid while it is captured.
            let table = unsafe { &*client.npi.Dispatch };
            assert_eq!(table.WskGetAddressInfo.is_some(), has);
            assert_eq!(table.WskFreeAddressInfo.is_some(), has);
            assert_eq!(table.WskGetNameInfo.is_some(), has);
            assert!(table.WskSocket.is_some() && table.WskControlClient.is_some());
        });
    }
}

#[test]
fn wsk_2_11_windows_before_8_has_no_send_messages() {
    for (windows, has) in [
        (Windows::Vista, false),
        (Windows::Seven, false),
        (Windows::Eight, true),
    ] {
        builder().windows(windows).run(move |_| {
            let (mut io, client) = (Io::new(), Client::new());
            let socket = client.datagram(&mut io, "127.0.0.1:0");
            let table = socket.table();
            assert_eq!(table.WskSendMessages.is_some(), has);
            assert!(table.WskSendTo.is_some() && table.WskGetLocalAddress.is_some());
            socket.close(&mut io);
        });
    }
}

#[test]
fn wsk_2_11_windows_10_grew_the_connection_table_twice() {
    for (windows, connect, send) in [
        (Windows::Eight, false, false),
        (Windows::Ten1703, true, false),
        (Windows::Ten1809, true, true),
    ] {
        builder().windows(windows).run(move |_| {
            let (mut io, client) = (Io::new(), Client::new());
            let socket = Making::new(WSK_FLAG_CONNECTION_SOCKET, false).make(&client, &mut io);
            let table = socket.table();
            assert_eq!(table.WskConnectEx.is_some(), connect);
            assert_eq!(table.WskSendEx.is_some(), send);
            assert_eq!(table.WskReceiveEx.is_some(), send);
            assert!(table.WskConnect.is_some() && table.WskRelease.is_some());
            socket.close(&mut io);
        });
    }
}

// [wsk 4.1]
#[test]
fn wsk_2_11_windows_before_10_1703_has_no_stream_sockets() {
    for (windows, sends) in [
        (Windows::Eight, None),
        (Windows::Ten1703, Some(false)),
        (Windows::Ten1809, Some(true)),
    ] {
        builder().windows(windows).run(move |_| {
            let (mut io, client) = (Io::new(), Client::new());
            let (status, socket) =
                Making::new(WSK_FLAG_STREAM_SOCKET, false).try_make(&client, &mut io);
            let Some(sends) = sends else {
                return assert_eq!(status, STATUS_INVALID_PARAMETER);
            };
            assert_eq!(status, 0);
            let socket = Socket::new(socket);
            let table = socket.stream_table();
            assert_eq!(table.WskSendEx.is_some(), sends);
            assert_eq!(table.WskReceiveEx.is_some(), sends);
            assert!(table.WskConnectEx.is_some() && table.WskListen.is_some());
            socket.close(&mut io);
        });
    }
}
