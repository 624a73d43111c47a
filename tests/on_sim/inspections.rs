//! Many inspections under disturbance: peers that give up at any moment, decisions by the handler
//! and by several owners, or never, and a listener that is closed in the middle of it.
//!
//! Each schedule makes about fifty, and all together a hundred thousand: the test says how many.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{
    ConnectionEventSet, ConnectionSocket, InspectId, InspectRequest, Inspection, ListenEvents,
    ListenSocket, Offer, Verdict,
};
use wsk_sim::{Sim, Task};

use crate::{
    common::{Client, address, passive},
    random::Random,
};

const SCHEDULES: u64 = 2200;
const PEERS: usize = 4;
const CONNECTS: usize = 25;

/// How many were inspected, accepted and aborted.
type Counts = [usize; 3];

struct Log {
    random: Random,
    /// Pended, and not taken by an owner yet.
    pended: Vec<Inspection>,
    /// Kept until the end, without a decision.
    kept: Vec<Inspection>,
    arrived: Vec<ConnectionSocket>,
    inspected: Vec<InspectId>,
    /// Let in by the handler, or by an owner whom WSK has heard.
    let_in: HashSet<InspectId>,
    /// Pended, and not rejected: nobody may know what became of them.
    undecided: HashSet<InspectId>,
    aborted: Vec<InspectId>,
    accepted: Vec<InspectId>,
    over: bool,
}

/// The handler, and what everybody knows. Its lock is held for moments only, in which no kernel
/// function is called.
#[derive(Clone)]
struct Judge(Arc<Mutex<Log>>);

impl Judge {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Log {
            random: Random::new(seed),
            pended: Vec::new(),
            kept: Vec::new(),
            arrived: Vec::new(),
            inspected: Vec::new(),
            let_in: HashSet::new(),
            undecided: HashSet::new(),
            aborted: Vec::new(),
            accepted: Vec::new(),
            over: false,
        })))
    }

    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn below(&self, limit: usize) -> usize {
        self.with(|log| log.random.below(limit))
    }

    /// Decides about what is pended, until all is over.
    fn decide(&self, sim: &Sim) {
        while !self.with(|log| log.over) {
            let Some(inspection) = self.with(|log| log.pended.pop()) else {
                sim.sleep(Duration::from_micros(200));
                continue;
            };
            let id = inspection.id();
            match self.below(6) {
                0 => drop(inspection),
                1 => self.with(|log| log.kept.push(inspection)),
                2 => drop(inspection.reject().wait(passive())),
                3 => {
                    // Whether it is heard, nobody waits for.
                    self.with(|log| log.undecided.insert(id));
                    drop(inspection.accept());
                }
                _ => {
                    self.with(|log| log.undecided.insert(id));
                    if inspection.accept().wait(passive()).is_ok() {
                        self.with(|log| log.let_in.insert(id));
                        self.with(|log| log.undecided.remove(&id));
                    }
                }
            }
        }
    }

    /// Takes what has arrived, and asks by which inspection.
    fn take(&self, sim: &Sim) {
        loop {
            match self.with(|log| log.arrived.pop()) {
                Some(connection) => {
                    let id = connection.inspect_id().expect("it was inspected");
                    self.with(|log| log.accepted.push(id));
                }
                None if self.with(|log| log.over) => break,
                None => sim.sleep(Duration::from_micros(50)),
            }
        }
    }

    /// Connects, and gives up at some moment.
    fn connect(&self, sim: &Sim) {
        for _ in 0..CONNECTS {
            let Ok(attempt) = sim.begin_to_connect(address()) else {
                return;
            };
            // From "before it is inspected" to "long after it was accepted".
            let longest = [1, 300, 6000][self.below(3)];
            sim.sleep(Duration::from_micros(self.below(longest) as u64));
            if self.below(4) == 0 {
                // Dropped when the lock is free again.
                drop(self.with(|log| log.kept.pop()));
            }
            drop(attempt);
        }
    }

    fn check(&self, closed_early: bool) -> Counts {
        self.with(|log| {
            let inspected: HashSet<_> = log.inspected.iter().copied().collect();
            assert_eq!(inspected.len(), log.inspected.len(), "inspected twice");
            let aborted: HashSet<_> = log.aborted.iter().copied().collect();
            assert_eq!(aborted.len(), log.aborted.len(), "aborted twice");
            let accepted: HashSet<_> = log.accepted.iter().copied().collect();
            assert_eq!(accepted.len(), log.accepted.len(), "accepted twice");
            assert!(accepted.is_disjoint(&aborted), "accepted and aborted");
            for id in &accepted {
                let wanted = log.let_in.contains(id) || log.undecided.contains(id);
                assert!(wanted, "accepted, but nobody has let it in");
            }
            if !closed_early {
                for id in &log.let_in {
                    let heard = accepted.contains(id) || aborted.contains(id);
                    assert!(heard, "let in, and never heard of again");
                }
            }
            [inspected.len(), accepted.len(), aborted.len()]
        })
    }
}

