//! Each test breaks a rule about events, and expects exactly that report.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "breaks the rules of WSK")]

use core::ffi::c_void;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use wdk_sys::ntddk::ExFreePool;
use wdk_sys::{
    NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_REQUEST_NOT_ACCEPTED,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use wsk_sim::{Peer, Rule, Sim, builder};
use wsk_sys::{
    WSK_EVENT_ACCEPT, WSK_EVENT_DISABLE, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE,
    WSK_EVENT_SEND_BACKLOG, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

use crate::common::{Address, Client, Io, Memory, Socket};
use crate::driver::{NON_PAGED, PAGED, allocate, expect};
use crate::handlers::{
    ConnectionHandlers, Indication, List, ListenHandlers, Offer, Packet, Queue, Table, is_passive,
};
use crate::requests::ADDRESS;

const SECOND: Duration = Duration::from_secs(1);

/// A connection whose receive event does `receive`, and its peer. Both are never closed.
fn receiving(
    sim: &Sim,
    io: &mut Io,
    receive: impl Fn(&Indication) -> NTSTATUS + Send + Sync + 'static,
) -> (Socket, &'static Peer) {
    let handlers = ConnectionHandlers {
        receive: Box::new(move |indication| receive(&indication)),
        ..ConnectionHandlers::default()
    };
    let client = Box::leak(Box::new(Client::new()));
    let (socket, peer) = client.connection_with(sim, io, Box::leak(Box::new(handlers)));
    assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
    (socket, Box::leak(Box::new(peer)))
}

/// A connection whose receive event returns `status`, and the list that it got.
fn with_list(sim: &Sim, io: &mut Io, status: NTSTATUS) -> (Socket, List) {
    let lists = Queue::new();
    let told = Arc::clone(&lists);
    let (socket, peer) = receiving(sim, io, move |indication| {
        told.push(indication.list);
        status
    });
    peer.write_all(&[7; 100]).unwrap();
    let list = lists.pop();
    sim.sleep(SECOND);
    (socket, list)
}

/// A listener whose accept event does `accept`, and is called once.
fn accepting(
    sim: &Sim,
    io: &mut Io,
    events: u32,
    accept: impl Fn(&Offer) -> NTSTATUS + Send + Sync + 'static,
) -> Socket {
    let handlers = ListenHandlers {
        accept: Box::new(move |offer| accept(&offer)),
        ..ListenHandlers::default()
    };
    let client = Box::leak(Box::new(Client::new()));
    let listener = client.listener_with(io, Box::leak(Box::new(handlers)), false);
    assert_eq!(listener.set_events(events), STATUS_SUCCESS);
    let peer = sim.connect(ADDRESS.parse().unwrap());
    Box::leak(Box::new(peer));
    sim.sleep(SECOND);
    listener
}

#[test]
fn wsk_8_6_and_10_4_close_with_retained_list_is_reported() {
    expect(Rule::RetainedAtClose, "Connection socket", |sim| {
        let mut io = Io::new();
        let (socket, _) = with_list(sim, &mut io, STATUS_PENDING);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_6_list_retained_after_the_socket_was_closed_is_reported() {
    expect(Rule::RetainedAtClose, "when the socket was closed", |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let packet = Packet::of(&mut close);
        let socket = Arc::new(OnceLock::<Socket>::new());
        let of_callback = Arc::clone(&socket);
        let (connection, peer) = receiving(sim, &mut io, move |_| {
            of_callback.get().unwrap().start_close(packet.get());
            STATUS_PENDING
        });
        socket.set(connection).unwrap();
        peer.write_all(b"x").unwrap();
        sim.sleep(SECOND);
    });
}

#[test]
fn wsk_8_6_release_of_an_unknown_list_is_reported() {
    expect(Rule::ReleaseUnknown, "released to the Connection", |sim| {
        let mut io = Io::new();
        let (socket, _) = receiving(sim, &mut io, |_| STATUS_SUCCESS);
        socket.release(List(core::ptr::null_mut()));
    });
}

#[test]
fn wsk_8_6_release_twice_is_reported() {
    expect(Rule::ReleaseUnknown, "released to the Connection", |sim| {
        let mut io = Io::new();
        let (socket, list) = with_list(sim, &mut io, STATUS_PENDING);
        assert_eq!(socket.release(list), STATUS_SUCCESS);
        socket.release(list);
    });
}

#[test]
fn wsk_8_2_release_of_a_list_that_was_not_retained_is_reported() {
    for status in [STATUS_SUCCESS, STATUS_DATA_NOT_ACCEPTED] {
        expect(
            Rule::ReleaseUnknown,
            "released to the Connection",
            move |sim| {
                let mut io = Io::new();
                let (socket, list) = with_list(sim, &mut io, status);
                socket.release(list);
            },
        );
    }
}

#[test]
fn wsk_8_2_list_released_by_a_callback_that_does_not_retain_it_is_reported() {
    expect(Rule::ReleaseUnknown, "released, but not retained", |sim| {
        let mut io = Io::new();
        let socket = Arc::new(OnceLock::<Socket>::new());
        let of_callback = Arc::clone(&socket);
        let (connection, peer) = receiving(sim, &mut io, move |indication| {
            of_callback.get().unwrap().release(indication.list);
            STATUS_SUCCESS
        });
        socket.set(connection).unwrap();
        peer.write_all(b"x").unwrap();
        sim.sleep(SECOND);
    });
}

#[test]
fn wsk_8_6_release_of_a_part_of_a_list_is_reported() {
    let releases_a_part = |seed| {
        let report = builder().seed(seed).offence(|sim| {
            let mut io = Io::new();
            let (socket, list) = with_list(sim, &mut io, STATUS_PENDING);
            // A list of one indication has no part: releasing it twice is reported as well.
            let part = list.second().unwrap_or(list);
            if part == list {
                socket.release(list);
                socket.close(&mut io);
                socket.close(&mut io);
            }
            socket.release(part);
        });
        report.rule == Rule::ReleaseUnknown
    };
    assert!((0..50).any(releases_a_part), "no list has two indications");
}

#[test]
fn wsk_3_12_list_given_back_while_its_mdls_are_being_sent_is_reported() {
    expect(Rule::MdlFreedInUse, "an indicated list", |sim| {
        let (mut io, mut stalled, mut send) = (Io::new(), Io::new(), Io::new());
        let (socket, list) = with_list(sim, &mut io, STATUS_PENDING);
        // Nobody reads: the second send waits.
        let memory = Memory::new(200_000);
        socket.start_send(&memory, stalled.prepare());
        socket.start_send_of(list.buffer(), 0, send.prepare());
        socket.release(list);
    });
}

#[test]
fn wsk_8_2_list_used_after_it_was_accepted_is_reported() {
    expect(Rule::MdlUnknown, "WskSend with MDL", |sim| {
        let (mut io, buffers) = (Io::new(), Queue::new());
        let told = Arc::clone(&buffers);
        let (socket, peer) = receiving(sim, &mut io, move |indication| {
            told.push(Buffer(indication.list.buffer()));
            STATUS_SUCCESS
        });
        peer.write_all(b"x").unwrap();
        let buffer = buffers.pop().0;
        sim.sleep(SECOND);
        socket.start_send_of(buffer, 0, io.prepare());
    });
}

/// A description of data that a handler hands on.
struct Buffer(wsk_sys::WSK_BUF);

// SAFETY: the test uses it on one thread at a time.
unsafe impl Send for Buffer {}

#[test]
fn wsk_8_2_more_bytes_accepted_than_indicated_is_reported() {
    expect(Rule::EventStatus, "11 of 10 bytes accepted", |sim| {
        let mut io = Io::new();
        let (_, peer) = receiving(sim, &mut io, |indication| {
            indication.accept(indication.length + 1)
        });
        for _ in 0..100 {
            peer.write_all(&[1; 10]).unwrap();
            sim.sleep(SECOND);
        }
    });
}

#[test]
fn wsk_8_2_unknown_status_of_the_receive_event_is_reported() {
    expect(
        Rule::EventStatus,
        "WskReceiveEvent returned 0xc0000001",
        |sim| {
            with_list(sim, &mut Io::new(), STATUS_UNSUCCESSFUL);
        },
    );
}

#[test]
fn wsk_7_2_unknown_status_of_the_accept_event_is_reported() {
    expect(
        Rule::EventStatus,
        "WskAcceptEvent returned 0xc0000001",
        |sim| {
            accepting(sim, &mut Io::new(), WSK_EVENT_ACCEPT, |_| {
                STATUS_UNSUCCESSFUL
            });
        },
    );
}

#[test]
fn wsk_9_7_disconnect_event_that_fails_is_reported() {
    expect(Rule::EventStatus, "WskDisconnectEvent", |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let handlers = ConnectionHandlers {
            disconnect: Box::new(|_| STATUS_UNSUCCESSFUL),
            ..ConnectionHandlers::default()
        };
        let (socket, peer) = client.connection_with(sim, &mut io, &handlers);
        socket.set_events(WSK_EVENT_DISCONNECT);
        peer.shut_down();
        sim.sleep(SECOND);
    });
}

#[test]
fn backlog_event_that_fails_is_reported() {
    expect(Rule::EventStatus, "WskSendBacklogEvent", |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let handlers = ConnectionHandlers {
            backlog: Box::new(|_| STATUS_UNSUCCESSFUL),
            ..ConnectionHandlers::default()
        };
        let (socket, _peer) = client.connection_with(sim, &mut io, &handlers);
        socket.set_events(WSK_EVENT_SEND_BACKLOG);
        for _ in 0..200 {
            socket.send(&mut io, b"x");
        }
    });
}

#[test]
fn wsk_7_2_accepted_socket_without_an_answer_is_reported() {
    expect(Rule::AcceptAnswer, "Connection socket", |sim| {
        accepting(sim, &mut Io::new(), WSK_EVENT_ACCEPT, |_| STATUS_SUCCESS);
    });
}

#[test]
fn wsk_6_8_events_enabled_before_the_answer_is_reported() {
    expect(Rule::AcceptAnswer, "Connection socket", |sim| {
        accepting(sim, &mut Io::new(), WSK_EVENT_ACCEPT, |offer| {
            offer.socket.unwrap().set_events(WSK_EVENT_RECEIVE)
        });
    });
}

#[test]
fn wsk_7_2_call_on_a_refused_socket_is_reported() {
    expect(Rule::CallAfterClose, "WskDisconnect", |sim| {
        let (mut io, sockets) = (Io::new(), Queue::new());
        let told = Arc::clone(&sockets);
        accepting(sim, &mut io, WSK_EVENT_ACCEPT, move |offer| {
            offer
                .socket
                .into_iter()
                .for_each(|socket| told.push(socket));
            STATUS_REQUEST_NOT_ACCEPTED
        });
        sockets.pop().disconnect(&mut io, 0);
    });
}

#[test]
fn wsk_7_2_refusing_a_socket_that_has_a_request_is_reported() {
    expect(Rule::CallAfterClose, "refused, but in use", |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let packet = Packet::of(&mut receive);
        accepting(sim, &mut io, WSK_EVENT_ACCEPT, move |offer| {
            let socket = offer.socket.unwrap();
            socket.start_receive_nothing(0, packet.get());
            STATUS_REQUEST_NOT_ACCEPTED
        });
    });
}

#[test]
fn wsk_1_4_accepted_socket_with_a_paged_context_is_reported() {
    expect(Rule::PagedAtDispatch, "socket context", |sim| {
        let context = AtomicPtr::new(allocate(PAGED, 8));
        accepting(sim, &mut Io::new(), WSK_EVENT_ACCEPT, move |offer| {
            offer.answer(context.load(SeqCst).cast(), Table::CONNECTION);
            STATUS_SUCCESS
        });
    });
}

#[test]
fn wsk_6_8_event_without_a_callback_is_reported_when_it_is_enabled() {
    for table in [Table::NONE, Table::EMPTY] {
        expect(Rule::EventWithoutCallback, "events 0x200", move |_| {
            let (mut io, client) = (Io::new(), Client::new());
            let null = core::ptr::null();
            let listener = client.open(&mut io, WSK_FLAG_LISTEN_SOCKET, null, table);
            listener.bind(&mut io, ADDRESS.parse().unwrap());
            listener.set_events(WSK_EVENT_ACCEPT);
        });
        expect(Rule::EventWithoutCallback, "events 0x40", move |sim| {
            let (mut io, client) = (Io::new(), Client::new());
            let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
            let null = core::ptr::null();
            let socket = client.open(&mut io, WSK_FLAG_CONNECTION_SOCKET, null, table);
            socket.bind(&mut io, "127.0.0.1:0".parse().unwrap());
            socket.connect(&mut io, server.local_addr());
            socket.set_events(WSK_EVENT_RECEIVE);
        });
    }
}

#[test]
fn wsk_6_6_inherited_event_without_a_callback_is_reported() {
    expect(Rule::EventWithoutCallback, "events 0x40", |sim| {
        let events = WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE;
        accepting(sim, &mut Io::new(), events, Offer::accept);
    });
}

#[test]
fn wsk_7_3_writing_to_an_address_after_the_call_is_reported() {
    expect(Rule::WriteAfterFree, "tag 'Lent'", |sim| {
        let (mut io, places) = (Io::new(), Queue::new());
        let told = Arc::clone(&places);
        accepting(sim, &mut io, WSK_EVENT_ACCEPT, move |offer| {
            told.push(AtomicPtr::new(offer.local.cast::<u8>()));
            STATUS_REQUEST_NOT_ACCEPTED
        });
        let place = places.pop().load(SeqCst);
        // SAFETY: breaks the rule; the memory is kept to find this.
        unsafe {
            place.write(1);
        }
    });
}

#[test]
fn wsk_10_3_context_freed_while_the_socket_is_open_is_reported() {
    expect(Rule::FreedInUse, "as its context", |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let context = allocate(NON_PAGED, 8);
        client.open(
            &mut io,
            WSK_FLAG_LISTEN_SOCKET,
            context.cast(),
            Table::LISTEN,
        );
        free(context);
    });
}

