//! The kinds of request: what each lends, and what it gives back.

use core::{fmt, marker::PhantomData, net::SocketAddr};

use super::{
    basic::BasicSocket,
    connection::ConnectionSocket,
    datagram::{Datagram, DatagramSocket},
    handle::Socket,
    listen::ListenSocket,
    stream::StreamSocket,
};
use crate::{
    mem::{buffer::Buffer, chain::BufferChain},
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
    /// Opens a connection that is connected: `Result<ConnectionSocket>`.
    OpenConnected;
    /// Binds a socket: `Result<()>`.
    Bind;
    /// Has a stream socket listen: `Result<()>`.
    Listen;
    /// Connects: `Result<()>`.
    Connect;
    /// Connects and sends: `(Result<()>, Buffer)`, and the buffer as it was.
    ConnectWithData;
    /// Accepts a connection: `Result<Accepted>`.
    AcceptConnection;
    /// Asks for the local address: `Result<SocketAddr>`.
    LocalAddress;
    /// Asks for the remote address: `Result<SocketAddr>`.
    RemoteAddress;
    /// Sends: `(Result<usize>, Buffer)`, the count of bytes sent and the buffer as it was.
    Send;
    /// Sends several buffers: `(Result<usize>, BufferChain)`, the count of bytes sent and the
    /// buffers as they were.
    SendChain;
    /// Sends a datagram: `(Result<usize>, Buffer)`, the count of bytes sent and the buffer as it
    /// was.
    SendTo;
    /// Sends several datagrams: `(Result<usize>, BufferChain)`, the count of bytes sent and the
    /// buffers as they were.
    SendMessages;
    /// Receives a datagram: `(Result<Datagram>, Buffer)`, and the buffer, filled with its data.
    ReceiveFrom;
    /// Receives: `(Result<usize>, Buffer)`, the count of bytes received and the buffer, filled with
    /// them.
    Receive;
    /// Receives behind what the buffer has: `(Result<usize>, Buffer)`, the count of bytes received
    /// and the buffer, longer by them.
    ReceiveMore;
    /// Receives until the buffer is full: `(Result<usize>, Buffer)`, the count of bytes received
    /// and the buffer, filled with them.
    ReceiveAll;
    /// Drops what comes until the other side has sent everything: `Result<()>`.
    Drain;
    /// Disconnects: `Result<()>`.
    Disconnect;
    /// Sends and disconnects: `(Result<()>, Buffer)`, and the buffer as it was.
    DisconnectWithData;
    /// Silences a connection: `Result<()>`.
    Silence;
    /// Waits for another list of local addresses: `Result<()>`.
    AddressListChange;
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

/// A type of socket that is made of an open one.
pub(crate) trait FromSocket {
    fn from_socket(socket: Socket) -> Self;
}

macro_rules! opens {
    ($($socket:ident)*) => {$(
        impl Finish for Open<$socket> {
            const CALL: &'static str = "WskSocket";
            type Output = Result<$socket>;

            fn finish(ended: Ended) -> Self::Output {
                made(ended, Self::CALL).map($socket::from_socket)
            }

            fn refuse(refusal: Refusal) -> Self::Output {
                Err(refusal.error)
            }
        }
    )*};
}

opens!(BasicSocket ConnectionSocket DatagramSocket ListenSocket StreamSocket);

impl Finish for OpenConnected {
    const CALL: &'static str = "WskSocketConnect";
    type Output = Result<ConnectionSocket>;

    fn finish(ended: Ended) -> Self::Output {
        made(ended, Self::CALL).map(ConnectionSocket::connected)
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

impl Finish for AcceptConnection {
    const CALL: &'static str = "WskAccept";
    type Output = Result<Accepted>;

    fn finish(ended: Ended) -> Self::Output {
        let local = ended.finished.local.decode();
        let remote = ended.finished.remote.decode();
        let socket = made(ended, Self::CALL)?;
        Ok(Accepted {
            socket: ConnectionSocket::connected(socket),
            local,
            remote,
        })
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

/// The socket that a request made.
fn made(ended: Ended, call: &'static str) -> Result<Socket> {
    ended.result?;
    // Else the provider said that it made a socket, but gave none.
    Socket::made(ended.finished).ok_or(Error::new(call, Status::UNSUCCESSFUL))
}

macro_rules! finish_with_address {
    ($($kind:ident = $call:literal, $address:ident;)*) => {$(
        impl Finish for $kind {
            const CALL: &'static str = $call;
            type Output = Result<SocketAddr>;

            fn finish(ended: Ended) -> Self::Output {
                ended.result?;
                let address = ended.finished.$address.decode();
                address.ok_or(Error::new(Self::CALL, Status::INVALID_ADDRESS))
            }

            fn refuse(refusal: Refusal) -> Self::Output {
                Err(refusal.error)
            }
        }
    )*};
}

finish_with_address! {
    LocalAddress = "WskGetLocalAddress", local;
    RemoteAddress = "WskGetRemoteAddress", remote;
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
    Listen = "WskListen";
    Connect = "WskConnect";
    Drain = "WskReceive";
    Disconnect = "WskDisconnect";
    Close = "WskCloseSocket";
    SetOption = "WskControlSocket";
    Silence = "WskControlSocket";
    AddressListChange = "WskControlSocket";
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

macro_rules! finish_with_buffer {
    ($($kind:ident = $call:literal, $output:ty, $finish:expr;)*) => {$(
        impl Finish for $kind {
            const CALL: &'static str = $call;
            type Output = (Result<$output>, Buffer);

            fn finish(ended: Ended) -> Self::Output {
                let mut buffer = lent(ended.finished.payload);
                let finish: fn(Result<usize>, &mut Buffer) -> Result<$output> = $finish;
                (finish(ended.result, &mut buffer), buffer)
            }

            fn refuse(refusal: Refusal) -> Self::Output {
                (Err(refusal.error), lent(refusal.payload))
            }
        }
    )*};
}

finish_with_buffer! {
    ConnectWithData = "WskConnectEx", (), |result, _| result.map(|_| ());
    Send = "WskSend", usize, |result, _| result;
    SendTo = "WskSendTo", usize, |result, _| result;
    Receive = "WskReceive", usize, |result, buffer| fill(result, buffer, 0);
    ReceiveMore = "WskReceive", usize, |result, buffer| fill(result, buffer, buffer.len());
    ReceiveAll = "WskReceive", usize, |result, buffer| fill(result, buffer, 0);
    DisconnectWithData = "WskDisconnect", (), |result, _| result.map(|_| ());
}

/// The filled part is the first `before` bytes and what has been received behind them.
fn fill(result: Result<usize>, buffer: &mut Buffer, before: usize) -> Result<usize> {
    buffer.set_filled(before + result.unwrap_or(0))?;
    result
}

/// The buffer that a transfer was lent.
fn lent(payload: Payload) -> Buffer {
    match payload {
        Payload::Send(buffer)
        | Payload::Receive(buffer)
        | Payload::ReceiveFrom(buffer)
        | Payload::ReceiveAll(buffer) => buffer,
        _ => unreachable!("a transfer is lent a buffer"),
    }
}

impl Finish for ReceiveFrom {
    const CALL: &'static str = "WskReceiveFrom";
    type Output = (Result<Datagram>, Buffer);

    fn finish(ended: Ended) -> Self::Output {
        let datagram = |length| Datagram::arrived(length, &ended.finished);
        let result = ended.result.map(datagram);
        let mut buffer = lent(ended.finished.payload);
        let filled = fill(ended.result, &mut buffer, 0);
        (filled.and(result), buffer)
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        (Err(refusal.error), lent(refusal.payload))
    }
}

macro_rules! finish_with_chain {
    ($($kind:ident = $call:literal;)*) => {$(
        impl Finish for $kind {
            const CALL: &'static str = $call;
            type Output = (Result<usize>, BufferChain);

            fn finish(ended: Ended) -> Self::Output {
                (ended.result, lent_chain(ended.finished.payload))
            }

            fn refuse(refusal: Refusal) -> Self::Output {
                (Err(refusal.error), lent_chain(refusal.payload))
            }
        }
    )*};
}

finish_with_chain! {
    SendChain = "WskSend";
    SendMessages = "WskSendMessages";
}

/// The buffers that a transfer was lent, each by itself again.
fn lent_chain(payload: Payload) -> BufferChain {
    match payload {
        Payload::Chain(mut chain) => {
            chain.unlink();
            chain
        }
        _ => unreachable!("a transfer is lent buffers"),
    }
}
