//! Many cycles of loading and unloading, at the same time and with calls in flight.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use wsk_sim::{Sim, Task, builder};

use super::{Client, Provider, Which, agree, alone};

const SCHEDULES: u64 = 400;
/// Cycles of each driver on each schedule.
const CYCLES: u64 = 25;

/// A driver that is loaded and unloaded again and again, regardless of what the other one does.
fn come_and_go(sim: &Sim, which: Which) -> Task<()> {
    let other = sim.clone();
    sim.spawn(move || {
        let mut numbers = other.seed() * 2 + u64::from(which == Client);
        let mut pause = || {
            // Knuth's generator; its high bits are the better ones.
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            other.sleep(Duration::from_micros((numbers >> 33) % 8000));
        };
        for _ in 0..CYCLES {
            let driver = which.load(&other);
            pause();
            driver.unload(&other);
            pause();
        }
    })
}

/// What all schedules together have come to.
#[derive(Default)]
struct Totals {
    cycles: AtomicU64,
    met: AtomicU64,
    adds: AtomicU64,
    interrupted: AtomicU64,
}

// [wsk 12.2, 12.3, 12.10, 12.11, 12.12, 12.13, 12.14, 12.19]: 10,000 cycles of each driver. The
// simulator watches over what is left and over the registrar's rules; that both agree on the calls
// shows that none was made into a driver that was gone.
#[test]
fn pair_reloaded_at_any_moment_under_calls_leaves_nothing_and_agrees() {
    let _alone = alone();
    let started = Instant::now();
    let totals = Arc::new(Totals::default());
    let seen = totals.clone();
    builder().preempt_one_in(3).seeds(SCHEDULES, move |sim| {
        let tasks = [Client, Provider].map(|which| come_and_go(sim, which));
        tasks.into_iter().for_each(Task::join);
        let (client, provider) = agree(sim);
        assert_eq!((client.unloads, provider.unloads), (CYCLES, CYCLES));
        seen.cycles.fetch_add(client.unloads, Relaxed);
        seen.met.fetch_add(client.get("providers"), Relaxed);
        seen.adds.fetch_add(client.get("adds"), Relaxed);
        seen.interrupted
            .fetch_add(client.get("interrupted"), Relaxed);
    });
    let cycles = totals.cycles.load(Relaxed);
    let met = totals.met.load(Relaxed);
    let interrupted = totals.interrupted.load(Relaxed);
    println!(
        "facts: samples/npi: {cycles} load/unload cycles of both drivers in {:.1} s: attached \
         {met} times, {} calls, {interrupted} visits that an unload waited for",
        started.elapsed().as_secs_f64(),
        totals.adds.load(Relaxed),
    );
    assert!(met >= cycles / 2, "they meet");
    assert!(
        interrupted >= cycles / 2,
        "calls are in flight when one of them goes"
    );
}
