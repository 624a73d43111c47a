//! Datagrams with control data, and datagrams for many: broadcast and multicast.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use wsk::{
    AddressFamily, Ancillary, ControlData, DatagramFlags, DatagramSocket, Ecn, ErrorKind,
    PacketInfo,
    option::{self, GroupV4, GroupV6},
};
use wsk_sim::Datagram;

use crate::common::{Client, buffer, passive};
use crate::datagram::Scene;

const SCHEDULES: u64 = 200;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);
const CLASS: u8 = 0b1011_1001;

/// With everything set that can travel with a datagram.
fn full(to: SocketAddr) -> Datagram {
    let mut datagram = Datagram::new(b"x", to);
    datagram.hops = Some(17);
    datagram.traffic_class = Some(CLASS);
    datagram
}

fn all(address: IpAddr, interface: u32) -> Ancillary {
    Ancillary {
        packet_info: Some(PacketInfo { address, interface }),
        hop_limit: Some(17),
        traffic_class: Some(CLASS),
        ecn: Some(Ecn::Capable1),
    }
}

#[test]
fn received_ancillary_data_is_what_the_options_ask_for() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::new(sim, AddressFamily::Inet);
        let options = [
            &option::ipv4::RECEIVE_PACKET_INFO,
            &option::ipv4::RECEIVE_HOP_LIMIT,
            &option::ipv4::RECEIVE_TYPE_OF_SERVICE,
            &option::ipv4::RECEIVE_ECN,
        ];
        for (count, option) in options.into_iter().enumerate() {
            scene.peer.send(&full(scene.address)).expect("sent");
            let (datagram, _) = scene.receive(8);
            assert_eq!(datagram.control.messages().count(), count);
            scene
                .socket
                .set_option(option, true)
                .wait(passive())
                .expect("supported");
        }
        scene.peer.send(&full(scene.address)).expect("sent");
        let (datagram, _) = scene.receive(8);
        assert_eq!(datagram.ancillary(), all(Ipv4Addr::LOCALHOST.into(), 1));
        assert_eq!(datagram.flags, DatagramFlags::NONE);
        scene.end();
    });
}

/// All of it fits into what a receive has room for.
#[test]
fn received_ancillary_data_of_ipv6_is_complete() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::new(sim, AddressFamily::Inet6);
        let options = [
            &option::ipv6::RECEIVE_PACKET_INFO,
            &option::ipv6::RECEIVE_HOP_LIMIT,
            &option::ipv6::RECEIVE_TRAFFIC_CLASS,
            &option::ipv6::RECEIVE_ECN,
        ];
        for option in options {
            scene
                .socket
                .set_option(option, true)
                .wait(passive())
                .expect("supported");
        }
        scene.peer.send(&full(scene.address)).expect("sent");
        let (datagram, _) = scene.receive(8);
        assert_eq!(datagram.ancillary(), all(Ipv6Addr::LOCALHOST.into(), 1));
        assert_eq!(datagram.flags, DatagramFlags::NONE);
        scene.end();
    });
}

/// A datagram of IPv4 at a socket of both families is one of IPv4 in every respect but the remote
/// address.
#[test]
fn socket_of_both_families_tells_ancillary_data_of_ipv4() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let socket = DatagramSocket::open(&client.provider, AddressFamily::Inet6);
        let socket = socket.wait(passive()).expect("opened");
        let both = socket.set_option(&option::ipv6::V6_ONLY, false);
        both.wait(passive()).expect("not bound yet");
        let local = "[::]:5000".parse().expect("an address");
        socket.bind(local).wait(passive()).expect("bound");
        let wanted = socket.set_option(&option::ipv4::RECEIVE_PACKET_INFO, true);
        wanted.wait(passive()).expect("supported");
        let peer = sim.datagram_peer(([127, 0, 0, 1], 0).into());
        let peer = peer.expect("a free one");
        let to = ([127, 0, 0, 1], 5000).into();
        peer.send_to(b"4", to).expect("sent");
        let (received, same) = socket.receive_from(buffer(&[0; 4])).wait(passive());
        let datagram = received.expect("received");
        assert_eq!(datagram.local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
        let remote = datagram.remote.expect("given");
        assert!(matches!(remote.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()));
        let near = Ancillary {
            hop_limit: Some(2),
            ..Ancillary::default()
        };
        let control = ControlData::encode(AddressFamily::Inet, &near).expect("no address");
        let (sent, _) = socket.send_with(same, remote, &control).wait(passive());
        assert_eq!(sent, Ok(1));
        assert_eq!(peer.receive().hops, Some(2));
        drop((socket, peer));
        client.end();
    });
}

fn bound(client: &Client, local: &str) -> DatagramSocket {
    let local = local.parse().expect("an address");
    let socket = DatagramSocket::open(&client.provider, AddressFamily::of(&local));
    let socket = socket.wait(passive()).expect("opened");
    socket.bind(local).wait(passive()).expect("bound");
    socket
}

