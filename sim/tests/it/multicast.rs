//! Datagrams for many: broadcast and multicast.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use wdk_sys::{
    STATUS_ACCESS_DENIED, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL,
    IP_PKTINFO, IPPROTO, IPPROTO_IP, IPV6_ADD_MEMBERSHIP, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF,
    MSG_BCAST, MSG_MCAST, SO_BROADCAST, SOL_SOCKET, WSK_CONTROL_SOCKET_TYPE,
};

use crate::common::{Client, Io};
use crate::datagram_client::{DatagramSocket, Receiver};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 100;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);
const V4: u32 = IPPROTO_IP;
const V6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();
const GROUP: [u8; 4] = [239, 1, 2, 3];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn group_at(port: u16) -> SocketAddr {
    (GROUP, port).into()
}

/// Joins or leaves the group; the interface is named by 4 bytes.
fn member(io: &mut Io, socket: DatagramSocket, option: u32, interface: [u8; 4]) -> i32 {
    let input = [GROUP, interface].concat();
    let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
    socket.control(io, set, (V4, option), &input).0
}

#[test]
fn broadcast_needs_the_option_and_reaches_all_at_the_port() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "0.0.0.0:0");
        let everybody = address("255.255.255.255:5000");
        let option = (SOL_SOCKET, SO_BROADCAST);
        let peers = ["0.0.0.0:5000", "192.0.2.1:5000"].map(address);
        // A receiver at an address of another interface, and one of IPv6, are not reached.
        let others = ["127.0.0.1:5000", "[::]:5000"].map(address);
        let peer = sim.datagram_peer(peers[1]).unwrap();
        let others = others.map(|other| sim.datagram_peer(other).unwrap());
        assert_eq!(
            socket.send(&mut io, b"x", everybody).0,
            STATUS_ACCESS_DENIED
        );
        assert_eq!(socket.set(&mut io, option, 1), STATUS_SUCCESS);
        assert_eq!(socket.send(&mut io, b"x", everybody), (STATUS_SUCCESS, 1));
        let got = peer.receive();
        assert_eq!((&*got.data, got.local), (&b"x"[..], Some(everybody.ip())));
        assert_eq!(others.map(|other| other.receive_within(LONG)), [None, None]);
        assert_eq!(socket.set(&mut io, option, 0), STATUS_SUCCESS);
        assert_eq!(
            socket.send(&mut io, b"x", everybody).0,
            STATUS_ACCESS_DENIED
        );
        socket.close(&mut io);
    });
}

#[test]
fn broadcast_option_may_be_set_before_bind() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let local = address("0.0.0.0:0");
        let socket = client.datagram_unbound(&mut io, local, core::ptr::null_mut());
        assert_eq!(
            socket.set(&mut io, (SOL_SOCKET, SO_BROADCAST), 1),
            STATUS_SUCCESS
        );
        assert_eq!(socket.bind(&mut io, local).0, STATUS_SUCCESS);
        let sent = socket.send(&mut io, b"x", address("255.255.255.255:9"));
        assert_eq!(sent.0, STATUS_SUCCESS);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_5_and_8_8_flags_tell_broadcast_and_multicast() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let receiver = Receiver::taking();
        let socket = client.datagram_for(&mut io, "0.0.0.0:5000", &receiver);
        assert_eq!(
            member(&mut io, socket, IP_ADD_MEMBERSHIP, [0; 4]),
            STATUS_SUCCESS
        );
        assert_eq!(socket.set(&mut io, (V4, IP_PKTINFO), 1), STATUS_SUCCESS);
        let peer = sim.datagram_peer(address("0.0.0.0:0")).unwrap();
        let targets = [
            (address("192.0.2.1:5000"), 0),
            (address("255.255.255.255:5000"), MSG_BCAST),
            (group_at(5000), MSG_MCAST),
        ];
        for (target, flag) in targets {
            peer.send_to(b"x", target).unwrap();
            assert_eq!(socket.receive(&mut io, 8).flags, flag);
        }
        // One call of the event brings datagrams of one kind: the flags are for the whole list.
        socket.enable();
        for (target, _) in targets {
            peer.send_to(b"x", target).unwrap();
        }
        for seen in receiver.wait_for(3) {
            let IpAddr::V4(to) = seen.control_address() else {
                panic!("an IPv4 address");
            };
            let flag = match to {
                to if to.is_broadcast() => MSG_BCAST,
                to if to.is_multicast() => MSG_MCAST,
                _ => 0,
            };
            assert_eq!(seen.flags & (MSG_BCAST | MSG_MCAST), flag);
        }
        socket.close(&mut io);
    });
}

#[test]
fn multicast_reaches_members_only() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "0.0.0.0:5000");
        let peer = sim.datagram_peer(address("0.0.0.0:0")).unwrap();
        peer.send_to(b"before", group_at(5000)).unwrap();
        sim.sleep(LONG);
        assert_eq!(
            member(&mut io, socket, IP_ADD_MEMBERSHIP, [0; 4]),
            STATUS_SUCCESS
        );
        peer.send_to(b"within", group_at(5000)).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"within");
        assert_eq!(
            member(&mut io, socket, IP_DROP_MEMBERSHIP, [0; 4]),
            STATUS_SUCCESS
        );
        peer.send_to(b"after", group_at(5000)).unwrap();
        sim.sleep(LONG);
        peer.send_to(b"unicast", address("192.0.2.1:5000")).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"unicast");
        socket.close(&mut io);
    });
}

