//! Receiving exactly as much as a buffer holds.
//!
//! Made of ordinary receives, each behind what has come, because no byte of those is ever lost: of
//! a single request with `WSK_FLAG_WAITALL` that is cancelled, Windows does not say how much it had
//! taken.

use core::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::request::ReceiveMore;
use crate::{
    irql::Passive,
    mem::buffer::Buffer,
    op::{calls::connection, core::CoreRef, operation::Operation},
    status::Result,
};

/// As many bytes as a buffer holds: to be awaited or waited for.
///
/// It gives `(Result<usize>, Buffer)`: the count of bytes received, and the buffer filled with
/// them, also if the result is an error.
#[derive(Debug)]
#[must_use = "the first receive has started, and is cancelled when this is dropped"]
pub struct ReceiveExact<'connection> {
    core: CoreRef,
    receiving: Operation<ReceiveMore>,
    /// Nobody else starts a receive meanwhile.
    exclusive: PhantomData<&'connection mut CoreRef>,
}

type Output = (Result<usize>, Buffer);

impl ReceiveExact<'_> {
    /// The connection is borrowed exclusively for as long as the result lives.
    pub(super) fn new(core: &CoreRef, mut buffer: Buffer) -> Self {
        buffer.clear();
        Self {
            receiving: receive_more(core, buffer),
            core: core.clone(),
            exclusive: PhantomData,
        }
    }

    /// Waits without limit.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait(self, passive: Passive) -> Output {
        self.wait_each(|receiving| receiving.wait(passive))
    }

    /// Waits as long as something comes: gives up when nothing has come for `timeout`.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Output {
        self.wait_each(|receiving| receiving.wait_timeout(timeout, passive))
    }

    fn wait_each(self, wait: impl Fn(Operation<ReceiveMore>) -> Output) -> Output {
        let mut receiving = self.receiving;
        loop {
            match go_on(&self.core, wait(receiving)) {
                Ok(output) => return output,
                Err(next) => receiving = next,
            }
        }
    }
}

impl Future for ReceiveExact<'_> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        let this = &mut *self;
        loop {
            let received = match Pin::new(&mut this.receiving).poll(context) {
                Poll::Ready(received) => received,
                Poll::Pending => return Poll::Pending,
            };
            match go_on(&this.core, received) {
                Ok(output) => return Poll::Ready(output),
                Err(next) => this.receiving = next,
            }
        }
    }
}

fn receive_more(core: &CoreRef, buffer: Buffer) -> Operation<ReceiveMore> {
    let base = buffer.len();
    Operation::new(connection::receive(core, buffer, 0, base))
}

/// After a receive: the outcome, or the next receive.
fn go_on(
    core: &CoreRef,
    (received, buffer): Output,
) -> core::result::Result<Output, Operation<ReceiveMore>> {
    match received {
        Ok(count) if count > 0 && buffer.len() < buffer.capacity() => {
            Err(receive_more(core, buffer))
        }
        Ok(_) => Ok((Ok(buffer.len()), buffer)),
        Err(error) => Ok((Err(error), buffer)),
    }
}
