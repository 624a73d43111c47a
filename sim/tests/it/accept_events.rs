//! Accepting by event [wsk 6, 7.1, 7.2, 7.3, 7.4, 7.5].

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use wdk_sys::{
    STATUS_CONNECTION_RESET, STATUS_FILE_FORCED_CLOSED, STATUS_INVALID_PARAMETER, STATUS_PENDING,
    STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS,
};
use wsk_sim::{Peer, Sim, seeds};
use wsk_sys::{WSK_EVENT_ACCEPT, WSK_EVENT_RECEIVE, WSK_FLAG_AT_DISPATCH_LEVEL};

use crate::common::{Address, Client, Io, Socket};
use crate::enabling::disable_and_wait;
use crate::handlers::{ConnectionHandlers, ListenHandlers, Packet, Queue, Table, is_passive};
use crate::requests::ADDRESS;

const SEEDS: u64 = 200;

pub fn dial(sim: &Sim) -> Peer {
    sim.connect(ADDRESS.parse().unwrap()).unwrap()
}

/// Connects where nobody keeps the connection.
pub fn dial_to_be_reset(sim: &Sim) {
    assert_eq!(dial(sim).read(1), Err(STATUS_CONNECTION_RESET));
}

/// Handlers that accept every connection without events and tell it.
pub fn accepting(accepted: &Arc<Queue<Socket>>) -> ListenHandlers {
    let accepted = Arc::clone(accepted);
    ListenHandlers {
        accept: Box::new(move |offer| {
            let status = offer.accept();
            offer
                .socket
                .into_iter()
                .for_each(|socket| accepted.push(socket));
            status
        }),
        ..ListenHandlers::default()
    }
}

/// Sends a byte to the driver and back.
pub fn check_exchange(io: &mut Io, socket: Socket, peer: &Peer) {
    peer.write_all(b"?").unwrap();
    assert_eq!(socket.receive(io, 16).unwrap(), b"?");
    assert_eq!(socket.send(io, b"!").0, STATUS_SUCCESS);
    assert_eq!(peer.read_exact(1).unwrap(), b"!");
}

