//! Closing a socket from wherever a driver may want to, and what becomes of those who use it.

use std::{
    mem::forget,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use crate::common::{Client, Wakes, address, block_on, buffer, passive, poll};
use crate::datagram::Scene;
use wsk::{AddressFamily, Closer, ErrorKind, Executor};
use wsk_sim::Rule;

const SCHEDULES: u64 = 200;

/// Cancelled by the close, or refused since the close came before.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Cancelled | ErrorKind::Closed)
}

#[test]
fn closer_that_closes_twice_and_after_the_socket_does_nothing_more() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let closer = connection.closer();
        let clone = closer.clone();
        closer.close();
        clone.close();
        connection.close().wait(passive()).expect("closed");
        closer.close();
        drop(peer);
        client.end();
        // It keeps memory of the socket, and nothing else.
        clone.close();
    });
}

#[test]
fn closers_on_several_threads_close_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let receive = connection.receive(buffer(&[0; 8]));
        let closing: Vec<_> = (0..3)
            .map(|_| {
                let closer = connection.closer();
                sim.spawn(move || closer.close())
            })
            .collect();
        let (received, _) = receive.wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
        connection.close().wait(passive()).expect("closed");
        for closing in closing {
            closing.join();
        }
        drop(peer);
        client.end();
    });
}

#[test]
fn closer_at_dispatch_level_ends_every_request_in_flight() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let receives = [(); 3].map(|()| connection.receive(buffer(&[0; 8])));
        let closer = connection.closer();
        sim.at_dispatch(|| closer.close());
        for receive in receives {
            let (received, same) = receive.wait_timeout(Duration::from_secs(1), passive());
            assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
            assert_eq!(same.capacity(), 8);
        }
        drop((connection, peer));
        client.end();
    });
}

/// The close is due while calls run: the last of them makes it [wsk 10.1].
#[test]
fn close_while_calls_of_every_kind_run_waits_for_them() {
    wsk_sim::builder()
        .preempt_one_in(1)
        .seeds(SCHEDULES, |sim| {
            let client = Client::new();
            let (connection, peer) = client.connect(sim);
            let closer = connection.closer();
            let (mut read, write) = connection.into_split();
            let write = Arc::new(write);
            let also_write = write.clone();
            let callers = [
                sim.spawn(move || {
                    let (sent, same) = write.send(buffer(b"calling")).wait(passive());
                    assert_eq!(same[..], *b"calling");
                    sent.err().map(wsk::Error::kind)
                }),
                sim.spawn(move || {
                    let (received, same) = read.receive(buffer(&[0; 8])).wait(passive());
                    assert_eq!(same.capacity(), 8);
                    received.err().map(wsk::Error::kind)
                }),
                sim.spawn(move || {
                    let ended = also_write.disconnect().wait(passive());
                    ended.err().map(wsk::Error::kind)
                }),
            ];
            closer.close();
            for caller in callers {
                let ended = caller.join();
                let sending_had_ended = ended == Some(ErrorKind::InvalidState);
                assert!(
                    sending_had_ended || ended.is_none_or(is_closed),
                    "{ended:?}"
                );
            }
            drop(peer);
            client.end();
        });
}

#[test]
fn close_of_a_datagram_socket_while_calls_run_waits_for_them() {
    wsk_sim::builder()
        .preempt_one_in(1)
        .seeds(SCHEDULES, |sim| {
            let scene = Scene::new(sim, AddressFamily::Inet);
            let closer = scene.socket.closer();
            let remote = scene.peer.local_addr();
            let socket = Arc::new(scene.socket);
            let (sender, receiver) = (socket.clone(), socket);
            let callers = [
                sim.spawn(move || {
                    let (sent, same) = sender.send_to(buffer(b"x"), remote).wait(passive());
                    assert_eq!(same[..], *b"x");
                    sent.err().map(wsk::Error::kind)
                }),
                sim.spawn(move || {
                    let (received, same) = receiver.receive_from(buffer(&[0; 8])).wait(passive());
                    assert_eq!(same.capacity(), 8);
                    received.err().map(wsk::Error::kind)
                }),
            ];
            sim.at_dispatch(|| closer.close());
            for caller in callers {
                let ended = caller.join();
                assert!(ended.is_none_or(is_closed), "{ended:?}");
            }
            drop(scene.peer);
            scene.client.end();
        });
}

/// What is kept for receives to come is not for those that the close cancels.
#[test]
fn close_of_a_datagram_socket_with_datagrams_kept_leaves_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::new(sim, AddressFamily::Inet);
        for _ in 0..3 {
            drop(scene.socket.receive_from(buffer(&[0; 8])));
            scene.send(b"for some");
        }
        let receive = scene.socket.receive_from(buffer(&[0; 8]));
        let dropped = scene.socket.receive_from(buffer(&[0; 8]));
        let closer = scene.socket.closer();
        let closing = sim.spawn(move || closer.close());
        drop(dropped);
        let (received, filled) = receive.wait(passive());
        match received {
            Ok(datagram) => assert_eq!((datagram.length, &filled[..]), (8, &b"for some"[..])),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
        }
        closing.join();
        drop((scene.socket, scene.peer));
        scene.client.end();
    });
}

