//! Control data of datagrams: what options ask for, what is sent, and what does not fit.

use core::ptr;
use std::net::SocketAddr;

use wdk_sys::{
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS,
};
use wsk_sim::{Datagram, DatagramPeer, Sim};
use wsk_sys::{
    IP_ECN, IP_PKTINFO, IP_RECVTCLASS, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IPPROTO, IPPROTO_IP,
    IPV6_ECN, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS,
    IPV6_V6ONLY, MSG_CTRUNC, WSK_CONTROL_SOCKET_TYPE,
};

use crate::common::{Client, Io};
use crate::datagram_client::{DatagramSocket, Incoming, Receiver, control_data};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 100;
const V4: u32 = IPPROTO_IP;
const V6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn number(value: i32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

/// A socket and a peer at `local`, and the socket's address.
fn opened(
    sim: &Sim,
    io: &mut Io,
    local: &str,
) -> (Client, DatagramSocket, SocketAddr, DatagramPeer) {
    let client = Client::new();
    let socket = client.datagram(io, local);
    let address = socket.local_address(io);
    let peer = sim.datagram_peer(local.parse().unwrap()).unwrap();
    (client, socket, address, peer)
}

/// A datagram with everything set that can travel with it.
fn full(to: SocketAddr) -> Datagram {
    let mut datagram = Datagram::new(b"x", to);
    datagram.hops = Some(17);
    datagram.traffic_class = Some(0b1011_1001);
    datagram
}

#[test]
fn received_control_data_is_what_the_options_ask_for() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket, address, peer) = opened(sim, &mut io, "127.0.0.1:0");
        let info = [&[127, 0, 0, 1][..], &1_u32.to_ne_bytes()].concat();
        let expected = [
            (IP_PKTINFO, (V4, IP_PKTINFO, info)),
            (IP_RECVTTL, (V4, IP_TTL, number(17))),
            (IP_RECVTOS, (V4, IP_TOS, number(0b1011_1001))),
            (IP_ECN, (V4, IP_ECN, number(0b01))),
        ];
        let mut all = Vec::new();
        for (option, object) in expected {
            assert_eq!(socket.set(&mut io, (V4, option), 1), STATUS_SUCCESS);
            all.push(object);
            peer.send(&full(address)).unwrap();
            assert_eq!(socket.receive(&mut io, 8).control, all);
        }
        for option in [IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_ECN] {
            assert_eq!(socket.set(&mut io, (V4, option), 0), STATUS_SUCCESS);
        }
        peer.send(&full(address)).unwrap();
        assert_eq!(socket.receive(&mut io, 8).control, []);
        socket.close(&mut io);
    });
}

#[test]
fn received_control_data_of_ipv6_has_its_own_types() {
    assert_eq!(IP_RECVTOS, IP_RECVTCLASS);
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket, address, peer) = opened(sim, &mut io, "[::1]:0");
        for option in [IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_RECVTCLASS, IPV6_ECN] {
            assert_eq!(socket.set(&mut io, (V6, option), 1), STATUS_SUCCESS);
        }
        peer.send(&full(address)).unwrap();
        let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
        let info = [&loopback[..], &1_u32.to_ne_bytes()].concat();
        let expected = [
            (V6, IPV6_PKTINFO, info),
            (V6, IPV6_HOPLIMIT, number(17)),
            (V6, IPV6_TCLASS, number(0b1011_1001)),
            (V6, IPV6_ECN, number(0b01)),
        ];
        assert_eq!(socket.receive(&mut io, 8).control, expected);
        socket.close(&mut io);
    });
}

