//! Requests of the driver's own clients, as the library takes them to pass them on.
//!
//! It knows IRPs as a dispatch routine gets them, not who completes them: for the way through WSK
//! see `op/pass`.

// UNSAFETY: reads and completes IRPs, which are structures of the I/O manager's.
#![expect(unsafe_code, reason = "IRPs of the I/O manager's")]

use core::{fmt, mem::ManuallyDrop, ptr::NonNull};

use wsk_sys::{
    IoGetCurrentIrpStackLocation, IoMarkIrpPending, MmGetMdlByteCount, WSK_BUF, set_irp_status,
    wdk_sys::{CCHAR, IRP, IRP_MJ_READ, IRP_MJ_WRITE, PIRP, ntddk::IofCompleteRequest},
};

use crate::status::{Error, Result, Status};

/// A request of the driver's own client, for which the dispatch routine returns `STATUS_PENDING`.
///
/// It ends in one of these ways, and each ends it once:
///
/// - it is passed to WSK: [`receive_into`](crate::ConnectionSocket::receive_into) for a read,
///   [`send_from`](crate::ConnectionSocket::send_from) for a write;
/// - it is [completed](Self::complete);
/// - it is dropped, which completes it with `STATUS_CANCELLED`.
///
/// Until one of these it cannot be cancelled: a driver that keeps it for a while has to watch for
/// the end of its client itself, which is told by `IRP_MJ_CLEANUP`.
///
/// ```no_run
/// # use wsk_sys::wdk_sys;
/// use wdk_sys::{NTSTATUS, PIRP, STATUS_PENDING};
/// use wsk::{ConnectionSocket, PendingIrp};
///
/// /// `IRP_MJ_READ` of a device with `DO_DIRECT_IO`, and a `StackSize` of 2.
/// unsafe fn dispatch_read(irp: PIRP, connection: &ConnectionSocket) -> NTSTATUS {
///     // SAFETY: the I/O manager's request to our device, which is completed by nobody else; this
///     // returns STATUS_PENDING.
///     let irp = unsafe { PendingIrp::from_raw(irp) };
///     // The client of one that is refused is told why when the refusal is dropped.
///     let _ = connection.receive_into(irp);
///     STATUS_PENDING
/// }
/// ```
///
/// [Handling IRPs](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-irps)
///
/// # Invariants
///
/// The IRP is ours, at a stack location of the driver's that is marked pending, and nobody else
/// completes it.
#[derive(Debug)]
#[must_use = "dropping a request completes it with STATUS_CANCELLED"]
pub struct PendingIrp {
    irp: NonNull<IRP>,
    /// What it ends with when it is dropped.
    otherwise: Status,
}

// SAFETY: an IRP may be completed and passed on by any thread.
unsafe impl Send for PendingIrp {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for PendingIrp {}

/// Why a request was not passed on, and the request.
///
/// Dropping it completes the request with the status of the error, so that a driver which has
/// nothing else in mind need not look.
#[derive(Debug)]
#[must_use = "dropping it completes the request with the status of the error"]
pub struct RefusedIrp {
    irp: PendingIrp,
    error: Error,
}

impl PendingIrp {
    /// Takes a request that the driver was given, and marks it pending. IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Safety
    ///
    /// - `irp` is what a dispatch routine of the driver was called with, and has done nothing with
    ///   but look at it.
    /// - That routine returns `STATUS_PENDING`, and does not touch the IRP any more.
    /// - Its `MdlAddress` is null or describes memory that is locked until the IRP is completed;
    ///   for `IRP_MJ_READ`, locked for writing. So it is where the I/O manager has sent a request
    ///   to a device with `DO_DIRECT_IO`.
    pub unsafe fn from_raw(irp: PIRP) -> Self {
        // SAFETY: the caller's own, at its stack location.
        unsafe { IoMarkIrpPending(irp) };
        Self {
            // SAFETY: an IRP is not at null.
            irp: unsafe { NonNull::new_unchecked(irp) },
            otherwise: Status::CANCELLED,
        }
    }

    /// How many bytes a read or a write asks for; 0 for other requests.
    #[must_use]
    pub fn length(&self) -> usize {
        self.read_or_write().map_or(0, |(_, length)| length)
    }

