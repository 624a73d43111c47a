//! What a test can do to the network: lose its connections, reset them, stall it; and connect from
//! any address of the host.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::common::{Address, Client, Io, Memory, Socket};
use crate::control::Connected;
use wdk_sys::{
    STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_IO_TIMEOUT, STATUS_SUCCESS,
};

#[test]
fn dropped_connections_fail_at_both_ends() {
    wsk_sim::seeds(30, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let memory = Memory::new(16);
        connected
            .socket
            .start_receive(&memory, 0, receive.prepare());
        sim.drop_connections();
        assert_eq!(receive.wait().0, STATUS_IO_TIMEOUT);
        assert_eq!(connected.socket.send(&mut io, b"x").0, STATUS_IO_TIMEOUT);
        assert_eq!(connected.peer.read(1), Err(STATUS_IO_TIMEOUT));
        connected.close(&mut io);
    });
}

#[test]
fn reset_connections_fail_at_both_ends() {
    wsk_sim::seeds(30, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let connected = Connected::new(sim, &mut io, "192.0.2.1:0");
        let memory = Memory::new(16);
        connected
            .socket
            .start_receive(&memory, 0, receive.prepare());
        sim.reset_connections();
        assert_eq!(receive.wait().0, STATUS_CONNECTION_RESET);
        assert_eq!(connected.peer.read(1), Err(STATUS_CONNECTION_RESET));
        connected.close(&mut io);
    });
}

#[test]
fn connections_that_are_over_stay_so() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        connected.peer.shut_down();
        assert_eq!(connected.socket.receive(&mut io, 1), Ok(Vec::new()));
        assert_eq!(connected.socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        assert_eq!(connected.peer.read(1), Ok(Vec::new()));
        sim.drop_connections();
        sim.reset_connections();
        sim.sleep(Duration::from_secs(1));
        assert_eq!(connected.peer.read(1), Ok(Vec::new()));
        connected.close(&mut io);
    });
}

#[test]
fn connecting_fails_when_connections_are_lost_or_reset() {
    wsk_sim::seeds(30, |sim| {
        for (end, expected) in [
            (
                wsk_sim::Sim::drop_connections as fn(&wsk_sim::Sim),
                STATUS_IO_TIMEOUT,
            ),
            (wsk_sim::Sim::reset_connections, STATUS_CONNECTION_REFUSED),
        ] {
            let (mut io, mut connect) = (Io::new(), Io::new());
            let client = Client::new();
            let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
            let socket = client.connection(&mut io, "127.0.0.1:0");
            sim.stall_network();
            let peer = sim.begin_to_connect(server.local_addr()).unwrap();
            let mut address = Address::of(server.local_addr());
            socket.start_connect(&mut address, connect.prepare());
            // The request may be pending without having been begun.
            sim.sleep(Duration::from_secs(1));
            end(sim);
            sim.resume_network();
            assert_eq!(connect.wait().0, expected);
            assert_eq!(peer.finish().err(), Some(expected));
            socket.close(&mut io);
        }
    });
}

#[test]
fn stalled_network_lets_nothing_arrive_until_it_goes_on() {
    wsk_sim::seeds(30, |sim| {
        let (mut io, mut receive, mut accept) = (Io::new(), Io::new(), Io::new());
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let listener = connected.client.listener(&mut io, "127.0.0.1:7");
        listener.start_accept(accept.prepare());
        sim.stall_network();
        let memory = Memory::new(16);
        connected
            .socket
            .start_receive(&memory, wsk_sys::WSK_FLAG_WAITALL, receive.prepare());
        connected.peer.write_all(&[7; 16]).unwrap();
        let peer = sim
            .begin_to_connect("127.0.0.1:7".parse().unwrap())
            .unwrap();
        sim.sleep(Duration::from_hours(1));
        assert!(!receive.is_complete() && !accept.is_complete());
        sim.resume_network();
        assert_eq!(receive.wait(), (STATUS_SUCCESS, 16));
        assert_eq!(memory.read(16), [7; 16]);
        let accepted = Socket::new(accept.wait().1);
        drop(peer.finish().unwrap());
        accepted.close(&mut io);
        listener.close(&mut io);
        connected.close(&mut io);
    });
}

#[test]
fn simulation_ends_while_the_network_is_stalled() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        sim.stall_network();
        connected.peer.write_all(b"never arrives").unwrap();
        connected.close(&mut io);
    });
}

#[test]
fn peer_connects_from_the_address_that_is_asked_for() {
    wsk_sim::run(|sim| {
        let service: SocketAddr = "127.0.0.1:7".parse().unwrap();
        let listener = sim.listen(service).unwrap();
        let source: IpAddr = "127.0.0.77".parse().unwrap();
        let connecting = sim.begin_to_connect_from(source, service).unwrap();
        let accepted = listener.accept();
        let peer = connecting.finish().unwrap();
        assert_eq!(peer.addresses().0.ip(), source);
        assert_eq!(accepted.addresses().1, peer.addresses().0);
        let foreign = sim.begin_to_connect_from("203.0.113.9".parse().unwrap(), service);
        assert_eq!(foreign.err(), Some(STATUS_INVALID_ADDRESS_COMPONENT));
    });
}
