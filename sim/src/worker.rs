//! The thread of the host on which simulations run.
//!
//! The test's own thread only waits, so that it can give up when a simulated thread never calls the
//! kernel again. It keeps its worker, which has stacks already, for what it runs next. Every test
//! has a worker of its own: what a body prints is the test's output.

use std::cell::Cell;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::reached;
use crate::sim::{Host, Shared, lock};

type Work = Box<dyn FnOnce(&mut Host) + Send>;

thread_local! {
    static IDLE: Cell<Option<Worker>> = const { Cell::new(None) };
}

/// A thread that does one piece of work after the other.
struct Worker {
    work: Sender<Work>,
    running: Arc<Mutex<Option<Arc<Shared>>>>,
}

impl Worker {
    fn start() -> Self {
        let (work, received) = channel::<Work>();
        let mut host = Host::default();
        let running = Arc::clone(&host.running);
        let test = std::thread::current().name().map(str::to_owned);
        let body = move || {
            reached::count_for(&test.unwrap_or_default());
            for work in received {
                work(&mut host);
            }
        };
        std::thread::Builder::new()
            .name("wsk-sim".to_owned())
            .spawn(body)
            .expect("the host can start another thread: lower the number of parallel tests");
        Self { work, running }
    }
}

/// Has `work` run its simulations on a worker. The error is a simulation in which no thread has
/// called the kernel for `limit`; its worker is left behind.
pub(crate) fn run<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce(&mut Host) -> T + Send + 'static,
) -> Result<T, Arc<Shared>> {
    let worker = IDLE.take().unwrap_or_else(Worker::start);
    let (sender, receiver) = channel();
    let work = move |host: &mut Host| {
        // The receiver is gone only if the simulation was given up: then nobody is left to tell.
        let _ = sender.send(work(host));
    };
    let sent = worker.work.send(Box::new(work));
    sent.expect("a worker waits for work as long as somebody can send it");
    let mut seen: Option<(Arc<Shared>, u64)> = None;
    loop {
        match receiver.recv_timeout(limit) {
            Ok(result) => {
                IDLE.set(Some(worker));
                return Ok(result);
            }
            Err(RecvTimeoutError::Timeout) => {
                let running = lock(&worker.running).clone();
                let now = running.map(|shared| (Arc::clone(&shared), shared.sched.steps()));
                match (now, seen) {
                    (Some((now, steps)), Some((before, same)))
                        if Arc::ptr_eq(&now, &before)
                            && steps == same
                            && !now.sched.is_waiting_for_time() =>
                    {
                        return Err(now);
                    }
                    (now, _) => seen = now,
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the simulator itself failed; its message is above")
            }
        }
    }
}
