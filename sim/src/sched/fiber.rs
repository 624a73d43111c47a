//! A stack of its own for each simulated thread.
//!
//! All simulated threads of one simulation run on one thread of the host (`worker`), which switches
//! from stack to stack: handing over costs nanoseconds, and no two of them can ever run at once.
//! Who runs next is decided elsewhere.

// UNSAFETY: a suspended stack is reached through a pointer into it.
#![expect(unsafe_code, reason = "switches stacks")]

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::thread::Thread;

/// Bytes of a stack; only what is used takes memory.
const SIZE: usize = 2 << 20;

/// Where a simulated thread gives control back.
#[derive(Debug, Default)]
pub(super) struct Exit(AtomicPtr<Yielder<(), ()>>);

impl Exit {
    /// Gives control back to whoever resumed the stack that this runs on, until resumed again.
    pub(super) fn suspend(&self) {
        let exit = self.0.load(Relaxed);
        assert_ne!(exit, null_mut(), "only a thread that runs can be suspended");
        // SAFETY: the pointer was stored by `Fiber::new` on the stack that this runs on, so it is
        // alive: a thread suspends nobody but itself.
        unsafe { &*exit }.suspend(());
    }
}

/// A simulated thread's stack, and how far the thread has got.
pub(super) struct Fiber(Coroutine<(), (), ()>);

impl Fiber {
    /// A stack on which `thread` will run `body`. The body must not unwind.
    pub(super) fn new(
        stacks: &mut Stacks,
        thread: Arc<Thread>,
        body: impl FnOnce(&Arc<Thread>) + 'static,
    ) -> Self {
        let run = move |exit: &Yielder<(), ()>, ()| {
            thread
                .exit
                .0
                .store(std::ptr::from_ref(exit).cast_mut(), Relaxed);
            body(&thread);
        };
        Self(Coroutine::with_stack(stacks.take(), run))
    }

    /// Lets the thread run until it gives control back; true if it has ended.
    pub(super) fn resume(&mut self) -> bool {
        matches!(self.0.resume(()), CoroutineResult::Return(()))
    }

    /// Leaves a thread behind that will never run again. What is on its stack stays as it is: the
    /// frames may be a driver's, which cannot be unwound.
    pub(super) fn abandon(self) {
        std::mem::forget(self);
    }

    /// Keeps the stack of a thread that has ended.
    pub(super) fn recycle(self, stacks: &mut Stacks) {
        stacks.0.push(self.0.into_stack());
    }
}

/// Stacks that wait for their next thread.
#[derive(Default)]
pub(crate) struct Stacks(Vec<DefaultStack>);

impl Stacks {
    fn take(&mut self) -> DefaultStack {
        self.0.pop().unwrap_or_else(|| {
            DefaultStack::new(SIZE).expect("the host has memory for another simulated thread")
        })
    }
}