#[test]
fn wsk_7_2_accept_event_hands_over_a_connection_that_works() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let told = Arc::clone(&log);
        let handlers = ListenHandlers {
            accept: Box::new(move |offer| {
                told.push((offer.socket, offer.addresses()));
                offer.accept()
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        for _ in 0..3 {
            let peer = dial(sim);
            let (socket, (local, remote)) = log.pop();
            assert_eq!((remote, local), peer.addresses());
            let socket = socket.unwrap();
            assert_eq!(socket.address(&mut io, false), Ok(local));
            assert_eq!(socket.address(&mut io, true), Ok(remote));
            check_exchange(&mut io, socket, &peer);
            socket.close(&mut io);
        }
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_2_refused_connection_is_closed_by_the_provider() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, refused) = (Client::new(), Queue::new());
        let told = Arc::clone(&refused);
        let handlers = ListenHandlers {
            accept: Box::new(move |_| {
                told.push(());
                STATUS_REQUEST_NOT_ACCEPTED
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        dial_to_be_reset(sim);
        refused.pop();
        listener.close(&mut io);
    });
}

#[test]
fn wsk_1_1_dispatch_flag_is_set_at_dispatch_level_only() {
    // [irql][flag]: passive with the flag must not occur, the others must.
    static SEEN: [[AtomicU32; 2]; 2] = [const { [const { AtomicU32::new(0) }; 2] }; 2];
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, done) = (Client::new(), Queue::new());
        let told = Arc::clone(&done);
        let handlers = ListenHandlers {
            accept: Box::new(move |offer| {
                let flag = offer.flags & WSK_FLAG_AT_DISPATCH_LEVEL != 0;
                SEEN[usize::from(!is_passive())][usize::from(flag)].fetch_add(1, SeqCst);
                told.push(());
                STATUS_REQUEST_NOT_ACCEPTED
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        dial_to_be_reset(sim);
        done.pop();
        listener.close(&mut io);
    });
    let seen = |irql: usize, flag: usize| SEEN[irql][flag].load(SeqCst);
    assert_eq!(seen(0, 1), 0);
    assert!(seen(0, 0) > 0 && seen(1, 0) > 0 && seen(1, 1) > 0);
}

/// One peer that says who it is, and is told when it was served.
fn numbered_peer(sim: &Sim, number: u8) -> wsk_sim::Task<()> {
    let sim2 = sim.clone();
    sim.spawn(move || {
        let peer = dial(&sim2);
        peer.write_all(&[number]).unwrap();
        assert_eq!(peer.read_exact(1).unwrap(), [number]);
    })
}

/// Answers a numbered peer, and returns its number.
fn serve(io: &mut Io, socket: Socket) -> u8 {
    let number = socket.receive(io, 1).unwrap();
    assert_eq!(socket.send(io, &number).0, STATUS_SUCCESS);
    assert_eq!(socket.receive(io, 1), Err(STATUS_CONNECTION_RESET));
    socket.close(io);
    number[0]
}

static BY_CALL: AtomicUsize = AtomicUsize::new(0);

fn accept_by_call(
    listener: Socket,
    accepted: &Queue<Socket>,
    waiting: &AtomicBool,
    last: &AtomicBool,
) {
    let mut io = Io::new();
    loop {
        let status = listener.start_accept(io.prepare());
        waiting.store(status == STATUS_PENDING, SeqCst);
        let (status, socket) = io.wait();
        waiting.store(false, SeqCst);
        assert_eq!(status, STATUS_SUCCESS);
        BY_CALL.fetch_add(1, SeqCst);
        let end = last.load(SeqCst);
        accepted.push(Socket::new(socket));
        if end {
            return;
        }
    }
}

#[test]
fn wsk_7_1_race_of_event_and_call_loses_and_doubles_no_connection() {
    const PEERS: u8 = 4;
    static BY_EVENT: AtomicUsize = AtomicUsize::new(0);
    static DURING_CALL: AtomicUsize = AtomicUsize::new(0);
    seeds(500, |sim| {
        let mut io = Io::new();
        let (client, accepted) = (Client::new(), Queue::new());
        let waiting = Arc::new(AtomicBool::new(false));
        let last = Arc::new(AtomicBool::new(false));
        let handlers = {
            let (accepted, waiting) = (Arc::clone(&accepted), Arc::clone(&waiting));
            ListenHandlers {
                accept: Box::new(move |offer| {
                    BY_EVENT.fetch_add(1, SeqCst);
                    DURING_CALL.fetch_add(usize::from(waiting.load(SeqCst)), SeqCst);
                    let status = offer.accept();
                    offer
                        .socket
                        .into_iter()
                        .for_each(|socket| accepted.push(socket));
                    status
                }),
                ..ListenHandlers::default()
            }
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let peers: Vec<_> = (0..PEERS)
            .map(|number| numbered_peer(sim, number))
            .collect();
        let by_call = {
            let (waiting, last) = (Arc::clone(&waiting), Arc::clone(&last));
            let accepted = Arc::clone(&accepted);
            sim.spawn(move || accept_by_call(listener, &accepted, &waiting, &last))
        };
        let served: BTreeSet<u8> = (0..PEERS).map(|_| serve(&mut io, accepted.pop())).collect();
        assert_eq!(served.len(), usize::from(PEERS));
        peers.into_iter().for_each(wsk_sim::Task::join);
        // One more, for the call that waits.
        disable_and_wait(&mut io, listener, WSK_EVENT_ACCEPT);
        last.store(true, SeqCst);
        let peer = numbered_peer(sim, PEERS);
        assert_eq!(serve(&mut io, accepted.pop()), PEERS);
        peer.join();
        by_call.join();
        listener.close(&mut io);
        assert!(accepted.is_empty());
    });
    for count in [&BY_EVENT, &BY_CALL, &DURING_CALL] {
        assert!(count.load(SeqCst) > 0);
    }
}

#[test]
fn wsk_6_6_bits_of_the_listener_apply_to_sockets_of_its_event_only() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, accepted) = (Client::new(), Queue::new());
        let data = Queue::new();
        let connection = Arc::new(hearing(&data));
        let handlers = {
            let (accepted, connection) = (Arc::clone(&accepted), Arc::clone(&connection));
            ListenHandlers {
                accept: Box::new(move |offer| {
                    let status = offer.accept_with(&connection);
                    offer
                        .socket
                        .into_iter()
                        .for_each(|socket| accepted.push(socket));
                    status
                }),
                ..ListenHandlers::default()
            }
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        let enabled = listener.set_events(WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE);
        assert_eq!(enabled, STATUS_SUCCESS);

        let by_event = dial(sim);
        by_event.write_all(b"event").unwrap();
        let first = accepted.pop();
        assert_eq!(heard(&data, 5), b"event");

        // They cannot be disabled, and survive the accept event.
        assert_eq!(
            listener.disable(WSK_EVENT_RECEIVE),
            STATUS_INVALID_PARAMETER
        );
        disable_and_wait(&mut io, listener, WSK_EVENT_ACCEPT);
        let by_call = dial(sim);
        by_call.write_all(b"call").unwrap();
        let context = Arc::as_ptr(&connection).cast();
        let mut addresses = [Address::empty(), Address::empty()];
        let (status, second) = io
            .call(|irp| listener.start_accept_to(context, Table::CONNECTION, &mut addresses, irp));
        assert_eq!(status, STATUS_SUCCESS);
        let second = Socket::new(second);
        assert_eq!(second.receive(&mut io, 9).unwrap()[0], b'c');

        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let again = dial(sim);
        again.write_all(b"again").unwrap();
        let third = accepted.pop();
        assert_eq!(heard(&data, 5), b"again");
        for socket in [first, second, third, listener] {
            socket.close(&mut io);
        }
    });
}

/// Handlers that take all data and tell it.
fn hearing(data: &Arc<Queue<Vec<u8>>>) -> ConnectionHandlers {
    let data = Arc::clone(data);
    ConnectionHandlers {
        receive: Box::new(move |indication| {
            data.push(indication.list.data());
            STATUS_SUCCESS
        }),
        ..ConnectionHandlers::default()
    }
}

