//! Datagrams whose receives are abandoned, in random walks.

extern crate std;

use std::{vec, vec::Vec};

use super::{DatagramReceives, Datagrams, Entry, Lost, Receives, Step};

/// A provider that gives datagrams to receives, and readers that take, abandon and cancel them at
/// random. A datagram is a number.
struct Model {
    datagrams: Datagrams<usize>,
    slots: Slots,
    /// In flight at the provider.
    provider: Vec<usize>,
    /// Cancelled at the provider, but not completed yet.
    cancelled: Vec<usize>,
    /// Those of them that nobody but a recall has cancelled.
    only_recalled: Vec<usize>,
    recalls: Vec<usize>,
    /// Published and wanted.
    ready: Vec<usize>,
    wanted: Vec<usize>,
    sent: usize,
    got: Vec<usize>,
    lost: Lost,
    random: u64,
}

#[derive(Default)]
struct Slots(Vec<(Entry<usize>, Option<usize>)>);

impl Receives for Slots {
    type Id = usize;

    fn entry(&mut self, id: usize) -> &mut Entry<usize> {
        &mut self.0[id].0
    }
}

impl DatagramReceives for Slots {
    fn hand_over(&mut self, kept: usize, later: usize) -> usize {
        let number = self.0[kept].1.take().expect("something is kept");
        assert_eq!(self.0[later].1.replace(number), None, "overwritten");
        number
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            datagrams: Datagrams::new(),
            slots: Slots::default(),
            provider: Vec::new(),
            cancelled: Vec::new(),
            only_recalled: Vec::new(),
            recalls: Vec::new(),
            ready: Vec::new(),
            wanted: Vec::new(),
            sent: 0,
            got: Vec::new(),
            lost: Lost::default(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).expect("31 bits") % limit
    }

    fn settle(&mut self) {
        while let Some((step, more)) = self.datagrams.next_step(&mut self.slots) {
            match step {
                Step::Publish(id) => {
                    if self.wanted.contains(&id) {
                        self.ready.push(id);
                    }
                }
                Step::Recall(id) => {
                    assert!(self.recalls.is_empty(), "one at a time");
                    self.recalls.push(id);
                }
                Step::Dispose { lost, .. } => {
                    self.lost.bytes += lost.bytes;
                    self.lost.datagrams += lost.datagrams;
                }
            }
            if !more {
                let next = self.datagrams.next_step(&mut self.slots);
                assert_eq!(next, None, "no more");
            }
        }
    }

    fn start(&mut self) {
        let id = self.slots.0.len();
        self.slots.0.push((Entry::new(), None));
        self.wanted.push(id);
        if self.datagrams.start(&mut self.slots, id) {
            self.provider.push(id);
        }
        self.settle();
    }

    /// The provider gives any of them a datagram.
    fn arrive(&mut self) {
        if self.provider.is_empty() {
            return;
        }
        let at = self.below(self.provider.len());
        let id = self.provider.remove(at);
        self.cancelled.retain(|other| *other != id);
        self.slots.0[id].1 = Some(self.sent);
        self.datagrams
            .complete(&mut self.slots, id, Some(self.sent));
        self.sent += 1;
        self.settle();
    }

    /// The provider completes one that was cancelled.
    fn end_cancelled(&mut self) {
        if let Some(id) = self.cancelled.pop() {
            self.provider.retain(|other| *other != id);
            self.datagrams.complete(&mut self.slots, id, None);
            self.settle();
        }
    }

    fn recall(&mut self) {
        let Some(id) = self.recalls.pop() else { return };
        if !self.cancelled.contains(&id) {
            self.only_recalled.push(id);
        }
        self.cancel(id);
        self.slots.entry(id).recalled();
        self.settle();
    }

    fn cancel(&mut self, id: usize) {
        if self.provider.contains(&id) && !self.cancelled.contains(&id) {
            self.cancelled.push(id);
        }
    }