#[test]
fn received_control_data_of_ipv4_at_a_socket_of_both_families_is_ipv4s() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let local = "[::]:5000".parse().unwrap();
        let socket = client.datagram_unbound(&mut io, local, ptr::null_mut());
        assert_eq!(socket.set(&mut io, (V6, IPV6_V6ONLY), 0), STATUS_SUCCESS);
        assert_eq!(socket.bind(&mut io, local).0, STATUS_SUCCESS);
        for (level, option) in [(V4, IP_PKTINFO), (V6, IPV6_PKTINFO)] {
            assert_eq!(socket.set(&mut io, (level, option), 1), STATUS_SUCCESS);
        }
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"4", "127.0.0.1:5000".parse().unwrap())
            .unwrap();
        let info = [&[127, 0, 0, 1][..], &1_u32.to_ne_bytes()].concat();
        let seen = socket.receive(&mut io, 8);
        assert_eq!(seen.control, [(V4, IP_PKTINFO, info)]);
        socket.close(&mut io);
    });
}

#[test]
fn indicated_control_data_is_what_the_options_ask_for() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::taking();
        let client = Client::new();
        let socket = client.datagram_for(&mut io, "127.0.0.1:0", &receiver);
        let address = socket.local_address(&mut io);
        assert_eq!(socket.set(&mut io, (V4, IP_RECVTTL), 1), STATUS_SUCCESS);
        socket.enable();
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send(&full(address)).unwrap();
        let seen = receiver.wait_for(1);
        assert_eq!(seen[0].control, [(V4, IP_TTL, number(17))]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_8_control_data_longer_than_the_buffer_is_cut_and_flagged() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket, address, peer) = opened(sim, &mut io, "127.0.0.1:0");
        for option in [IP_PKTINFO, IP_RECVTTL] {
            assert_eq!(socket.set(&mut io, (V4, option), 1), STATUS_SUCCESS);
        }
        peer.send(&full(address)).unwrap();
        let mut incoming = Incoming::new(8, 24);
        let mark = 0x5A5A_5A5A;
        incoming.control.push(mark);
        let outcome = io.call(|irp| socket.start_receive(&mut incoming, irp));
        assert_eq!(outcome, (STATUS_SUCCESS, 1));
        assert_eq!(
            (*incoming.flags, *incoming.control_length),
            (MSG_CTRUNC, 48)
        );
        assert_eq!(
            incoming.control.pop(),
            Some(mark),
            "nothing is written beyond the buffer"
        );
        *incoming.control_length = 24;
        assert_eq!(incoming.seen(1).control[0].1, IP_PKTINFO);
        socket.close(&mut io);
    });
}

#[test]
fn sent_control_data_travels_with_the_datagram() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket, _, peer) = opened(sim, &mut io, "0.0.0.0:0");
        let to = format!("192.0.2.1:{}", peer.local_addr().port())
            .parse()
            .unwrap();
        let control = control_data(&[
            (V4, IP_TTL, &number(9)),
            (V4, IP_TOS, &number(0b1010_0000)),
            (V4, IP_ECN, &number(0b10)),
            (V4, IP_PKTINFO, &[192, 0, 2, 1, 0, 0, 0, 0]),
        ]);
        let sent = socket.send_with(&mut io, b"x", Some(to), &control);
        assert_eq!(sent, (STATUS_SUCCESS, 1));
        let got = peer.receive();
        assert_eq!(got.remote.ip(), to.ip());
        assert_eq!((got.hops, got.traffic_class), (Some(9), Some(0b1010_0010)));
        socket.close(&mut io);
    });
}

#[test]
fn sent_control_data_of_ipv6_travels_with_the_datagram() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket, _, peer) = opened(sim, &mut io, "[::]:0");
        let to = format!("[2001:db8::1]:{}", peer.local_addr().port())
            .parse()
            .unwrap();
        let interface = [&[0; 16][..], &2_u32.to_ne_bytes()].concat();
        let control = control_data(&[
            (V6, IPV6_HOPLIMIT, &number(9)),
            (V6, IPV6_TCLASS, &number(7)),
            (V6, IPV6_PKTINFO, &interface),
        ]);
        let sent = socket.send_with(&mut io, b"x", Some(to), &control);
        assert_eq!(sent, (STATUS_SUCCESS, 1));
        let got = peer.receive();
        assert_eq!(
            (got.interface, got.hops, got.traffic_class),
            (2, Some(9), Some(7))
        );
        socket.close(&mut io);
    });
}

