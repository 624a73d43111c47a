//! A small executor: tasks on a fixed number of system threads.
//!
//! `queue` holds what is ready to run, without allocating; `thread` wraps a system thread. The task
//! cells themselves are `async-task`'s. Drivers with an executor of their own need nothing of this.

// UNSAFETY: makes kernel objects in place.
#![expect(unsafe_code, reason = "kernel objects made in place")]

mod queue;
mod thread;

use core::{
    fmt,
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use self::{
    queue::{Link, ReadyQueue, Runnable},
    thread::{Thread, Work},
};
use crate::{
    irql::Passive,
    mem::arc::PoolArc,
    status::{Error, Result, Status},
    sync::{
        event::Event,
        rundown::{Closing, Rundown},
    },
};

/// How many threads an executor may have.
const MOST_THREADS: usize = 64;

/// Runs tasks on system threads of its own, at PASSIVE_LEVEL.
///
/// Waking a task allocates nothing and may be done up to DISPATCH_LEVEL. Spawning allocates the
/// task from the global allocator, once for each task; if that memory cannot be had, the
/// allocator's error handling ends in a bugcheck, as it does for `Box`.
///
/// Dropping it does what [`shutdown`](Self::shutdown) does. Dropped where nothing can
/// wait, above PASSIVE_LEVEL or in a callback of a socket, its threads are left running: a leak,
/// and the driver must not be unloaded any more.
///
/// ```no_run
/// # fn main() -> wsk::Result<()> {
/// let passive = wsk::Passive::new().expect("at PASSIVE_LEVEL");
/// let executor = wsk::Executor::new(2, passive)?;
/// executor.spawner().spawn(async { /* ... */ })?;
/// executor.shutdown(passive);
/// # Ok(())
/// # }
/// ```
pub struct Executor {
    shared: PoolArc<Shared>,
    threads: [Option<Thread>; MOST_THREADS],
}

/// Spawns tasks on an [`Executor`]. A task may spawn others through a clone of it.
///
/// ```no_run
/// fn serve(spawner: &wsk::Spawner, connection: wsk::ConnectionSocket) -> wsk::Result<()> {
///     spawner.spawn(async move {
///         let _ = connection.disconnect().await;
///     })
/// }
/// ```
#[derive(Clone)]
pub struct Spawner(PoolArc<Shared>);

struct Shared {
    queue: ReadyQueue,
    stopping: AtomicBool,
    /// One reference for each task that has not ended.
    tasks: Rundown,
    /// Set when the last task has ended after `tasks` was closed.
    drained: Event,
}

impl Executor {
    /// Starts an executor with `threads` system threads: 1 to 64.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for another number;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `PsCreateSystemThread` says.
    ///
    /// [PsCreateSystemThread](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-pscreatesystemthread)
    pub fn new(threads: usize, passive: Passive) -> Result<Self> {
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(Error::new("Executor::new", Status::INVALID_PARAMETER));
        }
        let mut executor = Self {
            shared: Shared::new()?,
            threads: [const { None }; MOST_THREADS],
        };
        for thread in executor.threads.iter_mut().take(threads) {
            *thread = Some(Thread::start(executor.shared.clone(), passive)?);
        }
        Ok(executor)
    }

    /// What spawns tasks.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        Spawner(self.shared.clone())
    }

    /// Takes no new tasks, waits until all tasks have ended, and ends the threads.
    ///
    /// Tasks are not cancelled: see to it that they end, for example by
    /// [closing](crate::Closer::close) the sockets that they use.
    ///
    /// IRQL: PASSIVE_LEVEL, but not on a thread of the executor itself, which would wait for
    /// itself.
    pub fn shutdown(mut self, passive: Passive) {
        self.stop(passive);
    }

    fn stop(&mut self, passive: Passive) {
        self.shared.drain(passive);
        self.shared.stopping.store(true, Ordering::Release);
        for _ in 0..MOST_THREADS {
            self.shared.queue.wake();
        }
        for thread in self.threads.iter_mut().filter_map(Option::take) {
            thread.join(passive);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(passive) = Passive::new() {
            self.stop(passive);
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.threads.iter().flatten().count();
        f.debug_struct("Executor")
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}

impl Spawner {
    /// Runs `future` to its end, on the executor's threads.
    ///
    /// IRQL: <= DISPATCH_LEVEL, if the global allocator's memory is nonpaged, as wdk-alloc's is.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) when the executor is shutting down; the future is
    /// dropped.
    pub fn spawn<F>(&self, future: F) -> Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.0.tasks.acquire() {
            return Err(Error::new("Spawner::spawn", Status::FILE_CLOSED));
        }
        let running = Running(self.0.clone());
        let future = async move {
            let _running = running;
            future.await;
        };
        let shared = self.0.clone();
        let schedule = move |runnable: Runnable| shared.queue.push(runnable);
        let (runnable, task) = async_task::Builder::new()
            .metadata(Link::new())
            .spawn(|_| future, schedule);
        task.detach();
        runnable.schedule();
        Ok(())
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

impl Shared {
    fn new() -> Result<PoolArc<Self>> {
        let shared = PoolArc::new(Self {
            // SAFETY: settled below.
            queue: unsafe { ReadyQueue::unsettled() },
            stopping: AtomicBool::new(false),
            tasks: Rundown::new(),
            // SAFETY: settled below.
            drained: unsafe { Event::unsettled() },
        })?;
        // SAFETY: in nonpaged pool for good, and not shared yet.
        unsafe { shared.queue.settle() };
        // SAFETY: as above.
        unsafe { shared.drained.settle() };
        Ok(shared)
    }

    /// Lets no new task in and waits until the last has ended.
    fn drain(&self, passive: Passive) {
        if self.tasks.close() == Closing::Running {
            self.drained.wait(None, passive);
        }
    }
}

impl Work for Shared {
    fn work(&self, passive: Passive) {
        loop {
            match self.queue.pop(passive) {
                Some(runnable) => {
                    runnable.run();
                }
                None if self.stopping.load(Ordering::Acquire) => return,
                None => {}
            }
        }
    }
}

/// A task that has not ended.
struct Running(PoolArc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.tasks.release() {
            self.0.drained.set();
        }
    }
}
