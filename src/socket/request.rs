//! The kinds of request: what each lends, and what it gives back.

use core::{fmt, marker::PhantomData, net::SocketAddr};

use super::{connection::ConnectionSocket, handle::Socket, listen::ListenSocket};
use crate::{
    mem::buffer::Buffer,
    op::{
        operation::{Ended, Finish},
        slot::{Payload, Refusal},
    },
    status::{Error, Result, Status},
};

/// Opens a socket: `Result<S>`.
pub struct Open<S>(PhantomData<S>);

impl<S> fmt::Debug for Open<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident;)*) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $kind {})*
    };
}

kinds! {
    /// Binds a socket: `Result<()>`.
    Bind;
    /// Accepts a connection: `Result<Accepted>`.
    AcceptConnection;
    /// Asks for the local address: `Result<SocketAddr>`.
    LocalAddress;
    /// Sends: `(Result<usize>, Buffer)`, the count of bytes sent and the buffer as it was.
    Send;
    /// Receives: `(Result<usize>, Buffer)`, the count of bytes received and the buffer, filled with
    /// them.
    Receive;
    /// Disconnects: `Result<()>`.
    Disconnect;
    /// Closes a socket: `Result<()>`.
    Close;
    /// Sets an option: `Result<()>`.
    SetOption;
    /// Disables an event: `Result<()>`. Completes when the event is off and no callback for it runs
    /// any more.
    DisableEvent;
    /// Lets receive events come again: `Result<()>`.
    ResumeReceiveEvents;
    /// Decides about a connection: `Result<()>`.
    CompleteInspection;
}

/// A connection that a listening socket has accepted, with the addresses that came with it.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub socket: ConnectionSocket,
    /// This side's address; `None` if the provider did not say.
    pub local: Option<SocketAddr>,
    /// The other side's address; `None` if the provider did not say.
    pub remote: Option<SocketAddr>,
}

impl Finish for Open<ListenSocket> {
    const CALL: &'static str = "WskSocket";
    type Output = Result<ListenSocket>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result?;
        let socket = Socket::made(ended.finished).ok_or(no_socket(Self::CALL))?;
        Ok(ListenSocket::new(socket))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

impl Finish for AcceptConnection {
    const CALL: &'static str = "WskAccept";
    type Output = Result<Accepted>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result?;
        let (local, remote) = (
            ended.finished.local.decode(),
            ended.finished.remote.decode(),
        );
        let socket = Socket::made(ended.finished).ok_or(no_socket(Self::CALL))?;
        Ok(Accepted {
            socket: ConnectionSocket::new(socket),
            local,
            remote,
        })
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

impl Finish for LocalAddress {
    const CALL: &'static str = "WskGetLocalAddress";
    type Output = Result<SocketAddr>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result?;
        ended
            .finished
            .local
            .decode()
            .ok_or(Error::new(Self::CALL, Status::INVALID_ADDRESS))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

macro_rules! finish_without_output {
    ($($kind:ident = $call:literal;)*) => {$(
        impl Finish for $kind {
            const CALL: &'static str = $call;
            type Output = Result<()>;

            fn finish(ended: Ended) -> Self::Output {
                ended.result.map(|_| ())
            }

            fn refuse(refusal: Refusal) -> Self::Output {
                Err(refusal.error)
            }
        }
    )*};
}

finish_without_output! {
    Bind = "WskBind";
    Disconnect = "WskDisconnect";
    Close = "WskCloseSocket";
    SetOption = "WskControlSocket";
    DisableEvent = "WskControlSocket";
    ResumeReceiveEvents = "WskReceive";
}

impl Finish for CompleteInspection {
    const CALL: &'static str = "WskInspectComplete";
    type Output = Result<()>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result.map(|_| ())
    }

    /// Nothing was called: the callback itself returns the decision, or there is none to make.
    fn refuse(refusal: Refusal) -> Self::Output {
        if refusal.error.status().is_success() {
            Ok(())
        } else {
            Err(refusal.error)
        }
    }
}

impl Finish for Send {
    const CALL: &'static str = "WskSend";
    type Output = (Result<usize>, Buffer);

    fn finish(ended: Ended) -> Self::Output {
        (ended.result, lent(ended.finished.payload))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        (Err(refusal.error), lent(refusal.payload))
    }
}

impl Finish for Receive {
    const CALL: &'static str = "WskReceive";
    type Output = (Result<usize>, Buffer);

    fn finish(ended: Ended) -> Self::Output {
        let mut buffer = lent(ended.finished.payload);
        let filled = buffer.set_filled(ended.result.unwrap_or(0));
        (
            ended.result.and_then(|count| filled.map(|()| count)),
            buffer,
        )
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        (Err(refusal.error), lent(refusal.payload))
    }
}

/// The buffer that a transfer was lent.
fn lent(payload: Payload) -> Buffer {
    match payload {
        Payload::Send(buffer) | Payload::Receive(buffer) => buffer,
        Payload::Nothing | Payload::Socket(_) => unreachable!("a transfer is lent a buffer"),
    }
}

/// The provider said that it made a socket, but gave none.
const fn no_socket(call: &'static str) -> Error {
    Error::new(call, Status::UNSUCCESSFUL)
}