fn heard(data: &Queue<Vec<u8>>, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(data.pop());
    }
    all
}

#[test]
fn wsk_6_8_events_may_be_enabled_in_the_accept_event() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let data = Queue::new();
        let connection = Arc::new(hearing(&data));
        let handlers = {
            let (log, connection) = (Arc::clone(&log), Arc::clone(&connection));
            ListenHandlers {
                accept: Box::new(move |offer| {
                    let status = offer.accept_with(&connection);
                    let socket = offer.socket.unwrap();
                    log.push((socket, socket.set_events(WSK_EVENT_RECEIVE)));
                    status
                }),
                ..ListenHandlers::default()
            }
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let peer = dial(sim);
        peer.write_all(b"early").unwrap();
        let (socket, enabled) = log.pop();
        assert_eq!(enabled, STATUS_SUCCESS);
        assert_eq!(heard(&data, 5), b"early");
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_4_accept_writes_both_addresses_and_enables_no_event() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, handlers) = (Client::new(), ListenHandlers::default());
        let data = Queue::new();
        let connection = hearing(&data);
        let listener = client.listener_with(&mut io, &handlers, false);
        let irp = io.prepare();
        let mut addresses = [Address::empty(), Address::empty()];
        let context = core::ptr::from_ref(&connection).cast();
        listener.start_accept_to(context, Table::CONNECTION, &mut addresses, irp);
        let peer = dial(sim);
        let (status, socket) = io.wait();
        assert_eq!(status, STATUS_SUCCESS);
        let [local, remote] = addresses.map(|address| address.to_socket());
        assert_eq!((remote, local), peer.addresses());
        check_exchange(&mut io, Socket::new(socket), &peer);
        assert!(data.is_empty());
        Socket::new(socket).close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_5_dead_listener_is_told_by_a_null_socket_once() {
    seeds(SEEDS, |sim| {
        let (mut io, mut accept) = (Io::new(), Io::new());
        let (client, log) = (Client::new(), Queue::new());
        let told = Arc::clone(&log);
        let handlers = ListenHandlers {
            accept: Box::new(move |offer| {
                told.push(offer.socket.is_none());
                STATUS_REQUEST_NOT_ACCEPTED
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        listener.start_accept(accept.prepare());
        sim.break_sockets();
        assert!(log.pop());
        // [wsk 9.9]
        assert_eq!(accept.wait().0, STATUS_FILE_FORCED_CLOSED);
        assert_eq!(listener.accept(&mut io).0, STATUS_FILE_FORCED_CLOSED);
        sim.sleep(core::time::Duration::from_secs(1));
        assert!(log.is_empty());
        listener.close(&mut io);
    });
}

#[test]
fn wsk_10_6_close_is_started_in_the_accept_event() {
    seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let client = Client::new();
        let irp = Packet::of(&mut close);
        let listener = Arc::new(OnceLock::<Socket>::new());
        let handlers = {
            let listener = Arc::clone(&listener);
            ListenHandlers {
                accept: Box::new(move |_| {
                    listener.get().unwrap().start_close(irp.get());
                    STATUS_REQUEST_NOT_ACCEPTED
                }),
                ..ListenHandlers::default()
            }
        };
        let socket = client.listener_with(&mut io, &handlers, false);
        listener.set(socket).unwrap();
        assert_eq!(socket.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        dial_to_be_reset(sim);
        assert_eq!(close.wait().0, STATUS_SUCCESS);
    });
}

#[test]
fn wsk_10_6_new_connection_is_closed_in_its_accept_event() {
    seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let client = Client::new();
        let irp = Packet::of(&mut close);
        let handlers = ListenHandlers {
            accept: Box::new(move |offer| {
                let status = offer.accept();
                offer.socket.unwrap().start_close(irp.get());
                status
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        dial_to_be_reset(sim);
        assert_eq!(close.wait().0, STATUS_SUCCESS);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_10_2_close_waits_for_callbacks_that_run() {
    static WAITED: AtomicU32 = AtomicU32::new(0);
    seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let client = Client::new();
        let (entered, leave) = (Queue::new(), Queue::new());
        let returned = Arc::new(AtomicBool::new(false));
        let handlers = {
            let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
            let returned = Arc::clone(&returned);
            ListenHandlers {
                accept: Box::new(move |_| {
                    let stays = is_passive();
                    entered.push(stays);
                    if stays {
                        leave.pop();
                    }
                    returned.store(true, SeqCst);
                    STATUS_REQUEST_NOT_ACCEPTED
                }),
                ..ListenHandlers::default()
            }
        };
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let _peer = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
        let stays = entered.pop();
        let status = listener.start_close(close.prepare());
        if stays {
            assert_eq!(status, STATUS_PENDING);
            WAITED.fetch_add(1, SeqCst);
        }
        leave.push(());
        assert_eq!(close.wait().0, STATUS_SUCCESS);
        assert!(returned.load(SeqCst), "closed before the callback returned");
    });
    assert!(WAITED.load(SeqCst) > 0);
}
