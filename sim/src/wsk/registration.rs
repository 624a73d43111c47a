//! Registration of clients, and capture of the provider [wsk 2].
//!
//! A registration is known by the address of the client's block.

// UNSAFETY: the exports have the names of NETIO.SYS and write through pointers of the client's.
#![expect(unsafe_code, reason = "exports of NETIO.SYS")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
#[cfg(not(windows))]
use std::time::Duration;

use wdk_sys::{
    NTSTATUS, STATUS_DEVICE_NOT_READY, STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE,
    STATUS_SUCCESS, ULONG,
};
use wsk_sys::{
    PWSK_CLIENT, PWSK_CLIENT_NPI, PWSK_PROVIDER_CHARACTERISTICS, PWSK_PROVIDER_NPI,
    PWSK_REGISTRATION, WSK_INFINITE_WAIT, WSK_NO_WAIT, WSK_PROVIDER_NPI, WSK_REGISTRATION,
};

use super::call::check_context;
use super::client::{Origin, Readiness, is_supported};
use super::{control, nmr};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::kernel::layout::Header;
use crate::kernel::object::Object;
use crate::kernel::wait::check_may_block;
use crate::sched::Thread;
#[cfg(not(windows))]
use crate::sim::Sim;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

#[cfg(not(windows))]
impl Sim {
    /// Has the provider become ready only when `delay` has passed from now.
    pub fn provider_ready_after(&self, delay: Duration) {
        let units = u64::try_from(delay.as_nanos() / 100).unwrap_or(u64::MAX);
        let at = self.0.sched.now().saturating_add(units);
        lock(&self.0.wsk.registrations).ready = Readiness::At(at);
        if self.0.nmr.has_clients(nmr::NPI) {
            nmr::offer(&current());
        }
    }

    /// Has the provider never become ready.
    pub fn provider_never_ready(&self) {
        lock(&self.0.wsk.registrations).ready = Readiness::Never;
    }
}

/// The client that a function of the provider's table is called for: it must hold a capture, or
/// not have detached.
pub(super) fn expect_client(me: &Thread, client: PWSK_CLIENT, function: &str) -> usize {
    let found = lock(&me.sim.wsk.registrations)
        .of_name(client.addr())
        .map(|client| (client.origin, client.captures));
    let details = format!("{function} for client {client:p}");
    match found {
        Some((Origin::Block(_), captures)) if captures > 0 => client.addr(),
        Some((Origin::Binding(binding), _)) if !me.sim.nmr.client_is_detached(binding) => {
            client.addr()
        }
        Some((Origin::Block(_), _)) => offence(Rule::CallAfterRelease, &details),
        Some((Origin::Binding(_), _)) => offence(Rule::NmrCallAfterDetach, &details),
        None => offence(
            Rule::CallAfterRelease,
            &format!("{details}, no client of WSK's"),
        ),
    }
}

/// One look at whether a capture can end: its status, or until when to wait for what.
fn try_capture(sim: &Shared, block: usize) -> Result<NTSTATUS, (Arc<Header>, Option<u64>)> {
    let mut registrations = lock(&sim.wsk.registrations);
    let ready = registrations.ready;
    let Some(client) = registrations.of_origin(Origin::Block(block)) else {
        drop(registrations);
        offence(
            Rule::Registration,
            &format!("WskCaptureProviderNPI with {block:#x}, which was never registered"),
        );
    };
    // [wsk 2.6]
    if client.leaving {
        return Ok(STATUS_DEVICE_NOT_READY);
    }
    match ready {
        Readiness::At(time) if time <= sim.sched.now() => {}
        Readiness::At(time) => return Err((Arc::clone(&client.changed), Some(time))),
        Readiness::Never => return Err((Arc::clone(&client.changed), None)),
    }
    if !is_supported(client.version) {
        return Ok(STATUS_NOINTERFACE);
    }
    client.captures += 1;
    Ok(STATUS_SUCCESS)
}

fn capture(me: &Arc<Thread>, block: usize, timeout: ULONG) -> NTSTATUS {
    let start = me.sim.sched.now();
    let deadline = (timeout != WSK_INFINITE_WAIT).then(|| start + u64::from(timeout) * 10_000);
    loop {
        let (changed, ready) = match try_capture(&me.sim, block) {
            Ok(status) => return status,
            Err(wait) => wait,
        };
        if deadline.is_some_and(|deadline| deadline <= me.sim.sched.now()) {
            return STATUS_DEVICE_NOT_READY;
        }
        let until = [deadline, ready].into_iter().flatten().min();
        me.sim.sched.wait(
            me,
            "WskCaptureProviderNPI",
            vec![Object::of(&changed)],
            false,
            until,
        );
    }
}

