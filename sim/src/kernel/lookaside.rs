//! Lookaside lists.
//!
//! The functions that take an entry and give it back are inline in the headers: they pop from or
//! push to the list's `SLIST_HEADER`, and call the list's routines when that is empty or full. As
//! under Driver Verifier a list caches nothing: its depth is 0, so that every entry comes from the
//! routines below and goes back to them. They know which entry belongs where, and freed entries are
//! poisoned as all pool memory is.
//!
//! The routines of the older lists are not told which list they are called for; it is the one whose
//! `SLIST_HEADER` the thread has just looked at (`slist`).

// UNSAFETY: lists are in the driver's memory, with routines of the driver's in them.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    _POOL_TYPE, EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE, EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL,
    NTSTATUS, PALLOCATE_FUNCTION, PALLOCATE_FUNCTION_EX, PFREE_FUNCTION, PFREE_FUNCTION_EX,
    PLOOKASIDE_LIST_EX, PNPAGED_LOOKASIDE_LIST, POOL_TYPE, PPAGED_LOOKASIDE_LIST, PVOID, SIZE_T,
    SLIST_ENTRY, STATUS_INVALID_PARAMETER_4, STATUS_INVALID_PARAMETER_5, STATUS_SUCCESS, ULONG,
    USHORT,
};

use super::irql::{APC, DISPATCH, require};
use super::layout::{Lookaside, view};
use super::pool::{self, is_paged_type};
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// Lists lie at multiples of this, and entries are at least this long.
const ALIGNMENT: usize = 16;

/// The routines of a list, where the driver has given some.
#[derive(Clone, Copy)]
enum Routines {
    Ex(PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX),
    Older(PALLOCATE_FUNCTION, PFREE_FUNCTION),
}

/// What the driver asked for.
#[derive(Clone, Copy)]
struct Parameters {
    routines: Routines,
    pool: POOL_TYPE,
    size: u32,
    tag: u32,
    raise: bool,
}

struct List {
    parameters: Parameters,
    /// The entries that the driver has.
    out: BTreeMap<usize, Site>,
    site: Site,
}

/// The lookaside lists of one simulation.
#[derive(Default)]
pub(crate) struct Lookasides(BTreeMap<usize, List>);

impl List {
    fn describe(&self, address: usize) -> String {
        let out = self.out.len();
        let site = &self.site;
        format!("lookaside list {address:#x} with {out} entries in use, initialised{site}")
    }
}

impl Lookasides {
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let left = self.0.iter().filter(|(_, list)| list.site.is_of(driver));
        left.map(|(address, list)| list.describe(*address))
            .collect()
    }

    /// The list in this range of memory, in words.
    pub(crate) fn find_in(&self, start: usize, length: usize) -> Option<String> {
        let (address, list) = self.0.range(start..start + length).next()?;
        Some(list.describe(*address))
    }

    /// The list that `entry` is in use from, in words.
    pub(crate) fn find_entry(&self, entry: usize) -> Option<String> {
        let mut owners = self
            .0
            .iter()
            .filter(|(_, list)| list.out.contains_key(&entry));
        owners.next().map(|(address, list)| list.describe(*address))
    }
}

/// Takes memory for an entry of the list at `address`.
fn allocate(me: &Arc<Thread>, address: usize, list: PLOOKASIDE_LIST_EX) -> PVOID {
    const FUNCTION: &str = "ExAllocateFromLookasideList";
    let Parameters {
        routines,
        pool,
        size,
        tag,
        raise,
    } = expect(me, address, FUNCTION);
    require(me, highest(pool), FUNCTION);
    let length = SIZE_T::from(size);
    let entry = match routines {
        // SAFETY: the driver gave this routine for this list.
        Routines::Ex(Some(allocate), _) => unsafe { allocate(pool, length, tag, list) },
        // SAFETY: as above.
        Routines::Older(Some(allocate), _) => unsafe { allocate(pool, length, tag) },
        _ => pool::allocate(me, size as usize, tag, is_paged_type(pool), false, FUNCTION),
    };
    if entry.is_null() {
        if raise {
            let details = format!("{FUNCTION} raised STATUS_INSUFFICIENT_RESOURCES, as asked for");
            offence(Rule::BugCheck, &details);
        }
        return entry;
    }
    let site = Site::here(&me.sim);
    if let Some(list) = lock(&me.sim.kernel.lookasides).0.get_mut(&address) {
        list.out.insert(entry.addr(), site);
    }
    entry
}

