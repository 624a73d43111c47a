//! Handles and object references.
//!
//! An object lives as long as a handle or a reference keeps it; threads and the process live on
//! their own as well.

// UNSAFETY: the exports write through pointers of the driver's.
#![expect(unsafe_code, reason = "exports of the kernel")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    _EVENT_TYPE, ACCESS_MASK, BOOLEAN, EVENT_TYPE, HANDLE, KPROCESSOR_MODE, LONG, LONG_PTR,
    NTSTATUS, PHANDLE, PLONG, POBJECT_ATTRIBUTES, POBJECT_HANDLE_INFORMATION, POBJECT_TYPE, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
};

use super::irql::{DISPATCH, PASSIVE, require};
use super::layout::Header;
use super::object::{NOTIFICATION_EVENT, Object, SYNCHRONIZATION_EVENT};
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// Where handles begin, as those of the system process do.
const FIRST: usize = 0x8000_0000;

/// The types that drivers name, as `*PsThreadType`; there is nothing to see in them.
#[unsafe(no_mangle)]
static PsThreadType: &usize = &1;
#[unsafe(no_mangle)]
static ExEventObjectType: &usize = &2;

/// What a handle or a reference is to.
#[derive(Clone)]
pub(crate) enum HandleObject {
    Thread(Arc<Thread>),
    Event(Arc<Header>),
    /// The system process, which outlives every driver.
    Process,
    /// The full path of a registry key.
    Key(String),
    /// The address of a device object, and the access that was asked for.
    Device(usize, ACCESS_MASK),
}

/// The open handles and the references of one simulation.
#[derive(Default)]
pub(crate) struct Handles {
    open: BTreeMap<usize, (HandleObject, Site)>,
    references: BTreeMap<usize, (HandleObject, u32, Site)>,
    last: usize,
}

impl HandleObject {
    /// The object that can be waited for.
    pub(crate) fn waitable(&self) -> Option<Object> {
        match self {
            Self::Thread(thread) => Some(thread.object()),
            Self::Event(event) => Some(Object::of(event)),
            Self::Process | Self::Key(_) | Self::Device(..) => None,
        }
    }

    /// Is it of the type that a driver asks for? Null asks for none.
    fn is_a(&self, asked: POBJECT_TYPE) -> bool {
        let own = match self {
            Self::Thread(_) => *PsThreadType,
            Self::Event(_) => *ExEventObjectType,
            Self::Process | Self::Key(_) | Self::Device(..) => return asked.is_null(),
        };
        asked.is_null() || asked.addr() == own
    }

    fn describe(&self) -> String {
        match self {
            Self::Thread(thread) => thread.describe(),
            Self::Event(event) => Object::of(event).describe(),
            Self::Process => "the system process".to_owned(),
            Self::Key(path) => format!("registry key {path}"),
            Self::Device(address, _) => format!("device {address:#x}"),
        }
    }
}

impl Handles {
    pub(crate) fn open(&mut self, sim: &Shared, object: HandleObject) -> HANDLE {
        self.last += 4;
        self.open.insert(self.last, (object, Site::here(sim)));
        core::ptr::without_provenance_mut(FIRST + self.last)
    }

    pub(crate) fn get(&self, handle: HANDLE) -> Option<HandleObject> {
        self.open
            .get(&handle.addr().wrapping_sub(FIRST))
            .map(|(object, _)| object.clone())
    }

    fn close(&mut self, handle: HANDLE) -> bool {
        self.open
            .remove(&handle.addr().wrapping_sub(FIRST))
            .is_some()
    }

