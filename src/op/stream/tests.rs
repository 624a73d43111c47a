//! The order of a stream whose receives are abandoned, for all sizes and in random walks.

extern crate std;

use std::{collections::VecDeque, vec, vec::Vec};

use super::{Entry, Lost, Receives, Step, Stream, StreamReceives, pour};

#[test]
fn pour_keeps_the_order_for_all_sizes() {
    for kept in 0..6 {
        for start in 0..3 {
            for room in 1..6 {
                for own in 0..=room {
                    check_pour(kept, start, room, own);
                }
            }
        }
    }
}

fn check_pour(kept: u8, start: usize, room: usize, own: usize) {
    let mut from = vec![0xFF; start];
    from.extend(0..kept);
    let mut to: Vec<u8> = (kept..).take(own).collect();
    to.resize(room, 0xFF);
    let bytes = start..from.len();
    let (rest, filled) = pour(&mut from, bytes, &mut to, own);
    let total = usize::from(kept) + own;
    assert_eq!(filled, total.min(room), "as much as fits");
    let mut all = to[..filled].to_vec();
    all.extend(&from[rest]);
    let expected: Vec<u8> = (0..).take(total).collect();
    assert_eq!(all, expected, "{kept} kept at {start}, {own} of {room}");
}

/// A provider that fills receives in order, and a reader that takes, abandons and cancels them
/// at random.
struct Model {
    stream: Stream<usize>,
    slots: Slots,
    /// In flight at the provider, in order.
    provider: VecDeque<usize>,
    /// Cancelled at the provider, but not completed yet.
    cancelled: Vec<usize>,
    recalls: Vec<usize>,
    /// Published and wanted.
    ready: Vec<usize>,
    wanted: Vec<usize>,
    sent: u8,
    got: Vec<u8>,
    lost: usize,
    random: u64,
}

#[derive(Default)]
struct Slots(Vec<(Entry<usize>, Vec<u8>)>);

impl Receives for Slots {
    type Id = usize;

    fn entry(&mut self, id: usize) -> &mut Entry<usize> {
        &mut self.0[id].0
    }
}

impl StreamReceives for Slots {
    fn buffers(&mut self, earlier: usize, later: usize) -> (&mut [u8], &mut [u8]) {
        let [earlier, later] = self
            .0
            .get_disjoint_mut([earlier, later])
            .expect("two receives");
        (&mut earlier.1, &mut later.1)
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            stream: Stream::new(),
            slots: Slots::default(),
            provider: VecDeque::new(),
            cancelled: Vec::new(),
            recalls: Vec::new(),
            ready: Vec::new(),
            wanted: Vec::new(),
            sent: 0,
            got: Vec::new(),
            lost: 0,
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
        loop {
            let next = self.stream.next_step(&mut self.slots);
            match next {
                None => return,
                Some((Step::Publish(id), _)) => {
                    if self.wanted.contains(&id) {
                        self.ready.push(id);
                    }
                }
                Some((Step::Recall(id), _)) => self.recalls.push(id),
                Some((Step::Dispose { lost, .. }, _)) => self.lost += lost.bytes,
            }
            if let Some((_, false)) = next {
                assert_eq!(self.stream.next_step(&mut self.slots), None, "no more");
                return;
            }
        }
    }

    fn start(&mut self) {
        let (room, base) = (1 + self.below(4), self.below(2));
        let id = self.slots.0.len();
        self.slots.0.push((Entry::new(), vec![0xEE; base + room]));
        self.wanted.push(id);
        if self.stream.start(&mut self.slots, id, base, base) {
            self.provider.push_back(id);
        }
        self.settle();
    }

    /// The provider completes the first one, with some bytes.
    fn arrive(&mut self) {
        let Some(id) = self.provider.pop_front() else {
            return;
        };
        let base = self.slots.0[id].0.base;
        let room = self.slots.0[id].1.len() - base;
        let count = 1 + self.below(room);
        for index in 0..count {
            self.slots.0[id].1[base + index] = self.sent;
            self.sent = self.sent.wrapping_add(1);
        }
        self.cancelled.retain(|other| *other != id);
        self.complete(id, Some(count));
    }

    fn complete(&mut self, id: usize, count: Option<usize>) {
        self.slots.entry(id).complete(count);
        self.settle();
    }

    /// The provider completes one that was cancelled.
    fn end_cancelled(&mut self) {
        if let Some(id) = self.cancelled.pop() {
            self.provider.retain(|other| *other != id);
            self.complete(id, None);
        }
    }

    fn recall(&mut self) {
        let Some(id) = self.recalls.pop() else { return };
        self.cancel(id);
        self.slots.entry(id).recalled();
        self.settle();
    }

    fn cancel(&mut self, id: usize) {
        if self.provider.contains(&id) && !self.cancelled.contains(&id) {
            self.cancelled.push(id);
        }
    }

