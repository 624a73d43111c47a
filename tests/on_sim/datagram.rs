//! Datagram sockets by call: sending, receiving, addresses that are fixed.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use wsk::{
    AddressFamily, Buffer, BufferChain, Datagram, DatagramFlags, DatagramSocket, ErrorKind,
    OpenOptions, Process, option,
};
use wsk_sim::{DatagramPeer, Sim};

use crate::common::{Client, buffer, passive};

const SCHEDULES: u64 = 200;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);

pub fn any(family: AddressFamily) -> SocketAddr {
    match family {
        AddressFamily::Inet => "127.0.0.1:0",
        AddressFamily::Inet6 => "[::1]:0",
    }
    .parse()
    .expect("an address")
}

/// A bound socket, its address, and a peer.
pub struct Scene {
    pub client: Client,
    pub socket: DatagramSocket,
    pub address: SocketAddr,
    pub peer: DatagramPeer,
}

impl Scene {
    pub fn new(sim: &Sim, family: AddressFamily) -> Self {
        let client = Client::new();
        let socket = DatagramSocket::open(&client.provider, family);
        let socket = socket.wait(passive()).expect("opened");
        socket.bind(any(family)).wait(passive()).expect("bound");
        let address = socket.local_address().wait(passive()).expect("bound");
        let peer = sim.datagram_peer(any(family)).expect("an address");
        Self {
            client,
            socket,
            address,
            peer,
        }
    }

    pub fn v4(sim: &Sim) -> Self {
        Self::new(sim, AddressFamily::Inet)
    }

    pub fn send(&self, data: &[u8]) {
        self.peer.send_to(data, self.address).expect("sent");
    }

    pub fn receive(&self, room: usize) -> (Datagram, Buffer) {
        let receive = self.socket.receive_from(buffer(&vec![0; room]));
        let (received, filled) = receive.wait(passive());
        (received.expect("received"), filled)
    }

    pub fn end(self) {
        self.socket.close().wait(passive()).expect("closed");
        drop(self.peer);
        self.client.end();
    }
}

#[test]
fn exchange_gives_data_and_addresses() {
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let scene = Scene::new(sim, family);
            scene.send(b"ping");
            let (datagram, filled) = scene.receive(64);
            assert_eq!((&filled[..], datagram.length), (&b"ping"[..], 4));
            assert_eq!(datagram.remote, Some(scene.peer.local_addr()));
            assert_eq!(datagram.flags, DatagramFlags::NONE);
            assert!(datagram.control.as_bytes().is_empty());
            let remote = scene.peer.local_addr();
            let (sent, same) = scene.socket.send_to(filled, remote).wait(passive());
            assert_eq!((sent, &same[..]), (Ok(4), &b"ping"[..]));
            let (data, from) = scene.peer.receive_from();
            assert_eq!((&data[..], from), (&b"ping"[..], scene.address));
            scene.end();
        });
    }
}

#[test]
fn exchange_over_the_network_of_the_host() {
    wsk_sim::builder().host_network().run(|sim| {
        let client = Client::new();
        let socket = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let socket = socket.wait(passive()).expect("opened");
        let local = any(AddressFamily::Inet);
        socket.bind(local).wait(passive()).expect("bound");
        let wanted = socket.set_option(&option::ipv4::RECEIVE_PACKET_INFO, true);
        wanted.wait(passive()).expect("supported");
        let address = socket.local_address().wait(passive()).expect("bound");
        let peer = UdpSocket::bind(local).expect("loopback");
        let remote = peer.local_addr().expect("bound");
        // Dropped, before or after it has taken the datagram: the next one gets it.
        let dropped = socket.receive_from(buffer(&[0; 16]));
        peer.send_to(b"ping", address).expect("sent");
        drop(dropped);
        let (received, filled) = socket.receive_from(buffer(&[0; 16])).wait(passive());
        let datagram = received.expect("received");
        assert_eq!((&filled[..], datagram.remote), (&b"ping"[..], Some(remote)));
        let info = datagram.ancillary().packet_info.expect("asked for");
        assert_eq!(info.address, address.ip());
        let send = socket.send_messages(chain(&[b"one", b""]), remote);
        assert_eq!(send.wait(passive()).0, Ok(3));
        let mut room = [0; 8];
        let got = [(); 2].map(|()| sim.outside(|| peer.recv_from(&mut room)).expect("sent"));
        assert_eq!(got, [(3, address), (0, address)]);
        drop(socket);
        client.end();
    });
}