    fn cancel_by_reader(&mut self, id: usize) {
        self.only_recalled.retain(|other| *other != id);
        self.cancel(id);
    }

    fn take(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let at = self.below(self.ready.len());
        let id = self.ready.remove(at);
        self.wanted.retain(|other| *other != id);
        let taken = self.datagrams.take(&mut self.slots, id);
        let datagram = self.slots.0[id].1.take();
        assert_eq!(datagram.is_some(), taken.succeeded);
        if !taken.succeeded {
            let only_recalled = self.only_recalled.contains(&id);
            assert!(
                !only_recalled || self.datagrams.discarding,
                "cancelled in vain"
            );
        }
        if let Some(number) = datagram {
            assert_eq!(taken.bytes, 0..number, "the length is another one's");
            self.got.push(number);
        }
        self.settle();
    }

    fn abandon(&mut self) {
        if self.wanted.is_empty() {
            return;
        }
        let at = self.below(self.wanted.len());
        let id = self.wanted.remove(at);
        self.ready.retain(|other| *other != id);
        self.cancel_by_reader(id);
        self.datagrams.abandon(&mut self.slots, id);
        self.settle();
    }

    fn step(&mut self) {
        match self.below(9) {
            0 | 1 => self.start(),
            2 | 3 => self.arrive(),
            4 => self.abandon(),
            5 => self.recall(),
            6 => self.end_cancelled(),
            7 if !self.wanted.is_empty() => {
                let at = self.below(self.wanted.len());
                self.cancel_by_reader(self.wanted[at]);
            }
            _ => self.take(),
        }
    }

    fn run(&mut self) {
        for _ in 0..60 {
            self.step();
        }
    }

    fn wind_up(&mut self) {
        while !self.recalls.is_empty() || !self.cancelled.is_empty() || !self.ready.is_empty() {
            self.recall();
            self.end_cancelled();
            self.take();
        }
    }
}

#[test]
fn datagram_of_an_abandoned_receive_is_another_ones_and_comes_once() {
    for seed in 0..30_000 {
        let mut model = Model::new(seed);
        model.run();
        model.wind_up();
        // Nothing is kept as long as somebody waits for it.
        let kept = model.sent - model.got.len();
        assert!(kept == 0 || model.wanted.is_empty(), "seed {seed}");
        for _ in 0..kept {
            model.start();
            model.take();
        }
        assert!(model.provider.len() == model.wanted.len());
        model.got.sort_unstable();
        assert_eq!(
            model.got,
            (0..model.sent).collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert_eq!(model.lost, Lost::default());
    }
}

#[test]
fn datagrams_that_are_discarded_are_counted_as_lost() {
    for seed in 0..5000 {
        let mut model = Model::new(seed);
        model.run();
        model.datagrams.discard();
        model.settle();
        for id in model.provider.clone() {
            model.cancel(id);
        }
        model.wind_up();
        assert!(model.datagrams.is_empty(), "seed {seed}");
        assert_eq!(model.lost.datagrams, model.sent - model.got.len());
        let got: usize = model.got.iter().sum();
        assert_eq!(model.lost.bytes, (0..model.sent).sum::<usize>() - got);
    }
}

/// [wsk 8.8] An empty datagram is a datagram.
#[test]
fn empty_datagram_is_kept_too() {
    let (mut datagrams, mut slots) = (Datagrams::new(), Slots(vec![]));
    for id in 0..2 {
        slots.0.push((Entry::new(), None));
        let passed_on = datagrams.start(&mut slots, id);
        assert_eq!(passed_on, id == 0);
        if id == 0 {
            slots.0[0].1 = Some(0);
            datagrams.abandon(&mut slots, 0);
            datagrams.complete(&mut slots, 0, Some(0));
            assert_eq!(datagrams.next_step(&mut slots), None);
        }
    }
    let taken = datagrams.take(&mut slots, 1);
    assert!(taken.succeeded && taken.bytes.is_empty());
}
