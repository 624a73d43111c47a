//! What all requests of one socket share: the WSK socket, the rundown of calls, the slots, and the
//! close.
//!
//! | kept by         | keeps                                                                   |
//! |-----------------|-------------------------------------------------------------------------|
//! | [`CoreRef`]     | the memory                                                              |
//! | [`Outstanding`] | the provider, and so the registration: one for the socket until it is   |
//! |                 | closed, one for each IRP until its completion routine is through        |
//! | [`Call`]        | the WSK socket: it is not closed while a call runs [wsk 10.1]           |
//!
//! Closing: `begin_close` lets no new call in; the last running call, or `begin_close` itself,
//! calls WskCloseSocket, once, at any IRQL up to DISPATCH_LEVEL [wsk 10.6], with an IRP that is
//! there from the start [wsk 10.9]. What a completion routine must not do itself is in `deferred`.
//!
//! What a category can do, `calls` knows; the order of received bytes, `receive`.

// UNSAFETY: counts references to raw memory, shares it with the kernel's DPC queue.
#![expect(unsafe_code, reason = "a reference-counted allocation")]

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ops::Deref,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering},
};

use wsk_sys::{
    WSK_SOCKET,
    wdk_sys::{KDPC, NTSTATUS},
};

use super::{
    calls::{self, Category},
    completion::{self, Completion},
    extension::Contexts,
    handle::Handle,
    handler::Handler,
    list::Place,
    receive::Receiving,
    retained::RetainedLists,
    slot::{Arguments, Payload, Prepared, Refusal, Slot},
    unattended::Attendance,
};
use crate::{
    counters::Counted,
    mem::{arc::PoolArc, pool},
    registration::Provider,
    status::{Error, Result, Status},
    sync::{
        rundown::{Closing, Rundown},
        spin::SpinLock,
    },
};

/// See the module.
pub(crate) struct Core {
    /// The count of [`Outstanding`]s.
    outstanding: AtomicUsize,
    /// There while `outstanding` is above zero; taken by the one that makes it zero.
    provider: UnsafeCell<Option<Provider>>,
    /// Written once, by `Outstanding::adopt`, before anybody can enter.
    socket: AtomicPtr<WSK_SOCKET>,
    calls: Rundown,
    pub(super) close: Slot,
    /// What the event callbacks work on. Dropped when the socket is closed and no callback runs any
    /// more [wsk 10.2], or with a core that never got a socket.
    pub(super) handler: UnsafeCell<Option<Handler>>,
    /// Whether there is one by now: a connection may get it later.
    pub(super) attendance: Attendance,
    /// The close has completed, and the DPC does the rest.
    pub(super) is_ending: AtomicBool,
    /// Does what a completion routine must not: closes an orphan, or drops the handler.
    pub(super) dpc: UnsafeCell<MaybeUninit<KDPC>>,
    spare: SpinLock<Option<NonNull<Slot>>>,
    slots: AtomicU32,
    place: Place,
    pub(super) retained: RetainedLists,
    /// What the callbacks of extensions work on. Dropped with `handler`.
    pub(super) contexts: Contexts,
    /// What the socket was made as; none without a socket: see `client`.
    pub(super) category: Option<Category>,
    /// The request that was started last, without a socket.
    pub(super) last: AtomicPtr<Slot>,
    /// A [`Stage`].
    stage: AtomicU8,
    receiving: Receiving,
    /// How many halves a connection is in, that was split.
    halves: AtomicU8,
}

/// How far a socket has come, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Open,
    Bound,
    /// Or listening, if it is a stream socket.
    Connected,
}

// SAFETY: `provider` is written at birth and by the last `Outstanding`, and read under one;
// `handler` is written at birth, or once before `attendance` says so and is read after that, and
// taken when no callback runs any more; `dpc` is used by one
// party at a time (see `deferred`); the rest synchronises itself.
unsafe impl Sync for Core {}
// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Core {}

/// A counted reference to a [`Core`].
#[derive(Clone, Debug)]
pub(crate) struct CoreRef(pub(super) PoolArc<Core>);

