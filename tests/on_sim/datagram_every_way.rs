//! Each kind of operation of a datagram socket, ended in each way in which a caller can end one:
//! see `every_way`.

use std::{mem::forget, net::Ipv4Addr};

use crate::common::{Client, buffer, passive};
use crate::datagram::{Scene, any};
use crate::every_way::{SCHEDULES, WAYS, Way};
use wsk::{
    AddressFamily, Buffer, BufferChain, DatagramSocket, ErrorKind, Operation, Request, Result,
    option::GroupV4,
};
use wsk_sim::{Rule, Sim};

/// Runs `body` for each way on many schedules.
fn in_every_way(body: fn(&Sim, &Scene, Way)) {
    for way in WAYS {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let scene = Scene::new(sim, AddressFamily::Inet);
            body(sim, &scene, way);
            scene.end();
        });
    }
}

/// What a transfer gives back: always the buffer that it was lent.
fn check_transfer<T>(way: Way, (result, buffer): (Result<T>, Buffer)) -> Option<(T, Buffer)> {
    assert_eq!(buffer.capacity(), 5, "another buffer came back");
    way.check(result).map(|value| (value, buffer))
}

#[test]
fn open_of_a_datagram_socket_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        let opening = DatagramSocket::open(&scene.client.provider, AddressFamily::Inet);
        let opened = way.end(sim, opening).and_then(|result| way.check(result));
        if let Some(socket) = opened {
            // It is a socket that works.
            let bound = socket.bind(any(AddressFamily::Inet)).wait(passive());
            bound.expect("a free address");
        }
    });
}

#[test]
fn bind_of_a_datagram_socket_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        let opening = DatagramSocket::open(&scene.client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        let bound = way.end(sim, socket.bind(any(AddressFamily::Inet)));
        if let Some(Some(())) = bound.map(|result| way.check(result)) {
            let remote = scene.peer.local_addr();
            let (sent, _) = socket.send_to(buffer(b"x"), remote).wait(passive());
            assert_eq!(sent, Ok(1));
        }
    });
}

#[test]
fn send_to_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        let send = scene
            .socket
            .send_to(buffer(b"12345"), scene.peer.local_addr());
        if let Some(sent) = way.end(sim, send)
            && let Some((count, same)) = check_transfer(way, sent)
        {
            assert_eq!((count, &same[..]), (5, &b"12345"[..]));
            assert_eq!(scene.peer.receive_from().0, b"12345");
        }
    });
}

#[test]
fn send_messages_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        let mut chain = BufferChain::with_capacity(2).expect("memory");
        for part in [b"12", b"34"] {
            chain
                .push(buffer(part))
                .map_err(|(error, _)| error)
                .expect("room");
        }
        let send = scene.socket.send_messages(chain, scene.peer.local_addr());
        if let Some((sent, chain)) = way.end(sim, send) {
            assert_eq!(chain.filled(), 4);
            if let Some(count) = way.check(sent) {
                assert_eq!(count, 4);
                let mut got = [(); 2].map(|()| scene.peer.receive_from().0);
                got.sort_unstable();
                assert_eq!(got, [b"12", b"34"]);
            }
        }
    });
}

/// Whatever the first one did, no datagram is lost or doubled.
#[test]
fn receive_from_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        scene.send(b"hello");
        let mut got = Vec::new();
        let receive = scene.socket.receive_from(buffer(&[0; 5]));
        if let Some(received) = way.end(sim, receive)
            && let Some((datagram, filled)) = check_transfer(way, received)
        {
            assert_eq!(datagram.length, filled.len());
            assert_eq!(datagram.remote, Some(scene.peer.local_addr()));
            got.push(filled.to_vec());
        }
        scene.send(b"again");
        while got.len() < 2 {
            let (datagram, filled) = scene.receive(5);
            assert_eq!(datagram.remote, Some(scene.peer.local_addr()));
            got.push(filled.to_vec());
        }
        got.sort_unstable();
        assert_eq!(got, [b"again", b"hello"], "{way:?}");
    });
}

#[test]
fn join_and_fixed_address_ended_in_every_way() {
    in_every_way(|sim, scene, way| {
        let group = GroupV4 {
            group: Ipv4Addr::new(239, 1, 2, 3),
            interface: Ipv4Addr::UNSPECIFIED,
        };
        if let Some(Some(())) = way
            .end(sim, scene.socket.join(group))
            .map(|result| way.check(result))
        {
            scene.socket.leave(group).wait(passive()).expect("a member");
        }
        let remote = scene.peer.local_addr();
        let fixed = way.end(sim, scene.socket.set_remote_address(Some(remote)));
        if let Some(Some(())) = fixed.map(|result| way.check(result)) {
            let (sent, _) = scene.socket.send(buffer(b"x")).wait(passive());
            assert_eq!(sent, Ok(1));
        }
    });
}

#[test]
fn close_of_a_datagram_socket_ended_in_every_way() {
    for way in WAYS {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let Scene {
                client,
                socket,
                address,
                peer,
            } = Scene::new(sim, AddressFamily::Inet);
            let receive = socket.receive_from(buffer(&[0; 5]));
            if let Some(closed) = way.end(sim, socket.close()) {
                closed.unwrap_or_else(|error| panic!("{way:?}: {error}"));
                assert!(sim.datagram_peer(address).is_ok(), "closed, but bound");
            }
            let (received, _) = receive.wait(passive());
            assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
            drop(peer);
            client.end();
        });
    }
}

/// Forgets an operation that `start` gives, and says which rule the simulator finds broken.
fn forget_one<R: Request>(
    seed: u64,
    start: impl FnOnce(&Client, DatagramSocket) -> Operation<R> + Send + 'static,
) -> Rule {
    let report = wsk_sim::builder().seed(seed).offence(|sim| {
        let Scene {
            client,
            socket,
            address,
            peer,
        } = Scene::new(sim, AddressFamily::Inet);
        forget(start(&client, socket));
        // The socket may be gone by now.
        let _ = peer.send_to(b"hello", address);
        drop(peer);
        client.end();
    });
    report.rule
}

#[test]
fn forgotten_requests_of_datagram_sockets_leak_and_no_more() {
    for seed in 0..SCHEDULES {
        let receive = forget_one(seed, |_, socket| socket.receive_from(buffer(&[0; 5])));
        let send = forget_one(seed, |_, socket| {
            socket.send_to(buffer(b"12345"), ([127, 0, 0, 1], 9).into())
        });
        let close = forget_one(seed, |_, socket| socket.close());
        let open = forget_one(seed, |client, _| {
            DatagramSocket::open(&client.provider, AddressFamily::Inet6)
        });
        let found = [receive, send, close, open];
        // A socket that nobody has stays open, and deregistration waits for it.
        let expected = [Rule::Leak, Rule::Leak, Rule::Leak, Rule::Hang];
        assert_eq!(found, expected, "seed {seed}");
    }
}