/// From the given address, and in the given way; by one call and by the other.
#[test]
fn sent_ancillary_data_travels_with_the_datagram() {
    for (local, source, interface) in [("0.0.0.0:0", "192.0.2.1", 0), ("[::]:0", "2001:db8::1", 2)]
    {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let socket = bound(&client, local);
            let source: IpAddr = source.parse().expect("an address");
            let peer = sim.datagram_peer(local.parse().expect("an address"));
            let peer = peer.expect("a free one");
            let to = SocketAddr::new(source, peer.local_addr().port());
            let wanted = Ancillary {
                packet_info: Some(PacketInfo {
                    address: source,
                    interface,
                }),
                hop_limit: Some(9),
                traffic_class: Some(0b1010_0000),
                ecn: Some(Ecn::Capable0),
            };
            let control = ControlData::encode(AddressFamily::of(&to), &wanted);
            let control = control.expect("of the family");
            let (sent, same) = socket.send_with(buffer(b"x"), to, &control).wait(passive());
            assert_eq!(sent, Ok(1));
            let mut chain = wsk::BufferChain::with_capacity(1).expect("memory");
            chain.push(same).map_err(|(error, _)| error).expect("room");
            let send = socket.send_messages_with(chain, to, &control);
            assert_eq!(send.wait(passive()).0, Ok(1));
            for _ in 0..2 {
                let got = peer.receive();
                assert_eq!(got.remote.ip(), source);
                assert_eq!((got.hops, got.traffic_class), (Some(9), Some(0b1010_0010)));
            }
            drop((socket, peer));
            client.end();
        });
    }
}

#[test]
fn control_data_that_the_transport_does_not_know_is_refused() {
    wsk_sim::run(|sim| {
        let scene = Scene::new(sim, AddressFamily::Inet);
        let mut control = ControlData::new();
        control
            .push(wsk_sys::IPPROTO_IP, 99, &[0; 4])
            .expect("room");
        let remote = scene.peer.local_addr();
        let send = scene.socket.send_with(buffer(b"x"), remote, &control);
        let (sent, same) = send.wait(passive());
        assert_eq!(sent.expect_err("unknown").kind(), ErrorKind::NotSupported);
        // An empty one is as none.
        let send = scene.socket.send_with(same, remote, &ControlData::new());
        assert_eq!(send.wait(passive()).0, Ok(1));
        scene.end();
    });
}

/// [wsk 8.8]
#[test]
fn broadcast_needs_the_option_and_is_flagged() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = bound(&client, "0.0.0.0:0");
        let receiver = bound(&client, "0.0.0.0:5000");
        let everybody: SocketAddr = "255.255.255.255:5000".parse().expect("an address");
        let (sent, same) = socket.send_to(buffer(b"x"), everybody).wait(passive());
        assert_eq!(
            sent.expect_err("not allowed").kind(),
            ErrorKind::AccessDenied
        );
        socket
            .set_option(&option::BROADCAST, true)
            .wait(passive())
            .expect("supported");
        let (sent, _) = socket.send_to(same, everybody).wait(passive());
        assert_eq!(sent, Ok(1));
        let (received, _) = receiver.receive_from(buffer(&[0; 4])).wait(passive());
        assert_eq!(received.expect("sent").flags, DatagramFlags::BROADCAST);
        drop((socket, receiver));
        client.end();
    });
}

/// [wsk 8.8]
#[test]
fn group_is_heard_from_joining_to_leaving() {
    let v4 = GroupV4 {
        group: Ipv4Addr::new(239, 1, 2, 3),
        interface: Ipv4Addr::UNSPECIFIED,
    };
    let v6 = GroupV6 {
        group: "ff05::1234".parse().expect("a group"),
        interface: 0,
    };
    check_group("0.0.0.0:5000", "0.0.0.0:0", v4, v4.group.into());
    check_group("[::]:5000", "[::]:0", v6, v6.group.into());
}

fn check_group<G>(local: &'static str, sender: &'static str, group: G, to: IpAddr)
where
    G: Into<wsk::Group> + Copy + Send + Sync + 'static,
{
    wsk_sim::seeds(SCHEDULES, move |sim| {
        let client = Client::new();
        let socket = bound(&client, local);
        let peer = sim.datagram_peer(sender.parse().expect("an address"));
        let peer = peer.expect("a free one");
        let to = SocketAddr::new(to, 5000);
        let heard = || {
            peer.send_to(b"x", to).expect("sent");
            let receive = socket.receive_from(buffer(&[0; 4]));
            receive.wait_timeout(LONG, passive()).0
        };
        assert_eq!(heard().expect_err("no member").kind(), ErrorKind::TimedOut);
        socket.join(group).wait(passive()).expect("a group");
        socket
            .join(group)
            .wait(passive())
            .expect_err("a member already");
        assert_eq!(heard().expect("a member").flags, DatagramFlags::MULTICAST);
        socket.leave(group).wait(passive()).expect("a member");
        assert_eq!(heard().expect_err("left").kind(), ErrorKind::TimedOut);
        socket.leave(group).wait(passive()).expect_err("no member");
        drop((socket, peer));
        client.end();
    });
}
