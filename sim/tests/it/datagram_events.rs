//! The event of datagram sockets: `WskReceiveFromEvent`, what it may return, and `WskRelease`.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use wdk_sys::ntddk::KeGetCurrentIrql;
use wdk_sys::{
    STATUS_DATA_NOT_ACCEPTED, STATUS_EVENT_PENDING, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::{DatagramPeer, Sim};
use wsk_sys::{PWSK_DATAGRAM_INDICATION, WSK_DATAGRAM_INDICATION, WSK_FLAG_AT_DISPATCH_LEVEL};

use crate::common::{Client, Io};
use crate::datagram_client::{DatagramSocket, Incoming, Receiver, Seen, Signal, read_list};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 200;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);
const DISPATCH: u8 = 2;

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A socket whose events go to `receiver`, its address, and a peer.
fn opened(sim: &Sim, io: &mut Io, receiver: &Receiver) -> (Client, DatagramSocket, Peer) {
    let client = Client::new();
    let socket = client.datagram_for(io, "127.0.0.1:0", receiver);
    let peer = Peer {
        to: socket.local_address(io),
        peer: sim.datagram_peer(any()).unwrap(),
    };
    (client, socket, peer)
}

/// A peer, and the address that it sends to.
struct Peer {
    peer: DatagramPeer,
    to: SocketAddr,
}

impl Peer {
    fn send(&self, data: &[u8]) {
        self.peer.send_to(data, self.to).unwrap();
    }
}

fn sorted(seen: Vec<Seen>) -> Vec<Vec<u8>> {
    let mut data: Vec<_> = seen.into_iter().map(|seen| seen.data).collect();
    data.sort_unstable();
    data
}

/// The head of a list that a callback retains.
#[derive(Default)]
struct Retained(AtomicPtr<WSK_DATAGRAM_INDICATION>);

impl Retained {
    fn put(&self, list: PWSK_DATAGRAM_INDICATION) {
        self.0.store(list, SeqCst);
    }

    fn get(&self) -> PWSK_DATAGRAM_INDICATION {
        self.0.load(SeqCst)
    }
}

#[test]
fn wsk_6_1_event_starts_disabled_and_brings_what_waited_once_enabled() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::taking();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        peer.send(b"early");
        sim.sleep(LONG);
        assert!(receiver.calls().is_empty());
        socket.enable();
        let seen = receiver.wait_for(1);
        assert_eq!(
            (&*seen[0].data, seen[0].from),
            (&b"early"[..], peer.peer.local_addr())
        );
        socket.close(&mut io);
    });
}

#[test]
fn wsk_6_2_event_is_enabled_after_bind_and_by_its_own_bit() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let receiver = Receiver::taking();
        let client = Client::new();
        let context = ptr::from_ref(&*receiver).cast_mut().cast();
        let socket = client.datagram_unbound(&mut io, any(), context);
        let early = socket.set_event(true, ptr::null_mut());
        assert_eq!(early, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(socket.bind(&mut io, any()).0, STATUS_SUCCESS);
        let foreign = socket.set_events(wsk_sys::WSK_EVENT_RECEIVE, ptr::null_mut());
        assert_eq!(foreign, STATUS_INVALID_PARAMETER);
        socket.enable();
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_5_success_takes_the_datagrams_and_events_go_on() {
    // Over all schedules a call must bring one datagram, or several.
    static LENGTHS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::taking();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        let sender = sim.spawn(move || {
            for number in 0..6 {
                peer.send(&[number]);
            }
        });
        let data = sorted(receiver.wait_for(6));
        assert_eq!(data, (0..6).map(|number| vec![number]).collect::<Vec<_>>());
        sender.join();
        for length in receiver.calls() {
            LENGTHS[usize::from(length > 1)].fetch_add(1, SeqCst);
        }
        socket.close(&mut io);
    });
    assert!(
        LENGTHS.iter().all(|count| count.load(SeqCst) > 0),
        "{LENGTHS:?}"
    );
}

