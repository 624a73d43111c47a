//! Calls that an older Windows lacks [wsk 2.11]: they fail with an error of their own, give back
//! what they were lent, and leave the socket as it was.

use std::net::SocketAddr;

use crate::common::{Client, address, buffer, passive};
use wsk::{
    AddressFamily, AddressHints, BufferChain, ConnectionSocket, DatagramSocket, ErrorKind,
    NameInfoFlags, StreamSocket,
};
use wsk_sim::{Windows, builder};

const SCHEDULES: u64 = 50;

fn any() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}

fn chain() -> BufferChain {
    let mut chain = BufferChain::with_capacity(1).expect("memory");
    chain.push(buffer(b"one")).expect("room");
    chain
}

#[test]
fn names_before_windows_7_are_not_implemented() {
    builder().windows(Windows::Vista).seeds(SCHEDULES, |_| {
        let client = Client::new();
        let hints = AddressHints::new();
        let query = client
            .provider
            .get_address_info(Some("localhost"), None, &hints, passive());
        let error = query
            .wait(passive())
            .expect_err("there is no such function");
        assert_eq!(error.kind(), ErrorKind::NotImplemented);
        assert_eq!(error.call(), "WskGetAddressInfo");
        let flags = NameInfoFlags::empty();
        let query = client.provider.get_name_info(address(), flags, passive());
        let error = query
            .wait(passive())
            .expect_err("there is no such function");
        assert_eq!(error.kind(), ErrorKind::NotImplemented);
        client.end();
    });
    builder().windows(Windows::Seven).seeds(SCHEDULES, |_| {
        let client = Client::new();
        let hints = AddressHints::new();
        let query = client
            .provider
            .get_address_info(Some("localhost"), None, &hints, passive());
        assert!(query.wait(passive()).is_ok());
        client.end();
    });
}

#[test]
fn messages_before_windows_8_are_not_implemented_and_come_back() {
    builder().windows(Windows::Seven).seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        socket.bind(any()).wait(passive()).expect("bound");
        let (sent, chain) = socket.send_messages(chain(), address()).wait(passive());
        let error = sent.expect_err("there is no such function");
        assert_eq!(
            (error.kind(), error.call()),
            (ErrorKind::NotImplemented, "WskSendMessages")
        );
        let (sent, _) = socket.send_to(buffer(b"one"), address()).wait(passive());
        assert_eq!(sent.expect("one by one"), 3);
        drop((socket, chain));
        client.end();
    });
}

#[test]
fn connect_with_data_before_windows_10_1703_is_not_implemented_and_the_socket_stays() {
    builder().windows(Windows::Eight).seeds(SCHEDULES, |sim| {
        let listening = sim.listen(address()).expect("a free port");
        let client = Client::new();
        let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        socket.bind(any()).wait(passive()).expect("bound");
        let connect = socket.connect_with_data(address(), buffer(b"first"));
        let (connected, data) = connect.wait(passive());
        let error = connected.expect_err("there is no such function");
        assert_eq!(
            (error.kind(), error.call()),
            (ErrorKind::NotImplemented, "WskConnectEx")
        );
        assert_eq!(data[..], *b"first");
        socket
            .connect(address())
            .wait(passive())
            .expect("without data");
        drop((socket, listening));
        client.end();
    });
}

#[test]
fn stream_socket_before_windows_10_1703_is_not_opened() {
    for (windows, opens) in [(Windows::Eight, false), (Windows::Ten1703, true)] {
        builder().windows(windows).seeds(SCHEDULES, move |_| {
            let client = Client::new();
            let opening = StreamSocket::open(&client.provider, AddressFamily::Inet);
            let opened = opening.wait(passive()).map(drop);
            let error = opened.err().map(|error| (error.kind(), error.call()));
            let expected = (ErrorKind::InvalidParameter, "WskSocket");
            assert_eq!(error, (!opens).then_some(expected));
            client.end();
        });
    }
}
