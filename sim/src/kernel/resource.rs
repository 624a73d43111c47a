//! Executive resources: `ERESOURCE`, a lock that is held by one thread exclusively or by many.
//!
//! Who holds a resource is kept here, by its address; the structure in the driver's memory only has
//! its size. A thread may acquire a resource again that it holds, except exclusively while it
//! shares it, which would wait for itself.

// UNSAFETY: resources are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{BOOLEAN, ERESOURCE_THREAD, NTSTATUS, PERESOURCE, STATUS_SUCCESS, ULONG};

use super::irql::{APC, DISPATCH, require};
use super::layout::Header;
use super::object::{NOTIFICATION_EVENT, Object};
use super::region;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// How a thread wants a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Exclusive,
    Shared,
    /// Shared, without regard to those who wait for exclusive access.
    SharedFirst,
}

struct Resource {
    /// How often each thread holds it, by the thread's object.
    owners: BTreeMap<usize, u32>,
    exclusive: bool,
    exclusive_waiters: u32,
    /// Signalled when trying again may succeed.
    changed: Arc<Header>,
    site: Site,
}

/// The resources of one simulation.
#[derive(Default)]
pub(crate) struct Resources(BTreeMap<usize, Resource>);

impl Resource {
    fn new(site: Site) -> Self {
        Self {
            owners: BTreeMap::new(),
            exclusive: false,
            exclusive_waiters: 0,
            changed: Arc::new(Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0)),
            site,
        }
    }

    /// Gives it to `thread` if it can have it now.
    fn try_acquire(&mut self, thread: usize, access: Access) -> bool {
        let held = self.owners.contains_key(&thread);
        let possible = match access {
            _ if self.owners.is_empty() => true,
            _ if self.exclusive => held,
            Access::Exclusive => false,
            Access::Shared => held || self.exclusive_waiters == 0,
            Access::SharedFirst => true,
        };
        if possible {
            self.exclusive |= access == Access::Exclusive;
            *self.owners.entry(thread).or_default() += 1;
        }
        possible
    }

    /// Takes one hold of `thread` back; false if it has none.
    fn release(&mut self, thread: usize) -> bool {
        let Some(count) = self.owners.get_mut(&thread) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.owners.remove(&thread);
        }
        self.exclusive &= !self.owners.is_empty();
        true
    }

    fn describe(&self, address: usize) -> String {
        let (owners, site) = (self.owners.len(), &self.site);
        format!("resource {address:#x} with {owners} owners, initialised{site}")
    }
}

impl Resources {
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let left = self
            .0
            .iter()
            .filter(|(_, resource)| resource.site.is_of(driver));
        left.map(|(address, resource)| resource.describe(*address))
            .collect()
    }

    /// The resource in this range of memory, in words.
    pub(crate) fn find_in(&self, start: usize, length: usize) -> Option<String> {
        let (address, resource) = self.0.range(start..start + length).next()?;
        Some(resource.describe(*address))
    }
}

/// Does something with a resource, which must be initialised.
fn with<T>(
    me: &Thread,
    resource: PERESOURCE,
    function: &str,
    action: impl FnOnce(&mut Resource) -> T,
) -> T {
    let mut resources = lock(&me.sim.kernel.resources);
    if let Some(found) = resources.0.get_mut(&resource.addr()) {
        return action(found);
    }
    drop(resources);
    let details = format!("{function} with {resource:p}, which is no resource (any more)");
    offence(Rule::Resource, &details)
}

fn acquire(resource: PERESOURCE, access: Access, wait: BOOLEAN, function: &'static str) -> BOOLEAN {
    let me = current();
    require(&me, APC, function);
    if !region::holds_back_apcs(&me) {
        let details = format!("{function} at IRQL {} outside of any region", me.irql());
        offence(Rule::Resource, &details);
    }
    me.sim.sched.point(&me);
    let thread = me.object().address();
    if with(&me, resource, function, |found| {
        found.try_acquire(thread, access)
    }) {
        return 1;
    }
    if wait == 0 {
        return 0;
    }
    check_not_shared(&me, resource, access, function);
    let waiting = u32::from(access == Access::Exclusive);
    with(&me, resource, function, |found| {
        found.exclusive_waiters += waiting;
    });
    loop {
        let changed = with(&me, resource, function, |found| Arc::clone(&found.changed));
        changed.state.store(0, SeqCst);
        if with(&me, resource, function, |found| {
            found.try_acquire(thread, access)
        }) {
            break;
        }
        let objects = vec![Object::of(&changed)];
        me.sim.sched.wait(&me, function, objects, false, None);
    }
    with(&me, resource, function, |found| {
        found.exclusive_waiters -= waiting;
    });
    1
}

