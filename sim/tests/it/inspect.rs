//! Conditional accept: inspections, decisions and aborts [wsk 7.6, 7.7, 7.8, 7.9, 7.10, 7.11,
//! 7.12].

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use wdk_sys::{
    NTSTATUS, STATUS_CONNECTION_REFUSED, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use wsk_sim::{Rule, Sim, Task, seeds};
use wsk_sys::WSK_INSPECT_ACTION::{WskInspectAccept, WskInspectPend, WskInspectReject};
use wsk_sys::{SO_CONDITIONAL_ACCEPT, SOL_SOCKET, WSK_EVENT_ACCEPT, WSK_FLAG_LISTEN_SOCKET};

use crate::common::{Client, Io, Socket};
use crate::driver::expect;
use crate::handlers::{Action, Id, Inspection, ListenHandlers, Queue, Table, is_passive};
use crate::requests::ADDRESS;

const SEEDS: u64 = 200;

/// What happened to a listening socket.
#[derive(Clone)]
struct Log {
    inspected: Arc<Queue<Inspection>>,
    aborted: Arc<Queue<Id>>,
    accepted: Arc<Queue<(Socket, SocketAddr)>>,
}

impl Log {
    fn new() -> Self {
        Self {
            inspected: Queue::new(),
            aborted: Queue::new(),
            accepted: Queue::new(),
        }
    }

    /// Handlers that tell everything, accept every connection, and decide with `decide`.
    fn handlers(
        &self,
        decide: impl Fn(&Inspection) -> Action + Send + Sync + 'static,
    ) -> ListenHandlers {
        let (inspections, aborts, accepts) = (self.clone(), self.clone(), self.clone());
        ListenHandlers {
            accept: Box::new(move |offer| {
                let remote = offer.addresses().1;
                let status = offer.accept();
                let socket = offer.socket.into_iter();
                socket.for_each(|socket| accepts.accepted.push((socket, remote)));
                status
            }),
            inspect: Box::new(move |inspection| {
                let Some(inspection) = inspection else {
                    return WskInspectReject;
                };
                inspections.inspected.push(inspection);
                decide(&inspection)
            }),
            abort: Box::new(move |id| {
                aborts.aborted.push(id);
                STATUS_SUCCESS
            }),
        }
    }

    fn close_accepted(&self, io: &mut Io) {
        while !self.accepted.is_empty() {
            self.accepted.pop().0.close(io);
        }
    }
}

fn inspecting(client: &Client, io: &mut Io, handlers: &ListenHandlers) -> Socket {
    let listener = client.listener_with(io, handlers, true);
    assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
    listener
}

/// A peer that connects, tells how that ended, and then waits for the end.
fn peer(sim: &Sim) -> Task<Result<(), NTSTATUS>> {
    let connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
    sim.spawn(move || {
        let peer = connecting.finish()?;
        let _ = peer.read(1);
        Ok(())
    })
}

#[test]
fn wsk_7_6_conditional_accept_is_set_before_bind_only() {
    seeds(20, |_| {
        let mut io = Io::new();
        let (client, handlers) = (Client::new(), ListenHandlers::default());
        let listener = client.listener_with(&mut io, &handlers, false);
        let outcome = listener.set_option(&mut io, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1);
        assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_7_inspection_comes_before_the_handshake() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let established = Queue::new();
        let connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
        let told = Arc::clone(&established);
        let task = sim.spawn(move || {
            let peer = connecting.finish().unwrap();
            told.push(peer.addresses());
            let _ = peer.read(1);
        });
        let inspection = log.inspected.pop();
        sim.sleep(Duration::from_secs(1));
        assert!(established.is_empty() && log.accepted.is_empty());
        let outcome = listener.inspect_complete(&mut io, inspection.id, WskInspectAccept);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        let (socket, remote) = log.accepted.pop();
        assert_eq!(established.pop(), (remote, inspection.local));
        assert_eq!(remote, inspection.remote);
        socket.close(&mut io);
        task.join();
        listener.close(&mut io);
    });
}

/// Decides by the client's port, so that the test knows what was decided.
fn by_port(inspection: &Inspection) -> Action {
    match inspection.remote.port() % 3 {
        0 => WskInspectAccept,
        1 => WskInspectReject,
        _ => WskInspectPend,
    }
}

#[test]
fn wsk_7_8_rejected_requests_are_refused_without_accept_or_abort() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|inspection| {
            if by_port(inspection) == WskInspectReject {
                WskInspectReject
            } else {
                WskInspectAccept
            }
        });
        let listener = inspecting(&client, &mut io, &handlers);
        let peers: Vec<_> = (0..6).map(|_| peer(sim)).collect();
        let inspections: Vec<_> = (0..6).map(|_| log.inspected.pop()).collect();
        let wanted: BTreeSet<_> = inspections
            .iter()
            .filter(|inspection| by_port(inspection) != WskInspectReject)
            .map(|inspection| inspection.remote)
            .collect();
        let mut accepted = BTreeSet::new();
        for _ in 0..wanted.len() {
            let (socket, remote) = log.accepted.pop();
            socket.close(&mut io);
            accepted.insert(remote);
        }
        assert_eq!(accepted, wanted);
        let ends: Vec<_> = peers.into_iter().map(Task::join).collect();
        let refused = Err(STATUS_CONNECTION_REFUSED);
        let refused = ends.iter().filter(|end| **end == refused);
        assert_eq!(refused.count(), 6 - wanted.len());
        assert!(log.aborted.is_empty() && log.accepted.is_empty());
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_11_pended_requests_are_decided_at_any_irql() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let peers: Vec<_> = (0..4).map(|_| peer(sim)).collect();
        for number in 0..4 {
            let id = log.inspected.pop().id;
            let action = if number < 2 {
                WskInspectAccept
            } else {
                WskInspectReject
            };
            let mut copy = id.to_c();
            let irp = io.prepare();
            let mut call = || listener.start_inspect_complete(&raw mut copy, action, irp);
            if number % 2 == 0 {
                sim.at_dispatch(call);
            } else {
                call();
            }
            assert_eq!(io.wait().0, STATUS_SUCCESS);
        }
        for _ in 0..2 {
            log.accepted.pop().0.close(&mut io);
        }
        let ends: Vec<_> = peers.into_iter().map(Task::join).collect();
        let refused = Err(STATUS_CONNECTION_REFUSED);
        assert_eq!(ends.iter().filter(|end| **end == refused).count(), 2);
        assert!(log.accepted.is_empty() && log.aborted.is_empty());
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_11_request_may_be_completed_before_its_callback_has_returned() {
    static BEFORE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let completed = Queue::new();
        let told = Arc::clone(&completed);
        let handlers = log.handlers(move |_| {
            if is_passive() {
                told.pop();
                BEFORE[0].fetch_add(1, SeqCst);
            } else {
                BEFORE[1].fetch_add(1, SeqCst);
            }
            WskInspectPend
        });
        let listener = inspecting(&client, &mut io, &handlers);
        let accepted = peer(sim);
        let mut id = log.inspected.pop().id.to_c();
        listener.start_inspect_complete(&raw mut id, WskInspectAccept, io.prepare());
        completed.push(());
        assert_eq!(io.wait().0, STATUS_SUCCESS);
        log.accepted.pop().0.close(&mut io);
        accepted.join().unwrap();
        assert!(log.aborted.is_empty());
        listener.close(&mut io);
    });
    assert!(BEFORE.iter().all(|count| count.load(SeqCst) > 0));
}