/// What the client that registered with `block` calls WSK by.
fn client_of(me: &Thread, block: PWSK_REGISTRATION) -> PWSK_CLIENT {
    let mut registrations = lock(&me.sim.wsk.registrations);
    let client = registrations.of_origin(Origin::Block(block.addr()));
    client.map_or(core::ptr::null_mut(), |client| {
        core::ptr::without_provenance_mut(client.name())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskRegister(npi: PWSK_CLIENT_NPI, block: PWSK_REGISTRATION) -> NTSTATUS {
    let me = current();
    check_context(&me, PASSIVE, "WskRegister");
    // SAFETY: the client passes an NPI that is valid during the call [wsk 2.2].
    let npi = unsafe { npi.read() };
    if npi.Dispatch.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the table stays valid until deregistration is over [wsk 2.2, 2.3].
    let dispatch = unsafe { npi.Dispatch.read() };
    if dispatch.Reserved != 0 {
        let details = format!(
            "WskRegister with a table whose Reserved is {}",
            dispatch.Reserved
        );
        offence(Rule::Registration, &details);
    }
    if me.sim.faults.strikes(Fault::ProviderCall) {
        return wdk_sys::STATUS_INSUFFICIENT_RESOURCES;
    }
    let origin = Origin::Block(block.addr());
    let mut registrations = lock(&me.sim.wsk.registrations);
    if let Some(old) = registrations.of_origin(origin).filter(|old| !old.gone) {
        let details = old.describe();
        drop(registrations);
        offence(Rule::Registration, &format!("registered again: {details}"));
    }
    let name = registrations.add(&me.sim, origin, dispatch.Version);
    drop(registrations);
    // SAFETY: the client passes a block of its own, whose members are private to WSK [wsk 2.1].
    unsafe {
        block.write(WSK_REGISTRATION {
            ReservedRegistrationState: name as u64,
            ..WSK_REGISTRATION::default()
        });
    };
    me.sim.sched.point(&me);
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskCaptureProviderNPI(
    block: PWSK_REGISTRATION,
    timeout: ULONG,
    npi: PWSK_PROVIDER_NPI,
) -> NTSTATUS {
    let me = current();
    check_context(&me, DISPATCH, "WskCaptureProviderNPI");
    if timeout != WSK_NO_WAIT {
        check_may_block(&me, "WskCaptureProviderNPI");
    }
    if me.sim.faults.strikes(Fault::ProviderCall) {
        return STATUS_DEVICE_NOT_READY;
    }
    let status = capture(&me, block.addr(), timeout);
    if status == STATUS_SUCCESS {
        let client = client_of(&me, block);
        // SAFETY: the client passes a place for the NPI.
        unsafe {
            npi.write(WSK_PROVIDER_NPI {
                Client: client,
                Dispatch: me.sim.wsk.windows.provider(),
            });
        };
    }
    me.sim.sched.point(&me);
    status
}

/// Reports the last capture released while a request through it is not over [wsk 11.5].
fn check_no_request(me: &Thread, block: usize) {
    let mut registrations = lock(&me.sim.wsk.registrations);
    let client = registrations.of_origin(Origin::Block(block));
    let last = client.filter(|client| client.captures == 1);
    let unfinished = last.map_or(0, |client| {
        me.sim.wsk.client_requests.unfinished(client.name())
    });
    drop(registrations);
    if unfinished > 0 {
        let details =
            format!("WskReleaseProviderNPI of {block:#x} with {unfinished} requests for names");
        offence(Rule::ReleasedDuringRequest, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskReleaseProviderNPI(block: PWSK_REGISTRATION) {
    let me = current();
    check_context(&me, DISPATCH, "WskReleaseProviderNPI");
    check_no_request(&me, block.addr());
    let released = lock(&me.sim.wsk.registrations)
        .of_origin(Origin::Block(block.addr()))
        .filter(|client| client.captures > 0)
        .map(|client| {
            client.captures -= 1;
            client.notice(&me.sim);
        });
    if released.is_none() {
        offence(
            Rule::Capture,
            &format!("WskReleaseProviderNPI of {block:p}, which holds no capture"),
        );
    }
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskQueryProviderCharacteristics(
    block: PWSK_REGISTRATION,
    characteristics: PWSK_PROVIDER_CHARACTERISTICS,
) -> NTSTATUS {
    let me = current();
    check_context(&me, DISPATCH, "WskQueryProviderCharacteristics");
    let mut registrations = lock(&me.sim.wsk.registrations);
    let ready = registrations.is_ready(&me.sim);
    let client = registrations.of_origin(Origin::Block(block.addr()));
    if !ready || client.is_none_or(|client| client.leaving) {
        return STATUS_DEVICE_NOT_READY;
    }
    drop(registrations);
    // SAFETY: the client passes a place for the answer.
    unsafe { characteristics.write(nmr::VERSIONS) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskDeregister(block: PWSK_REGISTRATION) {
    let me = current();
    check_context(&me, PASSIVE, "WskDeregister");
    check_may_block(&me, "WskDeregister");
    let origin = Origin::Block(block.addr());
    let mut registrations = lock(&me.sim.wsk.registrations);
    let known = registrations.of_origin(origin);
    let Some(client) = known.filter(|client| !client.leaving) else {
        drop(registrations);
        offence(
            Rule::Registration,
            &format!("WskDeregister of {block:p}, which is not registered"),
        );
    };
    client.leaving = true;
    client.notice(&me.sim);
    let (changed, name) = (Arc::clone(&client.changed), client.name());
    drop(registrations);
    // What is forgotten keeps it waiting for ever [wsk 2.9, 2.10].
    control::client_leaves(&me.sim, name);
    me.sim.sched.point(&me);
    loop {
        changed.state.store(0, SeqCst);
        let mut registrations = lock(&me.sim.wsk.registrations);
        match registrations.of_origin(origin) {
            Some(client) if !client.is_idle() => {}
            Some(client) => {
                client.gone = true;
                let name = client.name();
                drop(registrations);
                control::client_is_gone(&me.sim, name);
                return;
            }
            None => return,
        }
        drop(registrations);
        me.sim.sched.wait(
            &me,
            "WskDeregister",
            vec![Object::of(&changed)],
            false,
            None,
        );
    }
}
