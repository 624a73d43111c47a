//! Registration of clients, and capture of the provider [wsk 2].
//!
//! A registration is known by the address of the client's block. It outlives its deregistration in
//! the books, because a capture afterwards is legal and has a defined answer.

// UNSAFETY: the exports have the names of NETIO.SYS and write through pointers of the client's.
#![expect(unsafe_code, reason = "exports of NETIO.SYS")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use wdk_sys::{
    NTSTATUS, STATUS_DEVICE_NOT_READY, STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE,
    STATUS_SUCCESS, ULONG, USHORT,
};
use wsk_sys::{
    MAKE_WSK_VERSION, PWSK_CLIENT, PWSK_CLIENT_NPI, PWSK_PROVIDER_CHARACTERISTICS,
    PWSK_PROVIDER_NPI, PWSK_REGISTRATION, WSK_CLIENT_VERSION_1_0, WSK_INFINITE_WAIT, WSK_NO_WAIT,
    WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI, WSK_REGISTRATION,
};

use super::call::check_context;
use super::tables::PROVIDER;
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::kernel::layout::Header;
use crate::kernel::object::{NOTIFICATION_EVENT, Object};
use crate::kernel::wait::check_may_block;
use crate::sched::Thread;
use crate::sim::{Shared, Sim, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// Where the addresses of clients, as `WSK_PROVIDER_NPI` carries them, begin; they point to
/// nothing.
const FIRST_CLIENT: usize = 0x5757_0000;

/// When the provider becomes ready, in virtual time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readiness {
    At(u64),
    Never,
}

/// The registrations of one simulation.
pub(super) struct Registrations {
    blocks: BTreeMap<usize, Registration>,
    ready: Readiness,
    last: usize,
}

struct Registration {
    number: usize,
    version: USHORT,
    captures: usize,
    sockets: usize,
    /// Calls that run, and requests that are not complete.
    uses: usize,
    /// The events that are enabled for all sockets [wsk 6.7].
    static_events: ULONG,
    /// `WskDeregister` was called; it has also returned.
    deregistering: bool,
    gone: bool,
    /// Signalled when a capture need not wait any more, and when a deregistration may go on.
    changed: Arc<Header>,
    site: Site,
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            blocks: BTreeMap::new(),
            ready: Readiness::At(0),
            last: 0,
        }
    }
}

impl Sim {
    /// Has the provider become ready only when `delay` has passed from now.
    pub fn provider_ready_after(&self, delay: Duration) {
        let units = u64::try_from(delay.as_nanos() / 100).unwrap_or(u64::MAX);
        let at = self.0.sched.now().saturating_add(units);
        lock(&self.0.wsk.registrations).ready = Readiness::At(at);
    }

    /// Has the provider never become ready.
    pub fn provider_never_ready(&self) {
        lock(&self.0.wsk.registrations).ready = Readiness::Never;
    }
}

impl Registrations {
    fn of_client(&mut self, client: usize) -> Option<&mut Registration> {
        self.blocks
            .values_mut()
            .find(|registration| registration.client() == client)
    }

    pub(super) fn count_socket(&mut self, client: usize) {
        if let Some(registration) = self.of_client(client) {
            registration.sockets += 1;
        }
    }

    pub(super) fn uncount_socket(&mut self, sim: &Shared, client: usize) {
        if let Some(registration) = self.of_client(client) {
            registration.sockets -= 1;
            registration.wake(sim);
        }
    }

    /// A call or a request of the client's begins [wsk 2.9].
    pub(super) fn count_use(&mut self, client: usize) {
        if let Some(registration) = self.of_client(client) {
            registration.uses += 1;
        }
    }

    pub(super) fn uncount_use(&mut self, sim: &Shared, client: usize) {
        if let Some(registration) = self.of_client(client) {
            registration.uses -= 1;
            if registration.uses == 0 && registration.deregistering {
                registration.wake(sim);
            }
        }
    }

    pub(super) fn static_events(&mut self, client: usize) -> ULONG {
        self.of_client(client)
            .map_or(0, |registration| registration.static_events)
    }

    /// The driver that is this client.
    pub(super) fn driver_of(&mut self, client: usize) -> DriverNumber {
        self.of_client(client)
            .map_or(0, |registration| registration.site.driver())
    }

    /// Did `driver` register this client? Everybody's clients were registered by somebody.
    pub(super) fn is_of(&self, client: usize, driver: Option<DriverNumber>) -> bool {
        let mut registrations = self.blocks.values();
        registrations.any(|found| found.client() == client && found.site.is_of(driver))
    }

    pub(super) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let made = self
            .blocks
            .iter()
            .filter(|(_, registration)| registration.site.is_of(driver));
        let open = made.filter(|(_, registration)| !registration.gone);
        open.map(|(address, registration)| registration.describe(*address))
            .collect()
    }

    pub(super) fn uses_memory(&self, start: usize, length: usize) -> Option<String> {
        let mut inside = self
            .blocks
            .range(start..start + length)
            .filter(|(_, registration)| !registration.gone);
        inside
            .next()
            .map(|(address, registration)| registration.describe(*address))
    }
}

impl Registration {
    fn client(&self) -> usize {
        FIRST_CLIENT + self.number * 16
    }

    fn is_unused(&self) -> bool {
        self.captures == 0 && self.sockets == 0 && self.uses == 0
    }

    fn wake(&self, sim: &Shared) {
        let object = Object::of(&self.changed);
        sim.sched
            .update(object, || object.header().state.store(1, SeqCst));
    }

    fn describe(&self, address: usize) -> String {
        let (captures, sockets, site) = (self.captures, self.sockets, &self.site);
        format!(
            "WSK registration {address:#x} with {captures} captures and {sockets} sockets, \
             registered{site}"
        )
    }
}

