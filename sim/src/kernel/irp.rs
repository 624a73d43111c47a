//! I/O request packets: where they come from, and that they are not lost or used wrongly.
//!
//! An IRP is in flight while its current location lies within its stack: passing it down
//! (`dispatch`) decrements, completion increments. The books know where an IRP came from;
//! everything else is read from the packet itself, as Windows does.

// UNSAFETY: an IRP is a structure that kernel and drivers share, with routines of theirs in it.
#![expect(unsafe_code, reason = "exports of the kernel over IRPs")]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;

use wdk_sys::{BOOLEAN, CCHAR, IO_STACK_LOCATION, IRP, NTSTATUS, PDEVICE_OBJECT, PIRP, USHORT};

pub(crate) use super::cancel::release_cancel_lock;
pub(crate) use super::completion::complete;
use super::irql::{DISPATCH, require};
use super::layout::{Irp, view};
use super::pool::Owner;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

pub(crate) const SL_PENDING_RETURNED: u8 = 1;
pub(super) const SL_INVOKE_ON_CANCEL: u8 = 0x20;
pub(super) const SL_INVOKE_ON_SUCCESS: u8 = 0x40;
pub(super) const SL_INVOKE_ON_ERROR: u8 = 0x80;
const SL_INVOKE_ALWAYS: u8 = SL_INVOKE_ON_CANCEL | SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR;
const IO_TYPE_IRP: i16 = 6;
const TAG: u32 = u32::from_le_bytes(*b"Irp ");

/// Where an IRP came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `IoAllocateIrp`.
    Allocated,
    /// `IoInitializeIrp` on memory of the driver's.
    Initialised,
    /// The I/O manager: a request of a program to the driver's device.
    IoManager,
}

/// The IRPs of one simulation.
#[derive(Default)]
pub(crate) struct Irps(BTreeMap<usize, (Origin, Site)>);

impl Irps {
    fn insert(&mut self, sim: &Shared, address: usize, origin: Origin) {
        self.0.insert(address, (origin, Site::here(sim)));
    }

    pub(crate) fn describe(&self, address: usize) -> String {
        self.0.get(&address).map_or_else(
            || format!("IRP {address:#x}"),
            |(origin, site)| format!("IRP {address:#x} ({origin:?}){site}"),
        )
    }

    /// The driver that allocated or initialised an IRP.
    pub(super) fn maker(&self, address: usize) -> DriverNumber {
        self.0.get(&address).map_or(0, |(_, site)| site.driver())
    }

    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let made = self.0.iter().filter(|(_, (_, site))| site.is_of(driver));
        let left = made.filter(|(_, (origin, _))| *origin != Origin::Initialised);
        left.map(|(address, _)| format!("{} not freed", self.describe(*address)))
            .collect()
    }

    /// Memory is being freed: forgets the IRPs in it. One in flight is returned instead, in words.
    pub(crate) fn free_range(&mut self, start: usize, length: usize) -> Option<String> {
        let inside: Vec<_> = self
            .0
            .range(start..start + length)
            .map(|(address, _)| *address)
            .collect();
        for address in inside {
            let irp = core::ptr::with_exposed_provenance_mut::<IRP>(address);
            // SAFETY: IoInitializeIrp was called for this address and the memory has not been freed
            // yet.
            let irp: &Irp = unsafe { view(irp) };
            if irp.is_in_flight() {
                return Some(self.describe(address));
            }
            self.0.remove(&address);
        }
        None
    }
}

impl Irp {
    pub(crate) fn is_in_flight(&self) -> bool {
        self.current_location.get() <= self.stack_count.get()
    }

    fn initialise(&self, size: u16, stack_count: i8) {
        self.kind.set(IO_TYPE_IRP);
        self.size.set(size);
        self.stack_count.set(stack_count);
        self.set_location(stack_count + 1);
        let list = core::ptr::from_ref(self).addr() + core::mem::offset_of!(Irp, thread_list);
        self.thread_list
            .iter()
            .for_each(|link| link.store(list, SeqCst));
    }
}

/// The bytes of an IRP with `stack_count` locations.
pub(crate) fn size_for(stack_count: i8) -> usize {
    size_of::<IRP>() + usize::from(stack_count.unsigned_abs()) * size_of::<IO_STACK_LOCATION>()
}

/// The view of an IRP that must be known, or a report.
pub(crate) fn expect_known<'a>(me: &Thread, irp: PIRP, function: &str) -> (&'a Irp, Origin) {
    let Some((origin, _)) = lock(&me.sim.kernel.irps).0.get(&irp.addr()).cloned() else {
        let freed = lock(&me.sim.kernel.pool).find_freed(irp.addr());
        let freed = freed.map_or(String::new(), |block| format!(", freed with {block}"));
        offence(
            Rule::IrpUnknown,
            &format!("{function} with IRP {irp:p}{freed}"),
        );
    };
    // SAFETY: a known IRP has not been freed.
    (unsafe { view(irp) }, origin)
}