impl CoreRef {
    /// Lets a call in, unless the socket is being closed.
    pub(crate) fn enter(&self, call: &'static str) -> Result<Call<'_>> {
        if self.calls.acquire() {
            Ok(Call { core: self })
        } else {
            Err(Error::new(call, Status::FILE_CLOSED))
        }
    }

    /// Enters the socket, just made, among those that are open; closes it if all of them are being
    /// closed.
    pub(crate) fn list(&self) {
        let Ok(call) = self.enter("WskSocket") else {
            return;
        };
        if !call.outstanding().provider().sockets().insert(self) {
            self.begin_close();
        }
    }

    /// Lets no new call in and closes as soon as none runs. Only the first time does anything. IRQL
    /// <= DISPATCH_LEVEL.
    pub(crate) fn begin_close(&self) {
        if self.calls.close() == Closing::Drained {
            self.submit_close();
        }
    }

    /// Keeps the socket from being closed until one of the functions below; false if it is already
    /// being closed.
    pub(crate) fn hold(&self) -> bool {
        self.calls.acquire()
    }

    /// Ends [`hold`](Self::hold). If that closes the socket, `prepare` comes before.
    pub(crate) fn let_go_before_closing(&self, prepare: impl FnOnce()) {
        if self.calls.release() {
            prepare();
            self.submit_close();
        }
    }

    /// Ends [`hold`](Self::hold) for a socket that an accept event was offered, just before that
    /// returns. False: the socket was dropped meanwhile, and WSK is to keep it; true: it is the
    /// driver's.
    pub(crate) fn let_go_of_offer(&self) -> bool {
        if !self.calls.release() {
            return true;
        }
        if self.slots() > 0 {
            self.submit_close();
            return true;
        }
        self.withdraw();
        false
    }

    /// As a close, for a socket that the driver never took: WSK closes it itself [wsk 7.2].
    fn withdraw(&self) {
        let core = self.clone();
        // SAFETY: as in `submit_close`.
        unsafe { core.provider() }.sockets().remove(&core);
        let done = Completion {
            status: Status::SUCCESS,
            information: 0,
        };
        // SAFETY: the close slot was begun by `adopt`, and its IRP given to nobody: we are its IRP
        // side, once, as the rundown says.
        unsafe { completion::complete(NonNull::from(&core.close), done) };
    }

    /// Closes. The caller was told by the rundown that it is the one.
    fn submit_close(&self) {
        // An inline completion may drop the reference that the caller goes by.
        let core = self.clone();
        // SAFETY: the close slot, begun and not called, keeps an `Outstanding`.
        unsafe { core.provider() }.sockets().remove(&core);
        let Some(category) = core.category else {
            // SAFETY: no call runs and none begins any more, and this is the only close.
            unsafe { core.end_client() };
            return;
        };
        // SAFETY: the socket of this core, on which no call runs or begins, and which is closed
        // next.
        unsafe { core.retained.release_all(core.socket()) };
        core.discard_received();
        // SAFETY: `adopt` has begun the close slot, and only the one party that the rundown names
        // prepares it.
        let prepared = unsafe { core.close.prepare(Arguments::none()) };
        // SAFETY: no call runs and none begins any more [wsk 10.1, 10.3]; this is the only close.
        let status = unsafe { calls::close_socket(category, core.socket(), &prepared) };
        // If the DPC does the rest, WSK had the IRP, and the slot may be at its end by now.
        if !core.is_ending.load(Ordering::Acquire) {
            // SAFETY: prepared above; `core` keeps the slot.
            unsafe { core.close.returned(status) }
        }
    }
}

impl Core {
    /// The provider that the socket was, or is to be, made by.
    ///
    /// # Safety
    ///
    /// An `Outstanding` of this core exists while the reference is used.
    unsafe fn provider(&self) -> &Provider {
        // SAFETY: written at birth and taken by the last `Outstanding` only, which is not yet (the
        // caller's promise).
        let provider = unsafe { &*self.provider.get() };
        provider
            .as_ref()
            .expect("there while anything is outstanding")
    }

    /// As `provider`, in a callback of the socket.
    ///
    /// # Safety
    ///
    /// A callback of the socket runs while the reference is used: the socket's own `Outstanding`
    /// is there until all have returned [wsk 10.2].
    pub(crate) unsafe fn provider_in_callback(&self) -> &Provider {
        // SAFETY: the caller's promise.
        unsafe { self.provider() }
    }

