//! Inspections: connections on which the driver decides before they are established.
//!
//! The callback gets an [`InspectRequest`]. Pending it makes an [`Inspection`], which owns the
//! decision: it can be taken anywhere, is taken once, and is "reject" if the inspection is dropped.
//! An abort is found by the inspection's ID in the listener's list, whose members compare by both
//! parts of it.

// UNSAFETY: an intrusive list, guarded by its lock.
#![expect(unsafe_code, reason = "an intrusive list")]

use core::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use wsk_sys::{WSK_INSPECT_ACTION, WSK_INSPECT_ID};

use super::ticket::{Decided, Decision, Ticket};
use crate::{
    mem::arc::PoolArc,
    op::{
        core::CoreRef,
        event_calls,
        operation::Operation,
        slot::{Payload, Refusal, Slot},
    },
    socket::request::CompleteInspection,
    status::{Error, Result, Status},
    sync::spin::SpinLock,
};

/// What names an inspection, as long as its listener lives.
///
/// Two are equal if both parts are: the padding of the C structure is not looked at [wsk 7.9].
///
/// [WSK_INSPECT_ID](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_inspect_id)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InspectId {
    key: u64,
    serial_number: u32,
}

impl InspectId {
    pub(crate) fn from_raw(raw: WSK_INSPECT_ID) -> Self {
        Self {
            key: raw.Key,
            serial_number: raw.SerialNumber,
        }
    }

    pub(crate) fn to_raw(self) -> WSK_INSPECT_ID {
        WSK_INSPECT_ID {
            Key: self.key,
            SerialNumber: self.serial_number,
        }
    }
}

/// What a handler answers to an [`InspectRequest`]. Made by that request only.
#[must_use = "it has to be returned to WSK"]
#[derive(Debug)]
pub struct Verdict<'call> {
    pub(super) action: Action,
    call: PhantomData<fn(&'call ()) -> &'call ()>,
}

/// What the callback returns.
#[derive(Debug)]
pub(super) enum Action {
    Decided(Decision),
    /// Pended, unless its owner has decided by now.
    Pended(PoolArc<Pended>),
}

impl Verdict<'_> {
    fn new(action: Action) -> Self {
        Self {
            action,
            call: PhantomData,
        }
    }

    /// What WSK gets. Nothing of the listener's is touched after this.
    pub(super) fn into_raw(self) -> WSK_INSPECT_ACTION::Type {
        let decision = match self.action {
            Action::Decided(decision) => Some(decision),
            Action::Pended(pended) => pended.ticket.callback_returns(),
        };
        match decision {
            Some(decision) => raw_action(decision),
            None => WSK_INSPECT_ACTION::WskInspectPend,
        }
    }
}

/// The C value of a decision.
fn raw_action(decision: Decision) -> WSK_INSPECT_ACTION::Type {
    match decision {
        Decision::Accept => WSK_INSPECT_ACTION::WskInspectAccept,
        Decision::Reject => WSK_INSPECT_ACTION::WskInspectReject,
    }
}

/// Somebody wants to connect, and waits for an answer. Valid during the call only; every way of
/// answering gives the [`Verdict`] that the handler returns.
#[derive(Debug)]
pub struct InspectRequest<'call> {
    listener: &'call CoreRef,
    waiting: &'call PoolArc<Waiting>,
    id: InspectId,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

impl<'call> InspectRequest<'call> {
    pub(super) fn new(
        listener: &'call CoreRef,
        waiting: &'call PoolArc<Waiting>,
        id: InspectId,
        addresses: (Option<SocketAddr>, Option<SocketAddr>),
    ) -> Self {
        Self {
            listener,
            waiting,
            id,
            local: addresses.0,
            remote: addresses.1,
        }
    }

    /// What names it; an accepted connection tells it too.
    #[must_use]
    pub fn id(&self) -> InspectId {
        self.id
    }

