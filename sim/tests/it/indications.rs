//! Receiving by event: lists, what the client does with them, the end of the data, and races with
//! `WskReceive` [wsk 8, 9.7].

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicUsize};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use wdk_sys::{
    NTSTATUS, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_DATA_NOT_ACCEPTED,
    STATUS_FILE_FORCED_CLOSED, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::{Sim, seeds};
use wsk_sys::{
    WSK_EVENT_DISABLE, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG,
    WSK_FLAG_ABORTIVE, WSK_FLAG_AT_DISPATCH_LEVEL, WSK_FLAG_ENTIRE_MESSAGE, WSK_FLAG_RELEASE_ASAP,
    WSK_FLAG_WAITALL,
};

use crate::common::{Client, Io, Socket};
use crate::handlers::{ConnectionHandlers, List, Queue, is_passive};
use crate::requests::{Bytes, RecordedReceive};

const SEEDS: u64 = 200;
const SECOND: Duration = Duration::from_secs(1);

/// Bytes of which each says where it belongs.
fn pattern(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

/// Handlers with another receive event.
fn receiving(
    receive: impl Fn(&crate::handlers::Indication) -> NTSTATUS + Send + Sync + 'static,
) -> ConnectionHandlers {
    ConnectionHandlers {
        receive: Box::new(move |indication| receive(&indication)),
        ..ConnectionHandlers::default()
    }
}

/// Takes events of data until `count` bytes have come.
fn gather(data: &Queue<Vec<u8>>, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(data.pop());
    }
    all
}

#[test]
fn wsk_8_9_lists_of_several_indications_and_mdls_hold_the_bytes_sent() {
    static SEEN: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, data) = (Client::new(), Queue::new());
        let told = Arc::clone(&data);
        let handlers = receiving(move |indication| {
            let shape = indication.list.shape();
            SEEN[0].fetch_add(usize::from(shape.indications > 1), SeqCst);
            SEEN[1].fetch_add(usize::from(shape.mdls > shape.indications), SeqCst);
            SEEN[2].fetch_add(shape.offsets, SeqCst);
            if shape.data.len() == indication.length {
                told.push(shape.data);
            }
            STATUS_SUCCESS
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(3000)).unwrap();
        assert_eq!(gather(&data, 3000), pattern(3000));
        socket.close(&mut io);
    });
    assert!(SEEN.iter().all(|seen| seen.load(SeqCst) > 0), "{SEEN:?}");
}

/// What a handler did with an indication: how many bytes there were, and how many it took.
type Taken = (Vec<u8>, usize);

/// Handlers that take as many bytes as `choose` says, or return a status.
fn choosy(
    log: &Arc<Queue<Taken>>,
    choose: impl Fn(usize, usize) -> Result<usize, NTSTATUS> + Send + Sync + 'static,
) -> ConnectionHandlers {
    let (log, calls) = (Arc::clone(log), AtomicUsize::new(0));
    receiving(move |indication| {
        let data = indication.list.data();
        let choice = choose(calls.fetch_add(1, SeqCst), data.len());
        log.push((data, choice.unwrap_or(0)));
        choice.map_or_else(|status| status, |count| indication.accept(count))
    })
}