    /// Takes the earliest result, as one reader does.
    fn take(&mut self) {
        let Some(first) = self.wanted.first().copied() else {
            return;
        };
        let Some(at) = self.ready.iter().position(|id| *id == first) else {
            return;
        };
        let Some(taken) = self.stream.take(&mut self.slots, first) else {
            return;
        };
        self.ready.remove(at);
        self.wanted.remove(0);
        assert!(taken.succeeded || taken.bytes.is_empty());
        let bytes = &self.slots.0[first].1[taken.bytes];
        self.got.extend(bytes);
        self.settle();
    }

    fn abandon(&mut self) {
        if self.wanted.is_empty() {
            return;
        }
        let at = self.below(self.wanted.len());
        let id = self.wanted.remove(at);
        self.ready.retain(|other| *other != id);
        self.cancel(id);
        self.slots.entry(id).abandon();
        self.settle();
    }

    fn step(&mut self) {
        match self.below(8) {
            0 | 1 => self.start(),
            2 | 3 => self.arrive(),
            4 => self.abandon(),
            5 => self.recall(),
            6 => self.end_cancelled(),
            _ => match self.wanted.first().copied() {
                Some(first) if self.below(3) == 0 => self.cancel(first),
                _ => self.take(),
            },
        }
    }

    /// Everything comes to its end, and all that was sent has been received.
    fn end(&mut self) {
        for _ in 0..1000 {
            self.end_cancelled();
            self.recall();
            self.take();
            if self.stream.list.first.is_some() && self.wanted.is_empty() {
                self.start();
            }
            if self.stream.list.first.is_none() {
                break;
            }
            if self.recalls.is_empty() && self.cancelled.is_empty() {
                self.arrive();
            }
        }
        assert!(self.stream.list.first.is_none() && self.stream.list.last.is_none());
        assert_eq!(self.lost, 0, "lost");
        let expected: Vec<u8> = (0..=u8::MAX).cycle().take(self.got.len()).collect();
        assert_eq!(self.got, expected, "other bytes, or in another order");
        let sent = usize::from(self.sent);
        assert_eq!(self.got.len() % 256, sent, "some were not received");
    }
}

/// [wsk 3.11] A receive that is abandoned may have taken bytes; the next one gets them.
#[test]
fn stream_taken_in_order_loses_nothing_whatever_is_abandoned() {
    for seed in 0..30_000 {
        let mut model = Model::new(seed);
        for _ in 0..40 {
            model.step();
        }
        model.end();
    }
}

fn two_published() -> (Stream<usize>, Slots) {
    let (mut stream, mut slots) = (Stream::new(), Slots::default());
    for id in 0..2 {
        slots.0.push((Entry::new(), vec![7; 4]));
        assert!(stream.start(&mut slots, id, 0, 0));
    }
    for id in 0..2 {
        slots.entry(id).complete(Some(2));
        let step = stream.next_step(&mut slots);
        assert_eq!(step, Some((Step::Publish(id), id == 0)));
    }
    (stream, slots)
}

#[test]
fn stream_overtaken_bytes_that_are_abandoned_are_lost_and_said_to_be() {
    let (mut stream, mut slots) = two_published();
    let later = stream.take(&mut slots, 1).expect("nothing abandoned");
    assert_eq!(later.bytes, 0..2);
    slots.entry(0).abandon();
    let step = stream.next_step(&mut slots);
    let disposed = Step::Dispose {
        id: 0,
        published: true,
        lost: Lost {
            bytes: 2,
            datagrams: 0,
        },
    };
    assert_eq!(step, Some((disposed, false)));
    assert!(stream.is_broken());
}

/// Else a receive would get bytes with a hole before them.
#[test]
fn stream_discarding_keeps_for_a_later_receive_that_is_in_flight() {
    let (mut stream, mut slots) = (Stream::new(), Slots::default());
    for id in 0..2 {
        slots.0.push((Entry::new(), vec![0; 4]));
        assert!(stream.start(&mut slots, id, 0, 0));
    }
    stream.discard();
    slots.0[0].1.copy_from_slice(b"ab..");
    slots.entry(0).complete(Some(2));
    slots.entry(0).abandon();
    assert_eq!(
        stream.next_step(&mut slots),
        Some((Step::Recall(1), false)),
        "the second one can have them"
    );
    slots.0[1].1.copy_from_slice(b"cd..");
    slots.entry(1).complete(Some(2));
    slots.entry(1).recalled();
    assert_eq!(stream.next_step(&mut slots), Some((Step::Publish(1), true)));
    let taken = stream.take(&mut slots, 1);
    assert_eq!(taken.map(|taken| taken.bytes), Some(0..4));
    assert_eq!(slots.0[1].1, *b"abcd");
}

#[test]
fn stream_discarding_keeps_nothing_and_is_not_broken() {
    let (mut stream, mut slots) = two_published();
    slots.entry(1).abandon();
    assert_eq!(stream.next_step(&mut slots), None, "kept");
    stream.discard();
    let disposed = Step::Dispose {
        id: 1,
        published: true,
        lost: Lost {
            bytes: 2,
            datagrams: 0,
        },
    };
    assert_eq!(stream.next_step(&mut slots), Some((disposed, true)));
    assert!(!stream.is_broken());
    assert!(stream.take(&mut slots, 0).is_some());
}
