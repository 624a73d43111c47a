//! The calls: tasks that visit a provider again and again, for as long as this driver is attached
//! to it.
//!
//! A visit takes longer than the time between two, so that somebody is usually inside when either
//! driver is unloaded: that is what the sample is to show. The unloading waits for it, and it goes
//! as soon as it notices.

use alloc::sync::Arc;
use core::{future::poll_fn, sync::atomic::Ordering::Relaxed, task::Poll, time::Duration};

use wsk::{
    Passive,
    nmr::{AsClient, Binding},
};
use wsk_npi::{Count, Counter};

use crate::{pause::pause, statistics::Statistics};

/// Calls during one visit.
const CALLS: u32 = 4;

/// The time after each call, and between two visits.
const PAUSE: Duration = Duration::from_millis(1);

/// Visits the provider until it is detached.
pub async fn run(provider: Binding<Counter, AsClient>, statistics: Arc<Statistics>) {
    // Tasks run at PASSIVE_LEVEL.
    while let Some(passive) = Passive::new()
        && visit(&provider, &statistics, passive)
    {
        pause(PAUSE, passive);
        give_way().await;
    }
}

/// One visit. `false`: it cannot be visited any more.
fn visit(provider: &Binding<Counter, AsClient>, statistics: &Statistics, passive: Passive) -> bool {
    let Ok(entered) = provider.enter() else {
        return false;
    };
    for _ in 0..CALLS {
        entered.add(1);
        statistics.adds.fetch_add(1, Relaxed);
        pause(PAUSE, passive);
        // Nobody else gets in: the detach has begun, and waits for this visit.
        if provider.enter().is_err() {
            statistics.interrupted.fetch_add(1, Relaxed);
            return false;
        }
    }
    true
}

/// Lets the other tasks of this thread run.
async fn give_way() {
    let mut has_asked = false;
    poll_fn(|context| {
        if has_asked {
            return Poll::Ready(());
        }
        has_asked = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
