//! Dispatch routines: how they are given IRPs, and whether what they return fits what they did.
//!
//! A call is judged when two things are known, in whichever order they happen: what the routine
//! returned, and with what status and mark its stack location was left.

// UNSAFETY: dispatch routines are functions of the driver's, device objects are shared with it.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use std::collections::BTreeMap;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_PENDING};

use super::driver;
use super::irp::expect_known;
use super::irql::{DISPATCH, check_unchanged, require};
use super::layout::Irp;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A dispatch routine that was given an IRP.
struct Given {
    location: i8,
    major: u8,
    returned: Option<NTSTATUS>,
    /// The status, and whether the location was marked pending, when the location was left.
    left: Option<(NTSTATUS, bool)>,
}

/// The calls of dispatch routines that are not judged yet, by IRP and number.
#[derive(Default)]
pub(crate) struct Calls {
    given: BTreeMap<(usize, u64), Given>,
    last: u64,
}

impl Given {
    /// What is wrong with the call, as far as is known.
    fn judge(&self) -> Option<(Rule, String)> {
        let returned = self.returned?;
        let pending = returned == STATUS_PENDING;
        let (rule, what) = match self.left {
            None if !pending => (Rule::IrpForgotten, "and the IRP is not complete".to_owned()),
            Some((_, false)) if pending => {
                let what = "and the IRP was completed without being marked pending";
                (Rule::IrpPending, what.to_owned())
            }
            Some((_, true)) if !pending => (
                Rule::IrpPending,
                "though the IRP was marked pending".to_owned(),
            ),
            Some((status, _)) if !pending && status != returned => (
                Rule::IrpStatus,
                format!("though it completed the IRP with {status:#x}"),
            ),
            _ => return None,
        };
        let major = self.major;
        Some((
            rule,
            format!("the dispatch routine for IRP_MJ {major:#x} returned {returned:#x}, {what}"),
        ))
    }

    fn is_over(&self) -> bool {
        self.returned.is_some() && self.left.is_some()
    }
}

/// Reports what is wrong with a call.
fn report(irp: usize, verdict: Option<(Rule, String)>) {
    if let Some((rule, what)) = verdict {
        offence(rule, &format!("{what}: IRP {irp:#x}"));
    }
}

/// The current location of an IRP is being left.
pub(super) fn left(me: &Thread, packet: &Irp, pending: bool) {
    let irp = core::ptr::from_ref(packet).addr();
    let (location, status) = (packet.current_location.get(), packet.status.get());
    let mut calls = lock(&me.sim.kernel.calls);
    let open = calls.given.range_mut((irp, 0)..=(irp, u64::MAX));
    let (mut verdict, mut over) = (None, Vec::new());
    for (key, given) in open.filter(|(_, given)| given.location == location && given.left.is_none())
    {
        given.left = Some((status, pending));
        verdict = verdict.or(given.judge());
        over.extend(given.is_over().then_some(*key));
    }
    for key in over {
        calls.given.remove(&key);
    }
    drop(calls);
    report(irp, verdict);
}

/// Gives the IRP to a routine; returns the number of the call.
fn give(me: &Thread, irp: PIRP, location: i8, major: u8) -> u64 {
    let mut calls = lock(&me.sim.kernel.calls);
    calls.last += 1;
    let number = calls.last;
    let given = Given {
        location,
        major,
        returned: None,
        left: None,
    };
    calls.given.insert((irp.addr(), number), given);
    number
}

/// A routine has returned.
fn returned(me: &Thread, irp: usize, number: u64, status: NTSTATUS) {
    let mut calls = lock(&me.sim.kernel.calls);
    let mut verdict = None;
    if let Some(given) = calls.given.get_mut(&(irp, number)) {
        given.returned = Some(status);
        verdict = given.judge();
        if given.is_over() {
            calls.given.remove(&(irp, number));
        }
    }
    drop(calls);
    report(irp, verdict);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IofCallDriver(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let me = current();
    require(&me, DISPATCH, "IoCallDriver");
    let (packet, _) = expect_known(&me, irp, "IoCallDriver");
    let location = packet.current_location.get() - 1;
    if location < 1 {
        let describe = lock(&me.sim.kernel.irps).describe(irp.addr());
        offence(
            Rule::IrpStackLocation,
            &format!("IoCallDriver with {describe}"),
        );
    }
    packet.set_location(location);
    let stack = packet.stack(location);
    stack.device.set(device);
    let major = stack.major.get();
    // SAFETY: the caller passes a live device object.
    let driver = unsafe { (*device).DriverObject };
    // SAFETY: a device's driver object lives as long as the device.
    let routine = unsafe { (&(*driver).MajorFunction)[usize::from(major)] };
    let routine = routine.unwrap_or_else(|| offence(Rule::Device, "a dispatch routine is null"));
    let number = give(&me, irp, location, major);
    let irql = me.irql();
    let owner = driver::number_of(&me, device).unwrap_or(me.driver());
    // SAFETY: the driver registered this routine for its devices.
    let status = me.as_driver(owner, || unsafe { routine(device, irp) });
    check_unchanged(&me, irql, "a dispatch routine");
    returned(&me, irp.addr(), number, status);
    status
}
