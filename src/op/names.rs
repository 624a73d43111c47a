//! What the resolution of names keeps until WSK has answered, and until the answer is freed.
//!
//! A list of addresses belongs to WSK, which takes it back at PASSIVE_LEVEL only [wsk 1, 11.1]. One
//! that nobody wants, because its query was abandoned, may arrive in a completion routine; one may
//! be dropped above PASSIVE_LEVEL, or in a callback. Such a list is set aside, and freed at the
//! next opportunity:
//!
//! ```text
//! query ---- answer ----> list in user hands ---- dropped at PASSIVE_LEVEL ----> freed
//!    |                        |
//!    +- abandoned ------------+- dropped above ----> set aside ----> freed by the next query,
//!                                                                    or when the client leaves WSK
//! ```
//!
//! The client leaves WSK when every query and every list is gone or set aside, and frees those
//! first: `finish` before the provider is released [wsk 11.5].

// UNSAFETY: counts in raw memory, which WSK has the address of.
#![expect(unsafe_code, reason = "memory that WSK has the address of")]

use core::{
    ptr::{NonNull, null_mut},
    task::{Context, Poll, Waker},
};

use wsk_sys::{ADDRINFOEXW, PADDRINFOEXW};

use super::{calls::names, client::OneRequest};
use crate::{
    irql::Passive,
    mem::{boxed::PoolBox, wide::WideString},
    owner::Owner,
    registration::Provider,
    status::{Error, Result, Status},
    sync::{event::Event, rundown::Rundown, spin::SpinLock},
};

/// The lists that a client of WSK was given and has not freed.
#[derive(Debug)]
pub(crate) struct NameLists {
    /// One for each query and each list that is not set aside.
    inside: Rundown,
    /// Set when the last one has gone after `inside` was closed.
    drained: Event,
    waiter: SpinLock<Option<Waker>>,
    aside: SpinLock<Option<PoolBox<AddressQuery>>>,
}

/// A query for addresses: what WSK reads and writes until completion [wsk 11.3], then its answer.
pub(crate) struct AddressQuery {
    pub(super) node: Option<WideString>,
    pub(super) service: Option<WideString>,
    pub(super) name_space: u32,
    pub(super) hints: ADDRINFOEXW,
    /// Null until WSK has answered.
    pub(super) list: PADDRINFOEXW,
    pub(super) owner: Owner,
    pub(super) request: Option<OneRequest>,
    /// The next one that is set aside.
    next: Option<PoolBox<AddressQuery>>,
    /// Goes last: deregistration waits for it.
    provider: Provider,
}

// SAFETY: the list is WSK's and nobody changes it; everything else may be used on any thread.
unsafe impl Send for AddressQuery {}
// SAFETY: as for `Send`.
unsafe impl Sync for AddressQuery {}

/// A query for the names of an address: rooms that WSK writes until completion, then its answer.
#[derive(Debug)]
pub(crate) struct NameQuery {
    pub(crate) node: WideString,
    pub(crate) service: WideString,
    pub(super) flags: u32,
    pub(super) owner: Owner,
    pub(super) request: Option<OneRequest>,
}

/// What is asked for.
pub(crate) struct Question<'text> {
    pub(crate) node: Option<&'text str>,
    pub(crate) service: Option<&'text str>,
    pub(crate) name_space: u32,
    pub(crate) hints: ADDRINFOEXW,
    pub(crate) owner: Owner,
}

/// A query, or its answer.
///
/// # Invariants
///
/// Counted in `inside` of its provider. `Some` until dropped.
#[derive(Debug)]
pub(crate) struct Addresses(Option<PoolBox<AddressQuery>>);

impl NameLists {
    /// # Safety
    ///
    /// It is [settled](Self::settle) before anything else.
    pub(crate) unsafe fn unsettled() -> Self {
        Self {
            inside: Rundown::new(),
            // SAFETY: the caller's promise.
            drained: unsafe { Event::unsettled() },
            waiter: SpinLock::new(None),
            aside: SpinLock::new(None),
        }
    }

