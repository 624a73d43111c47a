//! What WSK says about received data besides the data.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use wsk::{ConnectionEventSet, ConnectionEvents, Indication, Received};

use crate::common::{Client, passive};

const SCHEDULES: u64 = 100;

/// How many indications there were, and how many had each flag.
#[derive(Default)]
struct Counts {
    all: AtomicU32,
    entire: AtomicU32,
    wanted_back: AtomicU32,
}

struct Counter(Arc<Counts>);

impl ConnectionEvents for Counter {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        let count = |counter: &AtomicU32, is_so: bool| {
            counter.fetch_add(u32::from(is_so), Ordering::SeqCst);
        };
        count(&self.0.all, true);
        count(&self.0.entire, indication.is_entire_message());
        count(&self.0.wanted_back, indication.is_wanted_back_soon());
        indication.consume()
    }
}

/// The provider sets both at random: each has to be seen, and each has to be missed.
#[test]
fn flags_of_indications_are_told_apart() {
    let counts = Arc::new(Counts::default());
    let (seen, shared) = (counts.clone(), counts);
    wsk_sim::seeds(SCHEDULES, move |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        connection
            .set_events(Counter(shared.clone()))
            .expect("memory");
        connection
            .enable_events(ConnectionEventSet::RECEIVE)
            .expect("enabled");
        let before = shared.all.load(Ordering::SeqCst);
        peer.write_all(b"a message").expect("connected");
        while shared.all.load(Ordering::SeqCst) == before {
            sim.sleep(std::time::Duration::from_millis(1));
        }
        connection.close().wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
    let all = seen.all.load(Ordering::SeqCst);
    for counter in [&seen.entire, &seen.wanted_back] {
        let count = counter.load(Ordering::SeqCst);
        assert!(0 < count && count < all, "{count} of {all}");
    }
    assert_ne!(
        seen.entire.load(Ordering::SeqCst),
        seen.wanted_back.load(Ordering::SeqCst)
    );
}
