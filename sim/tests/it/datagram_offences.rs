//! Each test breaks one rule about datagram sockets, and expects exactly that report.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "breaks the rules of WSK")]

use core::mem::forget;
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag, IoFreeMdl, KeRaiseIrqlToDpcLevel};
use wdk_sys::{NTSTATUS, PVOID, STATUS_INVALID_HANDLE, STATUS_PENDING, STATUS_SUCCESS};
use wsk_sim::{Rule, Sim};
use wsk_sys::{PWSK_DATAGRAM_INDICATION, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION};

use crate::common::{Address, Client, Io, Memory, TAG};
use crate::datagram_client::{DatagramSocket, Incoming, Receiver};
use crate::wsk_offences::expect;

const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;
/// Long enough for anything that is under way.
const LONG: Duration = Duration::from_secs(1);

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A bound socket of a client that is never deregistered.
fn bound(io: &mut Io) -> DatagramSocket {
    let client = Client::new();
    let socket = client.datagram(io, "127.0.0.1:0");
    forget(client);
    socket
}

/// A socket whose event has been called with a datagram, and has answered with `answer`; the head
/// of the list.
fn indicated(
    sim: &Sim,
    io: &mut Io,
    answer: NTSTATUS,
) -> (DatagramSocket, PWSK_DATAGRAM_INDICATION) {
    let head = Arc::new(AtomicPtr::<WSK_DATAGRAM_INDICATION>::default());
    let place = Arc::clone(&head);
    let receiver = Receiver::new(move |_, list| {
        place.store(list, SeqCst);
        answer
    });
    let client = Client::new();
    let socket = client.datagram_for(io, "127.0.0.1:0", &receiver);
    socket.enable();
    let peer = sim.datagram_peer(any()).unwrap();
    peer.send_to(b"x", socket.local_address(io)).unwrap();
    receiver.wait_for(1);
    forget((client, receiver));
    (socket, head.load(SeqCst))
}

#[test]
fn wsk_8_6_close_with_a_retained_list_is_reported() {
    expect(Rule::RetainedAtClose, "WskCloseSocket", |sim| {
        let mut io = Io::new();
        let (socket, _) = indicated(sim, &mut io, STATUS_PENDING);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_6_list_retained_after_the_close_was_called_is_reported() {
    expect(
        Rule::RetainedAtClose,
        "retained when the socket was closed",
        |sim| {
            let (mut io, mut close) = (Io::new(), Io::new());
            let irp = AtomicPtr::new(close.prepare());
            let target = Arc::new(AtomicPtr::default());
            let place = Arc::clone(&target);
            let receiver = Receiver::new(move |_, _| {
                DatagramSocket(place.load(SeqCst)).start_close(irp.load(SeqCst));
                STATUS_PENDING
            });
            let client = Client::new();
            let socket = client.datagram_for(&mut io, "127.0.0.1:0", &receiver);
            target.store(socket.0, SeqCst);
            socket.enable();
            let peer = sim.datagram_peer(any()).unwrap();
            peer.send_to(b"x", socket.local_address(&mut io)).unwrap();
            sim.sleep(LONG);
        },
    );
}

#[test]
fn wsk_8_6_second_release_is_reported() {
    expect(
        Rule::ReleaseUnknown,
        "released to the Datagram socket",
        |sim| {
            let mut io = Io::new();
            let (socket, list) = indicated(sim, &mut io, STATUS_PENDING);
            assert_eq!(socket.release(list), STATUS_SUCCESS);
            socket.release(list);
        },
    );
}

#[test]
fn wsk_8_6_release_of_a_list_that_was_not_retained_is_reported() {
    expect(
        Rule::ReleaseUnknown,
        "released to the Datagram socket",
        |sim| {
            let mut io = Io::new();
            let (socket, list) = indicated(sim, &mut io, STATUS_SUCCESS);
            socket.release(list);
        },
    );
}

#[test]
fn wsk_8_5_success_for_a_list_that_was_released_is_reported() {
    expect(Rule::ReleaseUnknown, "released, but not retained", |sim| {
        let mut io = Io::new();
        let target = Arc::new(AtomicPtr::default());
        let place = Arc::clone(&target);
        let receiver = Receiver::new(move |_, list| {
            DatagramSocket(place.load(SeqCst)).release(list);
            STATUS_SUCCESS
        });
        let client = Client::new();
        let socket = client.datagram_for(&mut io, "127.0.0.1:0", &receiver);
        target.store(socket.0, SeqCst);
        socket.enable();
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"x", socket.local_address(&mut io)).unwrap();
        sim.sleep(LONG);
    });
}

#[test]
fn wsk_8_5_status_that_the_event_does_not_know_is_reported() {
    expect(
        Rule::EventStatus,
        "WskReceiveFromEvent returned 0xc0000008",
        |sim| {
            let mut io = Io::new();
            indicated(sim, &mut io, STATUS_INVALID_HANDLE);
        },
    );
}

#[test]
fn event_callback_that_returns_at_another_irql_is_reported() {
    expect(Rule::IrqlChanged, "WskReceiveFromEvent", |sim| {
        // Raising changes nothing for a callback that is called at DISPATCH_LEVEL already:
        // datagrams are sent until one comes at PASSIVE_LEVEL.
        let mut io = Io::new();
        let receiver = Receiver::new(|_, _| {
            // SAFETY: breaks the rule: the level is not lowered again.
            unsafe { KeRaiseIrqlToDpcLevel() };
            STATUS_SUCCESS
        });
        let client = Client::new();
        let socket = client.datagram_for(&mut io, "127.0.0.1:0", &receiver);
        socket.enable();
        let peer = sim.datagram_peer(any()).unwrap();
        let to = socket.local_address(&mut io);
        for _ in 0..100 {
            peer.send_to(b"x", to).unwrap();
            sim.sleep(LONG);
        }
    });
}

#[test]
fn event_enabled_without_a_table_is_reported() {
    expect(Rule::EventWithoutCallback, "Datagram socket", |_| {
        let mut io = Io::new();
        bound(&mut io).enable();
    });
}

#[test]
fn event_enabled_without_its_callback_is_reported() {
    static EMPTY: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: None,
    };
    expect(Rule::EventWithoutCallback, "without a callback", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram_with(&mut io, any(), ptr::null_mut(), &raw const EMPTY);
        assert_eq!(socket.bind(&mut io, any()).0, STATUS_SUCCESS);
        socket.enable();
    });
}

