//! The open sockets of a registration, so that all of them can be closed when the driver unloads.
//!
//! A list through the cores themselves: opening a socket allocates nothing for it. No WSK function
//! is called and nothing is dropped while the lock is held.

// UNSAFETY: links cores through cells that the list's lock guards.
#![expect(unsafe_code, reason = "an intrusive list")]

use core::{
    cell::UnsafeCell,
    ptr::{NonNull, null},
};

use super::core::{Core, CoreRef};
use crate::sync::spin::SpinLock;

/// The sockets that are open, until somebody closes them.
#[derive(Debug)]
pub(crate) struct SocketList(SpinLock<List>);

#[derive(Debug)]
struct List {
    first: Option<CoreRef>,
    /// Every socket that comes is to be closed at once.
    closed: bool,
}

/// A core's place in the list.
///
/// # Invariants
///
/// Touched under the list's lock only. `previous` is null for the first; it points to a core that
/// is in the list.
#[derive(Debug)]
pub(crate) struct Place(UnsafeCell<Links>);

#[derive(Debug)]
struct Links {
    next: Option<CoreRef>,
    previous: *const Core,
}

// SAFETY: touched under the list's lock only (invariant).
unsafe impl Sync for Place {}
// SAFETY: what it points to may be used on any thread.
unsafe impl Send for Place {}

impl Place {
    pub(crate) const fn outside() -> Self {
        Self(UnsafeCell::new(Links {
            next: None,
            previous: null(),
        }))
    }

    /// # Safety
    ///
    /// The list's lock is held, and the reference used for one access only.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the lock")]
    unsafe fn links(&self) -> &mut Links {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.0.get() }
    }
}

impl SocketList {
    pub(crate) const fn new() -> Self {
        Self(SpinLock::new(List {
            first: None,
            closed: false,
        }))
    }

    /// Adds an open socket, once. `false`: all are being closed, and so must this one be.
    #[must_use]
    pub(crate) fn insert(&self, core: &CoreRef) -> bool {
        self.0.with(|list| {
            if list.closed {
                return false;
            }
            let next = list.first.replace(core.clone());
            if let Some(next) = &next {
                // SAFETY: the lock is held.
                unsafe { next.place().links() }.previous = &raw const **core;
            }
            // SAFETY: the lock is held.
            unsafe { core.place().links() }.next = next;
            true
        })
    }

    /// Takes a socket out, if it is in.
    pub(crate) fn remove(&self, core: &Core) {
        // Dropped after the lock.
        let _removed = self.0.with(|list| {
            // SAFETY: the lock is held.
            let links = unsafe { core.place().links() };
            let next = links.next.take();
            let previous = core::mem::replace(&mut links.previous, null());
            if let Some(next) = &next {
                // SAFETY: the lock is held.
                unsafe { next.place().links() }.previous = previous;
            }
            match NonNull::new(previous.cast_mut()) {
                Some(previous) => {
                    // SAFETY: in the list (invariant), which keeps it.
                    let previous = unsafe { previous.as_ref() };
                    // SAFETY: the lock is held.
                    core::mem::replace(&mut unsafe { previous.place().links() }.next, next)
                }
                None if list
                    .first
                    .as_ref()
                    .is_some_and(|first| core::ptr::eq(&raw const **first, core)) =>
                {
                    core::mem::replace(&mut list.first, next)
                }
                None => None,
            }
        });
    }

    /// Closes every socket that is in, and those that come.
    pub(crate) fn close_all(&self) {
        while let Some(core) = self.take_first() {
            core.begin_close();
        }
    }

    fn take_first(&self) -> Option<CoreRef> {
        self.0.with(|list| {
            list.closed = true;
            let first = list.first.take()?;
            // SAFETY: the lock is held.
            let next = unsafe { first.place().links() }.next.take();
            if let Some(next) = &next {
                // SAFETY: the lock is held.
                unsafe { next.place().links() }.previous = null();
            }
            list.first = next;
            Some(first)
        })
    }
}
