//! Making a binding: `ClientAttachProvider`, `NmrClientAttachProvider`, `ProviderAttachClient`
//! [wsk 12.2, 12.5].
//!
//! A binding counts for both modules from the moment it is proposed, so that a deregistration waits
//! for it. It is made when `ClientAttachProvider` has returned success; if one of the two began to
//! deregister meanwhile, it is detached at once.

// UNSAFETY: the attach callbacks are the driver's, and `NmrClientAttachProvider` writes through its
// pointers.
#![expect(unsafe_code, reason = "calls the driver's callbacks")]

use core::ffi::c_void;
use std::sync::Arc;

use wdk_sys::{HANDLE, NTSTATUS, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};

use super::binding::Binding;
use super::characteristics::{Attach, Side};
use super::module::Module;
use super::{Books, callback, detach};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irql::{PASSIVE, require};
use crate::kernel::thread::Context;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::{Rule, tolerates};

/// What a provider leaves where its context and its table go if it does not write them.
static UNWRITTEN: u8 = 0;

impl Books {
    /// Proposes a binding between a new module and each of its peers.
    pub(super) fn propose(&mut self, module: &Arc<Module>) -> Vec<usize> {
        let npi = module.characteristics.npi;
        let peers: Vec<_> = self
            .modules
            .values()
            .filter(|found| found.is_peer_of(module.side, npi))
            .map(|found| Arc::clone(&found.module))
            .collect();
        let propose = |peer| {
            let number = self.next_number();
            let (client, provider) = match module.side {
                Side::Client => (Arc::clone(module), peer),
                Side::Provider => (peer, Arc::clone(module)),
            };
            self.count(&client);
            self.count(&provider);
            self.bindings
                .insert(number, Binding::new(number, client, provider));
            number
        };
        peers.into_iter().map(propose).collect()
    }

    fn count(&mut self, module: &Module) {
        if let Some(found) = self.modules.get_mut(&module.number) {
            found.open += 1;
        }
    }
}

/// Has the clients of these bindings called, one after the other or at the same time.
pub(super) fn start(me: &Arc<Thread>, bindings: Vec<usize>) {
    callback::spread(me, bindings, callback::ATTACH, attach);
}

fn attach(me: &Arc<Thread>, number: usize) {
    // Whether the registrar notices at this moment that one of the two is leaving is not settled.
    let leaving = lock(&me.sim.nmr.books).is_leaving(number);
    if leaving && me.sim.sched.choose_below(2) == 0 {
        drop_proposal(me, number);
        return;
    }
    let status = call_client(me, number);
    finish(me, number, status);
}

fn drop_proposal(me: &Thread, number: usize) {
    let mut books = lock(&me.sim.nmr.books);
    books.binding(number).drop_proposal();
    books.release(&me.sim, number);
}

fn call_client(me: &Arc<Thread>, number: usize) -> NTSTATUS {
    let (handle, [client, provider]) = me.sim.nmr.change(number, |binding| {
        binding.begin_attach(me.id);
        Ok((binding.handle(Side::Client), binding.modules()))
    });
    client.check_unchanged();
    provider.check_unchanged();
    let Attach::Client(attach) = client.callbacks.attach else {
        unreachable!("a client has a client's callbacks");
    };
    callback::call(me, &client, "ClientAttachProvider", || {
        // SAFETY: the client registered this callback with this context; called at PASSIVE_LEVEL
        // with an instance that its owner keeps valid [wsk 12.1, 12.2].
        unsafe { attach(handle, client.context.get(), provider.instance()) }
    })
}

fn finish(me: &Arc<Thread>, number: usize, status: NTSTATUS) {
    let attached = me
        .sim
        .nmr
        .change(number, |binding| binding.finish_attach(status));
    let mut books = lock(&me.sim.nmr.books);
    if !attached {
        books.release(&me.sim, number);
    } else if books.is_leaving(number) && books.binding(number).begin_detach() {
        drop(books);
        detach::start(me, vec![number]);
    }
}