#[test]
fn wsk_3_12_receive_buffer_freed_while_pending_is_reported() {
    expect(Rule::BufferFreed, "pending request", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let mut incoming = Incoming::new(8, 0);
        socket.start_receive(&mut incoming, io.prepare());
        // SAFETY: breaks the rule: nobody sends, so the request is pending.
        unsafe { ExFreePoolWithTag(incoming.memory.bytes.cast(), TAG) };
    });
}

#[test]
fn wsk_3_12_mdl_freed_while_pending_is_reported() {
    expect(Rule::MdlFreedInUse, "pending request", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let mut incoming = Incoming::new(8, 0);
        socket.start_receive(&mut incoming, io.prepare());
        // SAFETY: breaks the rule: nobody sends, so the request is pending.
        unsafe { IoFreeMdl(incoming.memory.mdl) };
    });
}

/// Starts a receive request one of whose places is in pool, and frees that.
fn free_a_place(which: usize) {
    expect(Rule::BufferFreed, "pending request", move |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let memory = Memory::new(8);
        // SAFETY: within a simulation.
        let places = [(); 4].map(|()| unsafe { ExAllocatePool2(NON_PAGED, 32, TAG) });
        let [remote, length, control, flags] = places;
        // SAFETY: the memory has room for the size of the buffer.
        unsafe { length.cast::<u32>().write(32) };
        let mut buffer = memory.buffer(0, 8);
        let receive = socket.table().WskReceiveFrom.unwrap();
        // SAFETY: a complete request.
        let status = unsafe {
            receive(
                socket.0,
                &raw mut buffer,
                0,
                remote.cast(),
                length.cast(),
                control.cast(),
                flags.cast(),
                io.prepare(),
            )
        };
        assert_eq!(status, STATUS_PENDING);
        // SAFETY: breaks the rule: nobody sends, so the request is pending.
        unsafe { ExFreePoolWithTag(places[which], TAG) };
    });
}

#[test]
fn wsk_3_12_address_buffer_freed_while_pending_is_reported() {
    free_a_place(0);
}

#[test]
fn wsk_3_12_control_length_freed_while_pending_is_reported() {
    free_a_place(1);
}

#[test]
fn wsk_3_12_control_buffer_freed_while_pending_is_reported() {
    free_a_place(2);
}

#[test]
fn wsk_3_12_control_flags_freed_while_pending_is_reported() {
    free_a_place(3);
}