/// Allocates an IRP; the caller has checked IRQL and faults.
pub(crate) fn allocate(me: &Thread, stack_count: i8, origin: Origin) -> PIRP {
    let size = size_for(stack_count);
    let memory = lock(&me.sim.kernel.pool).allocate(&me.sim, size, TAG, false, Owner::Kernel);
    let irp = core::ptr::with_exposed_provenance_mut::<u8>(memory);
    // SAFETY: the block above has this size.
    unsafe { irp.write_bytes(0, size) };
    // SAFETY: as above.
    let packet: &Irp = unsafe { view(irp) };
    packet.initialise(u16::try_from(size).unwrap_or(u16::MAX), stack_count);
    lock(&me.sim.kernel.irps).insert(&me.sim, memory, origin);
    irp.cast()
}

/// Frees an IRP that `allocate` made.
pub(crate) fn free(me: &Thread, irp: PIRP) {
    lock(&me.sim.kernel.irps).0.remove(&irp.addr());
    let result = lock(&me.sim.kernel.pool).free(irp.addr(), None, Owner::Kernel);
    if let Err((rule, details)) = result {
        offence(rule, &details);
    }
}

/// Gives an IRP to the WSK provider: checks what rules 3.1 and 3.2 ask for, then moves to the next
/// stack location. One that is passed down needs no completion routine [wsk 3.3].
pub(crate) fn give_to_provider<'a>(me: &Thread, irp: PIRP, function: &str) -> &'a Irp {
    let (packet, origin) = expect_known(me, irp, function);
    let location = packet.current_location.get();
    let describe = || lock(&me.sim.kernel.irps).describe(irp.addr());
    if location <= 1 {
        let in_flight = if packet.stack_count.get() == 1 {
            ": it is in flight already"
        } else {
            ""
        };
        offence(
            Rule::IrpStackLocation,
            &format!("{function} with {}{in_flight}", describe()),
        );
    }
    let own = origin != Origin::IoManager && !packet.is_in_flight();
    let next = packet.stack(location - 1);
    let complete =
        next.routine.get().is_some() && next.control.get() & SL_INVOKE_ALWAYS == SL_INVOKE_ALWAYS;
    if own && !complete {
        offence(
            Rule::NoCompletionRoutine,
            &format!("{function} with {}", describe()),
        );
    }
    packet.set_location(location - 1);
    packet
}

/// The device whose driver has the IRP; null if it is the one who made it.
pub(super) fn current_device(packet: &Irp) -> PDEVICE_OBJECT {
    if !packet.is_in_flight() {
        return core::ptr::null_mut();
    }
    packet.stack(packet.current_location.get()).device.get()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoAllocateIrp(stack_count: CCHAR, _charge: BOOLEAN) -> PIRP {
    let me = current();
    require(&me, DISPATCH, "IoAllocateIrp");
    if me.sim.faults.strikes(Fault::Allocation) {
        return core::ptr::null_mut();
    }
    allocate(&me, stack_count, Origin::Allocated)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoInitializeIrp(irp: PIRP, size: USHORT, stack_count: CCHAR) {
    let me = current();
    if usize::from(size) < size_for(stack_count) {
        let details =
            format!("IoInitializeIrp with {size} bytes for {stack_count} stack locations");
        offence(Rule::IrpStackLocation, &details);
    }
    let known = lock(&me.sim.kernel.irps).0.get(&irp.addr()).cloned();
    // SAFETY: the driver passes memory of `size` bytes; a known IRP is initialised.
    let packet: &Irp = unsafe { view(irp) };
    // Memory outside of pool may have been something else since.
    let looks_like_one = packet.kind.get() == IO_TYPE_IRP;
    if known.is_some() && looks_like_one && packet.is_in_flight() {
        offence(
            Rule::IrpReusedInFlight,
            &lock(&me.sim.kernel.irps).describe(irp.addr()),
        );
    }
    // SAFETY: the driver passes memory of `size` bytes.
    unsafe { irp.cast::<u8>().write_bytes(0, usize::from(size)) };
    packet.initialise(size, stack_count);
    irp.expose_provenance();
    let origin = known.map_or(Origin::Initialised, |(origin, _)| origin);
    lock(&me.sim.kernel.irps).insert(&me.sim, irp.addr(), origin);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoReuseIrp(irp: PIRP, status: NTSTATUS) {
    let me = current();
    let (packet, _) = expect_known(&me, irp, "IoReuseIrp");
    if packet.is_in_flight() {
        offence(
            Rule::IrpReusedInFlight,
            &lock(&me.sim.kernel.irps).describe(irp.addr()),
        );
    }
    let (size, stack_count) = (packet.size.get(), packet.stack_count.get());
    let flags = packet.allocation_flags.get();
    // With the completion routine, which is to be set again [wsk 3.10].
    // SAFETY: a known IRP owns `size` bytes, and it is not in flight.
    unsafe { irp.cast::<u8>().write_bytes(0, usize::from(size)) };
    packet.initialise(size, stack_count);
    packet.allocation_flags.set(flags);
    packet.status.set(status);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoFreeIrp(irp: PIRP) {
    let me = current();
    require(&me, DISPATCH, "IoFreeIrp");
    let (packet, origin) = expect_known(&me, irp, "IoFreeIrp");
    let describe = lock(&me.sim.kernel.irps).describe(irp.addr());
    if packet.is_in_flight() {
        offence(Rule::IrpFreedInFlight, &describe);
    }
    if origin != Origin::Allocated {
        offence(Rule::IrpUnknown, &format!("IoFreeIrp of {describe}"));
    }
    free(&me, irp);
}