/// [wsk 8.8] Nothing but its length is special about it.
#[test]
fn empty_datagram_is_no_end() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        for data in [&b""[..], b"more"] {
            scene.send(data);
            let (datagram, filled) = scene.receive(8);
            assert_eq!((&filled[..], datagram.length), (data, data.len()));
            let remote = datagram.remote.expect("given");
            let (sent, _) = scene.socket.send_to(filled, remote).wait(passive());
            assert_eq!(sent, Ok(data.len()));
            assert_eq!(scene.peer.receive_from().0, data);
        }
        scene.end();
    });
}

/// [wsk 8.8]
#[test]
fn datagram_longer_than_the_buffer_is_cut_and_said_to_be() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        scene.send(b"too long");
        let (datagram, filled) = scene.receive(3);
        assert_eq!((&filled[..], datagram.length), (&b"too"[..], 3));
        assert_eq!(datagram.flags, DatagramFlags::TRUNCATED);
        scene.send(b"fit");
        let (datagram, filled) = scene.receive(3);
        assert_eq!(
            (&filled[..], datagram.flags),
            (&b"fit"[..], DatagramFlags::NONE)
        );
        scene.end();
    });
}

#[test]
fn many_receives_in_flight_get_one_datagram_each() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        let receives: Vec<_> = (0..4)
            .map(|_| scene.socket.receive_from(buffer(&[0; 1])))
            .collect();
        for number in 0..4 {
            scene.send(&[number]);
        }
        let mut got: Vec<u8> = receives
            .into_iter()
            .map(|receive| {
                let (received, filled) = receive.wait(passive());
                received.expect("received");
                filled[0]
            })
            .collect();
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
        assert_eq!(scene.socket.requests_allocated(), 4);
        scene.end();
    });
}

fn chain(parts: &[&[u8]]) -> BufferChain {
    let mut chain = BufferChain::with_capacity(parts.len()).expect("memory");
    for part in parts {
        chain
            .push(buffer(part))
            .map_err(|(error, _)| error)
            .expect("room");
    }
    chain
}

#[test]
fn messages_of_one_request_are_datagrams_of_their_own() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        let parts = [&b"one"[..], b"", b"three"];
        let remote = scene.peer.local_addr();
        let send = scene.socket.send_messages(chain(&parts), remote);
        let (sent, chain) = send.wait(passive());
        assert_eq!(sent, Ok(8));
        assert_eq!(
            chain.iter().map(|part| &part[..]).collect::<Vec<_>>(),
            parts
        );
        let mut got = [(); 3].map(|()| scene.peer.receive_from().0);
        got.sort_unstable();
        assert_eq!(got, [b"".to_vec(), b"one".to_vec(), b"three".to_vec()]);
        scene.end();
    });
}

#[test]
fn no_messages_are_refused() {
    wsk_sim::run(|sim| {
        let scene = Scene::v4(sim);
        let empty = BufferChain::with_capacity(2).expect("memory");
        let send = scene.socket.send_messages(empty, scene.peer.local_addr());
        let (sent, chain) = send.wait(passive());
        let error = sent.expect_err("nothing to send");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        assert_eq!(error.call(), "WskSendMessages");
        assert_eq!(chain.capacity(), 2);
        scene.end();
    });
}

/// [wsk 9.3]
#[test]
fn send_without_an_address_goes_to_the_fixed_one() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        let (sent, same) = scene.socket.send(buffer(b"where?")).wait(passive());
        let error = sent.expect_err("no address");
        assert_eq!(
            (error.call(), error.kind()),
            ("WskSendTo", ErrorKind::InvalidParameter)
        );
        let remote = scene.peer.local_addr();
        let fixed = scene.socket.set_send_to_address(Some(remote));
        fixed.wait(passive()).expect("bound");
        let (sent, _) = scene.socket.send(same).wait(passive());
        assert_eq!(sent, Ok(6));
        assert_eq!(scene.peer.receive_from().0, b"where?");
        let (sent, _) = scene
            .socket
            .send_messages(chain(&[b"x"]), None)
            .wait(passive());
        assert_eq!(sent, Ok(1));
        assert_eq!(scene.peer.receive_from().0, b"x");
        let cleared = scene.socket.set_send_to_address(None);
        cleared.wait(passive()).expect("bound");
        let (sent, _) = scene.socket.send(buffer(b"where?")).wait(passive());
        sent.expect_err("no address any more");
        scene.end();
    });
}

