//! Datagram sockets by call: `WskSendTo`, `WskSendMessages`, `WskReceiveFrom`, fixed addresses.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::net::SocketAddr;

use wdk_sys::ntddk::IoCancelIrp;
use wdk_sys::{
    STATUS_ACCESS_DENIED, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED,
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NETWORK_UNREACHABLE, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::Sim;
use wsk_sys::{
    IPPROTO, IPV6_V6ONLY, MSG_TRUNC, SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS,
    WSK_BUF,
};

use crate::common::{Address, Client, Io, Memory, Outcome};
use crate::datagram_client::{DatagramSocket, Incoming};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 200;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);
const V6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A client with a bound socket.
fn bound(io: &mut Io, local: &str) -> (Client, DatagramSocket) {
    let client = Client::new();
    let socket = client.datagram(io, local);
    (client, socket)
}

/// Sends a datagram without data, for which no memory is needed.
fn send_empty(socket: DatagramSocket, io: &mut Io, to: SocketAddr) -> Outcome {
    let mut to = Address::of(to);
    let mut buffer = WSK_BUF::default();
    let send = socket.table().WskSendTo.unwrap();
    let (at, no_control) = (&raw mut buffer, ptr::null_mut());
    // SAFETY: a complete request, for no bytes.
    io.call(|irp| unsafe { send(socket.0, at, 0, to.pointer(), 0, no_control, irp) })
}

#[test]
fn exchange_any_schedule_and_family_gives_data_and_addresses() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        wsk_sim::seeds(SEEDS, move |sim| {
            let mut io = Io::new();
            let (_client, socket) = bound(&mut io, local);
            let address = socket.local_address(&mut io);
            let peer = sim.datagram_peer(local.parse().unwrap()).unwrap();
            peer.send_to(b"ping", address).unwrap();
            let seen = socket.receive(&mut io, 64);
            assert_eq!((&*seen.data, seen.from), (&b"ping"[..], peer.local_addr()));
            assert_eq!((seen.flags, seen.control), (0, Vec::new()));
            let sent = socket.send(&mut io, b"pong!", peer.local_addr());
            // [wsk 3b]: Information is the count of bytes.
            assert_eq!(sent, (STATUS_SUCCESS, 5));
            assert_eq!(peer.receive_from(), (b"pong!".to_vec(), address));
            socket.close(&mut io);
        });
    }
}

#[test]
fn many_datagrams_each_arrive_once_in_any_order() {
    static REORDERED: AtomicU32 = AtomicU32::new(0);
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        let to = socket.local_address(&mut io);
        let sender = sim.spawn(move || {
            for number in 0..8_u8 {
                peer.send_to(&[number], to).unwrap();
            }
        });
        let mut got: Vec<u8> = (0..8).map(|_| socket.receive(&mut io, 8).data[0]).collect();
        if !got.is_sorted() {
            REORDERED.fetch_add(1, SeqCst);
            got.sort_unstable();
        }
        assert_eq!(got, (0..8).collect::<Vec<u8>>());
        sender.join();
        socket.close(&mut io);
    });
    assert!(REORDERED.load(SeqCst) > 0, "datagrams overtake each other");
}

#[test]
fn unreliable_network_loses_and_doubles_datagrams() {
    fn arrived(sim: &Sim) -> usize {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        for _ in 0..40 {
            let sent = socket.send(&mut io, b"x", peer.local_addr());
            assert_eq!(sent, (STATUS_SUCCESS, 1));
        }
        socket.close(&mut io);
        let got = core::iter::from_fn(|| peer.receive_within(LONG));
        got.count()
    }
    let builder = wsk_sim::builder().seed(3);
    assert_eq!(builder.run(arrived), 40);
    assert!(builder.lose_datagrams_one_in(4).run(arrived) < 40);
    assert!(builder.duplicate_datagrams_one_in(4).run(arrived) > 40);
}

