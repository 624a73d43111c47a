//! Receiving with flags, disconnecting, closing, and deregistering [wsk 2.9, 8.7, 9, 10].

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "completion routines in the manner of C")]

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicUsize};
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use wdk_sys::ntddk::KeSetEvent;
use wdk_sys::{
    KEVENT, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_RESET, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::{Peer, Sim, seeds};
use wsk_sys::{
    IoSetCompletionRoutine, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_FLAG_ABORTIVE,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DRAIN, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_NODELAY,
    WSK_FLAG_WAITALL, WSK_PROVIDER_NPI,
};

use crate::common::{Client, Io, Memory, Socket, event, start_socket};
use crate::handlers::{ConnectionHandlers, Packet, Queue};

const SEEDS: u64 = 200;
/// For tests that send much.
const FEW: u64 = 50;
const MINUTE: Duration = Duration::from_mins(1);
/// More than the network holds for a peer that does not read.
const TOO_MUCH: usize = 70_000;

/// A connection without events, and its peer.
fn connected(sim: &Sim, io: &mut Io, client: &Client) -> (Socket, Peer) {
    let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let socket = client.connection(io, "127.0.0.1:0");
    assert_eq!(socket.connect(io, server.local_addr()).0, STATUS_SUCCESS);
    (socket, server.accept())
}

#[test]
fn wsk_8_7_flags_of_receive() {
    seeds(5, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let (socket, _peer) = connected(sim, &mut io, &client);
        let memory = Memory::new(8);
        for (flags, expected) in [
            (WSK_FLAG_WAITALL | WSK_FLAG_DRAIN, STATUS_INVALID_PARAMETER),
            (WSK_FLAG_DRAIN, STATUS_INVALID_PARAMETER),
            (WSK_FLAG_ABORTIVE | 0x100, STATUS_NOT_SUPPORTED),
        ] {
            let outcome = io.call(|irp| socket.start_receive(&memory, flags, irp));
            assert_eq!(outcome.0, expected, "{flags:#x}");
        }
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_7_drain_drops_all_data_until_the_end() {
    seeds(FEW, |sim| {
        let (mut io, mut drain) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        peer.write_all(&[1; 100]).unwrap();
        let status = socket.start_receive_nothing(WSK_FLAG_DRAIN, drain.prepare());
        assert_eq!(status, STATUS_PENDING);
        peer.write_all(&vec![2; TOO_MUCH]).unwrap();
        peer.shut_down();
        assert_eq!(drain.wait(), (STATUS_SUCCESS, 0));
        assert_eq!(socket.receive(&mut io, 9).unwrap(), b"");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_7_drain_ends_with_the_connection_or_its_cancellation() {
    seeds(SEEDS, |sim| {
        let (mut io, mut drain) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        socket.start_receive_nothing(WSK_FLAG_DRAIN, drain.prepare());
        assert!(drain.cancel());
        assert_eq!(drain.wait().0, STATUS_CANCELLED);
        socket.start_receive_nothing(WSK_FLAG_DRAIN, drain.prepare());
        peer.reset();
        assert_eq!(drain.wait().0, STATUS_CONNECTION_RESET);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_7_cancelled_receive_of_all_loses_no_bytes() {
    seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        let memory = Memory::new(100);
        socket.start_receive(&memory, WSK_FLAG_WAITALL, receive.prepare());
        peer.write_all(b"0123456789").unwrap();
        sim.sleep(MINUTE);
        assert!(receive.cancel());
        assert_eq!(receive.wait().0, STATUS_CANCELLED);
        let memory = Memory::new(10);
        let outcome = io.call(|irp| socket.start_receive(&memory, WSK_FLAG_WAITALL, irp));
        assert_eq!(outcome, (STATUS_SUCCESS, 10));
        assert_eq!(memory.read(10), b"0123456789");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_7_receive_of_all_ends_with_the_data() {
    seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        let memory = Memory::new(100);
        socket.start_receive(&memory, WSK_FLAG_WAITALL, receive.prepare());
        peer.write_all(b"0123456789").unwrap();
        peer.shut_down();
        assert_eq!(receive.wait(), (STATUS_SUCCESS, 10));
        assert_eq!(memory.read(10), b"0123456789");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_1_send_completes_when_all_data_is_sent() {
    seeds(FEW, |sim| {
        let (mut io, mut send) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        let memory = Memory::new(TOO_MUCH);
        let status = socket.start_send(&memory, send.prepare());
        assert_eq!(status, STATUS_PENDING);
        sim.sleep(MINUTE);
        assert!(!send.is_complete());
        assert_eq!(peer.read_exact(TOO_MUCH).unwrap().len(), TOO_MUCH);
        assert_eq!(send.wait(), (STATUS_SUCCESS, TOO_MUCH));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_2_flags_of_send() {
    seeds(5, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let (socket, peer) = connected(sim, &mut io, &client);
        let memory = Memory::of(b"abc");
        for (flags, expected) in [
            (WSK_FLAG_NODELAY, STATUS_SUCCESS),
            (1, STATUS_NOT_SUPPORTED),
        ] {
            let buffer = memory.buffer(0, 3);
            let outcome = io.call(|irp| socket.start_send_of(buffer, flags, irp));
            assert_eq!(outcome.0, expected, "{flags:#x}");
        }
        assert_eq!(peer.read_exact(3).unwrap(), b"abc");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_5_disconnect_sends_what_waits_and_the_last_data() {
    seeds(FEW, |sim| {
        let (mut io, mut send, mut end) = (Io::new(), Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        let (memory, last) = (Memory::new(TOO_MUCH), Memory::of(b"last"));
        socket.start_send(&memory, send.prepare());
        socket.start_disconnect(Some(&last), 0, end.prepare());
        let all = peer.read_to_end().unwrap();
        assert_eq!(all.len(), TOO_MUCH + 4);
        assert_eq!(all[TOO_MUCH..], *b"last");
        assert_eq!(send.wait(), (STATUS_SUCCESS, TOO_MUCH));
        assert_eq!(end.wait().0, STATUS_SUCCESS);
        // Nothing more is sent; what the peer sends still comes.
        assert_eq!(socket.send(&mut io, b"x").0, STATUS_INVALID_DEVICE_STATE);
        peer.write_all(b"answer").unwrap();
        assert_eq!(socket.receive(&mut io, 9).unwrap()[0], b'a');
        socket.close(&mut io);
    });
}

/// A connection whose peer does not read, with a send and a graceful disconnect that wait.
struct Stuck {
    socket: Socket,
    peer: Peer,
    send: Io,
    end: Io,
    _memory: [Memory; 2],
}

fn stuck(sim: &Sim, io: &mut Io, client: &Client) -> Stuck {
    let (socket, peer) = connected(sim, io, client);
    let (mut send, mut end) = (Io::new(), Io::new());
    let memory = [Memory::new(TOO_MUCH), Memory::of(b"last")];
    socket.start_send(&memory[0], send.prepare());
    socket.start_disconnect(Some(&memory[1]), 0, end.prepare());
    sim.sleep(MINUTE);
    assert!(!send.is_complete() && !end.is_complete());
    Stuck {
        socket,
        peer,
        send,
        end,
        _memory: memory,
    }
}

#[test]
fn wsk_9_5_disconnect_that_waits_for_ever_is_ended_by_an_abort() {
    seeds(FEW, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let mut stuck = stuck(sim, &mut io, &client);
        let outcome = stuck.socket.disconnect(&mut io, WSK_FLAG_ABORTIVE);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        assert_eq!(stuck.send.wait().0, STATUS_CANCELLED);
        assert_eq!(stuck.end.wait().0, STATUS_CANCELLED);
        sim.sleep(MINUTE);
        assert_eq!(stuck.peer.read(1), Err(STATUS_CONNECTION_RESET));
        stuck.socket.close(&mut io);
    });
}

#[test]
fn wsk_9_5_disconnect_that_waits_for_ever_is_ended_by_the_close() {
    seeds(FEW, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let mut stuck = stuck(sim, &mut io, &client);
        stuck.socket.close(&mut io);
        // [wsk 10.2] They are complete when the close is.
        assert!(stuck.send.is_complete() && stuck.end.is_complete());
        assert_eq!(stuck.send.wait().0, STATUS_CANCELLED);
        assert_eq!(stuck.end.wait().0, STATUS_CANCELLED);
        sim.sleep(MINUTE);
        assert_eq!(stuck.peer.read(1), Err(STATUS_CONNECTION_RESET));
    });
}

#[test]
fn wsk_9_6_abort_takes_no_data_and_ends_both_directions() {
    seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let client = Client::new();
        let (socket, peer) = connected(sim, &mut io, &client);
        let last = Memory::of(b"last");
        let flags = WSK_FLAG_ABORTIVE;
        let outcome = io.call(|irp| socket.start_disconnect(Some(&last), flags, irp));
        assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
        let memory = Memory::new(9);
        socket.start_receive(&memory, 0, receive.prepare());
        assert_eq!(socket.disconnect(&mut io, flags).0, STATUS_SUCCESS);
        assert!(receive.wait().0 < 0);
        assert_eq!(socket.send(&mut io, b"x").0, STATUS_CONNECTION_ABORTED);
        assert_eq!(socket.receive(&mut io, 1), Err(STATUS_CONNECTION_ABORTED));
        assert_eq!(peer.read(1), Err(STATUS_CONNECTION_RESET));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_10_5_close_resets_unless_both_directions_have_ended() {
    seeds(SEEDS, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        for (ours, theirs) in [(false, false), (true, false), (false, true), (true, true)] {
            let (socket, peer) = connected(sim, &mut io, &client);
            if theirs {
                peer.shut_down();
                assert_eq!(socket.receive(&mut io, 1).unwrap(), b"");
            }
            if ours {
                assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
                // The reset must not overtake the end.
                assert_eq!(peer.read(1).unwrap(), b"");
            }
            socket.close(&mut io);
            sim.sleep(MINUTE);
            let end = peer.read(1);
            if ours && theirs {
                assert_eq!(end.unwrap(), b"");
            } else {
                assert_eq!(end, Err(STATUS_CONNECTION_RESET));
            }
        }
    });
}

#[test]
fn wsk_10_2_close_completes_everything_that_is_pending_first() {
    seeds(FEW, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let (socket, _peer) = connected(sim, &mut io, &client);
        let (stalled, memory) = (Memory::new(TOO_MUCH), Memory::new(8));
        let mut pending: Vec<_> = (0..6).map(|_| Io::new()).collect();
        for (number, request) in pending.iter_mut().enumerate() {
            let irp = request.prepare();
            if number % 2 == 0 {
                socket.start_send(&stalled, irp);
            } else {
                socket.start_receive(&memory, 0, irp);
            }
        }
        socket.close(&mut io);
        for request in &mut pending {
            assert!(request.is_complete());
            assert_eq!(request.wait().0, STATUS_CANCELLED);
        }
    });
}

#[test]
fn wsk_10_6_close_is_called_at_dispatch_level() {
    seeds(SEEDS, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let (socket, _peer) = connected(sim, &mut io, &client);
        let irp = io.prepare();
        sim.at_dispatch(|| socket.start_close(irp));
        assert_eq!(io.wait().0, STATUS_SUCCESS);
    });
}

#[test]
fn wsk_10_2_close_in_the_disconnect_event_needs_no_wait() {
    seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let (client, ended) = (Client::new(), Queue::new());
        let packet = Packet::of(&mut close);
        let socket = Arc::new(OnceLock::<Socket>::new());
        let (of_callback, told) = (Arc::clone(&socket), Arc::clone(&ended));
        let handlers = ConnectionHandlers {
            disconnect: Box::new(move |_| {
                of_callback.get().unwrap().start_close(packet.get());
                told.push(());
                STATUS_SUCCESS
            }),
            ..ConnectionHandlers::default()
        };
        let (connection, peer) = client.connection_with(sim, &mut io, &handlers);
        socket.set(connection).unwrap();
        let events = WSK_EVENT_DISCONNECT | WSK_EVENT_RECEIVE;
        assert_eq!(connection.set_events(events), STATUS_SUCCESS);
        peer.write_all(b"x").unwrap();
        peer.shut_down();
        ended.pop();
        assert_eq!(close.wait().0, STATUS_SUCCESS);
    });
}

/// A completion routine that says when it begins and when it is about to return.
struct Slow {
    began: *mut KEVENT,
    steps: usize,
    other: Box<KEVENT>,
    returns: AtomicBool,
}

unsafe extern "C" fn slow(_: PDEVICE_OBJECT, _: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: the context is a `Slow` that outlives the request.
    let slow = unsafe { &*context.cast::<Slow>() };
    // SAFETY: the event of the request.
    unsafe { KeSetEvent(slow.began, 0, 0) };
    for _ in 0..slow.steps {
        // SAFETY: an event that nobody waits for.
        unsafe { KeSetEvent((&raw const *slow.other).cast_mut(), 0, 0) };
    }
    slow.returns.store(true, SeqCst);
    STATUS_MORE_PROCESSING_REQUIRED
}

#[test]
fn wsk_2_9_deregister_waits_for_completion_routines() {
    static STILL_RUNNING: AtomicUsize = AtomicUsize::new(0);
    seeds(500, |_| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let client = Client::new();
        let socket = client.listener(&mut io, "127.0.0.1:7");
        let slow_one = Box::new(Slow {
            began: &raw mut *close.event,
            steps: 20,
            other: event(),
            returns: AtomicBool::new(false),
        });
        let irp = close.prepare();
        let context = (&raw const *slow_one).cast_mut().cast();
        // SAFETY: the IRP has one stack location.
        unsafe { IoSetCompletionRoutine(irp, Some(slow), context, true, true, true) };
        socket.start_close(irp);
        close.wait();
        let running = !slow_one.returns.load(SeqCst);
        STILL_RUNNING.fetch_add(usize::from(running), SeqCst);
        drop(client);
        assert!(slow_one.returns.load(SeqCst));
    });
    assert!(STILL_RUNNING.load(SeqCst) > 0);
}

/// The provider, for another thread.
struct Npi(WSK_PROVIDER_NPI);

// SAFETY: the table may be used by any thread.
unsafe impl Send for Npi {}

impl Npi {
    /// Asks for a socket of two categories, which is refused before the call returns.
    fn refuse_socket(&self, irp: PIRP) -> NTSTATUS {
        let flags = WSK_FLAG_LISTEN_SOCKET | WSK_FLAG_CONNECTION_SOCKET;
        start_socket(self.0, (2, 1, 6), flags, ptr::null(), ptr::null(), irp)
    }
}

#[test]
fn wsk_2_9_deregister_waits_for_calls_that_have_not_returned() {
    static STILL_RUNNING: AtomicUsize = AtomicUsize::new(0);
    seeds(500, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let (npi, packet) = (Npi(client.npi), Packet::of(&mut io));
        let returned = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&returned);
        let caller = sim.spawn(move || {
            npi.refuse_socket(packet.get());
            told.store(true, SeqCst);
        });
        assert_eq!(io.wait().0, STATUS_INVALID_PARAMETER);
        let running = !returned.load(SeqCst);
        STILL_RUNNING.fetch_add(usize::from(running), SeqCst);
        drop(client);
        assert!(returned.load(SeqCst));
        caller.join();
    });
    assert!(STILL_RUNNING.load(SeqCst) > 0);
}