/// Gives the memory of an entry of the list at `address` back.
fn free(me: &Arc<Thread>, address: usize, list: PLOOKASIDE_LIST_EX, entry: PVOID) {
    const FUNCTION: &str = "ExFreeToLookasideList";
    let Parameters { routines, pool, .. } = expect(me, address, FUNCTION);
    require(me, highest(pool), FUNCTION);
    take_back(me, address, entry.addr());
    match routines {
        // SAFETY: the driver gave this routine for this list.
        Routines::Ex(_, Some(free)) => unsafe { free(entry, list) },
        // SAFETY: as above.
        Routines::Older(_, Some(free)) => unsafe { free(entry) },
        _ => pool::free(me, entry.addr(), None),
    }
}

/// Takes an entry out of the books, or reports that it is not the list's.
fn take_back(me: &Thread, address: usize, entry: usize) {
    let mut lists = lock(&me.sim.kernel.lookasides);
    let list = lists.0.get_mut(&address);
    if list.is_some_and(|list| list.out.remove(&entry).is_some()) {
        return;
    }
    let owner = lists.find_entry(entry);
    drop(lists);
    let freed = lock(&me.sim.kernel.pool).find_freed(entry);
    let what = match (owner, freed) {
        (Some(owner), _) => format!("is an entry of the {owner}"),
        (None, Some(freed)) => format!("was freed already: {freed}"),
        (None, None) => "is no entry of any list".to_owned(),
    };
    let details = format!("{entry:#x}, freed to the lookaside list {address:#x}, {what}");
    offence(Rule::LookasideList, &details);
}

/// What is known about the list at `address`, or a report.
fn expect(me: &Thread, address: usize, function: &str) -> Parameters {
    let lists = lock(&me.sim.kernel.lookasides);
    let found = lists.0.get(&address).map(|list| list.parameters);
    drop(lists);
    found.unwrap_or_else(|| {
        let details =
            format!("{function} with {address:#x}, which is no lookaside list (any more)");
        offence(Rule::LookasideList, &details)
    })
}

fn highest(pool: POOL_TYPE) -> u8 {
    if is_paged_type(pool) { APC } else { DISPATCH }
}

unsafe extern "C" fn allocate_ex(
    _pool: POOL_TYPE,
    _size: SIZE_T,
    _tag: ULONG,
    list: PLOOKASIDE_LIST_EX,
) -> PVOID {
    allocate(&current(), list.addr(), list)
}

unsafe extern "C" fn free_ex(entry: PVOID, list: PLOOKASIDE_LIST_EX) {
    free(&current(), list.addr(), list, entry);
}

unsafe extern "C" fn allocate_older(_pool: POOL_TYPE, _size: SIZE_T, _tag: ULONG) -> PVOID {
    let me = current();
    allocate(&me, me.last_list.load(SeqCst), null_mut())
}

unsafe extern "C" fn free_older(entry: PVOID) {
    let me = current();
    free(&me, me.last_list.load(SeqCst), null_mut(), entry);
}

/// Writes the list into the driver's memory, and enters it into the books.
///
/// # Safety
///
/// `list` points to memory for a list.
unsafe fn initialise(list: *mut impl Sized, parameters: Parameters, function: &str) {
    let me = current();
    require(&me, DISPATCH, function);
    let address = list.addr();
    check_place(&me, address, function);
    // SAFETY: promised by the caller.
    unsafe { list.write_bytes(0, 1) };
    // SAFETY: as above.
    let written: &Lookaside = unsafe { view(list) };
    written.pool.set(parameters.pool);
    written.size.set(parameters.size);
    written.tag.set(parameters.tag);
    let (allocate, free) = match parameters.routines {
        Routines::Ex(..) => (allocate_ex as *const (), free_ex as *const ()),
        Routines::Older(..) => (allocate_older as *const (), free_older as *const ()),
    };
    written.allocate.set(allocate);
    written.free.set(free);
    let list = List {
        parameters,
        out: BTreeMap::new(),
        site: Site::here(&me.sim),
    };
    lock(&me.sim.kernel.lookasides).0.insert(address, list);
}

