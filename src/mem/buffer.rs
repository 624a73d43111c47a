//! Buffers that requests carry: nonpaged memory with an MDL that was built once.
//!
//! A buffer moves into a request and comes back with its result, so that nothing else can touch it
//! while the provider does [wsk 3.11, 3.12]. The memory is nonpaged from the start: nothing is ever
//! probed, locked or unlocked.

// UNSAFETY: the memory and its MDL are raw.
#![expect(unsafe_code, reason = "raw memory and its MDL")]

use core::{
    ffi::c_void,
    fmt,
    ops::{Deref, DerefMut},
    ptr::{NonNull, null_mut},
};

use wsk_sys::{
    WSK_BUF,
    wdk_sys::{
        MDL,
        ntddk::{IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool},
    },
};

use crate::{
    counters::Counted,
    mem::pool,
    status::{Error, Result, Status},
};

/// Owned nonpaged memory, ready to be sent from or received into.
///
/// It has a capacity, fixed when it is made, and a filled part at its front, as a `Vec` has: it
/// derefs to the filled part. All of the capacity is initialised memory (zero at first). Sending
/// sends the filled part; receiving fills from the front.
///
/// IRQL: every method, and dropping it, <= DISPATCH_LEVEL.
///
/// ```no_run
/// # fn main() -> wsk::Result<()> {
/// let mut buffer = wsk::Buffer::with_capacity(4096)?;
/// buffer.extend_from_slice(b"hello")?;
/// assert_eq!(&buffer[..], b"hello");
/// # Ok(())
/// # }
/// ```
///
/// [Using MDLs](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls)
///
/// # Invariants
///
/// `memory` is `capacity` initialised bytes of our own; `mdl` describes exactly these; `filled <=
/// capacity`.
pub struct Buffer {
    memory: NonNull<u8>,
    mdl: NonNull<MDL>,
    capacity: usize,
    filled: usize,
    _counted: Counted,
}

// SAFETY: it owns its memory and its MDL; both may be used and freed on any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer can only be read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Allocates a buffer of `capacity` bytes with an empty filled part.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for a capacity of zero or above 2³¹
    /// bytes; [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let length = u32::try_from(capacity)
            .ok()
            .filter(|length| (1..=1 << 31).contains(length))
            .ok_or(Error::new("IoAllocateMdl", Status::INVALID_PARAMETER))?;
        let memory = pool::allocate_bytes(capacity)?;
        // SAFETY: describes memory that exists; no IRP to attach to, no quota.
        let mdl = unsafe {
            IoAllocateMdl(
                memory.as_ptr().cast(),
                length,
                u8::from(false),
                u8::from(false),
                null_mut(),
            )
        };
        let Some(mdl) = NonNull::new(mdl) else {
            // SAFETY: allocated above, and nobody else knows it.
            unsafe { pool::free_bytes(memory) };
            return Err(Error::new("IoAllocateMdl", Status::INSUFFICIENT_RESOURCES));
        };
        // SAFETY: the MDL was just allocated for nonpaged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl.as_ptr()) };
        Ok(Self {
            memory,
            mdl,
            capacity,
            filled: 0,
            _counted: Counted::buffer(),
        })
    }

    /// How many bytes it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes the filled part `filled` bytes long; what is new in it holds what an earlier use left
    /// there, or zeros.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) if that is more than the capacity;
    /// nothing changes.
    pub fn set_filled(&mut self, filled: usize) -> Result<()> {
        if filled > self.capacity {
            return Err(Error::new(
                "Buffer::set_filled",
                Status::INVALID_BUFFER_SIZE,
            ));
        }
        self.filled = filled;
        Ok(())
    }

    /// Empties the filled part.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Appends `bytes` to the filled part.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) if they do not fit; nothing is
    /// appended.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<()> {
        let start = self.filled;
        let end = start.checked_add(bytes.len()).ok_or(Error::new(
            "Buffer::extend_from_slice",
            Status::INVALID_BUFFER_SIZE,
        ))?;
        self.set_filled(end)?;
        self[start..].copy_from_slice(bytes);
        Ok(())
    }

    /// What a request passes to WSK to send the filled part.
    pub(crate) fn filled_part(&self) -> WSK_BUF {
        self.part(0, self.filled)
    }

    /// What a request passes to WSK to receive behind the first `start` bytes. `start` is at most
    /// the capacity.
    pub(crate) fn rest(&self, start: usize) -> WSK_BUF {
        self.part(start, self.capacity)
    }

    /// Has the MDL describe the filled part only, with `next` behind it, until
    /// [`unlink`](Self::unlink).
    pub(super) fn link(&mut self, next: *mut MDL) -> *mut MDL {
        // The filled part is not longer than the capacity, which fits.
        self.describe(u32::try_from(self.filled).unwrap_or(u32::MAX), next);
        self.mdl.as_ptr()
    }

    /// Has the MDL describe the whole capacity by itself.
    pub(super) fn unlink(&mut self) {
        self.describe(u32::try_from(self.capacity).unwrap_or(u32::MAX), null_mut());
    }

    /// As NDIS adjusts the length of an MDL: what else it says stays true for fewer bytes.
    fn describe(&mut self, length: u32, next: *mut MDL) {
        // SAFETY: our own MDL, which no request uses while `self` is exclusive.
        unsafe { (*self.mdl.as_ptr()).ByteCount = length };
        // SAFETY: as above.
        unsafe { (*self.mdl.as_ptr()).Next = next };
    }

    /// Some of the bytes, which the MDL covers: `start <= end <= capacity`.
    fn part(&self, start: usize, end: usize) -> WSK_BUF {
        debug_assert!(start <= end && end <= self.capacity);
        WSK_BUF {
            Mdl: self.mdl.as_ptr(),
            // The capacity is below 2^31 or that number itself, which is no place to start.
            Offset: u32::try_from(start).unwrap_or(u32::MAX),
            Length: (end - start) as u64,
        }
    }

    /// Where the bytes are.
    pub(crate) fn memory(&self) -> NonNull<c_void> {
        self.memory.cast()
    }

    /// All bytes, filled or not.
    ///
    /// # Safety
    ///
    /// Nobody else looks at them while the result is used.
    #[expect(clippy::mut_from_ref, reason = "the bytes are behind a pointer")]
    pub(crate) unsafe fn bytes(&self) -> &mut [u8] {
        // SAFETY: initialised bytes of our own, by the invariants; not shared (the caller's
        // promise).
        unsafe { core::slice::from_raw_parts_mut(self.memory.as_ptr(), self.capacity) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `filled` initialised bytes of our own, per the invariants; borrowed as long as
        // `self`.
        unsafe { core::slice::from_raw_parts(self.memory.as_ptr(), self.filled) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and exclusive as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.memory.as_ptr(), self.filled) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("filled", &self.filled)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: ours; no request holds it, since a request owns the buffer it uses. Nothing was
        // mapped or locked.
        unsafe { IoFreeMdl(self.mdl.as_ptr()) };
        // SAFETY: ours, and the MDL that described it is gone.
        unsafe { pool::free_bytes(self.memory) }
    }
}
