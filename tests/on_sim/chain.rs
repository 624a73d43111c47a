//! Several buffers sent as one.

use crate::common::{Client, block_on, buffer, passive};
use crate::random::Random;
use wsk::{Buffer, BufferChain, ErrorKind, SendFlags};

const SCHEDULES: u64 = 200;

fn chain(parts: &[&[u8]]) -> BufferChain {
    let mut chain = BufferChain::with_capacity(parts.len()).expect("memory");
    for part in parts {
        let mut buffer = Buffer::with_capacity(part.len() + 3).expect("memory");
        buffer.extend_from_slice(part).expect("it fits");
        chain.push(buffer).expect("room");
    }
    chain
}

#[test]
fn chain_is_sent_as_the_filled_parts_one_behind_the_other() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let parts: [&[u8]; 4] = [b"one ", b"", b"two ", b"three"];
        let send = connection.send_chain(chain(&parts), SendFlags::NONE);
        let (sent, same) = block_on(sim, send);
        assert_eq!(sent.expect("sent"), 13);
        assert_eq!(peer.read_exact(13).expect("sent"), b"one two three");
        assert_eq!(same.filled(), 13);
        assert!(
            same.iter()
                .zip(parts)
                .all(|(buffer, part)| buffer[..] == *part)
        );
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn chain_that_came_back_is_filled_and_sent_again() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut chain = chain(&[b"ab", b"c"]);
        let mut random = Random::new(sim.seed());
        let mut expected = Vec::new();
        for round in 0..5 {
            for buffer in chain.iter_mut() {
                buffer.clear();
                let bytes = vec![round; random.below(4)];
                buffer.extend_from_slice(&bytes).expect("it fits");
                expected.extend(bytes);
            }
            let sent;
            (sent, chain) = connection
                .send_chain(chain, SendFlags::NO_DELAY)
                .wait(passive());
            assert_eq!(sent.expect("sent"), chain.filled());
        }
        assert_eq!(peer.read_exact(expected.len()).expect("sent"), expected);
        // Each buffer has its whole capacity again.
        let last = chain.pop().expect("two buffers");
        peer.write_all(b"full").expect("connected");
        let (received, filled) = connection.receive_exact(last).wait(passive());
        assert_eq!(received.expect("received"), 4);
        assert_eq!(filled[..], *b"full");
        assert_eq!(connection.requests_allocated(), 1);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn chain_dropped_in_flight_is_freed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        drop(connection.send_chain(
            chain(&[&vec![1; 40_000], &vec![2; 40_000]]),
            SendFlags::NONE,
        ));
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn chain_refused_comes_back() {
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        connection.closer().close();
        let send = connection.send_chain(chain(&[b"a", b"b"]), SendFlags::NONE);
        let (sent, mut same) = send.wait(passive());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!((same.len(), same.capacity()), (2, 2));
        let (error, rest) = same.push(buffer(b"c")).expect_err("full");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        assert_eq!(rest[..], *b"c");
        assert!(same.pop().is_some() && same.pop().is_some() && same.pop().is_none());
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn chain_of_no_buffers_is_refused() {
    wsk_sim::run(|_| {
        let error = BufferChain::with_capacity(0).expect_err("none");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        let error = BufferChain::with_capacity(usize::MAX).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    });
}