#[test]
fn wsk_4_3_and_10_3_table_freed_while_the_socket_is_open_is_reported() {
    expect(Rule::FreedInUse, "as its table of event callbacks", |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let table = allocate(NON_PAGED, 24);
        let null = core::ptr::null();
        client.open(&mut io, WSK_FLAG_LISTEN_SOCKET, null, Table(table.cast()));
        free(table);
    });
}

#[test]
fn wsk_10_3_context_of_an_accepted_socket_freed_while_it_is_open_is_reported() {
    expect(Rule::FreedInUse, "as its context", |sim| {
        let address = allocate(NON_PAGED, 8);
        let context = AtomicPtr::new(address);
        accepting(sim, &mut Io::new(), WSK_EVENT_ACCEPT, move |offer| {
            offer.answer(context.load(SeqCst).cast(), Table::CONNECTION);
            STATUS_SUCCESS
        });
        free(address);
    });
}

#[test]
fn wsk_10_3_context_freed_when_the_close_has_completed_is_fine() {
    wsk_sim::seeds(50, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let context = allocate(NON_PAGED, 8);
        let socket = client.open(
            &mut io,
            WSK_FLAG_LISTEN_SOCKET,
            context.cast(),
            Table::LISTEN,
        );
        socket.close(&mut io);
        free(context);
    });
}

