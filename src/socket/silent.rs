//! Connections that have been silenced.

use super::{
    handle::{Closer, Socket},
    request::{Close, FromSocket},
};
use crate::op::operation::Operation;

/// A connection that sends nothing more, not even that it has ended, and drops what comes: see
/// [`ConnectionSocket::silence`](crate::ConnectionSocket::silence). It can only be closed.
///
/// Dropping it closes it, without waiting for that.
#[derive(Debug)]
pub struct SilentSocket {
    socket: Socket,
}

impl FromSocket for SilentSocket {
    fn from_socket(socket: Socket) -> Self {
        Self { socket }
    }
}

impl SilentSocket {
    /// What closes it from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.socket.closer()
    }

    /// Closes it, and gives what completes when it is closed.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Operation<Close> {
        self.socket.close()
    }
}