    /// Its place among the open sockets of its registration.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The WSK socket. Used inside a [`Call`], or by the close.
    fn socket(&self) -> *mut WSK_SOCKET {
        self.socket.load(Ordering::Acquire)
    }

    /// How many slots have been allocated for requests of this socket.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// How far the socket has come.
    pub(crate) fn is_at_least(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Acquire) >= stage as u8
    }

    /// The socket has come at least as far as this.
    pub(crate) fn reach(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
    }

    /// The socket has two owners from now on.
    pub(crate) fn set_halves(&self) {
        self.halves.store(2, Ordering::Relaxed);
    }

    /// One of them is gone. True: it was the last.
    pub(crate) fn drop_half(&self) -> bool {
        self.halves.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn receiving(&self) -> &Receiving {
        &self.receiving
    }

    /// Whether `slot` is the one that closes this socket.
    pub(crate) fn is_close_slot(&self, slot: &Slot) -> bool {
        core::ptr::eq(&raw const self.close, slot)
    }

    /// An idle slot, used before or new.
    pub(crate) fn check_out(&self) -> Result<NonNull<Slot>> {
        if let Some(slot) = self.pop_spare() {
            return Ok(slot);
        }
        let slot = Slot::allocate()?;
        self.slots.fetch_add(1, Ordering::Relaxed);
        Ok(slot)
    }

    fn pop_spare(&self) -> Option<NonNull<Slot>> {
        self.spare.with(|first| {
            let slot = (*first)?;
            // SAFETY: a spare slot is alive, and reached by nobody but through this list, which is
            // locked.
            let next = unsafe { slot.as_ref() }.next.get();
            // SAFETY: as above.
            *first = unsafe { *next };
            Some(slot)
        })
    }

    /// Takes a slot back; the close slot stays where it is.
    ///
    /// # Safety
    ///
    /// `slot` is idle, came from [`check_out`](Self::check_out) of this core or is its close slot,
    /// and is the caller's alone.
    pub(crate) unsafe fn put_back(&self, slot: NonNull<Slot>) {
        // SAFETY: the caller's alone, and alive.
        let shared = unsafe { slot.as_ref() };
        if self.is_close_slot(shared) {
            return;
        }
        self.spare.with(|first| {
            // SAFETY: idle, and the caller's alone.
            unsafe { *shared.next.get() = *first };
            *first = Some(slot);
        });
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        while let Some(slot) = self.pop_spare() {
            // SAFETY: from `Slot::allocate`, idle, and out of the list.
            unsafe { pool::free(slot) };
        }
    }
}

impl Deref for CoreRef {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

/// Keeps the provider, and with it the registration and the driver's image, until it is dropped.
///
/// # Invariants
///
/// Counted in the core's `outstanding`. The reference is there until `drop`.
#[derive(Debug)]
pub(crate) struct Outstanding(pub(super) Option<CoreRef>);

impl Outstanding {
    /// The core of a socket that is yet to be made.
    pub(crate) fn create(
        provider: Provider,
        category: impl Into<Option<Category>>,
        handler: Option<Handler>,
    ) -> Result<Self> {
        let category = category.into();
        let core = CoreRef(PoolArc::new(Core {
            outstanding: AtomicUsize::new(1),
            provider: UnsafeCell::new(Some(provider)),
            socket: AtomicPtr::new(null_mut()),
            calls: Rundown::new(),
            close: Slot::new(),
            attendance: Attendance::new(handler.is_some()),
            handler: UnsafeCell::new(handler),
            is_ending: AtomicBool::new(false),
            dpc: UnsafeCell::new(MaybeUninit::uninit()),
            spare: SpinLock::new(None),
            slots: AtomicU32::new(0),
            place: Place::outside(),
            retained: RetainedLists::new(),
            contexts: Contexts::new(),
            category,
            last: AtomicPtr::new(null_mut()),
            stage: AtomicU8::new(Stage::Open as u8),
            receiving: Receiving::new(category),
            halves: AtomicU8::new(0),
        })?);
        Ok(Self(Some(core)))
    }

    /// One more for the same core.
    pub(crate) fn another(&self) -> Self {
        self.core().outstanding.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }

    pub(crate) fn core(&self) -> &CoreRef {
        self.0.as_ref().expect("there until dropped")
    }