#[test]
fn wsk_7_9_requests_differ_by_both_members_of_their_ids() {
    seeds(20, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectReject);
        let listener = inspecting(&client, &mut io, &handlers);
        let peers: Vec<_> = (0..12).map(|_| peer(sim)).collect();
        let ids: BTreeSet<_> = (0..12).map(|_| log.inspected.pop().id).collect();
        let keys: BTreeSet<_> = ids.iter().map(|id| id.key).collect();
        let serials: BTreeSet<_> = ids.iter().map(|id| id.serial).collect();
        assert_eq!(ids.len(), 12);
        assert!(keys.len() < 12 && serials.len() < 12);
        for peer in peers {
            assert_eq!(peer.join(), Err(STATUS_CONNECTION_REFUSED));
        }
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_11_completing_an_aborted_request_establishes_nothing() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
        let id = log.inspected.pop().id;
        drop(connecting);
        assert_eq!(log.aborted.pop(), id);
        let outcome = listener.inspect_complete(&mut io, id, WskInspectAccept);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        sim.sleep(Duration::from_secs(1));
        assert!(log.accepted.is_empty() && log.aborted.is_empty());
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_11_completing_with_pend_is_refused() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let accepted = peer(sim);
        let id = log.inspected.pop().id;
        let outcome = listener.inspect_complete(&mut io, id, WskInspectPend);
        assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
        let outcome = listener.inspect_complete(&mut io, id, WskInspectAccept);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        log.accepted.pop().0.close(&mut io);
        accepted.join().unwrap();
        listener.close(&mut io);
    });
}

#[test]
fn close_with_pending_inspections_refuses_the_peers_and_leaves_nothing() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let peers: Vec<_> = (0..3).map(|_| peer(sim)).collect();
        log.inspected.pop();
        listener.close(&mut io);
        for peer in peers {
            assert_eq!(peer.join(), Err(STATUS_CONNECTION_REFUSED));
        }
        assert!(log.accepted.is_empty() && log.aborted.is_empty());
    });
}