/// The number of the binding with this client's handle.
fn find(me: &Thread, handle: HANDLE) -> usize {
    let found = lock(&me.sim.nmr.books).find(handle.addr());
    match found {
        Some((number, Side::Client)) => number,
        _ => offence(
            Rule::NmrAttach,
            &format!("NmrClientAttachProvider with {handle:p}, no client's handle of a binding"),
        ),
    }
}

/// What a provider has answered: status, context and table.
struct Answer {
    status: NTSTATUS,
    context: PVOID,
    dispatch: *const c_void,
}

fn call_provider(me: &Arc<Thread>, number: usize) -> Answer {
    let (handle, context, dispatch, [client, provider]) = me.sim.nmr.change(number, |binding| {
        let (context, dispatch) = (
            binding.context(Side::Client),
            binding.dispatch(Side::Client),
        );
        Ok((
            binding.handle(Side::Provider),
            context,
            dispatch,
            binding.modules(),
        ))
    });
    let Attach::Provider(attach) = provider.callbacks.attach else {
        unreachable!("a provider has a provider's callbacks");
    };
    let unwritten = (&raw const UNWRITTEN).cast::<c_void>();
    let mut answer = Answer {
        status: STATUS_SUCCESS,
        context: unwritten.cast_mut(),
        dispatch: unwritten,
    };
    answer.status = callback::call(me, &provider, "ProviderAttachClient", || {
        // SAFETY: the provider registered this callback with this context; called at PASSIVE_LEVEL
        // with places for its answer [wsk 12.8].
        unsafe {
            attach(
                handle,
                provider.context.get(),
                client.instance(),
                context.get(),
                dispatch.get(),
                &raw mut answer.context,
                &raw mut answer.dispatch,
            )
        }
    });
    check(me, &answer, &provider);
    answer
}

/// Checks the answer of a provider [wsk 12.8].
fn check(me: &Thread, answer: &Answer, provider: &Module) {
    if answer.status > 0 {
        let details = format!(
            "ProviderAttachClient of the {provider} returned {:#010x}",
            answer.status
        );
        offence(Rule::NmrAttachStatus, &details);
    }
    if answer.status < 0 {
        return;
    }
    let unwritten = (&raw const UNWRITTEN).addr();
    if answer.context.addr() == unwritten || answer.dispatch.addr() == unwritten {
        let details = format!("ProviderAttachClient of the {provider} wrote no context or table");
        offence(Rule::NmrDispatch, &details);
    }
    if answer.dispatch.is_null() && !tolerates(&me.sim, Rule::NmrDispatch) {
        let details = format!("ProviderAttachClient of the {provider} wrote a null table");
        offence(Rule::NmrDispatch, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrClientAttachProvider(
    handle: HANDLE,
    client_context: PVOID,
    client_dispatch: *const c_void,
    provider_context: *mut PVOID,
    provider_dispatch: *mut *const c_void,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "NmrClientAttachProvider");
    let dispatch = Context(client_dispatch.cast_mut());
    let number = find(&me, handle);
    me.sim.nmr.change(number, |binding| {
        binding.propose_client(me.id, Context(client_context), dispatch)
    });
    let answer = if me.sim.faults.strikes(Fault::Allocation) {
        Answer {
            status: STATUS_INSUFFICIENT_RESOURCES,
            context: core::ptr::null_mut(),
            dispatch: core::ptr::null(),
        }
    } else {
        call_provider(&me, number)
    };
    me.sim.nmr.change(number, |binding| {
        let dispatch = Context(answer.dispatch.cast_mut());
        binding.answer(answer.status, Context(answer.context), dispatch);
        Ok(())
    });
    if answer.status == STATUS_SUCCESS {
        // SAFETY: the client passes a place for the provider's context.
        unsafe { provider_context.write(answer.context) };
        // SAFETY: the client passes a place for the provider's table.
        unsafe { provider_dispatch.write(answer.dispatch) };
    }
    answer.status
}