#[test]
fn close_by_a_task_while_another_uses_the_socket() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let executor = Executor::new(2, passive()).expect("threads");
        let (mut connection, peer) = client.connect(sim);
        let closer = connection.closer();
        let user = async move {
            let (received, _) = connection.receive(buffer(&[0; 8])).await;
            assert!(is_closed(received.unwrap_err().kind()));
            let (sent, _) = connection.send(buffer(b"late")).await;
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
            connection.close().await.expect("closed");
        };
        executor.spawner().spawn(user).expect("running");
        let task = async move { closer.close() };
        executor.spawner().spawn(task).expect("running");
        executor.shutdown(passive());
        drop(peer);
        client.end();
    });
}

#[test]
fn close_awaited_while_requests_are_in_flight_comes_after_them() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut receive = connection.receive(buffer(&[0; 8]));
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut receive, &wakes).is_pending());
        block_on(sim, connection.close()).expect("closed");
        assert_eq!(wakes.count(), 1, "the receive has not been woken before");
        assert!(
            poll(&mut receive, &wakes).is_ready(),
            "woken, but not ready"
        );
        drop(peer);
        client.end();
    });
}

#[test]
fn listener_closed_by_a_deadline_that_passed_gives_the_port_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let none = listener
            .accept()
            .wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(none.unwrap_err().kind(), ErrorKind::TimedOut);
        let close = listener.close();
        close
            .wait_timeout(Duration::ZERO, passive())
            .expect("a close is not cut short");
        let again = client.listen();
        assert!(sim.connect(address()).is_ok(), "does not listen");
        drop(again);
        client.end();
    });
}

/// A connection came for an accept that nobody polls any more: closing the listener closes it.
#[test]
fn listener_closed_with_a_connection_not_fetched_resets_it() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let wakes = Arc::new(Wakes::default());
        let pending = poll(&mut listener.accept(), &wakes).is_pending();
        let peer = sim.connect(address()).expect("it listens");
        while pending && wakes.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        listener.close().wait(passive()).expect("closed");
        assert!(peer.read(1).is_err(), "nobody has the connection");
        drop(peer);
        client.end();
    });
}

/// A socket that was forgotten is still known to its registration. Its memory is lost.
#[test]
fn close_sockets_closes_a_forgotten_socket() {
    for seed in 0..SCHEDULES {
        let report = wsk_sim::builder().seed(seed).offence(|sim| {
            let client = Client::new();
            let mut listener = client.listen();
            let peer = sim.connect(address()).expect("it listens");
            forget(listener.accept().wait(passive()).expect("accepted"));
            forget(listener);
            client.registration.close_sockets();
            assert!(peer.read(1).is_err(), "the connection is still there");
            drop(peer);
            client.end();
            assert!(sim.connect(address()).is_err(), "still listens");
        });
        assert_eq!(report.rule, Rule::Leak, "{report}");
    }
}

#[test]
fn close_sockets_while_sockets_come_and_go_leaves_none() {
    wsk_sim::builder()
        .preempt_one_in(1)
        .seeds(SCHEDULES, |sim| {
            let client = Client::new();
            let mut listener = client.listen();
            let peers = [(); 3].map(|()| sim.connect(address()).expect("it listens"));
            let accepting = sim.spawn(move || {
                let mut accepted = Vec::new();
                let refused = loop {
                    match listener.accept().wait(passive()) {
                        Ok(connection) => accepted.push(connection),
                        Err(error) => break error.kind(),
                    }
                    // Now and then one goes from the middle.
                    if accepted.len() == 2 {
                        accepted.swap_remove(0);
                    }
                };
                assert!(is_closed(refused), "{refused:?}");
                for connection in &accepted {
                    let sent = connection.socket.send(buffer(b"x")).wait(passive()).0;
                    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
                }
            });
            client.registration.close_sockets();
            accepting.join();
            for peer in &peers {
                assert!(peer.read(1).is_err(), "still connected");
            }
            drop(peers);
            client.end();
        });
}

/// A waker that only remembers, as wakers have to, but whose drop closes a socket.
struct CloseOnDrop(Closer);

impl Wake for CloseOnDrop {
    fn wake(self: Arc<Self>) {
        // The operation's clone goes here; the test keeps another, so that nothing is closed yet.
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Dropping an operation drops the waker that it had stored, outside of every lock and call.
#[test]
fn waker_dropped_with_its_operation_may_close_the_socket() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut receive = connection.receive(buffer(&[0; 8]));
        let waker = Waker::from(Arc::new(CloseOnDrop(connection.closer())));
        let kept = waker.clone();
        let mut context = Context::from_waker(&waker);
        let polled = std::pin::pin!(&mut receive).poll(&mut context);
        assert!(polled.is_pending());
        drop(waker);
        receive.cancel();
        let (_, same) = receive.wait(passive());
        drop(kept);
        let (sent, _) = connection.send(same).wait(passive());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
        drop((connection, peer));
        client.end();
    });
}
