//! Handles and object references.

// UNSAFETY: the exports write through pointers of the driver's.
#![expect(unsafe_code, reason = "exports of the kernel")]

use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    ACCESS_MASK, HANDLE, KPROCESSOR_MODE, LONG_PTR, NTSTATUS, POBJECT_HANDLE_INFORMATION,
    POBJECT_TYPE, PVOID, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};

use super::irql::{DISPATCH, PASSIVE, require};
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{Rule, Site};

/// What a handle stands for.
#[derive(Clone)]
pub(crate) enum HandleObject {
    Thread(Arc<Thread>),
    /// The full path of a registry key.
    Key(String),
}

/// The open handles and the references of one simulation.
#[derive(Default)]
pub(crate) struct Handles {
    open: BTreeMap<usize, (HandleObject, Site)>,
    references: BTreeMap<usize, (Arc<Thread>, u32, Site)>,
    last: usize,
}

impl Handles {
    pub(crate) fn open(&mut self, sim: &Shared, object: HandleObject) -> HANDLE {
        self.last += 4;
        self.open.insert(self.last, (object, Site::here(sim)));
        core::ptr::without_provenance_mut(0x8000_0000 + self.last)
    }

    pub(crate) fn get(&self, handle: HANDLE) -> Option<HandleObject> {
        self.open
            .get(&handle.addr().wrapping_sub(0x8000_0000))
            .map(|(object, _)| object.clone())
    }

    fn close(&mut self, handle: HANDLE) -> bool {
        self.open
            .remove(&handle.addr().wrapping_sub(0x8000_0000))
            .is_some()
    }

    pub(crate) fn leaks(&self) -> Vec<String> {
        let open = self.open.values().map(|(object, site)| match object {
            HandleObject::Thread(thread) => format!("handle of {} opened{site}", thread.describe()),
            HandleObject::Key(path) => format!("handle of registry key {path} opened{site}"),
        });
        let references = self.references.values().map(|(thread, count, site)| {
            format!("{count} references to {} taken{site}", thread.describe())
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
    _object_type: POBJECT_TYPE,
    _mode: KPROCESSOR_MODE,
    object: *mut PVOID,
    _information: POBJECT_HANDLE_INFORMATION,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ObReferenceObjectByHandle");
    let mut handles = lock(&me.sim.kernel.handles);
    let thread = match handles.get(handle) {
        Some(HandleObject::Thread(thread)) => thread,
        Some(HandleObject::Key(_)) => return STATUS_OBJECT_TYPE_MISMATCH,
        None => return STATUS_INVALID_HANDLE,
    };
    let address = core::ptr::from_ref(thread.object().header()).expose_provenance();
    let site = Site::here(&me.sim);
    handles
        .references
        .entry(address)
        .or_insert((thread, 0, site))
        .1 += 1;
    // SAFETY: the driver passes a place for the pointer.
    unsafe { object.write(core::ptr::with_exposed_provenance_mut(address)) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObfReferenceObject(object: PVOID) -> LONG_PTR {
    let me = current();
    require(&me, DISPATCH, "ObReferenceObject");
    match lock(&me.sim.kernel.handles)
        .references
        .get_mut(&object.addr())
    {
        Some((_, count, _)) => {
            *count += 1;
            LONG_PTR::from(*count)
        }
        None => offence(
            Rule::Handle,
            &format!("ObReferenceObject of {object:p}, not a referenced object"),
        ),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObfDereferenceObject(object: PVOID) -> LONG_PTR {
    let me = current();
    require(&me, DISPATCH, "ObDereferenceObject");
    let mut handles = lock(&me.sim.kernel.handles);
    let Some((_, count, _)) = handles.references.get_mut(&object.addr()) else {
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