#[test]
fn zero_length_datagrams_are_sent_and_received() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        assert_eq!(
            send_empty(socket, &mut io, peer.local_addr()),
            (STATUS_SUCCESS, 0)
        );
        let (data, from) = peer.receive_from();
        assert_eq!(data, b"");
        peer.send_to(b"", from).unwrap();
        let seen = socket.receive(&mut io, 16);
        assert_eq!((seen.data, seen.flags), (Vec::new(), 0));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_1_send_is_complete_when_the_data_is_not_needed_any_more() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        let memory = Memory::of(b"first");
        let mut to = Address::of(peer.local_addr());
        let sent = io.call(|irp| socket.start_send(&memory, to.pointer(), &[], irp));
        assert_eq!(sent, (STATUS_SUCCESS, 5));
        // SAFETY: the request is complete, so the memory is ours.
        unsafe { memory.bytes.write_bytes(b'X', 5) };
        assert_eq!(peer.receive().data, b"first");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_3_5_failing_calls_complete_their_irp() {
    // `Io::call` waits for each completion, and compares it with what an inline call returns.
    wsk_sim::seeds(SEEDS, |_| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let send = |io: &mut Io, length: usize, to: &str| {
            socket.send(io, &vec![0; length], to.parse().unwrap()).0
        };
        let broadcast = send(&mut io, 1, "255.255.255.255:9");
        assert_eq!(broadcast, STATUS_ACCESS_DENIED);
        let too_long = send(&mut io, 65_508, "127.0.0.1:9");
        assert_eq!(too_long, STATUS_BUFFER_OVERFLOW);
        assert_eq!(send(&mut io, 65_507, "127.0.0.1:9"), STATUS_SUCCESS);
        let other_family = send(&mut io, 1, "[::1]:9");
        assert_eq!(other_family, STATUS_INVALID_ADDRESS_COMPONENT);
        let nowhere = send(&mut io, 1, "0.0.0.0:9");
        assert_eq!(nowhere, STATUS_INVALID_ADDRESS_COMPONENT);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_7_unbound_socket_neither_sends_nor_receives() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram_unbound(&mut io, any(), ptr::null_mut());
        let sent = socket.send(&mut io, b"x", "127.0.0.1:9".parse().unwrap());
        assert_eq!(sent.0, STATUS_INVALID_DEVICE_STATE);
        let mut incoming = Incoming::new(1, 0);
        let received = io.call(|irp| socket.start_receive(&mut incoming, irp));
        assert_eq!(received.0, STATUS_INVALID_DEVICE_STATE);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_second_bind_to_the_same_address_is_refused() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let (client, socket) = bound(&mut io, "127.0.0.1:0");
        let address = socket.local_address(&mut io);
        let second = client.datagram_unbound(&mut io, any(), ptr::null_mut());
        assert_eq!(
            second.bind(&mut io, address).0,
            STATUS_ADDRESS_ALREADY_EXISTS
        );
        assert!(sim.datagram_peer(address).is_err());
        // The same port of TCP is free.
        assert!(sim.listen(address).is_ok());
        second.close(&mut io);
        socket.close(&mut io);
        assert!(sim.datagram_peer(address).is_ok());
    });
}

