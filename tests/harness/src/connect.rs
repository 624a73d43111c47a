//! Opening connections: each with a deadline, all of a run at the same time.
//!
//! Used by every command. Knows nothing of what is said on a connection.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

use crate::failure::{Cause, Failure};
use crate::limit::Limit;

/// An established connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number in the run, from 0.
    pub number: u32,
    /// Our address, as the peer sees it; `None` if the system no longer knows it.
    pub local: Option<SocketAddr>,
    /// The stream.
    pub stream: TcpStream,
}

impl Connection {
    /// Connects to `addr` within `limit`.
    ///
    /// # Errors
    /// [`Cause::Refused`] or [`Cause::ConnectTimedOut`].
    pub async fn open(addr: SocketAddr, number: u32, limit: Limit) -> Result<Self, Failure> {
        Self::open_from(None, addr, number, limit).await
    }

    /// Connects to `addr` within `limit`, from the address `source` of this host if there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_from(
        source: Option<IpAddr>,
        addr: SocketAddr,
        number: u32,
        limit: Limit,
    ) -> Result<Self, Failure> {
        let connecting = async {
            let socket = match addr {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            if let Some(source) = source {
                socket.bind(SocketAddr::new(source, 0))?;
            }
            let stream = socket.connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let connected = match timeout_at(limit.deadline(), connecting).await {
            Ok(connected) => connected.map_err(Cause::Refused),
            Err(_) => Err(Cause::ConnectTimedOut(limit.duration())),
        };
        match connected {
            Ok(stream) => Ok(Self {
                number,
                local: stream.local_addr().ok(),
                stream,
            }),
            Err(cause) => Err(Failure {
                connection: number,
                local: None,
                cause,
            }),
        }
    }
}

/// Runs `one` for each of `connections` numbers at the same time; results come in their order.
///
/// # Errors
/// If one of them panics.
pub async fn all<T, F>(connections: u32, one: impl Fn(u32) -> F) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = (0..connections)
        .map(|number| tokio::spawn(one(number)))
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for (number, task) in tasks.into_iter().enumerate() {
        results.push(
            task.await
                .with_context(|| format!("the task of connection {number} ended by itself"))?,
        );
    }
    Ok(results)
}