/// [wsk 5.4]
#[test]
fn fixed_remote_address_filters_until_it_is_cleared() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::v4(sim);
        let other = sim
            .datagram_peer(any(AddressFamily::Inet))
            .expect("an address");
        let remote = scene.peer.local_addr();
        let fixed = scene.socket.set_remote_address(Some(remote));
        fixed.wait(passive()).expect("bound");
        other.send_to(b"stranger", scene.address).expect("sent");
        scene.send(b"friend");
        assert_eq!(scene.receive(16).1[..], *b"friend");
        let receive = scene.socket.receive_from(buffer(&[0; 16]));
        let (received, _) = receive.wait_timeout(LONG, passive());
        assert_eq!(received.expect_err("filtered").kind(), ErrorKind::TimedOut);
        let (sent, _) = scene.socket.send(buffer(b"hello")).wait(passive());
        assert_eq!(sent, Ok(5));
        assert_eq!(scene.peer.receive_from().0, b"hello");
        let cleared = scene.socket.set_remote_address(None);
        cleared.wait(passive()).expect("bound");
        other.send_to(b"stranger", scene.address).expect("sent");
        assert_eq!(scene.receive(16).1[..], *b"stranger");
        drop(other);
        scene.end();
    });
}

/// [wsk 4.7, 5]
#[test]
fn unbound_socket_is_of_little_use() {
    wsk_sim::run(|_| {
        let client = Client::new();
        let socket = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let socket = socket.wait(passive()).expect("opened");
        let remote: SocketAddr = ([127, 0, 0, 1], 9).into();
        let sent = socket.send_to(buffer(b"x"), remote).wait(passive()).0;
        let received = socket.receive_from(buffer(&[0])).wait(passive()).0;
        let fixed = socket.set_remote_address(Some(remote)).wait(passive());
        let local = socket.local_address().wait(passive());
        let kinds = [
            sent.expect_err("not bound").kind(),
            received.expect_err("not bound").kind(),
            fixed.expect_err("not bound").kind(),
            local.expect_err("not bound").kind(),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidState; 4]);
        drop(socket);
        client.end();
    });
}

#[test]
fn address_of_another_family_is_refused() {
    wsk_sim::run(|sim| {
        let scene = Scene::v4(sim);
        let remote: SocketAddr = "[::1]:9".parse().expect("an address");
        let (sent, same) = scene.socket.send_to(buffer(b"x"), remote).wait(passive());
        assert_eq!(sent.expect_err("IPv6").kind(), ErrorKind::InvalidAddress);
        assert_eq!(same[..], *b"x");
        let fixed = scene
            .socket
            .set_remote_address(Some(remote))
            .wait(passive());
        fixed.expect_err("IPv6");
        scene.end();
    });
}

#[test]
fn socket_of_a_process_is_a_socket_like_any_other() {
    wsk_sim::run(|sim| {
        let client = Client::new();
        let options = OpenOptions::new().process(&Process::current());
        let socket = options.datagram(&client.provider, AddressFamily::Inet);
        let socket = socket.wait(passive()).expect("opened");
        let reuse = socket.set_option(&option::REUSE_ADDRESS, true);
        reuse.wait(passive()).expect("not bound yet");
        socket
            .bind(any(AddressFamily::Inet))
            .wait(passive())
            .expect("bound");
        let late = socket
            .set_option(&option::REUSE_ADDRESS, false)
            .wait(passive());
        assert_eq!(late.expect_err("bound").kind(), ErrorKind::InvalidState);
        let peer = sim
            .datagram_peer(any(AddressFamily::Inet))
            .expect("an address");
        let (sent, _) = socket
            .send_to(buffer(b"x"), peer.local_addr())
            .wait(passive());
        assert_eq!(sent, Ok(1));
        assert_eq!(peer.receive_from().0, b"x");
        drop((socket, peer));
        client.end();
    });
}