#[test]
fn wsk_8_5_and_8_6_retained_list_stays_until_released_and_events_go_on() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let retained = Arc::new(Retained::default());
        let place = Arc::clone(&retained);
        let receiver = Receiver::new(move |_, list| {
            if place.get().is_null() {
                place.put(list);
                STATUS_PENDING
            } else {
                STATUS_SUCCESS
            }
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"kept");
        receiver.wait_for(1);
        peer.send(b"taken");
        receiver.wait_for(2);
        // SAFETY: the list is retained.
        let seen = unsafe { read_list(retained.get(), 0) };
        assert_eq!(
            (&*seen[0].data, seen[0].from),
            (&b"kept"[..], peer.peer.local_addr())
        );
        assert_eq!(socket.release(retained.get()), STATUS_SUCCESS);
        // SAFETY: breaks the rule: the list was released. Its memory is that of freed pool.
        let stale = unsafe { retained.get().cast::<[u8; 8]>().read() };
        assert_eq!(stale, [0xDD; 8]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_6_list_is_released_while_its_callback_still_runs() {
    // The client may give the list to another thread, which releases it before the callback has
    // returned STATUS_PENDING.
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let retained = Arc::new(Retained::default());
        let place = Arc::clone(&retained);
        let receiver = Receiver::new(move |receiver, list| {
            place.put(list);
            receiver.signal();
            STATUS_PENDING
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"x");
        while retained.get().is_null() {
            receiver.wait();
        }
        assert_eq!(socket.release(retained.get()), STATUS_SUCCESS);
        receiver.wait_for(1);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_5_not_accepted_disables_the_event_until_it_is_enabled_again() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let accepting = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&accepting);
        let receiver = Receiver::new(move |_, _| {
            if answer.load(SeqCst) {
                STATUS_SUCCESS
            } else {
                STATUS_DATA_NOT_ACCEPTED
            }
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"refused");
        assert_eq!(receiver.wait_for_calls(1), [1]);
        peer.send(b"second");
        sim.sleep(LONG);
        // The second may have come while the event was being called for the first.
        let calls = receiver.calls().len();
        assert!(calls <= 2, "{calls} calls");
        let refused = receiver.seen().len();
        accepting.store(true, SeqCst);
        socket.enable();
        let seen = receiver.wait_for(refused + 2);
        let accepted = sorted(seen[refused..].to_vec());
        assert_eq!(accepted, [b"refused".to_vec(), b"second".to_vec()]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_8_5_datagrams_that_were_not_accepted_can_be_received_by_call() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::new(|_, _| STATUS_DATA_NOT_ACCEPTED);
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"refused");
        receiver.wait_for_calls(1);
        assert_eq!(socket.receive(&mut io, 16).data, b"refused");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_7_1_pending_receive_goes_first_but_the_event_may_win() {
    static WON: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let receiver = Receiver::taking();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        let mut incoming = Incoming::new(8, 0);
        socket.start_receive(&mut incoming, receive.prepare());
        peer.send(b"x");
        sim.sleep(LONG);
        let by_event = receiver.seen().len();
        WON[by_event].fetch_add(1, SeqCst);
        socket.close(&mut io);
        let by_call = usize::from(receive.wait().0 == STATUS_SUCCESS);
        assert_eq!(by_event + by_call, 1, "received once, by one of them");
    });
    let [call, event] = WON.each_ref().map(|won| won.load(SeqCst));
    assert!(
        event > 0 && call > event,
        "{call} by call, {event} by event"
    );
}

#[test]
fn wsk_7_1_disabled_event_leaves_everything_to_the_call() {
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let receiver = Receiver::taking();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        assert_eq!(socket.set_event(false, ptr::null_mut()), STATUS_SUCCESS);
        let mut incoming = Incoming::new(8, 0);
        socket.start_receive(&mut incoming, receive.prepare());
        peer.send(b"x");
        assert_eq!(receive.wait(), (STATUS_SUCCESS, 1));
        assert!(receiver.calls().is_empty());
        socket.close(&mut io);
    });
}

#[test]
fn wsk_6_4_disabling_while_the_callback_runs_takes_effect_when_it_returns() {
    // Without an IRP nothing tells when: STATUS_EVENT_PENDING. With one, its completion does.
    static PENDED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut disable) = (Io::new(), Io::new());
        let linger = Arc::new(Linger::default());
        let receiver = linger.receiver();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"x");
        let with_irp = sim.seed() % 2 == 0;
        linger.wait_until_entered(&receiver);
        let irp = if with_irp {
            disable.prepare()
        } else {
            ptr::null_mut()
        };
        let status = socket.set_event(false, irp);
        linger.end();
        if with_irp {
            assert_eq!(disable.wait().0, STATUS_SUCCESS);
            assert!(!linger.runs(), "the callback has returned");
            PENDED[1].fetch_add(u32::from(status == STATUS_PENDING), SeqCst);
        } else {
            PENDED[0].fetch_add(u32::from(status == STATUS_EVENT_PENDING), SeqCst);
        }
        let calls = receiver.wait_for_calls(1).len();
        peer.send(b"y");
        assert_eq!(socket.receive(&mut io, 8).data, b"y");
        assert_eq!(receiver.calls().len(), calls);
        socket.close(&mut io);
    });
    assert!(
        PENDED.iter().all(|count| count.load(SeqCst) > 0),
        "{PENDED:?}"
    );
}