    /// Completes it: the client gets `status` and a count of bytes, which for a failure is 0 and
    /// never is more than it has asked for. IRQL: <= DISPATCH_LEVEL, with no spin lock held.
    ///
    /// # Panics
    ///
    /// With `STATUS_PENDING`, which is no end.
    pub fn complete(self, status: Status, count: usize) {
        assert_ne!(
            status,
            Status::PENDING,
            "a request ends with a final status"
        );
        let count = if status.is_success() {
            count.min(self.length())
        } else {
            0
        };
        // SAFETY: ours, and given away now (invariant).
        unsafe { end(self.into_raw(), status, count) }
    }

    /// What a request of this kind asks WSK for; nothing for one of no bytes.
    pub(crate) fn data(&self, major: u32) -> Result<Option<WSK_BUF>> {
        let refuse = |member, status| Err(Error::new(member, status));
        let Some((_, length)) = self.read_or_write().filter(|(found, _)| *found == major) else {
            return refuse(
                "IO_STACK_LOCATION.MajorFunction",
                Status::INVALID_DEVICE_REQUEST,
            );
        };
        if length == 0 {
            return Ok(None);
        }
        // SAFETY: ours (invariant).
        let irp = unsafe { self.irp.as_ref() };
        if irp.CurrentLocation <= 1 {
            return refuse("DEVICE_OBJECT.StackSize", Status::INVALID_DEVICE_REQUEST);
        }
        let mdl = irp.MdlAddress;
        if mdl.is_null() {
            return refuse("IRP.MdlAddress", Status::INVALID_PARAMETER);
        }
        // SAFETY: the MDL of the IRP, which is there until that is completed.
        let described = unsafe { MmGetMdlByteCount(mdl) };
        if length > described as usize {
            return refuse("MDL.ByteCount", Status::INVALID_BUFFER_SIZE);
        }
        Ok(Some(WSK_BUF {
            Mdl: mdl,
            Offset: 0,
            Length: length as u64,
        }))
    }

    /// Its kind and length, if it is a read or a write.
    fn read_or_write(&self) -> Option<(u32, usize)> {
        // SAFETY: ours (invariant).
        let location = unsafe { IoGetCurrentIrpStackLocation(self.irp.as_ptr()) };
        // SAFETY: the location of the driver that has the IRP.
        let location = unsafe { &*location };
        // SAFETY: any bytes are a length; whether they are one, the kind says.
        let length = unsafe { location.Parameters.Read.Length };
        let major = u32::from(location.MajorFunction);
        // A read and a write have their lengths at the same place.
        [IRP_MJ_READ, IRP_MJ_WRITE]
            .contains(&major)
            .then_some((major, length as usize))
    }

    /// Somebody else completes it from now on.
    pub(crate) fn into_raw(self) -> PIRP {
        ManuallyDrop::new(self).irp.as_ptr()
    }

    /// Takes back what [`into_raw`](Self::into_raw) gave.
    ///
    /// # Safety
    ///
    /// Nobody else has done anything with it but set a completion routine.
    pub(crate) unsafe fn from_untouched(irp: PIRP) -> Self {
        Self {
            // SAFETY: not null (the caller's promise).
            irp: unsafe { NonNull::new_unchecked(irp) },
            otherwise: Status::CANCELLED,
        }
    }

    pub(crate) fn refuse(mut self, error: Error) -> RefusedIrp {
        self.otherwise = error.status();
        RefusedIrp { irp: self, error }
    }
}

impl Drop for PendingIrp {
    fn drop(&mut self) {
        // SAFETY: ours, and not given away (invariant).
        unsafe { end(self.irp.as_ptr(), self.otherwise, 0) }
    }
}

/// `IO_NO_INCREMENT`: the thread of the client does not become more urgent.
const NO_INCREMENT: CCHAR = 0;

/// Completes an IRP.
///
/// # Safety
///
/// The IRP is the caller's, who does not touch it any more.
unsafe fn end(irp: PIRP, status: Status, count: usize) {
    // SAFETY: the caller's.
    unsafe { set_irp_status(irp, status.as_raw(), count as u64) };
    // SAFETY: as above; it has its final status.
    unsafe { IofCompleteRequest(irp, NO_INCREMENT) };
}

impl RefusedIrp {
    /// Why it was refused.
    #[must_use]
    pub fn error(&self) -> Error {
        self.error
    }

    /// The request, to be tried again or to be ended in another way.
    pub fn into_irp(mut self) -> PendingIrp {
        self.irp.otherwise = Status::CANCELLED;
        self.irp
    }
}

impl fmt::Display for RefusedIrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl core::error::Error for RefusedIrp {}
