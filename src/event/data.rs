//! Bytes in memory of WSK's, as events bring them: in several pieces of memory [wsk 8.9].

// UNSAFETY: memory of WSK's, reached by address.
#![expect(unsafe_code, reason = "memory of WSK's")]

use core::{fmt, marker::PhantomData, ptr::NonNull};

use wsk_sys::{
    MmGetSystemAddressForMdlSafe, WSK_BUF, WSK_DATA_INDICATION,
    wdk_sys::{MDL, ULONG},
};

use crate::status::{Error, Result, Status};

/// `NormalPagePriority`, for memory that holds no code.
const PRIORITY: ULONG = 16 | 0x4000_0000;

/// Bytes in memory of WSK's.
///
/// # Invariants
///
/// While it lives, the descriptions and what they describe stay as they are.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    descriptions: Descriptions,
    length: usize,
    valid: PhantomData<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum Descriptions {
    List(NonNull<WSK_DATA_INDICATION>),
    One(NonNull<WSK_BUF>),
}

impl<'a> Data<'a> {
    /// # Safety
    ///
    /// The list, with `length` bytes in all, stays for `'a`.
    pub(super) unsafe fn of_list(list: NonNull<WSK_DATA_INDICATION>, length: usize) -> Self {
        Self {
            descriptions: Descriptions::List(list),
            length,
            valid: PhantomData,
        }
    }

    /// # Safety
    ///
    /// The description, and what it describes, stay for `'a`.
    pub(super) unsafe fn of_one(description: NonNull<WSK_BUF>) -> Self {
        // SAFETY: it stays (the caller's promise).
        let length = unsafe { description.as_ref() }.Length;
        Self {
            descriptions: Descriptions::One(description),
            length: usize::try_from(length).unwrap_or(usize::MAX),
            valid: PhantomData,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes, piece by piece, in order. A piece that cannot be mapped gives
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), and is the last.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        let (next, current) = match self.descriptions {
            Descriptions::List(list) => (Some(list), None),
            Descriptions::One(description) => {
                // SAFETY: it stays (invariant).
                (None, Some(Position::start(unsafe { description.as_ref() })))
            }
        };
        Chunks {
            next,
            current,
            valid: PhantomData,
        }
    }

    /// Copies as many bytes as fit, from the front; gives how many.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if memory cannot be mapped.
    pub fn copy_to_slice(&self, target: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        for chunk in self.chunks() {
            let chunk = chunk?;
            let count = chunk.len().min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Ok(filled)
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}

/// The pieces of [`Data`].
pub struct Chunks<'a> {
    next: Option<NonNull<WSK_DATA_INDICATION>>,
    current: Option<Position>,
    valid: PhantomData<&'a [u8]>,
}

/// Where in a description the next piece begins.
struct Position {
    mdl: *mut MDL,
    offset: usize,
    left: usize,
}

impl Position {
    fn start(description: &WSK_BUF) -> Self {
        Self {
            mdl: description.Mdl,
            offset: description.Offset as usize,
            left: usize::try_from(description.Length).unwrap_or(0),
        }
    }

    /// The next piece; none at the end, or if there is less memory than was said.
    fn advance<'a>(&mut self) -> Option<Result<&'a [u8]>> {
        while self.left > 0 && !self.mdl.is_null() {
            let mdl = self.mdl;
            // SAFETY: a member of the chain, which stays (the invariant of `Data`).
            let count = unsafe { (*mdl).ByteCount } as usize;
            // SAFETY: as above.
            self.mdl = unsafe { (*mdl).Next };
            let offset = core::mem::take(&mut self.offset);
            let length = count.saturating_sub(offset).min(self.left);
            self.left -= length;
            if length == 0 {
                continue;
            }
            // SAFETY: locked by WSK, and nobody unmaps it meanwhile.
            let address = unsafe { MmGetSystemAddressForMdlSafe(mdl, PRIORITY) };
            if address.is_null() {
                self.left = 0;
                let call = "MmGetSystemAddressForMdlSafe";
                return Some(Err(Error::new(call, Status::INSUFFICIENT_RESOURCES)));
            }
            // SAFETY: within the described memory.
            let start = unsafe { address.cast::<u8>().add(offset) };
            // SAFETY: described by the MDL; WSK does not change it while it is indicated or
            // retained.
            return Some(Ok(unsafe { core::slice::from_raw_parts(start, length) }));
        }
        None
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.current.as_mut().and_then(Position::advance) {
                if chunk.is_err() {
                    self.next = None;
                }
                return Some(chunk);
            }
            let list = self.next?;
            // SAFETY: a member of the list, which stays (the invariant of `Data`).
            let indication = unsafe { list.as_ref() };
            self.next = NonNull::new(indication.Next);
            self.current = Some(Position::start(&indication.Buffer));
        }
    }
}

impl fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}