/// Reports a list that is initialised already, or that lies where it must not.
fn check_place(me: &Thread, address: usize, function: &str) {
    let old = lock(&me.sim.kernel.lookasides).find_in(address, 1);
    let what = if let Some(old) = old {
        format!("initialised again: {old}")
    } else if lock(&me.sim.kernel.pool).is_paged(address) {
        format!("{function} in paged pool, at {address:#x}")
    } else if !address.is_multiple_of(ALIGNMENT) {
        format!("{function} at {address:#x}, no multiple of {ALIGNMENT}")
    } else {
        return;
    };
    offence(Rule::LookasideList, &what);
}

/// The size of an entry, or none if it is too large.
fn entry_size(size: SIZE_T) -> u32 {
    let least = size_of::<SLIST_ENTRY>() as SIZE_T;
    u32::try_from(size.max(least)).unwrap_or(u32::MAX)
}

/// Takes the list out of the books.
fn delete(address: usize, function: &str) {
    let me = current();
    let parameters = expect(&me, address, function);
    require(&me, highest(parameters.pool), function);
    let Some(list) = lock(&me.sim.kernel.lookasides).0.remove(&address) else {
        return;
    };
    if let Some((entry, site)) = list.out.first_key_value() {
        let details = format!(
            "deleted: {}\n  entry {entry:#x} taken{site}",
            list.describe(address)
        );
        offence(Rule::LookasideList, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInitializeLookasideListEx(
    list: PLOOKASIDE_LIST_EX,
    allocate: PALLOCATE_FUNCTION_EX,
    free: PFREE_FUNCTION_EX,
    pool: POOL_TYPE,
    flags: ULONG,
    size: SIZE_T,
    tag: ULONG,
    _depth: USHORT,
) -> NTSTATUS {
    const KNOWN: ULONG =
        EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL | EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE;
    if flags & !KNOWN != 0 || flags == KNOWN {
        return STATUS_INVALID_PARAMETER_5;
    }
    if flags & EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE != 0 && !is_paged_type(pool) {
        return STATUS_INVALID_PARAMETER_4;
    }
    let parameters = Parameters {
        routines: Routines::Ex(allocate, free),
        pool,
        size: entry_size(size),
        tag,
        raise: flags & EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL != 0,
    };
    // SAFETY: the driver passes memory for a list.
    unsafe { initialise(list, parameters, "ExInitializeLookasideListEx") };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExFlushLookasideListEx(list: PLOOKASIDE_LIST_EX) {
    let me = current();
    let parameters = expect(&me, list.addr(), "ExFlushLookasideListEx");
    // Nothing is cached, so there is nothing to free.
    require(&me, highest(parameters.pool), "ExFlushLookasideListEx");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExDeleteLookasideListEx(list: PLOOKASIDE_LIST_EX) {
    delete(list.addr(), "ExDeleteLookasideListEx");
}

/// What the older functions are asked for.
fn older(
    (allocate, free): (PALLOCATE_FUNCTION, PFREE_FUNCTION),
    pool: POOL_TYPE,
    size: SIZE_T,
    tag: ULONG,
) -> Parameters {
    Parameters {
        routines: Routines::Older(allocate, free),
        pool,
        size: entry_size(size),
        tag,
        raise: false,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInitializeNPagedLookasideList(
    list: PNPAGED_LOOKASIDE_LIST,
    allocate: PALLOCATE_FUNCTION,
    free: PFREE_FUNCTION,
    _flags: ULONG,
    size: SIZE_T,
    tag: ULONG,
    _depth: USHORT,
) {
    let parameters = older((allocate, free), _POOL_TYPE::NonPagedPool, size, tag);
    // SAFETY: the driver passes memory for a list.
    unsafe { initialise(list, parameters, "ExInitializeNPagedLookasideList") };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExDeleteNPagedLookasideList(list: PNPAGED_LOOKASIDE_LIST) {
    delete(list.addr(), "ExDeleteNPagedLookasideList");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInitializePagedLookasideList(
    list: PPAGED_LOOKASIDE_LIST,
    allocate: PALLOCATE_FUNCTION,
    free: PFREE_FUNCTION,
    _flags: ULONG,
    size: SIZE_T,
    tag: ULONG,
    _depth: USHORT,
) {
    let parameters = older((allocate, free), _POOL_TYPE::PagedPool, size, tag);
    // SAFETY: the driver passes memory for a list.
    unsafe { initialise(list, parameters, "ExInitializePagedLookasideList") };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExDeletePagedLookasideList(list: PPAGED_LOOKASIDE_LIST) {
    delete(list.addr(), "ExDeletePagedLookasideList");
}