#[test]
fn bind_to_a_multicast_group_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram_unbound(&mut io, any(), ptr::null_mut());
        let outcome = socket.bind(&mut io, "239.1.2.3:5000".parse().unwrap());
        assert_eq!(outcome.0, STATUS_INVALID_ADDRESS_COMPONENT);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_8_datagram_longer_than_the_buffer_is_cut_and_flagged() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let to = socket.local_address(&mut io);
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"too long", to).unwrap();
        let seen = socket.receive(&mut io, 3);
        assert_eq!((&*seen.data, seen.flags), (&b"too"[..], MSG_TRUNC));
        // The rest is lost, and does not come as the next.
        peer.send_to(b"fit", to).unwrap();
        let seen = socket.receive(&mut io, 3);
        assert_eq!((&*seen.data, seen.flags), (&b"fit"[..], 0));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_8_without_a_control_length_the_other_places_are_ignored() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"long", socket.local_address(&mut io))
            .unwrap();
        let memory = Memory::new(1);
        let (mut control, mut flags) = ([7_u64; 2], Box::new(7_u32));
        let receive = socket.table().WskReceiveFrom.unwrap();
        let mut buffer = memory.buffer(0, 1);
        let outcome = io.call(|irp| {
            // SAFETY: a complete request.
            unsafe {
                receive(
                    socket.0,
                    &raw mut buffer,
                    0,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    control.as_mut_ptr().cast(),
                    &raw mut *flags,
                    irp,
                )
            }
        });
        assert_eq!(outcome, (STATUS_SUCCESS, 1));
        assert_eq!((control, *flags), ([7; 2], 7));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_3_arguments_that_do_not_fit_are_refused() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let send = socket.table().WskSendTo.unwrap();
        let messages = socket.table().WskSendMessages.unwrap();
        let memory = Memory::of(b"x");
        let mut buffer = memory.buffer(0, 1);
        let mut to = Address::of("127.0.0.1:9".parse().unwrap());
        let (at, to, no_control) = (&raw mut buffer, to.pointer(), ptr::null_mut());
        // SAFETY: a request with flags, which must be 0.
        let with_flags = io.call(|irp| unsafe { send(socket.0, at, 1, to, 0, no_control, irp) });
        // SAFETY: a request with control data of 8 bytes at no place.
        let no_data = io.call(|irp| unsafe { send(socket.0, at, 0, to, 8, no_control, irp) });
        let nowhere = socket.send_with(&mut io, b"x", None, &[]);
        let list = ptr::null_mut();
        // SAFETY: a request with no datagrams.
        let none = io.call(|irp| unsafe { messages(socket.0, list, 0, to, 0, no_control, irp) });
        let statuses = [with_flags, no_data, nowhere, none].map(|outcome| outcome.0);
        assert_eq!(statuses, [STATUS_INVALID_PARAMETER; 4]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_3_messages_arrive_as_one_datagram_each() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let peer = sim.datagram_peer(any()).unwrap();
        let sent = socket.send_messages(&mut io, &[b"one", b"two", b"three"], peer.local_addr());
        assert_eq!(sent, (STATUS_SUCCESS, 11));
        let mut got: Vec<_> = (0..3).map(|_| peer.receive().data).collect();
        got.sort_unstable();
        assert_eq!(got, [&b"one"[..], b"three", b"two"]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_4_fixed_remote_address_is_destination_and_filter() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let address = socket.local_address(&mut io);
        let friend = sim.datagram_peer(any()).unwrap();
        let stranger = sim.datagram_peer(any()).unwrap();
        let fixed = Some(friend.local_addr());
        let status = socket.fix(&mut io, SIO_WSK_SET_REMOTE_ADDRESS, fixed);
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(
            socket.send_with(&mut io, b"hi", None, &[]).0,
            STATUS_SUCCESS
        );
        assert_eq!(friend.receive_from(), (b"hi".to_vec(), address));
        // A call may name another; its answer is not let in.
        let sent = socket.send(&mut io, b"you", stranger.local_addr());
        assert_eq!(sent.0, STATUS_SUCCESS);
        assert_eq!(stranger.receive().data, b"you");
        stranger.send_to(b"no", address).unwrap();
        sim.sleep(LONG);
        friend.send_to(b"yes", address).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"yes");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_4_fixing_the_remote_address_drops_what_waits_from_elsewhere() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let address = socket.local_address(&mut io);
        let friend = sim.datagram_peer(any()).unwrap();
        let stranger = sim.datagram_peer(any()).unwrap();
        stranger.send_to(b"before", address).unwrap();
        sim.sleep(LONG);
        let fixed = Some(friend.local_addr());
        assert_eq!(socket.fix(&mut io, SIO_WSK_SET_REMOTE_ADDRESS, fixed), 0);
        friend.send_to(b"friend", address).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"friend");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_4_fixed_sendto_address_filters_nothing() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let address = socket.local_address(&mut io);
        let target = sim.datagram_peer(any()).unwrap();
        let stranger = sim.datagram_peer(any()).unwrap();
        let fixed = Some(target.local_addr());
        assert_eq!(socket.fix(&mut io, SIO_WSK_SET_SENDTO_ADDRESS, fixed), 0);
        assert_eq!(
            socket.send_with(&mut io, b"hi", None, &[]).0,
            STATUS_SUCCESS
        );
        assert_eq!(target.receive().data, b"hi");
        stranger.send_to(b"anybody", address).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"anybody");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_4_fixed_addresses_are_cleared_by_no_input() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let address = socket.local_address(&mut io);
        let peer = sim.datagram_peer(any()).unwrap();
        let elsewhere = Some("127.0.0.1:9".parse().unwrap());
        for code in [SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS] {
            assert_eq!(socket.fix(&mut io, code, elsewhere), STATUS_SUCCESS);
            assert_eq!(socket.fix(&mut io, code, None), STATUS_SUCCESS);
            let sent = socket.send_with(&mut io, b"x", None, &[]);
            assert_eq!(sent.0, STATUS_INVALID_PARAMETER);
        }
        peer.send_to(b"in", address).unwrap();
        assert_eq!(socket.receive(&mut io, 8).data, b"in");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_4_fixed_addresses_are_for_bound_sockets_and_their_family() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.datagram_unbound(&mut io, any(), ptr::null_mut());
        let v4 = Some("127.0.0.1:9".parse().unwrap());
        let early = socket.fix(&mut io, SIO_WSK_SET_REMOTE_ADDRESS, v4);
        assert_eq!(early, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(socket.bind(&mut io, any()).0, STATUS_SUCCESS);
        let v6 = Some("[::1]:9".parse().unwrap());
        for code in [SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS] {
            assert_ne!(socket.fix(&mut io, code, v6), STATUS_SUCCESS);
        }
        socket.close(&mut io);
    });
}