    /// The address that is connected to, if WSK said.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The address that wants to connect, if WSK said.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Lets the connection be established. It is accepted afterwards, or aborted.
    pub fn accept(self) -> Verdict<'call> {
        Verdict::new(Action::Decided(Decision::Accept))
    }

    /// Refuses the connection. Nothing more is heard of it [wsk 7.8].
    pub fn reject(self) -> Verdict<'call> {
        Verdict::new(Action::Decided(Decision::Reject))
    }

    /// Puts the decision off: the [`Inspection`] owns it from now on, on any thread, also before
    /// the handler has returned the verdict.
    ///
    /// # Errors
    ///
    /// The request comes back, and must be decided now, if as many are pending as
    /// [may](crate::ListenEvents::pending_limit), or if there is no memory.
    pub fn pend(self) -> core::result::Result<(Verdict<'call>, Inspection), Self> {
        if !self.waiting.take_room() {
            return Err(self);
        }
        let Ok(pended) = Pended::new(self.listener, self.waiting, self.id) else {
            self.waiting.give_room();
            return Err(self);
        };
        self.waiting.insert(&pended);
        let inspection = Inspection {
            pended: pended.clone(),
            local: self.local,
            remote: self.remote,
            decided: false,
        };
        Ok((Verdict::new(Action::Pended(pended)), inspection))
    }
}

/// A connection that waits to be established until somebody decides.
///
/// Dropping it rejects the connection. Its listener may be closed meanwhile: then the decision has
/// no effect. The other side may give up: then neither has, and [`is_aborted`](Self::is_aborted)
/// says so.
///
/// ```no_run
/// # fn is_welcome(_: Option<core::net::SocketAddr>) -> bool { true }
/// async fn decide(inspection: wsk::Inspection) -> wsk::Result<()> {
///     if is_welcome(inspection.remote()) {
///         inspection.accept().await
///     } else {
///         inspection.reject().await
///     }
/// }
/// ```
///
/// [PFN_WSK_INSPECT_COMPLETE](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_complete)
#[must_use = "dropping an inspection rejects the connection"]
pub struct Inspection {
    pended: PoolArc<Pended>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    decided: bool,
}

impl Inspection {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> InspectId {
        self.pended.id
    }

    /// The address that is connected to, if WSK said.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The address that wants to connect, if WSK said.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Whether the other side has given up. If not now, it may at any time.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.pended.ticket.is_aborted()
    }

    /// Lets the connection be established. The operation completes when WSK has taken note; the
    /// connection is accepted afterwards, or aborted.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`ConnectionLost`](crate::ErrorKind::ConnectionLost): the other side had given up;
    /// [`Closed`](crate::ErrorKind::Closed): the listener is closed; or what
    /// `WskInspectComplete` says.
    #[doc(alias = "WskInspectComplete")]
    pub fn accept(mut self) -> Operation<CompleteInspection> {
        self.decide(Decision::Accept)
    }

    /// Refuses the connection.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    #[doc(alias = "WskInspectComplete")]
    pub fn reject(mut self) -> Operation<CompleteInspection> {
        self.decide(Decision::Reject)
    }

    fn decide(&mut self, decision: Decision) -> Operation<CompleteInspection> {
        const CALL: &str = "WskInspectComplete";
        self.decided = true;
        let pended = &self.pended;
        pended.waiting.give_room();
        let status = match pended.ticket.decide(decision) {
            Decided::Complete => {
                pended.waiting.remove(pended);
                return Operation::new(event_calls::inspect_complete(
                    &pended.listener,
                    pended.take_slot(),
                    pended.id.to_raw(),
                    raw_action(decision),
                ));
            }
            Decided::ByCallback => {
                pended.waiting.remove(pended);
                Status::SUCCESS
            }
            Decided::Aborted => Status::REQUEST_ABORTED,
        };
        Operation::new(Err(Refusal {
            error: Error::new(CALL, status),
            payload: Payload::Nothing,
        }))
    }
}