#[test]
fn wsk_7_10_dead_listener_is_told_by_a_null_id_once() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, told) = (Client::new(), Queue::new());
        let log = Arc::clone(&told);
        let handlers = ListenHandlers {
            inspect: Box::new(move |inspection| {
                log.push(inspection.is_none());
                WskInspectReject
            }),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, true);
        sim.break_sockets();
        assert!(told.pop());
        sim.sleep(Duration::from_secs(1));
        assert!(told.is_empty());
        listener.close(&mut io);
    });
}

/// How a request of the test below ended.
#[derive(Default)]
struct Fate {
    decided: Option<Action>,
    completed: Option<Action>,
    accepted: usize,
    aborted: usize,
}

/// Which ends there were, over all schedules.
static ENDS: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];

impl Fate {
    /// Checks it; `patient` is a peer that did not give up.
    fn check(&self, patient: bool) {
        let decided = self.decided.unwrap();
        let last = self.completed.unwrap_or(decided);
        assert!(self.accepted + self.aborted <= 1, "accepted and aborted");
        if decided == WskInspectReject {
            assert_eq!((self.accepted, self.aborted), (0, 0));
        }
        if last == WskInspectReject {
            assert_eq!(self.accepted, 0);
        }
        if patient {
            assert_eq!(self.aborted, 0);
            assert_eq!(self.accepted, usize::from(last == WskInspectAccept));
        } else if last == WskInspectAccept {
            assert_eq!(
                self.accepted + self.aborted,
                1,
                "neither accepted nor aborted"
            );
        }
        let aborted = self.aborted > 0;
        let end = if decided == WskInspectReject {
            0
        } else if decided == WskInspectAccept {
            1 + usize::from(aborted)
        } else if !aborted {
            3
        } else if self.completed == Some(WskInspectAccept) {
            4
        } else {
            5
        };
        ENDS[end].fetch_add(1, SeqCst);
    }
}

/// A peer that waits for its answer, or gives up before, and then its address.
fn dial(sim: &Sim, patient: bool) -> (Option<SocketAddr>, Task<()>) {
    let connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
    let address = connecting.local_addr();
    let sim2 = sim.clone();
    let task = sim.spawn(move || {
        if patient {
            // Whether it is refused is checked at the other end.
            let _ = connecting.finish().map(|peer| peer.read(1));
        } else {
            sim2.sleep(Duration::from_millis(u64::from(address.port() % 4)));
        }
    });
    ((!patient).then_some(address), task)
}

#[test]
fn wsk_7_12_abort_follows_only_accept_or_pend_and_excludes_accept() {
    const PEERS: usize = 6;
    seeds(500, |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(by_port);
        let listener = inspecting(&client, &mut io, &handlers);
        let peers = (0..PEERS).map(|number| dial(sim, number % 2 == 0));
        let (impatient, peers): (Vec<_>, Vec<_>) = peers.unzip();
        let decider = {
            let log = log.clone();
            let sim2 = sim.clone();
            sim.spawn(move || decide_pended(&sim2, &log, listener))
        };
        let mut fates = decider.join();
        sim.sleep(Duration::from_secs(1));
        while !log.aborted.is_empty() {
            let id = log.aborted.pop();
            let fate = fates.values_mut().find(|(of, _)| *of == id);
            fate.expect("it was inspected").1.aborted += 1;
        }
        for (_, remote) in log.accepted.items() {
            fates.get_mut(&remote).expect("it was inspected").1.accepted += 1;
        }
        for (remote, (_, fate)) in &fates {
            fate.check(!impatient.contains(&Some(*remote)));
        }
        log.close_accepted(&mut io);
        peers.into_iter().for_each(Task::join);
        listener.close(&mut io);
    });
    assert!(ENDS.iter().all(|count| count.load(SeqCst) > 0), "{ENDS:?}");
}

/// Decides the requests that were pended, and enters all that were inspected.
fn decide_pended(sim: &Sim, log: &Log, listener: Socket) -> BTreeMap<SocketAddr, (Id, Fate)> {
    let mut io = Io::new();
    let mut fates = BTreeMap::new();
    while let Some(inspection) = log.inspected.pop_soon() {
        let mut fate = Fate {
            decided: Some(by_port(&inspection)),
            ..Fate::default()
        };
        if fate.decided == Some(WskInspectPend) {
            sim.sleep(Duration::from_millis(2));
            let action = if fates.len() % 3 == 0 {
                WskInspectReject
            } else {
                WskInspectAccept
            };
            let outcome = listener.inspect_complete(&mut io, inspection.id, action);
            assert_eq!(outcome.0, STATUS_SUCCESS);
            fate.completed = Some(action);
        }
        fates.insert(inspection.remote, (inspection.id, fate));
    }
    fates
}