#[test]
fn wsk_8_2_rest_of_partly_accepted_data_is_received_and_then_events_go_on() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = choosy(&log, |call, length| {
            Ok(if call == 0 { length / 2 } else { length })
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(100)).unwrap();
        let (first, taken) = log.pop();
        let mut stream = first[..taken].to_vec();
        sim.sleep(SECOND);
        assert!(log.is_empty(), "called before a receive has completed");
        stream.extend(socket.receive(&mut io, 1).unwrap());
        while stream.len() < 100 {
            stream.extend(log.pop().0);
        }
        assert_eq!(stream, pattern(100));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_2_receive_of_no_bytes_lets_events_go_on() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = choosy(&log, |call, length| match call {
            0 => Err(STATUS_DATA_NOT_ACCEPTED),
            1 => Ok(1),
            _ => Ok(length),
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(100)).unwrap();
        let mut stream: Vec<u8> = Vec::new();
        while stream.len() < 100 {
            let (data, taken) = log.pop();
            stream.extend(&data[..taken]);
            if taken < data.len() {
                sim.sleep(SECOND);
                assert!(log.is_empty(), "called before a receive has completed");
                assert_eq!(socket.receive_nothing(&mut io, 0), (STATUS_SUCCESS, 0));
            }
        }
        assert_eq!(stream, pattern(100));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_2_data_not_accepted_is_received() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = choosy(&log, |_, _| Err(STATUS_DATA_NOT_ACCEPTED));
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(100)).unwrap();
        log.pop();
        let mut stream = Vec::new();
        while stream.len() < 100 {
            stream.extend(socket.receive(&mut io, 100).unwrap());
        }
        assert_eq!(stream, pattern(100));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_2_retained_lists_stay_until_they_are_released_in_any_order() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, lists) = (Client::new(), Queue::new());
        let told = Arc::clone(&lists);
        let handlers = receiving(move |indication| {
            told.push((indication.list, indication.length));
            STATUS_PENDING
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(500)).unwrap();
        let (mut kept, mut length): (Vec<List>, usize) = (Vec::new(), 0);
        while length < 500 {
            let (list, bytes) = lists.pop();
            kept.push(list);
            length += bytes;
        }
        let stream: Vec<u8> = kept.iter().flat_map(|list| list.data()).collect();
        assert_eq!(stream, pattern(500));
        let middle = kept.len() / 2;
        kept.rotate_left(middle);
        let task = sim.spawn(move || {
            for list in kept {
                assert_eq!(socket.release(list), STATUS_SUCCESS);
            }
        });
        task.join();
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_6_list_may_be_released_before_its_callback_has_returned() {
    static BEFORE: AtomicUsize = AtomicUsize::new(0);
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, lists, released) = (Client::new(), Queue::new(), Queue::new());
        let (told, wait) = (Arc::clone(&lists), Arc::clone(&released));
        let handlers = receiving(move |indication| {
            told.push(indication.list);
            if is_passive() {
                wait.pop();
                BEFORE.fetch_add(1, SeqCst);
            }
            STATUS_PENDING
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(b"x").unwrap();
        let list = lists.pop();
        assert_eq!(list.data(), b"x");
        assert_eq!(socket.release(list), STATUS_SUCCESS);
        released.push(());
        socket.close(&mut io);
    });
    assert!(BEFORE.load(SeqCst) > 0);
}

#[test]
fn wsk_8_3_receive_events_of_a_socket_are_serial() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, data) = (Client::new(), Queue::new());
        let (inside, overlap) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
        let (told, seen, sim2) = (Arc::clone(&data), Arc::clone(&overlap), sim.clone());
        let handlers = receiving(move |indication| {
            seen.fetch_or(inside.swap(true, SeqCst), SeqCst);
            if is_passive() {
                sim2.sleep(Duration::from_millis(1));
            }
            told.push(indication.list.data());
            inside.store(false, SeqCst);
            STATUS_SUCCESS
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        for piece in pattern(60).chunks(10) {
            peer.write_all(piece).unwrap();
        }
        assert_eq!(gather(&data, 60), pattern(60));
        assert!(!overlap.load(SeqCst));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_4_flags_of_the_receive_event() {
    const KNOWN: u32 = WSK_FLAG_RELEASE_ASAP | WSK_FLAG_ENTIRE_MESSAGE | WSK_FLAG_AT_DISPATCH_LEVEL;
    static SEEN: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, data) = (Client::new(), Queue::new());
        let told = Arc::clone(&data);
        let handlers = receiving(move |indication| {
            let flags = indication.flags;
            let at_dispatch = flags & WSK_FLAG_AT_DISPATCH_LEVEL != 0;
            let wrong = flags & !KNOWN != 0 || at_dispatch && is_passive();
            WRONG.fetch_add(usize::from(wrong), SeqCst);
            for (seen, flag) in SEEN.iter().zip([
                WSK_FLAG_RELEASE_ASAP,
                WSK_FLAG_ENTIRE_MESSAGE,
                WSK_FLAG_AT_DISPATCH_LEVEL,
            ]) {
                seen.fetch_add(usize::from(flags & flag != 0), SeqCst);
            }
            told.push(indication.list.data());
            STATUS_SUCCESS
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(50)).unwrap();
        gather(&data, 50);
        socket.close(&mut io);
    });
    assert_eq!(WRONG.load(SeqCst), 0);
    assert!(SEEN.iter().all(|seen| seen.load(SeqCst) > 0), "{SEEN:?}");
}