#[test]
fn sent_control_data_that_is_wrong_is_refused() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let (_client, socket, _, peer) = opened(sim, &mut io, "127.0.0.1:0");
        let to = Some(peer.local_addr());
        let mut send = |control: &[u8]| socket.send_with(&mut io, b"x", to, control).0;
        let good = control_data(&[(V4, IP_TTL, &number(9))]);
        assert_eq!(send(&good), STATUS_SUCCESS);
        // The padding of the last object may be missing.
        assert_eq!(send(&good[..20]), STATUS_SUCCESS);
        let invalid = [
            good[..19].to_vec(),
            good[..10].to_vec(),
            control_data(&[(V6, IPV6_HOPLIMIT, &number(9))]),
            control_data(&[(V4, IP_TTL, &number(256))]),
            control_data(&[(V4, IP_TTL, &[9])]),
            control_data(&[(V4, IP_ECN, &number(4))]),
            control_data(&[(V4, IP_PKTINFO, &[0; 20])]),
            [0; 16].to_vec(),
        ];
        for control in invalid {
            assert_eq!(send(&control), STATUS_INVALID_PARAMETER, "{control:?}");
        }
        let unknown = control_data(&[(V4, 99, &number(1))]);
        assert_eq!(send(&unknown), STATUS_NOT_SUPPORTED);
        let foreign = control_data(&[(V4, IP_PKTINFO, &[192, 0, 2, 77, 0, 0, 0, 0])]);
        assert_eq!(send(&foreign), STATUS_INVALID_ADDRESS_COMPONENT);
        socket.close(&mut io);
    });
}

#[test]
fn hops_option_holds_unless_control_data_says_otherwise() {
    for (local, option) in [
        ("127.0.0.1:0", (V4, IP_TTL)),
        ("[::1]:0", (V6, IPV6_UNICAST_HOPS)),
    ] {
        wsk_sim::seeds(20, move |sim| {
            let mut io = Io::new();
            let (_client, socket, _, peer) = opened(sim, &mut io, local);
            let to = Some(peer.local_addr());
            assert_eq!(socket.set(&mut io, option, 0), STATUS_INVALID_PARAMETER);
            assert_eq!(socket.set(&mut io, option, 256), STATUS_INVALID_PARAMETER);
            assert_eq!(socket.set(&mut io, option, 33), STATUS_SUCCESS);
            assert_eq!(socket.send_with(&mut io, b"x", to, &[]).0, STATUS_SUCCESS);
            assert_eq!(peer.receive().hops, Some(33));
            let kind = if option.0 == V4 {
                IP_TTL
            } else {
                IPV6_HOPLIMIT
            };
            let control = control_data(&[(option.0, kind, &number(44))]);
            assert_eq!(
                socket.send_with(&mut io, b"x", to, &control).0,
                STATUS_SUCCESS
            );
            assert_eq!(peer.receive().hops, Some(44));
            socket.close(&mut io);
        });
    }
}

#[test]
fn option_that_is_not_of_the_socket_is_not_supported() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let v4 = client.datagram(&mut io, "127.0.0.1:0");
        let v6 = client.datagram(&mut io, "[::1]:0");
        assert_ne!(v4.set(&mut io, (V6, IPV6_PKTINFO), 1), STATUS_SUCCESS);
        assert_ne!(v6.set(&mut io, (V4, IP_PKTINFO), 1), STATUS_SUCCESS);
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        let short = v4.control(&mut io, set, (V4, IP_PKTINFO), &[1]);
        assert_eq!(short.0, STATUS_INVALID_PARAMETER);
        v4.close(&mut io);
        v6.close(&mut io);
    });
}
