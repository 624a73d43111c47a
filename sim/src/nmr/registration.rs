//! Registering and deregistering modules, and waiting for the end of that [wsk 12.2, 12.12].
//!
//! A deregistration is complete when no binding of the module's is left; whoever waits for it goes
//! on, and the module may be unloaded. It returns `STATUS_PENDING` always, as Windows does.

// UNSAFETY: the exports have the names of NETIO.SYS and write through pointers of the module's.
#![expect(unsafe_code, reason = "exports of NETIO.SYS")]

use std::sync::Arc;

use wdk_sys::{
    HANDLE, NTSTATUS, PHANDLE, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sys::{PNPI_CLIENT_CHARACTERISTICS, PNPI_PROVIDER_CHARACTERISTICS};

use super::characteristics::{Found, Side, read_client, read_provider};
use super::module::{ClientDetached, Module};
use super::{Books, FIRST_HANDLE, Phase, Registration, attach, detach};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irql::{DISPATCH, PASSIVE, require};
use crate::kernel::wait::check_may_block;
use crate::reached;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{Rule, tolerates};

impl Books {
    fn register(&mut self, module: Module) -> Arc<Module> {
        let module = Arc::new(module);
        let registration = Registration {
            module: Arc::clone(&module),
            phase: Phase::Registered,
            open: 0,
        };
        self.modules.insert(module.number, registration);
        module
    }

    /// The registration with this handle, if it is that of a module of `side`.
    fn registration(&mut self, handle: HANDLE, side: Side) -> Option<&mut Registration> {
        let offset = handle.addr().checked_sub(FIRST_HANDLE)?;
        let found = self.modules.get_mut(&(offset / 16))?;
        (offset % 16 == 0 && found.module.side == side).then_some(found)
    }

    /// Starts a deregistration: the bindings that must be detached.
    fn deregister(&mut self, sim: &Shared, number: usize) -> Vec<usize> {
        let of_module = self.bindings.iter_mut().filter_map(|(binding, state)| {
            let is_meant = state.modules().iter().any(|module| module.number == number);
            (is_meant && state.begin_detach()).then_some(*binding)
        });
        let detaching = of_module.collect();
        if let Some(found) = self.modules.get_mut(&number) {
            found.phase = Phase::Deregistering;
            found.complete_if_idle(sim);
        }
        detaching
    }
}

/// Registers a module, and has its peers introduced to it.
fn register(
    me: &Arc<Thread>,
    side: Side,
    found: Result<Found, String>,
    context: PVOID,
    function: &str,
) -> Result<HANDLE, NTSTATUS> {
    let found = found.unwrap_or_else(|why| {
        offence(Rule::NmrCharacteristics, &format!("{function}: {why}"));
    });
    if let Some(why) = found.characteristics.fault()
        && !tolerates(&me.sim, Rule::NmrCharacteristics)
    {
        offence(Rule::NmrCharacteristics, &format!("{function}: {why}"));
    }
    if me.sim.faults.strikes(Fault::Allocation) {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    if side == Side::Client {
        start_on_demand(me, &found);
    }
    Ok(enter(me, side, &found, context, None))
}

/// Starts the providers of the system which the first client of an interface makes start.
fn start_on_demand(me: &Arc<Thread>, found: &Found) {
    for (npi, start) in me.sim.nmr.on_demand {
        if *npi == found.characteristics.npi {
            start(me);
        }
    }
}

fn enter(
    me: &Arc<Thread>,
    side: Side,
    found: &Found,
    context: PVOID,
    client_detached: Option<ClientDetached>,
) -> HANDLE {
    let mut books = lock(&me.sim.nmr.books);
    let number = books.next_number();
    let module = Module::new(me, number, side, found, context, client_detached);
    let module = books.register(module);
    let bindings = books.propose(&module);
    drop(books);
    module.check_resident(me);
    attach::start(me, bindings);
    me.sim.sched.point(me);
    module.handle()
}

/// Registers a provider of the system, which stays until the simulation ends.
/// `client_detached` is told the provider's handle of a binding whose client has detached.
pub(crate) fn register_system_provider(
    me: &Arc<Thread>,
    characteristics: PNPI_PROVIDER_CHARACTERISTICS,
    client_detached: ClientDetached,
) {
    // SAFETY: the simulator's own characteristics are static.
    let found = unsafe { read_provider(characteristics) };
    let found = found.expect("the simulator's own characteristics are in order");
    let context = core::ptr::null_mut();
    enter(me, Side::Provider, &found, context, Some(client_detached));
}

/// `NmrDeregisterClient` and `NmrDeregisterProvider`.
fn deregister(handle: HANDLE, side: Side, function: &str) -> NTSTATUS {
    let me = current();
    require(&me, DISPATCH, function);
    let module = match lock(&me.sim.nmr.books).registration(handle, side) {
        Some(found) if found.phase == Phase::Registered => Ok(Arc::clone(&found.module)),
        Some(found) => Err(format!("{function} once more: {}", found.describe())),
        None => Err(format!(
            "{function} of {handle:p}, no {}'s handle",
            side.name()
        )),
    };
    let module = module.unwrap_or_else(|details| offence(Rule::NmrHandle, &details));
    module.check_unchanged();
    let bindings = lock(&me.sim.nmr.books).deregister(&me.sim, module.number);
    detach::start(&me, bindings);
    me.sim.sched.point(&me);
    STATUS_PENDING
}

/// `NmrWaitForClientDeregisterComplete` and `NmrWaitForProviderDeregisterComplete`.
fn wait(handle: HANDLE, side: Side, function: &'static str) -> NTSTATUS {
    let me = current();
    reached::function(function);
    check_may_block(&me, function);
    let module = match lock(&me.sim.nmr.books).registration(handle, side) {
        Some(found) if matches!(found.phase, Phase::Deregistering | Phase::Complete) => {
            Arc::clone(&found.module)
        }
        _ => return STATUS_INVALID_PARAMETER,
    };
    let complete = vec![module.completion()];
    me.sim.sched.wait(&me, function, complete, false, None);
    if let Some(found) = lock(&me.sim.nmr.books).registration(handle, side) {
        found.phase = Phase::Closed;
    }
    STATUS_SUCCESS
}

/// Writes the handle of a module that registered. Attach callbacks may have run before
/// [wsk 12.2].
fn answer(registered: Result<HANDLE, NTSTATUS>, handle: PHANDLE) -> NTSTATUS {
    match registered {
        Ok(registered) => {
            // SAFETY: the module passes a place for the handle.
            unsafe { handle.write(registered) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrRegisterClient(
    characteristics: PNPI_CLIENT_CHARACTERISTICS,
    context: PVOID,
    handle: PHANDLE,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "NmrRegisterClient");
    // SAFETY: the client passes characteristics that are valid [wsk 12.1].
    let found = unsafe { read_client(characteristics) };
    let registered = register(&me, Side::Client, found, context, "NmrRegisterClient");
    answer(registered, handle)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrRegisterProvider(
    characteristics: PNPI_PROVIDER_CHARACTERISTICS,
    context: PVOID,
    handle: PHANDLE,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "NmrRegisterProvider");
    // SAFETY: the provider passes characteristics that are valid [wsk 12.1].
    let found = unsafe { read_provider(characteristics) };
    let registered = register(&me, Side::Provider, found, context, "NmrRegisterProvider");
    answer(registered, handle)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrDeregisterClient(handle: HANDLE) -> NTSTATUS {
    deregister(handle, Side::Client, "NmrDeregisterClient")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrDeregisterProvider(handle: HANDLE) -> NTSTATUS {
    deregister(handle, Side::Provider, "NmrDeregisterProvider")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrWaitForClientDeregisterComplete(handle: HANDLE) -> NTSTATUS {
    wait(handle, Side::Client, "NmrWaitForClientDeregisterComplete")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrWaitForProviderDeregisterComplete(handle: HANDLE) -> NTSTATUS {
    wait(
        handle,
        Side::Provider,
        "NmrWaitForProviderDeregisterComplete",
    )
}