fn free(memory: *mut u8) {
    // SAFETY: the memory was allocated; whether it may be freed is what is tested.
    unsafe { ExFreePool(memory.cast()) };
}

#[test]
fn wsk_3_12_address_buffer_freed_while_an_accept_is_pending_is_reported() {
    expect(Rule::BufferFreed, "pending request", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        let place = allocate(NON_PAGED, 56);
        // SAFETY: there is room for two addresses.
        let addresses = unsafe { &mut *place.cast::<c_void>().cast::<[Address; 2]>() };
        let null = core::ptr::null();
        listener.start_accept_to(null, Table::NONE, addresses, io.prepare());
        free(place);
    });
}

/// Whether some schedule of a body that waits in a callback ends in a hang. Under the others, for
/// example where the callback comes at `DISPATCH_LEVEL` and does not wait, the body leaks.
fn hangs(body: impl Fn(&Sim) + Send + Sync + Copy + 'static) {
    let hang = |seed| {
        let report = builder().seed(seed).offence(move |sim| {
            body(sim);
            sim.sleep(SECOND);
            allocate(NON_PAGED, 1);
        });
        report.rule == Rule::Hang
    };
    assert!((0..1000).any(hang), "no schedule hangs");
}

#[test]
fn wsk_1_3_callback_that_waits_for_a_request_of_its_socket_hangs() {
    hangs(|sim| {
        let mut io = Io::new();
        let socket = Arc::new(OnceLock::<Socket>::new());
        let of_callback = Arc::clone(&socket);
        let (connection, peer) = receiving(sim, &mut io, move |_| {
            if is_passive() {
                of_callback.get().unwrap().send(&mut Io::new(), b"x");
            }
            STATUS_SUCCESS
        });
        socket.set(connection).unwrap();
        peer.write_all(b"x").unwrap();
        let _ = peer.read(1);
    });
}

