//! Several buffers that one request sends.
//!
//! For a stream the MDLs of the buffers are linked, each made to describe the filled part of its
//! buffer only; for datagrams each buffer gets a `WSK_BUF_LIST` of its own. Both last as long as
//! the request, which owns the chain.

// UNSAFETY: an array in raw memory.
#![expect(unsafe_code, reason = "an array in raw memory")]

use core::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::{NonNull, null_mut},
};

use wsk_sys::{WSK_BUF, WSK_BUF_LIST};

use super::{buffer::Buffer, pool};
use crate::status::{Error, Result, Status};

/// Room for some [`Buffer`]s, allocated once, that are sent together and come back together.
///
/// It derefs to the buffers in it. What is sent is the filled part of each, in order.
///
/// IRQL: every method, and dropping it, <= DISPATCH_LEVEL.
///
/// ```no_run
/// use wsk::{Buffer, BufferChain, ConnectionSocket, SendFlags};
///
/// # async fn f(connection: &ConnectionSocket, header: Buffer, body: Buffer) -> wsk::Result<()> {
/// let mut chain = BufferChain::with_capacity(2)?;
/// chain.push(header).map_err(|(error, _buffer)| error)?;
/// chain.push(body).map_err(|(error, _buffer)| error)?;
/// let (sent, mut chain) = connection.send_chain(chain, SendFlags::NONE).await;
/// sent?;
/// let body = chain.pop(); // to be filled again
/// # drop(body);
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// `memory` has room for `capacity` buffers and then as many list entries; the first `len` buffers
/// are there.
pub struct BufferChain {
    memory: NonNull<Buffer>,
    capacity: usize,
    len: usize,
}

// SAFETY: it owns its memory and the buffers in it.
unsafe impl Send for BufferChain {}
// SAFETY: a shared chain gives shared buffers.
unsafe impl Sync for BufferChain {}

const _: () = assert!(align_of::<WSK_BUF_LIST>() <= align_of::<Buffer>());

impl BufferChain {
    /// Allocates room for `capacity` buffers.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for none, or more than fit into
    /// memory; [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let each = size_of::<Buffer>() + size_of::<WSK_BUF_LIST>();
        let size = capacity.checked_mul(each);
        let size = size.ok_or(Error::new("ExAllocatePool2", Status::INVALID_PARAMETER))?;
        Ok(Self {
            memory: pool::allocate_bytes(size)?.cast(),
            capacity,
            len: 0,
        })
    }

    /// How many buffers there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends a buffer.
    ///
    /// # Errors
    ///
    /// The buffer, and [`InvalidParameter`](crate::ErrorKind::InvalidParameter), if there is no
    /// room.
    pub fn push(&mut self, buffer: Buffer) -> core::result::Result<(), (Error, Buffer)> {
        if self.len == self.capacity {
            let error = Error::new("BufferChain::push", Status::INVALID_BUFFER_SIZE);
            return Err((error, buffer));
        }
        // SAFETY: in bounds, since there is room (invariant).
        let place = unsafe { self.memory.add(self.len) };
        // SAFETY: our own memory, in which there is no buffer yet (invariant).
        unsafe { place.write(buffer) };
        self.len += 1;
        Ok(())
    }

    /// Takes the last buffer out.
    pub fn pop(&mut self) -> Option<Buffer> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: in bounds (invariant).
        let place = unsafe { self.memory.add(self.len) };
        // SAFETY: there was a buffer (invariant), which is not in the chain any more.
        Some(unsafe { place.read() })
    }

    /// How many bytes all filled parts have together.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.iter().map(|buffer| buffer.len()).sum()
    }

    /// Links the filled parts, for one request of a stream.
    pub(crate) fn link(&mut self) -> WSK_BUF {
        let mut next = null_mut();
        for buffer in self.iter_mut().rev().filter(|buffer| !buffer.is_empty()) {
            next = buffer.link(next);
        }
        WSK_BUF {
            Mdl: next,
            Offset: 0,
            Length: self.filled() as u64,
        }
    }

    /// The filled parts as datagrams, for one request; null without any.
    pub(crate) fn list(&mut self) -> *mut WSK_BUF_LIST {
        // SAFETY: in bounds: the list entries lie behind the buffers (invariant).
        let entries = unsafe { self.memory.add(self.capacity) }.cast::<WSK_BUF_LIST>();
        let mut next = null_mut();
        for (index, buffer) in self.iter().enumerate().rev() {
            let entry = WSK_BUF_LIST {
                Next: next,
                Buffer: buffer.filled_part(),
            };
            // SAFETY: in bounds: as many entries as buffers (invariant).
            let place = unsafe { entries.add(index) };
            // SAFETY: our own memory, aligned for an entry, which nobody else uses.
            unsafe { place.write(entry) };
            next = place.as_ptr();
        }
        next
    }

    /// Each buffer is by itself again.
    pub(crate) fn unlink(&mut self) {
        self.iter_mut().for_each(Buffer::unlink);
    }
}

impl Deref for BufferChain {
    type Target = [Buffer];

    fn deref(&self) -> &[Buffer] {
        // SAFETY: so many buffers (invariant), borrowed as long as `self`.
        unsafe { core::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl DerefMut for BufferChain {
    fn deref_mut(&mut self) -> &mut [Buffer] {
        // SAFETY: as in `deref`, and exclusive as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }
}

impl fmt::Debug for BufferChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Drop for BufferChain {
    fn drop(&mut self) {
        self.unlink();
        while self.pop().is_some() {}
        // SAFETY: from `allocate_bytes`; no request uses the chain, since that would own it.
        unsafe { pool::free_bytes(self.memory.cast()) }
    }
}