impl ListenEvents for Judge {
    fn accept(&self, offer: Offer<'_>) {
        let connection = offer.accept().expect("memory");
        self.with(|log| log.arrived.push(connection));
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let id = request.id();
        let choice = self.with(|log| {
            log.inspected.push(id);
            log.random.below(6)
        });
        match choice {
            0 => request.reject(),
            1 => {
                self.with(|log| log.let_in.insert(id));
                request.accept()
            }
            _ => {
                let (verdict, inspection) = request.pend().expect("memory");
                self.with(|log| log.pended.push(inspection));
                verdict
            }
        }
    }

    fn aborted(&self, id: InspectId) {
        self.with(|log| log.aborted.push(id));
    }
}

fn listen(client: &Client, judge: &Judge) -> ListenSocket {
    let listener = client.listen_with(judge.clone(), true);
    let nothing = ConnectionEventSet::empty();
    listener.enable_accept_events(nothing).expect("bound");
    listener
}

fn disturbed(sim: &Sim) -> Counts {
    let client = Client::new();
    let judge = Judge::new(sim.seed());
    let listener = listen(&client, &judge);
    let spawn = |work: fn(&Judge, &Sim)| {
        let (judge, own) = (judge.clone(), sim.clone());
        sim.spawn(move || work(&judge, &own))
    };
    let peers: Vec<_> = (0..PEERS).map(|_| spawn(Judge::connect)).collect();
    let owners = [Judge::decide, Judge::decide, Judge::take].map(spawn);
    let closed_early = sim.seed().is_multiple_of(2);
    let mut listener = Some(listener);
    if closed_early {
        sim.sleep(Duration::from_millis(5 + sim.seed() % 20));
        let closing = listener.take().map(ListenSocket::close);
        let closed = closing.map(|closing| closing.wait(passive()));
        assert_eq!(closed, Some(Ok(())));
    }
    peers.into_iter().for_each(Task::join);
    sim.sleep(Duration::from_millis(50));
    judge.with(|log| log.over = true);
    owners.into_iter().for_each(Task::join);
    let left = judge.with(|log| std::mem::take(&mut log.kept));
    if sim.seed().is_multiple_of(3) {
        drop(left);
        drop(listener);
    } else {
        // They outlive their listener.
        drop(listener);
        drop(left);
    }
    client.end();
    judge.check(closed_early)
}

// [wsk 7.8, 7.9, 7.11, 7.12]
#[test]
fn many_inspections_are_neither_lost_nor_doubled_nor_leaked() {
    let totals: Arc<[AtomicUsize; 3]> = Arc::default();
    let adding = totals.clone();
    let began = std::time::Instant::now();
    wsk_sim::seeds(SCHEDULES, move |sim| {
        for (total, count) in adding.iter().zip(disturbed(sim)) {
            total.fetch_add(count, SeqCst);
        }
    });
    let [inspected, accepted, aborted] = [0, 1, 2].map(|index| totals[index].load(SeqCst));
    assert!(accepted > 0 && aborted > 0, "a test of nothing");
    println!(
        "facts: {inspected} inspections, {accepted} accepted, {aborted} aborted, in {:.1?}",
        began.elapsed()
    );
}

/// Pends every request.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Vec<Inspection>>>);

impl ListenEvents for Keeper {
    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let (verdict, inspection) = request.pend().expect("memory");
        self.0.lock().expect("not poisoned").push(inspection);
        verdict
    }
}

// [wsk 7.9]: among this many, the simulator gives keys and serial numbers more than once.
#[test]
fn abort_is_of_the_one_inspection_with_both_parts_of_its_id() {
    const PEERS: usize = 30;
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        let keeper = Keeper::default();
        let listener = client.listen_with(keeper.clone(), true);
        let peers = (0..PEERS).map(|_| sim.begin_to_connect(address()).expect("it listens"));
        let mut peers: Vec<_> = peers.collect();
        while keeper.0.lock().expect("not poisoned").len() < PEERS {
            sim.sleep(Duration::from_millis(1));
        }
        let mut random = Random::new(sim.seed());
        peers.retain(|_| random.below(3) > 0);
        sim.sleep(Duration::from_secs(1));
        let pended = std::mem::take(&mut *keeper.0.lock().expect("not poisoned"));
        let ids: HashSet<_> = pended.iter().map(Inspection::id).collect();
        assert_eq!(ids.len(), PEERS);
        let here: HashSet<_> = peers.iter().map(|peer| Some(peer.local_addr())).collect();
        for inspection in &pended {
            let gave_up = !here.contains(&inspection.remote());
            assert_eq!(inspection.is_aborted(), gave_up, "{inspection:?}");
        }
        drop((pended, peers, listener));
        client.end();
    });
}