/// Reports a thread that would wait for itself.
fn check_not_shared(me: &Thread, resource: PERESOURCE, access: Access, function: &str) {
    let thread = me.object().address();
    let held = with(me, resource, function, |found| {
        found.owners.contains_key(&thread)
    });
    if held && access == Access::Exclusive {
        let details = format!("{function} of {resource:p}, which {} shares", me.describe());
        offence(Rule::Resource, &details);
    }
}

fn release(resource: PERESOURCE, thread: usize, function: &str) {
    let me = current();
    require(&me, DISPATCH, function);
    if !with(&me, resource, function, |found| found.release(thread)) {
        let details = format!("{function} of {resource:p}, which the thread does not hold");
        offence(Rule::Resource, &details);
    }
    tell(&me, resource, function);
    me.sim.sched.point(&me);
}

/// Lets those try again who wait.
fn tell(me: &Thread, resource: PERESOURCE, function: &str) {
    let changed = with(me, resource, function, |found| Arc::clone(&found.changed));
    let event = Object::of(&changed);
    me.sim
        .sched
        .update(event, || event.header().state.store(1, SeqCst));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInitializeResourceLite(resource: PERESOURCE) -> NTSTATUS {
    let me = current();
    require(&me, DISPATCH, "ExInitializeResourceLite");
    let old = lock(&me.sim.kernel.resources).find_in(resource.addr(), 1);
    if let Some(old) = old {
        offence(Rule::Resource, &format!("initialised again: {old}"));
    }
    // SAFETY: the driver passes memory for a resource.
    unsafe { resource.write_bytes(0, 1) };
    let new = Resource::new(Site::here(&me.sim));
    lock(&me.sim.kernel.resources)
        .0
        .insert(resource.addr(), new);
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExDeleteResourceLite(resource: PERESOURCE) -> NTSTATUS {
    let me = current();
    require(&me, DISPATCH, "ExDeleteResourceLite");
    let held = with(&me, resource, "ExDeleteResourceLite", |found| {
        (!found.owners.is_empty()).then(|| found.describe(resource.addr()))
    });
    if let Some(held) = held {
        offence(Rule::Resource, &format!("deleted: {held}"));
    }
    lock(&me.sim.kernel.resources).0.remove(&resource.addr());
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireResourceExclusiveLite(
    resource: PERESOURCE,
    wait: BOOLEAN,
) -> BOOLEAN {
    let function = "ExAcquireResourceExclusiveLite";
    acquire(resource, Access::Exclusive, wait, function)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireResourceSharedLite(
    resource: PERESOURCE,
    wait: BOOLEAN,
) -> BOOLEAN {
    let function = "ExAcquireResourceSharedLite";
    acquire(resource, Access::Shared, wait, function)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireSharedStarveExclusive(
    resource: PERESOURCE,
    wait: BOOLEAN,
) -> BOOLEAN {
    let function = "ExAcquireSharedStarveExclusive";
    acquire(resource, Access::SharedFirst, wait, function)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseResourceLite(resource: PERESOURCE) {
    let thread = current().object().address();
    release(resource, thread, "ExReleaseResourceLite");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseResourceForThreadLite(
    resource: PERESOURCE,
    thread: ERESOURCE_THREAD,
) {
    let thread = usize::try_from(thread).unwrap_or(0);
    release(resource, thread, "ExReleaseResourceForThreadLite");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExConvertExclusiveToSharedLite(resource: PERESOURCE) {
    const FUNCTION: &str = "ExConvertExclusiveToSharedLite";
    let me = current();
    require(&me, DISPATCH, FUNCTION);
    let thread = me.object().address();
    let held = with(&me, resource, FUNCTION, |found| {
        let held = found.exclusive && found.owners.contains_key(&thread);
        found.exclusive = false;
        held
    });
    if !held {
        let details = format!("{FUNCTION} of {resource:p}, not held exclusively by the thread");
        offence(Rule::Resource, &details);
    }
    tell(&me, resource, FUNCTION);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExIsResourceAcquiredExclusiveLite(resource: PERESOURCE) -> BOOLEAN {
    let me = current();
    let thread = me.object().address();
    let function = "ExIsResourceAcquiredExclusiveLite";
    BOOLEAN::from(with(&me, resource, function, |found| {
        found.exclusive && found.owners.contains_key(&thread)
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExIsResourceAcquiredSharedLite(resource: PERESOURCE) -> ULONG {
    let me = current();
    let thread = me.object().address();
    let function = "ExIsResourceAcquiredSharedLite";
    with(&me, resource, function, |found| {
        found.owners.get(&thread).copied().unwrap_or(0)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExGetExclusiveWaiterCount(resource: PERESOURCE) -> ULONG {
    let function = "ExGetExclusiveWaiterCount";
    with(&current(), resource, function, |found| {
        found.exclusive_waiters
    })
}