/// The client that a function of the provider's table is called for: it must hold a capture.
pub(super) fn expect_client(me: &Thread, client: PWSK_CLIENT, function: &str) -> usize {
    let mut registrations = lock(&me.sim.wsk.registrations);
    match registrations.of_client(client.addr()) {
        Some(registration) if registration.captures > 0 => client.addr(),
        Some(_) => offence(
            Rule::CallAfterRelease,
            &format!("{function} for client {client:p}"),
        ),
        None => offence(
            Rule::CallAfterRelease,
            &format!("{function} for {client:p}, no client of WSK's"),
        ),
    }
}

/// One look at whether a capture can end: its status, or until when to wait for what.
fn try_capture(sim: &Shared, block: usize) -> Result<NTSTATUS, (Arc<Header>, Option<u64>)> {
    let mut registrations = lock(&sim.wsk.registrations);
    let ready = registrations.ready;
    let Some(registration) = registrations.blocks.get_mut(&block) else {
        drop(registrations);
        offence(
            Rule::Registration,
            &format!("WskCaptureProviderNPI with {block:#x}, which was never registered"),
        );
    };
    if registration.deregistering {
        return Ok(STATUS_DEVICE_NOT_READY);
    }
    match ready {
        Readiness::At(time) if time <= sim.sched.now() => {}
        Readiness::At(time) => return Err((Arc::clone(&registration.changed), Some(time))),
        Readiness::Never => return Err((Arc::clone(&registration.changed), None)),
    }
    if registration.version != WSK_CLIENT_VERSION_1_0 {
        return Ok(STATUS_NOINTERFACE);
    }
    registration.captures += 1;
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskRegister(npi: PWSK_CLIENT_NPI, block: PWSK_REGISTRATION) -> NTSTATUS {
    let me = current();
    check_context(&me, PASSIVE, "WskRegister");
    // SAFETY: the client passes an NPI that is valid during the call [wsk 2.2].
    let npi = unsafe { npi.read() };
    if npi.Dispatch.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the table stays valid until deregistration is over [wsk 2.2].
    let dispatch = unsafe { npi.Dispatch.read() };
    if me.sim.faults.strikes(Fault::ProviderCall) {
        return wdk_sys::STATUS_INSUFFICIENT_RESOURCES;
    }
    let address = block.addr();
    let mut registrations = lock(&me.sim.wsk.registrations);
    if registrations
        .blocks
        .get(&address)
        .is_some_and(|old| !old.gone)
    {
        let details = registrations.blocks[&address].describe(address);
        drop(registrations);
        offence(Rule::Registration, &format!("registered again: {details}"));
    }
    registrations.last += 1;
    let number = registrations.last;
    let registration = Registration {
        number,
        version: dispatch.Version,
        captures: 0,
        sockets: 0,
        uses: 0,
        static_events: 0,
        deregistering: false,
        gone: false,
        changed: Arc::new(Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0)),
        site: Site::here(&me.sim),
    };
    registrations.blocks.insert(address, registration);
    drop(registrations);
    // SAFETY: the client passes a block of its own, whose members are private to WSK [wsk 2.1].
    unsafe {
        block.write(WSK_REGISTRATION {
            ReservedRegistrationState: number as u64,
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
        let client = lock(&me.sim.wsk.registrations).blocks[&block.addr()].client();
        let client = core::ptr::without_provenance_mut(client);
        // SAFETY: the client passes a place for the NPI.
        unsafe {
            npi.write(WSK_PROVIDER_NPI {
                Client: client,
                Dispatch: &raw const PROVIDER,
            });
        };
    }
    me.sim.sched.point(&me);
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskReleaseProviderNPI(block: PWSK_REGISTRATION) {
    let me = current();
    check_context(&me, DISPATCH, "WskReleaseProviderNPI");
    let released = lock(&me.sim.wsk.registrations)
        .blocks
        .get_mut(&block.addr())
        .filter(|registration| registration.captures > 0)
        .map(|registration| {
            registration.captures -= 1;
            registration.wake(&me.sim);
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
    let registrations = lock(&me.sim.wsk.registrations);
    if registrations
        .blocks
        .get(&block.addr())
        .is_none_or(|found| found.deregistering)
    {
        return STATUS_DEVICE_NOT_READY;
    }
    let ready = matches!(registrations.ready, Readiness::At(time) if time <= me.sim.sched.now());
    drop(registrations);
    if !ready {
        return STATUS_DEVICE_NOT_READY;
    }
    let version = MAKE_WSK_VERSION(1, 0);
    // SAFETY: the client passes a place for the answer.
    unsafe {
        characteristics.write(WSK_PROVIDER_CHARACTERISTICS {
            HighestVersion: version,
            LowestVersion: version,
        });
    };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn WskDeregister(block: PWSK_REGISTRATION) {
    let me = current();
    check_context(&me, PASSIVE, "WskDeregister");
    check_may_block(&me, "WskDeregister");
    let mut registrations = lock(&me.sim.wsk.registrations);
    let known = registrations
        .blocks
        .get_mut(&block.addr())
        .filter(|found| !found.deregistering);
    let Some(registration) = known else {
        drop(registrations);
        offence(
            Rule::Registration,
            &format!("WskDeregister of {block:p}, which is not registered"),
        );
    };
    registration.deregistering = true;
    registration.wake(&me.sim);
    let changed = Arc::clone(&registration.changed);
    drop(registrations);
    me.sim.sched.point(&me);
    loop {
        changed.state.store(0, SeqCst);
        let mut registrations = lock(&me.sim.wsk.registrations);
        let Some(registration) = registrations.blocks.get_mut(&block.addr()) else {
            return;
        };
        if registration.is_unused() {
            registration.gone = true;
            return;
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