    /// # Safety
    ///
    /// Nonpaged, in place for good, and not shared yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.drained.settle() };
    }

    /// Lets no new query in, waits until all are over and their lists gone, and frees what was set
    /// aside.
    pub(crate) fn finish(&self, passive: Passive) {
        self.inside.close();
        if !self.inside.is_drained() {
            self.drained.wait(None, passive);
        }
        self.free_aside(passive);
    }

    /// Ready when `finish` does not wait. Lets no new query in.
    pub(crate) fn poll_finished(&self, context: &Context<'_>) -> Poll<()> {
        self.inside.close();
        let mut waker = Some(context.waker().clone());
        let _old = self
            .waiter
            .with(|waiter| core::mem::replace(waiter, waker.take()));
        if !self.inside.is_drained() {
            return Poll::Pending;
        }
        if let Some(passive) = Passive::new() {
            self.free_aside(passive);
            return Poll::Ready(());
        }
        // The lists cannot be freed here.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Frees what was set aside until now.
    fn free_aside(&self, passive: Passive) {
        let mut next = self.aside.with(Option::take);
        while let Some(mut query) = next {
            next = query.next.take();
            query.free(passive);
        }
    }

    fn set_aside(&self, query: PoolBox<AddressQuery>) {
        let mut query = Some(query);
        self.aside.with(|first| {
            if let Some(mut query) = query.take() {
                query.next = first.take();
                *first = Some(query);
            }
        });
    }

    fn leave(&self) {
        if self.inside.release() {
            let waiter = self.waiter.with(Option::take);
            self.drained.set();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}

impl AddressQuery {
    /// Gives the list back to WSK, if there is one.
    fn free(&mut self, passive: Passive) {
        let list = core::mem::replace(&mut self.list, null_mut());
        if !list.is_null() {
            // SAFETY: a list that WSK gave this client; nobody has it any more, and it is freed
            // once [wsk 11.1].
            unsafe { names::free_address_info(&self.provider, list, passive) };
        }
    }
}

impl Addresses {
    /// A query that is yet to be made. Frees what was set aside before.
    pub(crate) fn ask(
        provider: &Provider,
        question: Question<'_>,
        passive: Passive,
    ) -> Result<Self> {
        const CALL: &str = names::GET_ADDRESS_INFO;
        let lists = provider.names();
        lists.free_aside(passive);
        let wide = |text: Option<&str>| text.map(|text| WideString::of(text, CALL)).transpose();
        let query = PoolBox::new(AddressQuery {
            node: wide(question.node)?,
            service: wide(question.service)?,
            name_space: question.name_space,
            hints: question.hints,
            list: null_mut(),
            owner: question.owner,
            request: Some(OneRequest::new(provider.clone())?),
            next: None,
            provider: provider.clone(),
        })?;
        if !lists.inside.acquire() {
            return Err(Error::new(CALL, Status::DEVICE_NOT_READY));
        }
        Ok(Self(Some(query)))
    }

    pub(super) fn query(&mut self) -> &mut PoolBox<AddressQuery> {
        self.0.as_mut().expect("there until dropped")
    }

    /// WSK has answered.
    pub(crate) fn answered(&mut self) {
        self.query().request = None;
    }

    /// The first element of the list, if there is one. It stays, unchanged, while `self` does.
    pub(crate) fn first(&self) -> Option<NonNull<ADDRINFOEXW>> {
        self.0.as_ref().and_then(|query| NonNull::new(query.list))
    }

    /// Nobody wants the answer: the list, if there is one, is set aside. No WSK function is called.
    pub(super) fn abandon(mut self) {
        self.end(None);
    }

    fn end(&mut self, passive: Option<Passive>) {
        let Some(mut query) = self.0.take() else {
            return;
        };
        // Goes last: after it, deregistration and unloading may proceed.
        let provider = query.provider.clone();
        match passive {
            Some(passive) => query.free(passive),
            None if query.list.is_null() => {}
            None => {
                query.request = None;
                provider.names().set_aside(query);
                provider.names().leave();
                return;
            }
        }
        drop(query);
        provider.names().leave();
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        self.end(Passive::new());
    }
}

impl NameQuery {
    /// Units of the longest name of a host, `NI_MAXHOST`, and of a service, `NI_MAXSERV`; the
    /// terminator included.
    const LONGEST: (usize, usize) = (1025, 32);

    pub(crate) fn ask(provider: &Provider, flags: u32, owner: Owner) -> Result<PoolBox<Self>> {
        PoolBox::new(Self {
            node: WideString::room(Self::LONGEST.0)?,
            service: WideString::room(Self::LONGEST.1)?,
            flags,
            owner,
            request: Some(OneRequest::new(provider.clone())?),
        })
    }

    /// WSK has answered.
    pub(crate) fn answered(&mut self) {
        self.request = None;
    }
}