#[test]
fn wsk_10_2_close_completes_after_running_callbacks_have_returned() {
    static WAITED: AtomicU32 = AtomicU32::new(0);
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let linger = Arc::new(Linger::default());
        let receiver = linger.receiver();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"x");
        linger.wait_until_entered(&receiver);
        let ran = linger.runs();
        let status = socket.start_close(close.prepare());
        assert!(status == STATUS_PENDING || !linger.runs());
        WAITED.fetch_add(u32::from(ran && status == STATUS_PENDING), SeqCst);
        linger.end();
        assert_eq!(close.wait().0, STATUS_SUCCESS);
        assert!(!linger.runs(), "the callback has returned");
    });
    assert!(WAITED.load(SeqCst) > 0);
}

#[test]
fn wsk_1_1_flag_of_dispatch_level_is_only_set_there() {
    static FLAGGED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let levels = Arc::new(Mutex::new(Vec::new()));
        let place = Arc::clone(&levels);
        let receiver = Receiver::new(move |_, _| {
            // SAFETY: there are no conditions.
            place.lock().unwrap().push(unsafe { KeGetCurrentIrql() });
            STATUS_SUCCESS
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"x");
        let flags = receiver.wait_for(1)[0].flags;
        let level = levels.lock().unwrap()[0];
        assert_eq!(flags & !WSK_FLAG_AT_DISPATCH_LEVEL, 0);
        let flagged = flags != 0;
        assert!(level == DISPATCH || !flagged);
        // Without the flag the level may be either.
        if level == DISPATCH {
            FLAGGED[usize::from(flagged)].fetch_add(1, SeqCst);
        }
        socket.close(&mut io);
    });
    assert!(
        FLAGGED.iter().all(|count| count.load(SeqCst) > 0),
        "{FLAGGED:?}"
    );
}

#[test]
fn wsk_8_9_data_of_a_datagram_may_span_mdls_and_begin_behind_an_offset() {
    static SHAPES: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::new(|_, list| {
            // SAFETY: the list is valid during the call.
            let buffer = unsafe { list.read() }.Buffer;
            // SAFETY: as above.
            let next = unsafe { buffer.Mdl.read() }.Next;
            SHAPES[0].fetch_add(u32::from(next.is_null()), SeqCst);
            SHAPES[1].fetch_add(u32::from(!next.is_null()), SeqCst);
            SHAPES[2].fetch_add(u32::from(buffer.Offset > 0), SeqCst);
            STATUS_SUCCESS
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        let data: Vec<u8> = (0..200).collect();
        peer.send(&data);
        // What is read across all MDLs is the datagram.
        assert_eq!(receiver.wait_for(1)[0].data, data);
        socket.close(&mut io);
    });
    assert!(
        SHAPES.iter().all(|count| count.load(SeqCst) > 0),
        "{SHAPES:?}"
    );
}

#[test]
fn zero_length_datagram_is_indicated_without_data() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let receiver = Receiver::taking();
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        socket.enable();
        peer.send(b"");
        assert_eq!(receiver.wait_for(1)[0].data, b"");
        assert_eq!(receiver.calls(), [1]);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_1_3_and_10_6_callback_may_start_to_close_its_socket() {
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut close) = (Io::new(), Io::new());
        let irp = AtomicPtr::new(close.prepare());
        let target = Arc::new(AtomicPtr::default());
        let place = Arc::clone(&target);
        let receiver = Receiver::new(move |_, _| {
            let socket = DatagramSocket(place.swap(ptr::null_mut(), SeqCst));
            if !socket.0.is_null() {
                socket.start_close(irp.load(SeqCst));
            }
            STATUS_SUCCESS
        });
        let (_client, socket, peer) = opened(sim, &mut io, &receiver);
        target.store(socket.0, SeqCst);
        socket.enable();
        peer.send(b"x");
        receiver.wait_for_calls(1);
        assert_eq!(close.wait().0, STATUS_SUCCESS);
    });
}

/// A callback that takes its time, as far as the schedule lets others run meanwhile: it must not
/// wait.
#[derive(Default)]
struct Linger {
    entered: AtomicBool,
    running: AtomicBool,
    ending: AtomicBool,
}

impl Linger {
    #[expect(clippy::unnecessary_box_returns, reason = "the context does not move")]
    fn receiver(self: &Arc<Self>) -> Box<Receiver> {
        let this = Arc::clone(self);
        Receiver::new(move |receiver, _| {
            this.running.store(true, SeqCst);
            this.entered.store(true, SeqCst);
            receiver.signal();
            this.linger();
            this.running.store(false, SeqCst);
            STATUS_SUCCESS
        })
    }

    fn linger(&self) {
        const TURNS: u32 = 50;
        let event = Signal::new();
        for _ in 0..TURNS {
            if !self.ending.load(SeqCst) {
                // Setting an event is a scheduling point.
                event.set();
            }
        }
    }

    fn wait_until_entered(&self, receiver: &Receiver) {
        while !self.entered.load(SeqCst) {
            receiver.wait();
        }
    }

    fn runs(&self) -> bool {
        self.running.load(SeqCst)
    }

    fn end(&self) {
        self.ending.store(true, SeqCst);
    }
}
