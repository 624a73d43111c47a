//! The executor: tasks that are woken from anywhere, and a shutdown that drains.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

use crate::common::{Client, buffer, passive};
use wsk::{ErrorKind, Executor};

const SCHEDULES: u64 = 200;

#[test]
fn tasks_all_run_and_shutdown_waits_for_them() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let executor = Executor::new(3, passive()).expect("threads");
        let ended = Arc::new(AtomicU32::new(0));
        for _ in 0..20 {
            let ended = ended.clone();
            let task = async move {
                yield_once().await;
                ended.fetch_add(1, SeqCst);
            };
            executor.spawner().spawn(task).expect("running");
        }
        executor.shutdown(passive());
        assert_eq!(ended.load(SeqCst), 20);
    });
}

#[test]
fn task_woken_at_dispatch_level_runs() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let executor = Executor::new(1, passive()).expect("a thread");
        let gate = Arc::new(Gate::default());
        let waiting = gate.clone();
        let task = async move { poll_fn(|context| waiting.poll(context.waker())).await };
        executor.spawner().spawn(task).expect("running");
        sim.at_dispatch(|| gate.open());
        executor.shutdown(passive());
    });
}

#[test]
fn task_spawned_by_a_task_is_waited_for() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let executor = Executor::new(2, passive()).expect("threads");
        let (spawner, ran) = (executor.spawner(), Arc::new(AtomicBool::new(false)));
        let inner = ran.clone();
        let (done, ended) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
        let (opened, outer) = (done.clone(), ended.clone());
        let task = async move {
            let child = async move {
                inner.store(true, SeqCst);
                opened.open();
            };
            // Refused when the executor is shutting down already.
            if spawner.spawn(child).is_ok() {
                poll_fn(|context| done.poll(context.waker())).await;
            } else {
                outer.store(true, SeqCst);
            }
        };
        executor.spawner().spawn(task).expect("running");
        executor.shutdown(passive());
        assert!(ran.load(SeqCst) || ended.load(SeqCst));
    });
}

#[test]
fn spawn_after_shutdown_is_refused() {
    wsk_sim::run(|_| {
        let executor = Executor::new(1, passive()).expect("a thread");
        let spawner = executor.spawner();
        executor.shutdown(passive());
        assert_eq!(
            spawner.spawn(async {}).unwrap_err().kind(),
            ErrorKind::Closed
        );
    });
}

#[test]
fn number_of_threads_is_checked() {
    wsk_sim::run(|_| {
        for threads in [0, 65] {
            let refused = Executor::new(threads, passive()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidParameter);
        }
        drop(Executor::new(64, passive()).expect("threads"));
    });
}

#[test]
fn executor_that_cannot_start_a_thread_leaves_nothing() {
    wsk_sim::every_fault(|_| {
        if let Ok(executor) = Executor::new(2, passive()) {
            executor.shutdown(passive());
        }
    });
}

#[test]
fn tasks_on_sockets_end_when_all_sockets_are_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let executor = Executor::new(2, passive()).expect("threads");
        let (mut connection, peer) = client.connect(sim);
        let task = async move {
            let mut free = buffer(&[0; 64]);
            loop {
                let (received, filled) = connection.receive(free).await;
                if received.is_err() {
                    break;
                }
                let (sent, same) = connection.send(filled).await;
                if sent.is_err() {
                    break;
                }
                free = same;
            }
        };
        executor.spawner().spawn(task).expect("running");
        peer.write_all(b"ping").expect("connected");
        assert_eq!(peer.read_exact(4).expect("echoed"), b"ping");
        client.registration.close_sockets();
        executor.shutdown(passive());
        drop(peer);
        client.end();
    });
}

/// Opens once; whoever waits is woken then.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl Gate {
    fn poll(&self, waker: &Waker) -> Poll<()> {
        *self.waiter.lock().expect("not poisoned") = Some(waker.clone());
        if self.open.load(SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn open(&self) {
        self.open.store(true, SeqCst);
        let waiter = self.waiter.lock().expect("not poisoned").take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// Pending once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