    /// The provider that the socket was, or is to be, made by.
    pub(crate) fn provider(&self) -> &Provider {
        // SAFETY: `self` is an `Outstanding`.
        unsafe { self.core().provider() }
    }

    /// Starts a request whose call needs no socket, or an entered one.
    ///
    /// On failure nothing was called, and the payload comes back.
    ///
    /// # Safety
    ///
    /// `call` makes one WSK call with the IRP of what it is given, on a socket that may be called
    /// now, and returns what it returned. What the arguments point to belongs to the payload.
    pub(crate) unsafe fn start(
        &self,
        name: &'static str,
        payload: Payload,
        arguments: Arguments,
        call: impl FnOnce(&Prepared) -> NTSTATUS,
    ) -> core::result::Result<Handle, Refusal> {
        match self.core().check_out() {
            // SAFETY: just checked out; the rest is the caller's promise.
            Ok(slot) => Ok(unsafe { self.start_in(slot, payload, arguments, call) }),
            Err(error) => Err(Refusal {
                error: Error::new(name, error.status()),
                payload,
            }),
        }
    }

    /// As [`start`](Self::start), in a slot that was checked out before: cannot fail.
    ///
    /// # Safety
    ///
    /// As [`start`](Self::start); `slot` was [checked out](Core::check_out) of this core, and is
    /// the caller's alone.
    pub(crate) unsafe fn start_in(
        &self,
        slot: NonNull<Slot>,
        payload: Payload,
        arguments: Arguments,
        call: impl FnOnce(&Prepared) -> NTSTATUS,
    ) -> Handle {
        // SAFETY: allocated, and freed by its core only, which the slot itself keeps from `begin`
        // on.
        let shared = unsafe { slot.as_ref() };
        // SAFETY: idle, and ours alone as it was checked out.
        unsafe { shared.begin(self.another(), payload, Counted::operation()) };
        // SAFETY: just begun.
        let prepared = unsafe { shared.prepare(arguments) };
        let status = call(&prepared);
        // SAFETY: prepared and called; the handle side, made below, still holds the slot.
        unsafe { shared.returned(status) };
        // SAFETY: begun above, once.
        unsafe { Handle::new(slot) }
    }

    /// The socket has been made: gives the handle of its close, which was begun but not called.
    ///
    /// # Safety
    ///
    /// `socket` is what WSK made for this core; called once.
    pub(crate) unsafe fn adopt(self, socket: NonNull<WSK_SOCKET>) -> (CoreRef, Handle) {
        let core = self.core().clone();
        core.socket.store(socket.as_ptr(), Ordering::Release);
        // SAFETY: the close slot is idle until here, and nobody else can reach it.
        unsafe { core.close.begin(self, Payload::Nothing, Counted::socket()) };
        // SAFETY: just begun, once.
        let close = unsafe { Handle::new(NonNull::from(&core.close)) };
        (core, close)
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        let Some(core) = self.0.take() else { return };
        // ORDERING: AcqRel: everything done under any of them happens before the provider is let
        // go.
        let last = core.outstanding.fetch_sub(1, Ordering::AcqRel) == 1;
        let provider = last.then(|| {
            // SAFETY: the last one: nobody else reads it any more.
            unsafe { (*core.provider.get()).take() }
        });
        // The provider goes last: after it, deregistration and unloading may proceed.
        drop(core);
        drop(provider);
    }
}

/// A call that runs on an open socket. The last one out closes, if that is due.
pub(crate) struct Call<'core> {
    core: &'core CoreRef,
}

impl Call<'_> {
    /// The WSK socket, which is not closed while `self` lives.
    pub(crate) fn socket(&self) -> *mut WSK_SOCKET {
        self.core.socket()
    }

    /// What the socket was made as.
    pub(super) fn category(&self) -> Option<Category> {
        self.core.category
    }

    /// An `Outstanding` of the open socket.
    pub(crate) fn outstanding(&self) -> Outstanding {
        // The socket's own is there until it is closed, which it is not while a call runs.
        self.core.outstanding.fetch_add(1, Ordering::Relaxed);
        Outstanding(Some(self.core.clone()))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.core.calls.release() {
            self.core.submit_close();
        }
    }
}
