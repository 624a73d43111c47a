//! Opening a listening socket that accepts conditionally.
//!
//! Two requests: the socket, and `SO_CONDITIONAL_ACCEPT`, which has to be set before the bind, and
//! stays [wsk 6.1, 7.6]. Nobody has the socket before both are done, so that it cannot be set too
//! late, or on a socket without a handler.

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    listen::ListenSocket,
    request::{Open, SetOption},
};
use crate::{
    irql::Passive,
    op::{event_calls, operation::Operation},
    status::Result,
};

type Opening = Operation<Open<ListenSocket>>;
type Setting = Operation<SetOption>;

/// A listening socket on its way that accepts conditionally: to be awaited or waited for.
///
/// It gives the socket, before it is bound. Dropping it leaves none.
#[derive(Debug)]
#[must_use = "dropping it leaves no socket"]
pub struct OpenConditional {
    opening: Opening,
    /// The second request, when the first has made the socket.
    setting: Option<(ListenSocket, Setting)>,
}

impl OpenConditional {
    pub(super) fn new(opening: Opening) -> Self {
        Self {
            opening,
            setting: None,
        }
    }

    /// Waits without limit.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`ListenSocket::open_conditional`].
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait(self, passive: Passive) -> Result<ListenSocket> {
        self.wait_each(
            |opening| opening.wait(passive),
            |setting| setting.wait(passive),
        )
    }

    /// Waits, not longer than `timeout` for each of the two requests: see
    /// [`Operation::wait_timeout`].
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut), or as [`ListenSocket::open_conditional`].
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Result<ListenSocket> {
        self.wait_each(
            |opening| opening.wait_timeout(timeout, passive),
            |setting| setting.wait_timeout(timeout, passive),
        )
    }

    fn wait_each(
        self,
        open: impl FnOnce(Opening) -> Result<ListenSocket>,
        set: impl FnOnce(Setting) -> Result<()>,
    ) -> Result<ListenSocket> {
        let (socket, setting) = match self.setting {
            Some(second) => second,
            None => start_setting(open(self.opening)?),
        };
        set(setting).map(|()| socket)
    }
}

impl Future for OpenConditional {
    type Output = Result<ListenSocket>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (_, setting) = match &mut this.setting {
            Some(second) => second,
            none => {
                let socket = ready!(Pin::new(&mut this.opening).poll(context))?;
                none.insert(start_setting(socket))
            }
        };
        let set = ready!(Pin::new(setting).poll(context));
        let socket = this.setting.take().map(|(socket, _)| socket);
        Poll::Ready(set.map(|()| socket.expect("it was made first")))
    }
}

fn start_setting(socket: ListenSocket) -> (ListenSocket, Setting) {
    let setting = Operation::new(event_calls::set_conditional_accept(socket.socket.core()));
    (socket, setting)
}