/// Starts sends with control data in pool until one is pending, then frees the control data.
fn free_control_data_of_a_send(sim: &Sim) {
    let mut io = Io::new();
    let socket = bound(&mut io);
    let peer = sim.datagram_peer(any()).unwrap();
    let memory = Memory::of(b"x");
    let mut to = Address::of(peer.local_addr());
    let hops = 9_i32.to_ne_bytes();
    let data = crate::datagram_client::control_data(&[(0, wsk_sys::IP_TTL, &hops)]);
    // SAFETY: within a simulation.
    let pool = unsafe { ExAllocatePool2(NON_PAGED, data.len() as u64, TAG) }.cast::<u8>();
    // SAFETY: the memory has this size.
    unsafe { pool.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
    // SAFETY: as above.
    let control = unsafe { core::slice::from_raw_parts(pool, data.len()) };
    while socket.start_send(&memory, to.pointer(), control, io.prepare()) != STATUS_PENDING {}
    // SAFETY: breaks the rule, unless the request has completed meanwhile.
    unsafe { ExFreePoolWithTag(pool.cast::<core::ffi::c_void>(), TAG) };
}

#[test]
fn wsk_3_12_control_data_freed_while_its_send_is_pending_is_reported() {
    // The send may complete before the memory is freed: one of these seeds lets it come too late.
    let freed_early = |seed| {
        let builder = wsk_sim::builder().seed(seed);
        let report = builder.offence(|sim| {
            free_control_data_of_a_send(sim);
            panic_free_end();
        });
        report.rule == Rule::BufferFreed
    };
    assert!(
        (0..50).any(freed_early),
        "no schedule leaves the send pending"
    );
}

/// Breaks another rule, so that a body which has got away with one ends in a report all the same.
fn panic_free_end() {
    Client::new()
        .listener_leaked(&mut Io::new())
        .start_accept(ptr::null_mut());
}

#[test]
fn wsk_8_9_send_beyond_its_mdl_is_reported() {
    expect(Rule::BufferBeyondMdl, "WskSendTo", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let memory = Memory::new(4);
        let mut buffer = memory.buffer(2, 4);
        let mut to = Address::of("127.0.0.1:9".parse().unwrap());
        let send = socket.table().WskSendTo.unwrap();
        let (at, no_control) = (&raw mut buffer, ptr::null_mut());
        // SAFETY: breaks the rule: 2 + 4 bytes of 4.
        unsafe { send(socket.0, at, 0, to.pointer(), 0, no_control, io.prepare()) };
    });
}

#[test]
fn wsk_3_12_paged_address_buffer_is_reported() {
    expect(Rule::PagedAtDispatch, "WskReceiveFrom", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let memory = Memory::new(4);
        let mut buffer = memory.buffer(0, 4);
        // SAFETY: within a simulation.
        let paged: PVOID = unsafe { ExAllocatePool2(PAGED, 32, TAG) };
        let receive = socket.table().WskReceiveFrom.unwrap();
        let null = ptr::null_mut();
        let (at, irp) = (&raw mut buffer, io.prepare());
        // SAFETY: breaks the rule: the address goes to paged memory.
        unsafe {
            receive(
                socket.0,
                at,
                0,
                paged.cast(),
                null,
                ptr::null_mut(),
                null,
                irp,
            )
        };
    });
}

#[test]
fn wsk_3a_datagram_calls_without_an_irp_are_reported() {
    expect(Rule::IrpRequired, "WskSendTo", |_| {
        let socket = bound(&mut Io::new());
        let memory = Memory::of(b"x");
        socket.start_send(&memory, ptr::null_mut(), &[], ptr::null_mut());
    });
    expect(Rule::IrpRequired, "WskReceiveFrom", |_| {
        let socket = bound(&mut Io::new());
        socket.start_receive(&mut Incoming::new(1, 0), ptr::null_mut());
    });
}

#[test]
fn function_of_datagram_sockets_on_another_category_is_reported() {
    expect(Rule::BadSocket, "WskReceiveFrom", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        let listener = Client::new().listener_leaked(&mut io);
        let receive = socket.table().WskReceiveFrom.unwrap();
        let null = ptr::null_mut();
        let memory = Memory::new(1);
        let mut buffer = memory.buffer(0, 1);
        let (at, irp) = (&raw mut buffer, io.prepare());
        // SAFETY: breaks the rule: a listening socket.
        unsafe {
            receive(
                listener.0,
                at,
                0,
                ptr::null_mut(),
                null,
                ptr::null_mut(),
                null,
                irp,
            )
        };
    });
}

#[test]
fn wsk_10_3_receive_after_close_is_reported() {
    expect(Rule::CallAfterClose, "WskReceiveFrom", |_| {
        let mut io = Io::new();
        let socket = bound(&mut io);
        socket.close(&mut io);
        socket.start_receive(&mut Incoming::new(1, 0), io.prepare());
    });
}

#[test]
fn datagram_socket_left_open_is_reported() {
    expect(Rule::Leak, "Datagram socket", |_| {
        bound(&mut Io::new());
    });
}
