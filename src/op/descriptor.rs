//! Security descriptors that WSK has cached for the client [wsk 4.5].
//!
//! Counted: whoever uses one keeps it. The last reference may go away anywhere, also in a
//! completion routine, which must not call WSK [wsk 3.9]; so a DPC, which lies beside the
//! descriptor, releases it.

// UNSAFETY: counts references to raw memory, and shares it with the kernel's DPC queue.
#![expect(unsafe_code, reason = "counted raw memory")]

use core::{
    cell::UnsafeCell,
    ffi::c_void,
    mem::MaybeUninit,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicUsize, Ordering, fence},
};

use wsk_sys::wdk_sys::{
    KDPC, PSECURITY_DESCRIPTOR, PVOID,
    ntddk::{KeInitializeDpc, KeInsertQueueDpc},
};

use super::calls::client;
use crate::{mem::pool, registration::Provider, security::Valid, status::Result};

struct Cached {
    references: AtomicUsize,
    descriptor: NonNull<c_void>,
    dpc: UnsafeCell<MaybeUninit<KDPC>>,
    /// Goes last: deregistration waits for the release.
    provider: Provider,
}

/// A reference to a cached security descriptor.
///
/// # Invariants
///
/// Counted in `references`, and the memory is there until the last is gone.
#[derive(Debug)]
pub(crate) struct DescriptorRef(NonNull<Cached>);

// SAFETY: counted; the descriptor is never changed, and may be used and released on any thread.
unsafe impl Send for DescriptorRef {}
// SAFETY: as for `Send`.
unsafe impl Sync for DescriptorRef {}

/// Room for a reference that WSK is yet to give.
///
/// # Invariants
///
/// The memory is ours alone, and no descriptor is in it.
#[derive(Debug)]
pub(crate) struct DescriptorRoom(NonNull<Cached>);

// SAFETY: it owns its memory.
unsafe impl Send for DescriptorRoom {}
// SAFETY: as for `Send`.
unsafe impl Sync for DescriptorRoom {}

impl DescriptorRoom {
    pub(crate) fn new(provider: &Provider) -> Result<Self> {
        let cached = Cached {
            references: AtomicUsize::new(1),
            descriptor: NonNull::dangling(),
            dpc: UnsafeCell::new(MaybeUninit::uninit()),
            provider: provider.clone(),
        };
        pool::allocate(cached).map(Self)
    }

    /// Takes a descriptor that WSK has cached.
    ///
    /// # Safety
    ///
    /// It was cached for the client of the provider that the room was made for, and nobody else
    /// releases it.
    pub(crate) unsafe fn fill(self, descriptor: NonNull<c_void>) -> DescriptorRef {
        let memory = self.0;
        core::mem::forget(self);
        // SAFETY: ours alone until it is shared.
        unsafe { (*memory.as_ptr()).descriptor = descriptor };
        DescriptorRef(memory)
    }
}

impl Drop for DescriptorRoom {
    fn drop(&mut self) {
        // SAFETY: from `pool::allocate`, and ours alone.
        unsafe { pool::free(self.0) }
    }
}

impl DescriptorRef {
    /// Has WSK cache a descriptor.
    pub(crate) fn cache(provider: &Provider, descriptor: &Valid) -> Result<Self> {
        // First the memory, so that what is cached can be released.
        let room = DescriptorRoom::new(provider)?;
        let raw = descriptor.bytes().memory().as_ptr();
        // SAFETY: found valid, nonpaged and aligned to more than is needed.
        let cached = unsafe { client::cache_descriptor(provider, raw) }?;
        // SAFETY: cached for this client just now.
        Ok(unsafe { room.fill(cached) })
    }

    /// What WSK gets.
    pub(crate) fn raw(&self) -> PSECURITY_DESCRIPTOR {
        self.cached().descriptor.as_ptr()
    }

    fn cached(&self) -> &Cached {
        // SAFETY: counted (invariant).
        unsafe { self.0.as_ref() }
    }
}

impl Clone for DescriptorRef {
    fn clone(&self) -> Self {
        let before = self.cached().references.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "far too many references");
        Self(self.0)
    }
}

impl Drop for DescriptorRef {
    fn drop(&mut self) {
        // ORDERING: as `PoolArc`.
        if self.cached().references.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let dpc = self.cached().dpc.get().cast();
        // SAFETY: room for a DPC in nonpaged memory, used once; the DPC owns the memory from now
        // on.
        unsafe { KeInitializeDpc(dpc, Some(release), self.0.as_ptr().cast()) };
        // SAFETY: just initialised.
        unsafe { KeInsertQueueDpc(dpc, null_mut(), null_mut()) };
    }
}

unsafe extern "C" fn release(_dpc: *mut KDPC, cached: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: the context that `drop` set: nobody has a reference any more.
    let cached = unsafe { NonNull::new_unchecked(cached.cast::<Cached>()) };
    // SAFETY: ours until it is freed.
    let shared = unsafe { cached.as_ref() };
    // SAFETY: cached by this client, and released here only; whatever used it has let go of it.
    unsafe { client::release_descriptor(&shared.provider, shared.descriptor) };
    // SAFETY: from `pool::allocate`; the kernel does not touch a DPC whose routine runs.
    unsafe { pool::free(cached) };
}
