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

/// Closes the socket when dropped. There until it is taken apart.
#[derive(Debug)]
struct Opened(Option<CoreRef>);

/// One of two owners of a socket. The one that is dropped last closes it.
#[derive(Debug)]
pub(crate) struct Half(Option<CoreRef>);

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
            open: Opened(Some(core)),
            close,
        }
    }

    pub(crate) fn core(&self) -> &CoreRef {
        self.open.0.as_ref().expect("there until taken apart")
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(self.core().clone())
    }

    /// Closes it, and gives what can be waited for.
    pub(crate) fn close(self) -> Operation<Close> {
        drop(self.open);
        Operation::new(Ok(self.close))
    }

    /// Two owners of it, and what completes when it is closed.
    pub(crate) fn split(mut self) -> (Half, Half, Handle) {
        let core = self.open.0.take();
        if let Some(core) = &core {
            core.set_halves();
        }
        (Half(core.clone()), Half(core), self.close)
    }

    /// Puts together what [`split`](Self::split) gave.
    pub(crate) fn reunite(mut first: Half, mut second: Half, close: Handle) -> Self {
        // Neither closes it any more.
        second.0 = None;
        Self {
            open: Opened(first.0.take()),
            close,
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(core) = &self.0 {
            core.begin_close();
        }
    }
}

impl Half {
    pub(crate) fn core(&self) -> &CoreRef {
        self.0.as_ref().expect("there until reunited")
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(self.core().clone())
    }

    /// Whether both are owners of one socket.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        core::ptr::eq(&raw const **self.core(), &raw const **other.core())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(core) = &self.0
            && core.drop_half()
        {
            core.begin_close();
        }
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