#[test]
fn wsk_6_4_data_after_disabling_is_received_by_call() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, data) = (Client::new(), Queue::new());
        let told = Arc::clone(&data);
        let handlers = receiving(move |indication| {
            told.push(indication.list.data());
            STATUS_SUCCESS
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(&pattern(40)).unwrap();
        let mut stream = data.pop();
        let disable = WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE;
        let outcome = io.call(|irp| socket.start_set_events(disable, irp));
        assert_eq!(outcome.0, STATUS_SUCCESS);
        stream.extend(data.items().concat());
        let events = data.len();
        while stream.len() < 40 {
            stream.extend(socket.receive(&mut io, 40).unwrap());
        }
        assert_eq!(stream, pattern(40));
        assert_eq!(data.len(), events);
        socket.close(&mut io);
    });
}

/// What a connection tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    Data(Vec<u8>),
    End(u32),
}

/// Handlers that tell everything; the first so many indications are refused.
fn telling(log: &Arc<Queue<News>>, refuse: usize) -> ConnectionHandlers {
    let (data, end, calls) = (Arc::clone(log), Arc::clone(log), AtomicUsize::new(0));
    ConnectionHandlers {
        receive: Box::new(move |indication| {
            if calls.fetch_add(1, SeqCst) < refuse {
                return STATUS_DATA_NOT_ACCEPTED;
            }
            data.push(News::Data(indication.list.data()));
            STATUS_SUCCESS
        }),
        disconnect: Box::new(move |flags| {
            end.push(News::End(flags & !WSK_FLAG_AT_DISPATCH_LEVEL));
            STATUS_SUCCESS
        }),
        ..ConnectionHandlers::default()
    }
}

const BOTH: u32 = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT;

#[test]
fn wsk_9_7_graceful_end_is_told_once_after_all_data() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = telling(&log, 0);
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(BOTH), STATUS_SUCCESS);
        peer.write_all(&pattern(300)).unwrap();
        peer.shut_down();
        let mut stream = Vec::new();
        while let News::Data(data) = log.pop() {
            stream.extend(data);
        }
        assert_eq!(stream, pattern(300));
        sim.sleep(SECOND);
        assert!(log.is_empty());
        // Sending is still possible.
        assert_eq!(socket.send(&mut io, b"bye").0, STATUS_SUCCESS);
        assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        assert_eq!(peer.read_to_end().unwrap(), b"bye");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_7_graceful_end_waits_for_data_that_was_refused() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = telling(&log, usize::MAX);
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(BOTH), STATUS_SUCCESS);
        peer.write_all(b"x").unwrap();
        peer.shut_down();
        sim.sleep(SECOND);
        assert!(log.is_empty());
        assert_eq!(socket.receive(&mut io, 9).unwrap(), b"x");
        assert_eq!(log.pop(), News::End(0));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_7_reset_is_told_once_although_data_was_refused() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = telling(&log, usize::MAX);
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(BOTH), STATUS_SUCCESS);
        peer.write_all(b"x").unwrap();
        sim.sleep(SECOND);
        peer.reset();
        assert_eq!(log.pop(), News::End(WSK_FLAG_ABORTIVE));
        sim.sleep(SECOND);
        assert!(log.is_empty());
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_7_end_that_came_before_the_event_was_enabled_is_told() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = telling(&log, 0);
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        peer.shut_down();
        sim.sleep(SECOND);
        for _ in 0..3 {
            assert_eq!(socket.set_events(WSK_EVENT_DISCONNECT), STATUS_SUCCESS);
            let disable = WSK_EVENT_DISCONNECT | WSK_EVENT_DISABLE;
            let outcome = io.call(|irp| socket.start_set_events(disable, irp));
            assert_eq!(outcome.0, STATUS_SUCCESS);
        }
        assert_eq!(socket.set_events(WSK_EVENT_DISCONNECT), STATUS_SUCCESS);
        assert_eq!(log.pop(), News::End(0));
        sim.sleep(SECOND);
        assert!(log.is_empty());
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_7_own_abort_is_no_event() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let handlers = telling(&log, 0);
        let (socket, _peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(BOTH), STATUS_SUCCESS);
        let outcome = socket.disconnect(&mut io, WSK_FLAG_ABORTIVE);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        sim.sleep(SECOND);
        assert!(log.is_empty());
        assert_eq!(socket.receive(&mut io, 1), Err(STATUS_CONNECTION_ABORTED));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_1_backlog_event_tells_of_changes_while_data_is_sent() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    seeds(50, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let handlers = ConnectionHandlers {
            backlog: Box::new(|ideal| {
                TOLD.fetch_add(usize::from(ideal > 0), SeqCst);
                STATUS_SUCCESS
            }),
            ..ConnectionHandlers::default()
        };
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_SEND_BACKLOG), STATUS_SUCCESS);
        for byte in pattern(20) {
            assert_eq!(socket.send(&mut io, &[byte]).0, STATUS_SUCCESS);
        }
        assert_eq!(peer.read_exact(20).unwrap(), pattern(20));
        socket.close(&mut io);
    });
    assert!(TOLD.load(SeqCst) > 0);
}