/// A conditional listener that decides with `action`, and the ID of its first request.
fn with_request(sim: &Sim, io: &mut Io, action: Action) -> (Socket, Id) {
    let log = Log::new();
    let handlers = Box::leak(Box::new(log.handlers(move |_| action)));
    let client = Box::leak(Box::new(Client::new()));
    let listener = inspecting(client, io, handlers);
    core::mem::forget(peer(sim));
    let id = log.inspected.pop().id;
    sim.sleep(Duration::from_secs(1));
    (listener, id)
}

#[test]
fn wsk_7_11_completing_twice_is_reported() {
    expect(Rule::Inspection, "completed before", |sim| {
        let mut io = Io::new();
        let (listener, id) = with_request(sim, &mut io, WskInspectPend);
        listener.inspect_complete(&mut io, id, WskInspectReject);
        listener.inspect_complete(&mut io, id, WskInspectReject);
    });
}

#[test]
fn wsk_7_11_completing_an_unknown_request_is_reported() {
    expect(Rule::Inspection, "never inspected", |sim| {
        let mut io = Io::new();
        let (listener, id) = with_request(sim, &mut io, WskInspectPend);
        let other = Id {
            serial: id.serial + 1,
            ..id
        };
        listener.inspect_complete(&mut io, other, WskInspectAccept);
    });
}

#[test]
fn wsk_7_11_completing_what_the_callback_decided_is_reported() {
    for action in [WskInspectAccept, WskInspectReject] {
        expect(Rule::Inspection, "not pended", move |sim| {
            let mut io = Io::new();
            let (listener, id) = with_request(sim, &mut io, action);
            listener.inspect_complete(&mut io, id, WskInspectAccept);
        });
    }
}

#[test]
fn wsk_7_11_deciding_in_the_callback_what_was_completed_is_reported() {
    for action in [WskInspectAccept, WskInspectReject] {
        expect(Rule::Inspection, "not pended", move |sim| {
            let (mut io, mut complete) = (Io::new(), Io::new());
            let client = Client::new();
            let packet = crate::handlers::Packet::of(&mut complete);
            let listener = Arc::new(OnceLock::<Socket>::new());
            let socket = Arc::clone(&listener);
            let handlers = ListenHandlers {
                inspect: Box::new(move |inspection| {
                    let lent = inspection.unwrap().lent;
                    let listener = socket.get().unwrap();
                    listener.start_inspect_complete(lent, WskInspectAccept, packet.get());
                    action
                }),
                ..ListenHandlers::default()
            };
            let socket = client.listener_with(&mut io, &handlers, true);
            listener.set(socket).unwrap();
            let _ = sim.connect(ADDRESS.parse().unwrap());
        });
    }
}

#[test]
fn wsk_7_9_completing_with_the_id_that_was_lent_is_reported() {
    expect(Rule::Inspection, "an ID in freed memory", |sim| {
        let mut io = Io::new();
        let (client, log) = (Client::new(), Log::new());
        let handlers = log.handlers(|_| WskInspectPend);
        let listener = inspecting(&client, &mut io, &handlers);
        let _connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
        let lent = log.inspected.pop().lent;
        sim.sleep(Duration::from_secs(1));
        listener.start_inspect_complete(lent, WskInspectAccept, io.prepare());
    });
}

#[test]
fn wsk_7_8_unknown_action_is_reported() {
    expect(Rule::EventStatus, "WskInspectEvent returned 3", |sim| {
        with_request(sim, &mut Io::new(), 3);
    });
}

#[test]
fn wsk_7_12_abort_event_that_fails_is_reported() {
    expect(Rule::EventStatus, "WskAbortEvent", |sim| {
        let mut io = Io::new();
        let (client, inspected) = (Client::new(), Queue::new());
        let told = Arc::clone(&inspected);
        let handlers = ListenHandlers {
            inspect: Box::new(move |_| {
                told.push(());
                WskInspectPend
            }),
            abort: Box::new(|_| STATUS_UNSUCCESSFUL),
            ..ListenHandlers::default()
        };
        let listener = inspecting(&client, &mut io, &handlers);
        let connecting = sim.begin_to_connect(ADDRESS.parse().unwrap()).unwrap();
        inspected.pop();
        drop(connecting);
        sim.sleep(Duration::from_secs(1));
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_6_conditional_accept_without_callbacks_is_reported() {
    for table in [Table::NONE, Table::EMPTY] {
        expect(
            Rule::EventWithoutCallback,
            "conditional accept",
            move |_| {
                let mut io = Io::new();
                let client = Client::new();
                let socket = client.open(&mut io, WSK_FLAG_LISTEN_SOCKET, core::ptr::null(), table);
                socket.set_option(&mut io, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1);
                socket.bind(&mut io, ADDRESS.parse().unwrap());
            },
        );
    }
}