#[test]
fn membership_is_of_one_interface() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "0.0.0.0:5000");
        // Named by its address: the loopback interface.
        let loopback = [127, 0, 0, 1];
        assert_eq!(
            member(&mut io, socket, IP_ADD_MEMBERSHIP, loopback),
            STATUS_SUCCESS
        );
        let outside = sim.datagram_peer(address("192.0.2.1:0")).unwrap();
        let inside = sim.datagram_peer(address("127.0.0.1:0")).unwrap();
        outside.send_to(b"outside", group_at(5000)).unwrap();
        sim.sleep(LONG);
        inside.send_to(b"inside", group_at(5000)).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"inside");
        socket.close(&mut io);
    });
}

#[test]
fn membership_with_wrong_arguments_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let local = address("0.0.0.0:0");
        let socket = client.datagram_unbound(&mut io, local, core::ptr::null_mut());
        let early = member(&mut io, socket, IP_ADD_MEMBERSHIP, [0; 4]);
        assert_eq!(early, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(socket.bind(&mut io, local).0, STATUS_SUCCESS);
        let never_joined = member(&mut io, socket, IP_DROP_MEMBERSHIP, [0; 4]);
        assert_eq!(never_joined, STATUS_INVALID_PARAMETER);
        assert_eq!(
            member(&mut io, socket, IP_ADD_MEMBERSHIP, [0, 0, 0, 2]),
            STATUS_SUCCESS
        );
        let twice = member(&mut io, socket, IP_ADD_MEMBERSHIP, [0, 0, 0, 2]);
        assert_eq!(twice, STATUS_INVALID_PARAMETER);
        for nowhere in [[0, 0, 0, 77], [192, 0, 2, 77]] {
            let status = member(&mut io, socket, IP_ADD_MEMBERSHIP, nowhere);
            assert_eq!(status, STATUS_INVALID_ADDRESS_COMPONENT);
        }
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        let no_group = [127, 0, 0, 1, 0, 0, 0, 0];
        let unicast = socket.control(&mut io, set, (V4, IP_ADD_MEMBERSHIP), &no_group);
        assert_eq!(unicast.0, STATUS_INVALID_PARAMETER);
        socket.close(&mut io);
    });
}

#[test]
fn multicast_options_say_how_far_and_by_which_interface() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "0.0.0.0:0");
        let peer = sim.datagram_peer(address("0.0.0.0:5000")).unwrap();
        peer.join(GROUP.into()).unwrap();
        assert_eq!(socket.send(&mut io, b"x", group_at(5000)).0, STATUS_SUCCESS);
        let got = peer.receive();
        assert_eq!((got.hops, got.interface), (Some(1), 2));
        assert_eq!(
            socket.set(&mut io, (V4, IP_MULTICAST_TTL), 5),
            STATUS_SUCCESS
        );
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(
            socket.set(&mut io, (V4, IP_MULTICAST_IF), loopback),
            STATUS_SUCCESS
        );
        assert_eq!(socket.send(&mut io, b"x", group_at(5000)).0, STATUS_SUCCESS);
        let got = peer.receive();
        assert_eq!((got.hops, got.interface), (Some(5), 1));
        assert_eq!(got.remote.ip(), address("127.0.0.1:0").ip());
        socket.close(&mut io);
    });
}

#[test]
fn multicast_of_ipv6_works_alike() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "[::]:5000");
        let group: IpAddr = "ff15::1234".parse().unwrap();
        let IpAddr::V6(v6) = group else {
            panic!("an IPv6 address");
        };
        let input = [&v6.octets()[..], &2_u32.to_ne_bytes()].concat();
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        let joined = socket.control(&mut io, set, (V6, IPV6_ADD_MEMBERSHIP), &input);
        assert_eq!(joined.0, STATUS_SUCCESS);
        let peer = sim.datagram_peer(address("[::]:0")).unwrap();
        peer.send_to(b"in", (group, 5000).into()).unwrap();
        let seen = socket.receive(&mut io, 8);
        assert_eq!((&*seen.data, seen.flags), (&b"in"[..], MSG_MCAST));
        peer.join(group).unwrap();
        assert_eq!(
            socket.set(&mut io, (V6, IPV6_MULTICAST_HOPS), 7),
            STATUS_SUCCESS
        );
        assert_eq!(
            socket.set(&mut io, (V6, IPV6_MULTICAST_IF), 1),
            STATUS_SUCCESS
        );
        let to = (group, peer.local_addr().port()).into();
        assert_eq!(socket.send(&mut io, b"out", to).0, STATUS_SUCCESS);
        let got = peer.receive();
        assert_eq!((got.hops, got.interface), (Some(7), 1));
        socket.close(&mut io);
    });
}

#[test]
fn multicast_comes_back_to_its_sender_unless_that_is_switched_off() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram(&mut io, "0.0.0.0:5000");
        assert_eq!(
            member(&mut io, socket, IP_ADD_MEMBERSHIP, [0; 4]),
            STATUS_SUCCESS
        );
        assert_eq!(
            socket.send(&mut io, b"own", group_at(5000)).0,
            STATUS_SUCCESS
        );
        assert_eq!(socket.receive(&mut io, 8).data, b"own");
        assert_eq!(
            socket.set(&mut io, (V4, IP_MULTICAST_LOOP), 0),
            STATUS_SUCCESS
        );
        assert_eq!(
            socket.send(&mut io, b"mute", group_at(5000)).0,
            STATUS_SUCCESS
        );
        sim.sleep(LONG);
        let peer = sim.datagram_peer(address("0.0.0.0:0")).unwrap();
        peer.send_to(b"other", group_at(5000)).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"other");
        socket.close(&mut io);
    });
}
