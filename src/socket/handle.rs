//! What the sockets of every category have in common: being open, and being closed.

use super::request::Close;
use crate::op::{
    core::CoreRef,
    handle::{Finished, Handle},
    operation::Operation,
};
use crate::status::{Error, Status};

/// Events were asked for on a socket that was opened without a handler.
pub(super) const fn no_handler() -> Error {
    Error::new("WskControlSocket", Status::INVALID_DEVICE_STATE)
}

/// An open socket. Dropping it closes it, without waiting for that.
#[derive(Debug)]
pub(crate) struct Socket {
    open: Opened,
    close: Handle,
}

/// Closes the socket when dropped.
#[derive(Debug)]
struct Opened(CoreRef);

impl Socket {
    /// The socket that a successful request made.
    pub(crate) fn made(finished: Finished) -> Option<Self> {
        let (core, close) = finished.into_socket()?;
        Some(Self::adopted(core, close))
    }

    /// A socket that was adopted just now.
    pub(crate) fn adopted(core: CoreRef, close: Handle) -> Self {
        core.list();
        Self {
            open: Opened(core),
            close,
        }
    }

    pub(crate) fn core(&self) -> &CoreRef {
        &self.open.0
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(self.core().clone())
    }

    /// Closes it, and gives what can be waited for.
    pub(crate) fn close(self) -> Operation<Close> {
        drop(self.open);
        Operation::new(Ok(self.close))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.begin_close();
    }
}

/// Closes a socket from elsewhere, for example when the driver unloads while tasks use the socket.
///
/// It keeps memory of the socket, but not the socket: that ends as soon as anybody closes it.
///
/// ```no_run
/// # fn watch(connection: &wsk::ConnectionSocket) {
/// let closer = connection.closer();
/// // ... on another thread, when the connection has been idle for too long:
/// closer.close();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Closer(CoreRef);

impl Closer {
    /// Closes the socket: every request in flight is cancelled, every later call gives
    /// [`Closed`](crate::ErrorKind::Closed). It is closed once calls that are running at this
    /// moment have returned. Does nothing if it is closed already.
    ///
    /// For a connection this is abortive (a reset), unless both directions are disconnected [wsk
    /// 10.5].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// [PFN_WSK_CLOSE_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket)
    #[doc(alias = "WskCloseSocket")]
    pub fn close(&self) {
        self.0.begin_close();
    }
}
