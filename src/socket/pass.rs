//! Connections that carry out requests of the driver's own clients.

use super::{
    connection::ConnectionSocket,
    halves::{ReadHalf, WriteHalf},
};
use crate::{
    irp::{PendingIrp, RefusedIrp},
    op::calls::connection,
};

impl ConnectionSocket {
    /// Has WSK carry out a read of the driver's own client: the client's request itself goes down,
    /// with its memory; nothing is copied or allocated. It ends as [`receive`](Self::receive) does,
    /// with as many bytes as are there, and with none when the other side has sent everything.
    ///
    /// `Ok`: WSK has it or had it, and the client learns the rest. The client may cancel it
    /// (`CancelIoEx`, or the end of its thread); closing the connection ends it as well. A client
    /// that closes its handle does not cancel: its driver gets `IRP_MJ_CLEANUP`, and has to end
    /// what is in flight, for example by [closing](crate::Closer::close) the connection.
    ///
    /// Each request gets its part of the stream; which part is whose is the order of the calls, so
    /// that of calls at the same time any may be first. A request of no bytes succeeds at once.
    ///
    /// IRQL: <= DISPATCH_LEVEL, with no spin lock held: the request may complete in the call.
    ///
    /// # Errors
    ///
    /// The request comes back with the error, and [ends with its status](RefusedIrp) unless it is
    /// taken out:
    ///
    /// - `STATUS_INVALID_DEVICE_REQUEST` for another request than `IRP_MJ_READ`, and for a device
    ///   whose `StackSize` is 1: WSK needs a stack location of its own;
    /// - `STATUS_INVALID_PARAMETER` for a request without an MDL: the device has no `DO_DIRECT_IO`;
    /// - `STATUS_INVALID_BUFFER_SIZE` for one that is longer than its MDL;
    /// - [`InvalidState`](crate::ErrorKind::InvalidState) while a receive of the driver's own is in
    ///   flight or has left bytes; [`DataLost`](crate::ErrorKind::DataLost),
    ///   [`Closed`](crate::ErrorKind::Closed), [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    ///
    /// [Using IRPs with WSK functions](https://learn.microsoft.com/windows-hardware/drivers/network/using-irps-with-winsock-kernel-functions)
    #[doc(alias = "IRP_MJ_READ")]
    pub fn receive_into(&self, irp: PendingIrp) -> Result<(), RefusedIrp> {
        connection::receive_into(self.socket.core(), irp)
    }

    /// Has WSK carry out a write of the driver's own client: all of it is sent, from the client's
    /// memory, and the client's request itself goes down. What [`receive_into`](Self::receive_into)
    /// says about the end of a request holds here as well.
    ///
    /// IRQL: <= DISPATCH_LEVEL, with no spin lock held: the request may complete in the call.
    ///
    /// # Errors
    ///
    /// As [`receive_into`](Self::receive_into), for another request than `IRP_MJ_WRITE`; receives
    /// are of no concern.
    #[doc(alias = "IRP_MJ_WRITE")]
    pub fn send_from(&self, irp: PendingIrp) -> Result<(), RefusedIrp> {
        connection::send_from(self.socket.core(), irp)
    }
}

impl ReadHalf {
    /// See [`ConnectionSocket::receive_into`].
    ///
    /// IRQL: <= DISPATCH_LEVEL, with no spin lock held.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_into(&self, irp: PendingIrp) -> Result<(), RefusedIrp> {
        connection::receive_into(self.core(), irp)
    }
}

impl WriteHalf {
    /// See [`ConnectionSocket::send_from`].
    ///
    /// IRQL: <= DISPATCH_LEVEL, with no spin lock held.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_from(&self, irp: PendingIrp) -> Result<(), RefusedIrp> {
        connection::send_from(self.core(), irp)
    }
}
