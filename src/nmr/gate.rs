//! Who may call the peer of a binding, and who says that the binding has been detached.
//!
//! ```text
//!              publish                  begin_detach
//! Attaching ------------> Attached -----------------------> Detaching
//!     |                   enter: inside + 1                     leave: inside - 1
//!     |                   leave: inside - 1                     the last one to leave completes
//!     +---------------------------------------------------------^
//!                              begin_detach
//! ```
//!
//! The detach callback counts as one that is inside until it ends. Whoever leaves last says that
//! the detach is over: the callback by returning `STATUS_SUCCESS`, anybody else by the registrar's
//! completion function, while the callback returns `STATUS_PENDING` [wsk 12.10]. Nobody gets in
//! once detaching has begun [wsk 12.11], so there is exactly one last.
//!
//! [`State`] is pure: `tests/nmr_model.rs` explores with it what two clients and two providers can
//! do; [`Gate`] is its atomic shell, which tests/loom explores. Neither knows the registrar.

// UNSAFETY: a cell that is written once and read by those inside.
#![expect(unsafe_code, reason = "a lock-free cell")]

use crate::sync::primitive::{AtomicU32, Ordering, UnsafeCell};

/// How far a binding has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The peer is not known yet, or will never be.
    Attaching = 0,
    /// The peer may be called.
    Attached = 1,
    /// The detach callback has begun.
    Detaching = 2,
}

/// Why nobody gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The binding is not attached yet.
    NotYet,
    /// It is being detached, or has been.
    Gone,
}

/// How far a binding has got, and how many are inside: one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State(u32);

const PHASE: u32 = 3;
const ONE: u32 = 4;

/// So many may be inside: half of what fits, so that the count cannot wrap.
const MOST: u32 = u32::MAX / 2;

impl State {
    pub(crate) const NEW: Self = Self(Phase::Attaching as u32);

    pub(crate) const fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::Attaching,
            1 => Phase::Attached,
            _ => Phase::Detaching,
        }
    }

    pub(crate) const fn inside(self) -> u32 {
        self.0 / ONE
    }

    /// The peer is known. `None`: it is going away already, or was published before.
    pub(crate) const fn publish(self) -> Option<Self> {
        match self.phase() {
            Phase::Attaching => Some(Self(self.0 | Phase::Attached as u32)),
            Phase::Attached | Phase::Detaching => None,
        }
    }

    /// One more is inside.
    pub(crate) const fn enter(self) -> Result<Self, Refused> {
        match self.phase() {
            Phase::Attached if self.0 < MOST => Ok(Self(self.0 + ONE)),
            Phase::Attaching => Err(Refused::NotYet),
            Phase::Attached | Phase::Detaching => Err(Refused::Gone),
        }
    }

    /// The detach callback begins: nobody else gets in from now on, and it is inside itself.
    pub(crate) const fn begin_detach(self) -> Self {
        Self((self.0 & !PHASE | Phase::Detaching as u32) + ONE)
    }

    /// One less is inside. `true`: it was the last, and says that the binding is detached.
    pub(crate) const fn leave(self) -> (Self, bool) {
        let left = Self(self.0 - ONE);
        (left, left.0 == Phase::Detaching as u32)
    }
}

/// A [`State`] that threads share, and what those inside may use.
#[derive(Debug)]
pub(crate) struct Gate<P> {
    state: AtomicU32,
    /// Written before `state` becomes `Attached`, once; read by those inside.
    peer: UnsafeCell<Option<P>>,
}

// SAFETY: the peer is written before anybody else reads it, and then copied by those inside.
unsafe impl<P: Send + Copy> Sync for Gate<P> {}
// SAFETY: it owns nothing but the peer.
unsafe impl<P: Send + Copy> Send for Gate<P> {}

impl<P: Copy> Gate<P> {
    /// Not `const`: loom's atomics cannot be.
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(State::NEW.0),
            peer: UnsafeCell::new(None),
        }
    }

    /// Lets those in who want to use `peer`, in one step, unless detaching has begun already.
    ///
    /// # Safety
    ///
    /// Called once.
    pub(crate) unsafe fn publish(&self, peer: P) {
        // SAFETY: nobody reads it before it is published, which nobody else does (the caller's
        // promise).
        self.peer.with_mut(|cell| unsafe { *cell = Some(peer) });
        // ORDERING: Release publishes the peer to those who enter (Acquire).
        let _ = self
            .state
            .fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
                State(word).publish().map(|state| state.0)
            });
    }

    /// Gets in; pairs with exactly one [`leave`](Self::leave).
    pub(crate) fn enter(&self) -> Result<P, Refused> {
        // ORDERING: Acquire sees the peer that was published.
        let entered = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                State(word).enter().map(|state| state.0).ok()
            });
        match entered {
            // SAFETY: published, and not written any more.
            Ok(_) => Ok(self
                .peer
                .with(|cell| unsafe { *cell })
                .expect("published before anybody enters")),
            Err(word) => Err(State(word).enter().err().unwrap_or(Refused::Gone)),
        }
    }

    /// Counts once more for one that is inside already; works after detaching has begun too.
    pub(crate) fn enter_again(&self) {
        let before = self.state.fetch_add(ONE, Ordering::Relaxed);
        // A thousand million forgotten clones would make the count wrap, and free what is in use.
        assert!(
            State(before).inside() > 0 && before < MOST,
            "not inside, or far too many"
        );
    }

    /// The detach callback begins; pairs with exactly one [`leave`](Self::leave).
    pub(crate) fn begin_detach(&self) {
        // ORDERING: Acquire, so that the callback comes after whatever has led to it.
        let begun = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                Some(State(word).begin_detach().0)
            });
        debug_assert!(
            begun.is_ok_and(|word| State(word).phase() != Phase::Detaching),
            "a binding is detached once [wsk 12.19]"
        );
    }

    /// Leaves. `true`: it was the last, and says that the binding is detached.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        // ORDERING: Release publishes what was done inside to the last one (Acquire).
        let before = self.state.fetch_sub(ONE, Ordering::AcqRel);
        debug_assert!(State(before).inside() > 0, "left more often than entered");
        State(before).leave().1
    }
}