#[test]
fn wsk_1_3_callback_that_waits_for_a_request_of_another_socket_hangs() {
    hangs(|sim| {
        let mut io = Io::new();
        let (other, _) = receiving(sim, &mut io, |_| STATUS_SUCCESS);
        let done = Queue::new();
        let told = Arc::clone(&done);
        let (_, peer) = receiving(sim, &mut io, move |_| {
            if is_passive() {
                other.send(&mut Io::new(), b"x");
            }
            told.push(());
            STATUS_SUCCESS
        });
        peer.write_all(b"x").unwrap();
        done.pop();
    });
}

#[test]
fn wsk_6_5_disable_with_irp_in_the_callback_hangs() {
    hangs(|sim| {
        let mut io = Io::new();
        let socket = Arc::new(OnceLock::<Socket>::new());
        let of_callback = Arc::clone(&socket);
        let done = Queue::new();
        let told = Arc::clone(&done);
        let (connection, peer) = receiving(sim, &mut io, move |_| {
            if is_passive() {
                let socket = of_callback.get().unwrap();
                let disable = WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE;
                Io::new().call(|irp| socket.start_set_events(disable, irp));
            }
            told.push(());
            STATUS_SUCCESS
        });
        socket.set(connection).unwrap();
        peer.write_all(b"x").unwrap();
        done.pop();
    });
}

#[test]
fn wsk_10_2_callback_that_waits_for_the_close_of_its_socket_hangs() {
    hangs(|sim| {
        let mut io = Io::new();
        let socket = Arc::new(OnceLock::<Socket>::new());
        let of_callback = Arc::clone(&socket);
        let done = Queue::new();
        let told = Arc::clone(&done);
        let (connection, peer) = receiving(sim, &mut io, move |_| {
            if is_passive() {
                of_callback.get().unwrap().close(&mut Io::new());
            }
            told.push(());
            STATUS_SUCCESS
        });
        socket.set(connection).unwrap();
        peer.write_all(b"x").unwrap();
        done.pop();
    });
}