#[test]
fn socket_of_both_families_exchanges_datagrams_with_ipv4() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let local = "[::]:5000".parse().unwrap();
        let socket = client.datagram_unbound(&mut io, local, ptr::null_mut());
        assert_eq!(socket.set(&mut io, (V6, IPV6_V6ONLY), 0), STATUS_SUCCESS);
        assert_eq!(socket.bind(&mut io, local).0, STATUS_SUCCESS);
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"4", "127.0.0.1:5000".parse().unwrap())
            .unwrap();
        let seen = socket.receive(&mut io, 8);
        let mapped = format!("[::ffff:127.0.0.1]:{}", peer.local_addr().port());
        assert_eq!(seen.from, mapped.parse().unwrap());
        assert_eq!(socket.send(&mut io, b"6", seen.from).0, STATUS_SUCCESS);
        assert_eq!(
            peer.receive_from(),
            (b"6".to_vec(), "127.0.0.1:5000".parse().unwrap())
        );
        socket.close(&mut io);
    });
}

#[test]
fn socket_of_ipv6_only_does_not_reach_ipv4() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let (_client, socket) = bound(&mut io, "[::]:0");
        let sent = socket.send(&mut io, b"x", "[::ffff:127.0.0.1]:9".parse().unwrap());
        assert_eq!(sent.0, STATUS_NETWORK_UNREACHABLE);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_3_11_cancelled_receive_completes_cancelled_and_loses_nothing() {
    static WON: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let to = socket.local_address(&mut io);
        let peer = sim.datagram_peer(any()).unwrap();
        let mut incoming = Incoming::new(8, 0);
        let irp = receive.prepare();
        socket.start_receive(&mut incoming, irp);
        let sender = sim.spawn(move || peer.send_to(b"x", to).unwrap());
        // SAFETY: `receive` keeps the IRP, whether it is complete or not.
        unsafe { IoCancelIrp(irp) };
        let outcome = receive.wait();
        let cancelled = outcome.0 == STATUS_CANCELLED;
        assert!(cancelled || outcome == (STATUS_SUCCESS, 1), "{outcome:x?}");
        WON[usize::from(cancelled)].fetch_add(1, SeqCst);
        if cancelled {
            assert_eq!(socket.receive(&mut io, 8).data, b"x");
        }
        sender.join();
        socket.close(&mut io);
    });
    assert!(WON.iter().all(|won| won.load(SeqCst) > 0), "{WON:?}");
}

#[test]
fn wsk_10_2_close_cancels_a_pending_receive() {
    wsk_sim::seeds(SEEDS, |_| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let mut incoming = Incoming::new(8, 64);
        assert_eq!(
            socket.start_receive(&mut incoming, receive.prepare()),
            STATUS_PENDING
        );
        socket.close(&mut io);
        assert_eq!(receive.wait().0, STATUS_CANCELLED);
    });
}

#[test]
fn several_receives_are_answered_in_order() {
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut first, mut second) = (Io::new(), Io::new(), Io::new());
        let (_client, socket) = bound(&mut io, "127.0.0.1:0");
        let to = socket.local_address(&mut io);
        let (mut one, mut two) = (Incoming::new(8, 0), Incoming::new(8, 0));
        socket.start_receive(&mut one, first.prepare());
        socket.start_receive(&mut two, second.prepare());
        let peer = sim.datagram_peer(any()).unwrap();
        peer.send_to(b"a", to).unwrap();
        assert_eq!(first.wait(), (STATUS_SUCCESS, 1));
        peer.send_to(b"b", to).unwrap();
        assert_eq!(second.wait(), (STATUS_SUCCESS, 1));
        assert_eq!(
            (one.seen(1).data, two.seen(1).data),
            (b"a".to_vec(), b"b".to_vec())
        );
        socket.close(&mut io);
    });
}

#[test]
fn any_single_fault_leaves_nothing_behind() {
    wsk_sim::every_fault(|sim| {
        let (Some(client), Some(mut io)) = (Client::try_new(), Io::new_unless_out_of_memory())
        else {
            return;
        };
        let Some(socket) = client.try_datagram(&mut io, any()) else {
            return;
        };
        if socket.bind(&mut io, any()).0 == STATUS_SUCCESS {
            let peer = sim.datagram_peer(any()).unwrap();
            if send_empty(socket, &mut io, peer.local_addr()).0 == STATUS_SUCCESS {
                assert_eq!(peer.receive().data, b"");
            }
        }
        socket.close(&mut io);
    });
}
