//! The two halves of a connection: used by different threads, dropped in any order, put together.

use crate::common::{Client, accept, buffer, passive};
use wsk::{ConnectionSocket, ErrorKind};
use wsk_sim::{Peer, Sim};

const SCHEDULES: u64 = 200;

/// Two connections, and their other ends.
fn connect_two(client: &Client, sim: &Sim) -> [(ConnectionSocket, Peer); 2] {
    let mut listener = client.listen();
    [(); 2].map(|()| accept(sim, &mut listener))
}

#[test]
fn halves_dropped_on_two_threads_close_the_connection_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (read, write) = connection.into_split();
        let other = sim.spawn(move || drop(read));
        drop(write);
        other.join();
        assert!(peer.read(1).is_err(), "not closed");
        drop(peer);
        client.end();
    });
}

#[test]
fn half_that_is_left_goes_on() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let [(connection, peer), (other, other_peer)] = connect_two(&client, sim);
        let (mut read, write) = connection.into_split();
        drop(write);
        peer.write_all(b"still here").expect("connected");
        let (received, filled) = read.receive_exact(buffer(&[0; 10])).wait(passive());
        assert_eq!(received.expect("received"), 10);
        assert_eq!(filled[..], *b"still here");
        drop(read);
        assert!(peer.read(1).is_err(), "not closed");
        let (read, write) = other.into_split();
        drop(read);
        let (sent, same) = write.send(buffer(b"there")).wait(passive());
        sent.expect("sent");
        let (ended, _) = write.disconnect_with_data(same).wait(passive());
        ended.expect("disconnected");
        let all = other_peer.read_to_end().expect("a graceful end");
        assert_eq!(all, b"therethere");
        drop((write, peer, other_peer));
        client.end();
    });
}

#[test]
fn halves_closed_elsewhere_are_both_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (mut read, write) = connection.into_split();
        read.closer().close();
        let (received, _) = read.receive(buffer(b"x")).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::Closed);
        let (sent, _) = write.send(buffer(b"x")).wait(passive());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
        write.closer().close();
        drop((write, read, peer));
        client.end();
    });
}

#[test]
fn halves_of_two_connections_do_not_go_together() {
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        let [(first, first_peer), (second, second_peer)] = connect_two(&client, sim);
        let (read, write) = first.into_split();
        let (other_read, other_write) = second.into_split();
        let error = read.reunite(other_write).expect_err("two connections");
        assert!(error.to_string().contains("two connections"), "{error}");
        let wsk::ReuniteError(read, other_write) = error;
        let first = read.reunite(write).expect("one connection");
        let second = other_read.reunite(other_write).expect("one connection");
        first.close().wait(passive()).expect("closed");
        second.close().wait(passive()).expect("closed");
        drop((first_peer, second_peer));
        client.end();
    });
}

#[test]
fn connection_put_together_again_is_closed_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (read, write) = connection.into_split();
        let (read, write) = read.reunite(write).expect("one connection").into_split();
        let connection = read.reunite(write).expect("one connection");
        connection.close().wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
}