    /// Adds a reference to the object at `address`.
    pub(super) fn reference(&mut self, sim: &Shared, address: usize, object: HandleObject) {
        let new = || (object, 0, Site::here(sim));
        self.references.entry(address).or_insert_with(new).1 += 1;
    }

    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let open = self
            .open
            .values()
            .filter(|(_, site)| site.is_of(driver))
            .map(|(object, site)| format!("handle of {} opened{site}", object.describe()));
        let taken = self
            .references
            .values()
            .filter(|(.., site)| site.is_of(driver));
        let references = taken.map(|(object, count, site)| {
            format!("{count} references to {} taken{site}", object.describe())
        });
        open.chain(references).collect()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwClose(handle: HANDLE) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwClose");
    if !lock(&me.sim.kernel.handles).close(handle) {
        offence(
            Rule::Handle,
            &format!("ZwClose of {handle:p}, which is not open"),
        );
    }
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObReferenceObjectByHandle(
    handle: HANDLE,
    _access: ACCESS_MASK,
    object_type: POBJECT_TYPE,
    _mode: KPROCESSOR_MODE,
    object: *mut PVOID,
    _information: POBJECT_HANDLE_INFORMATION,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ObReferenceObjectByHandle");
    let mut handles = lock(&me.sim.kernel.handles);
    let Some(found) = handles.get(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    let Some(target) = found.waitable().filter(|_| found.is_a(object_type)) else {
        return STATUS_OBJECT_TYPE_MISMATCH;
    };
    let address = core::ptr::from_ref(target.header()).expose_provenance();
    handles.reference(&me.sim, address, found);
    // SAFETY: the driver passes a place for the pointer.
    unsafe { object.write(core::ptr::with_exposed_provenance_mut(address)) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObfReferenceObject(object: PVOID) -> LONG_PTR {
    let me = current();
    require(&me, DISPATCH, "ObReferenceObject");
    let mut handles = lock(&me.sim.kernel.handles);
    if let Some((_, count, _)) = handles.references.get_mut(&object.addr()) {
        *count += 1;
        return LONG_PTR::from(*count);
    }
    // A thread and the process need no reference to be alive while they run.
    let own =
        (object.addr() == me.object().address()).then(|| HandleObject::Thread(Arc::clone(&me)));
    let process =
        || (object.addr() == me.sim.kernel.process.address()).then_some(HandleObject::Process);
    let Some(found) = own.or_else(process) else {
        drop(handles);
        offence(
            Rule::Handle,
            &format!("ObReferenceObject of {object:p}, not a referenced object"),
        );
    };
    handles.reference(&me.sim, object.addr(), found);
    1
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObfDereferenceObject(object: PVOID) -> LONG_PTR {
    let me = current();
    require(&me, DISPATCH, "ObDereferenceObject");
    let mut handles = lock(&me.sim.kernel.handles);
    let Some((_, count, _)) = handles.references.get_mut(&object.addr()) else {
        drop(handles);
        offence(
            Rule::Handle,
            &format!("ObDereferenceObject of {object:p}, not a referenced object"),
        );
    };
    *count -= 1;
    let left = *count;
    if left == 0 {
        handles.references.remove(&object.addr());
    }
    LONG_PTR::from(left)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwCreateEvent(
    handle: PHANDLE,
    _access: ACCESS_MASK,
    _attributes: POBJECT_ATTRIBUTES,
    kind: EVENT_TYPE,
    state: BOOLEAN,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwCreateEvent");
    if me.sim.faults.strikes(Fault::Allocation) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let kind = if kind == _EVENT_TYPE::SynchronizationEvent {
        SYNCHRONIZATION_EVENT
    } else {
        NOTIFICATION_EVENT
    };
    let event = Header::new(kind, size_of::<Header>(), i32::from(state != 0));
    let object = HandleObject::Event(Arc::new(event));
    let value = lock(&me.sim.kernel.handles).open(&me.sim, object);
    // SAFETY: the driver passes a place for the handle.
    unsafe { handle.write(value) };
    STATUS_SUCCESS
}

/// Changes the state of an event by its handle; returns the state before.
fn change(handle: HANDLE, function: &str, state: LONG) -> Result<LONG, NTSTATUS> {
    let me = current();
    require(&me, PASSIVE, function);
    let found = lock(&me.sim.kernel.handles).get(handle);
    let Some(HandleObject::Event(event)) = found else {
        return Err(match found {
            Some(_) => STATUS_OBJECT_TYPE_MISMATCH,
            None => STATUS_INVALID_HANDLE,
        });
    };
    let object = Object::of(&event);
    let old = me
        .sim
        .sched
        .update(object, || object.header().state.swap(state, SeqCst));
    me.sim.sched.point(&me);
    Ok(old)
}

/// Writes the state before, if the driver wants it.
///
/// # Safety
///
/// `previous` is null or points to a place for it.
unsafe fn report(result: Result<LONG, NTSTATUS>, previous: PLONG) -> NTSTATUS {
    match result {
        Ok(old) if !previous.is_null() => {
            // SAFETY: promised by the caller.
            unsafe { previous.write(old) };
            STATUS_SUCCESS
        }
        Ok(_) => STATUS_SUCCESS,
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwSetEvent(handle: HANDLE, previous: PLONG) -> NTSTATUS {
    // SAFETY: the driver passes null or a place for the state before.
    unsafe { report(change(handle, "ZwSetEvent", 1), previous) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwResetEvent(handle: HANDLE, previous: PLONG) -> NTSTATUS {
    // SAFETY: the driver passes null or a place for the state before.
    unsafe { report(change(handle, "ZwResetEvent", 0), previous) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwClearEvent(handle: HANDLE) -> NTSTATUS {
    change(handle, "ZwClearEvent", 0).map_or_else(|status| status, |_| STATUS_SUCCESS)
}