#[test]
fn wsk_8_1_dead_connection_is_told_by_a_null_list_once() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Queue::new());
        let told = Arc::clone(&log);
        let handlers = receiving(move |indication| {
            told.push(indication.is_death());
            STATUS_DATA_NOT_ACCEPTED
        });
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        // Also a client that takes no data is told.
        peer.write_all(b"x").unwrap();
        assert!(!log.pop());
        sim.break_sockets();
        assert!(log.pop());
        sim.sleep(SECOND);
        assert!(log.is_empty());
        // [wsk 9.9]
        assert_eq!(socket.receive(&mut io, 1), Err(STATUS_FILE_FORCED_CLOSED));
        socket.close(&mut io);
    });
}

/// How the bytes of the test below were taken, over all schedules.
static TAKEN: [AtomicUsize; 7] = [const { AtomicUsize::new(0) }; 7];

fn count(way: usize) {
    TAKEN[way].fetch_add(1, SeqCst);
}

/// Handlers that do everything that a receive event may do, and enter what they have taken.
fn fickle(stream: &Bytes, retained: &Arc<Queue<List>>) -> ConnectionHandlers {
    let (stream, retained) = (Arc::clone(stream), Arc::clone(retained));
    receiving(move |indication| {
        let data = indication.list.data();
        let taken = match data[0] % 4 {
            0 => data.len(),
            1 => data.len() / 2,
            2 => {
                count(2);
                return STATUS_DATA_NOT_ACCEPTED;
            }
            _ => {
                count(3);
                stream.lock().unwrap().extend(data);
                retained.push(indication.list);
                return STATUS_PENDING;
            }
        };
        count(usize::from(taken < data.len()));
        stream.lock().unwrap().extend(&data[..taken]);
        indication.accept(taken)
    })
}

/// Receives until the end, in pieces, sometimes all that was asked for; cancels some.
fn receive_by_call(sim: &Sim, socket: Socket, stream: &Bytes) {
    for number in 0_usize.. {
        let length = 1 + number % 7 * 10;
        let all = number.is_multiple_of(2);
        let mut receive = RecordedReceive::new(length, stream);
        receive.start(socket, if all { WSK_FLAG_WAITALL } else { 0 });
        if number.is_multiple_of(3) {
            sim.sleep(Duration::from_millis(1));
            receive.cancel();
        }
        match receive.wait() {
            (STATUS_SUCCESS, 0) => return,
            (STATUS_SUCCESS, _) => count(4),
            (STATUS_CANCELLED, _) => count(if all { 5 } else { 6 }),
            (status, _) => panic!("{status:#x}"),
        }
        sim.sleep(Duration::from_millis(1));
    }
}

#[test]
fn wsk_7_1_race_of_receive_and_its_event_loses_and_reorders_nothing() {
    const LENGTH: usize = 600;
    seeds(500, |sim| {
        let mut io = Io::new();
        let (client, retained) = (Client::new(), Queue::new());
        let stream: Bytes = Arc::new(Mutex::default());
        let handlers = fickle(&stream, &retained);
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        let sim2 = sim.clone();
        let writer = sim.spawn(move || {
            for piece in pattern(LENGTH).chunks(37) {
                peer.write_all(piece).unwrap();
                sim2.sleep(Duration::from_millis(1));
            }
            peer.shut_down();
            peer
        });
        receive_by_call(sim, socket, &stream);
        drop(writer.join());
        let (got, sent) = (stream.lock().unwrap().clone(), pattern(LENGTH));
        let first = got.iter().zip(&sent).position(|(got, sent)| got != sent);
        assert_eq!((first, got.len()), (None, LENGTH), "where it differs");
        while !retained.is_empty() {
            assert_eq!(socket.release(retained.pop()), STATUS_SUCCESS);
        }
        socket.close(&mut io);
    });
    assert!(TAKEN.iter().all(|way| way.load(SeqCst) > 0), "{TAKEN:?}");
}
