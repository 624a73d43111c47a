//! Connections that were let in: each gets a line that says so, and then back what it sends, until
//! it has sent everything.

use alloc::{format, sync::Arc};

use wdk::println;
use wsk::{Accepted, Buffer, ConnectionSocket, Connections, ErrorKind, Result, Spawner};

use crate::{interface::Counter, statistics::Statistics};

/// Bytes that are received at once.
const CAPACITY: usize = 4 * 1024;

/// Spawns a session for each connection, until the listener is closed.
pub async fn run(mut connections: Connections, spawner: Spawner, statistics: Arc<Statistics>) {
    while let Some(accepted) = connections.next().await {
        let statistics = statistics.clone();
        let session = async move {
            match serve(accepted, &statistics).await {
                Ok(()) => {}
                // The driver unloads, or the client has gone away.
                Err(error) if is_end(error.kind()) => {}
                Err(error) => println!("wsk_gate: a connection ended: {error}"),
            }
        };
        if let Err(error) = spawner.spawn(session) {
            println!("wsk_gate: a connection is not served: {error}");
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Cancelled | ErrorKind::Closed | ErrorKind::ConnectionLost
    )
}

async fn serve(accepted: Accepted, statistics: &Statistics) -> Result<()> {
    let mut connection = accepted.socket;
    statistics.count(Counter::Served);
    let mut buffer = Buffer::with_capacity(CAPACITY)?;
    if let Some(remote) = accepted.remote {
        buffer.extend_from_slice(format!("admitted {remote}\n").as_bytes())?;
    }
    let (sent, buffer) = connection.send(buffer).await;
    sent?;
    echo(&mut connection, buffer, statistics).await?;
    connection.disconnect().await?;
    connection.close().await
}

async fn echo(
    connection: &mut ConnectionSocket,
    mut buffer: Buffer,
    statistics: &Statistics,
) -> Result<()> {
    loop {
        let (received, filled) = connection.receive(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, same) = connection.send(filled).await;
        statistics.add(Counter::Bytes, sent? as u64);
        buffer = same;
    }
}