impl Drop for Inspection {
    fn drop(&mut self) {
        if !self.decided {
            drop(self.decide(Decision::Reject));
        }
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection")
            .field("id", &self.pended.id)
            .field("remote", &self.remote)
            .field("aborted", &self.is_aborted())
            .finish_non_exhaustive()
    }
}

/// What the owner of an inspection, the callback and the listener's list share.
///
/// # Invariants
///
/// `slot` is an idle slot of the listener's, taken once; if it never is, it goes back to the
/// listener. `next` is touched under the lock of `waiting` only.
pub(super) struct Pended {
    id: InspectId,
    ticket: Ticket,
    listener: CoreRef,
    waiting: PoolArc<Waiting>,
    slot: SpinLock<Option<NonNull<Slot>>>,
    next: UnsafeCell<Option<PoolArc<Pended>>>,
}

// SAFETY: `next` is guarded by the list's lock; an idle slot may be used by any thread.
unsafe impl Sync for Pended {}
// SAFETY: as for `Sync`.
unsafe impl Send for Pended {}

impl Pended {
    /// With everything that deciding will need, so that it cannot fail.
    fn new(listener: &CoreRef, waiting: &PoolArc<Waiting>, id: InspectId) -> Result<PoolArc<Self>> {
        let slot = listener.check_out()?;
        PoolArc::new(Self {
            id,
            ticket: Ticket::new(),
            listener: listener.clone(),
            waiting: waiting.clone(),
            slot: SpinLock::new(Some(slot)),
            next: UnsafeCell::new(None),
        })
    }

    fn take_slot(&self) -> NonNull<Slot> {
        self.slot.with(Option::take).expect("decided once")
    }
}

impl Drop for Pended {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.with(Option::take) {
            // SAFETY: idle, of this listener, and ours alone (invariant).
            unsafe { self.listener.put_back(slot) }
        }
    }
}

impl fmt::Debug for Pended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pended")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The pended inspections of a listener on which nobody has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    list: SpinLock<Option<PoolArc<Pended>>>,
    /// How many more may be pended.
    room: AtomicUsize,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Result<PoolArc<Self>> {
        PoolArc::new(Self {
            list: SpinLock::new(None),
            room: AtomicUsize::new(limit),
        })
    }

    fn take_room(&self) -> bool {
        let less = |room: usize| room.checked_sub(1);
        let taken = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }

    fn give_room(&self) {
        self.room.fetch_add(1, Ordering::Relaxed);
    }

    fn insert(&self, pended: &PoolArc<Pended>) {
        self.list.with(|first| {
            // SAFETY: the lock is held.
            unsafe { *pended.next.get() = first.take() };
            *first = Some(pended.clone());
        });
    }

    fn remove(&self, pended: &PoolArc<Pended>) {
        drop(self.take(pended.id));
    }

    /// The other side of an inspection has given up.
    pub(super) fn abort(&self, id: InspectId) {
        if let Some(pended) = self.take(id) {
            pended.ticket.abort();
        }
    }

    /// Takes one out of the list.
    fn take(&self, id: InspectId) -> Option<PoolArc<Pended>> {
        self.list.with(|first| {
            let mut place: *mut Option<PoolArc<Pended>> = first;
            loop {
                // SAFETY: `place` is the list's head or a member's `next`; the lock is held.
                let here = unsafe { &mut *place };
                let member = here.as_ref()?;
                let next = member.next.get();
                if member.id == id {
                    // SAFETY: as above; the member is still in the list.
                    let rest = unsafe { (*next).take() };
                    return core::mem::replace(here, rest);
                }
                place = next;
            }
        })
    }

    /// Takes all out: the listener is gone.
    pub(super) fn clear(&self) {
        while let Some(pended) = self.list.with(|first| {
            let pended = first.take()?;
            // SAFETY: the lock is held.
            *first = unsafe { (*pended.next.get()).take() };
            Some(pended)
        }) {
            drop(pended);
        }
    }
}
