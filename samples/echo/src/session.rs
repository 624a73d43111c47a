//! One connection: what comes in goes out again, until the other side has sent everything.

use wdk::println;
use wsk::{Buffer, ConnectionSocket, ErrorKind, Result};

use crate::statistics::Statistics;

/// Bytes that are received at once.
const CAPACITY: usize = 16 * 1024;

/// Serves the connection to its end, and says what went wrong, if anything did.
pub async fn run(connection: ConnectionSocket, number: u64, statistics: &Statistics) {
    match serve(connection, statistics).await {
        Ok(()) => {}
        // The driver unloads.
        Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed) => {}
        Err(error) => println!("wsk_echo: connection {number}: {error}"),
    }
}

async fn serve(mut connection: ConnectionSocket, statistics: &Statistics) -> Result<()> {
    let echoed = echo(&mut connection, statistics).await;
    if echoed.is_ok() {
        match connection.disconnect().await {
            // Then closing is what ends the connection.
            Err(error) if error.kind() == ErrorKind::NotSupported => {}
            result => result?,
        }
    }
    connection.close().await?;
    echoed
}

async fn echo(connection: &mut ConnectionSocket, statistics: &Statistics) -> Result<()> {
    let mut buffer = Buffer::with_capacity(CAPACITY)?;
    let mut allocated_at_first = None;
    loop {
        let (received, filled) = connection.receive(buffer).await;
        if received? == 0 {
            break;
        }
        let (sent, same) = connection.send(filled).await;
        statistics.echo(sent?);
        buffer = same;
        allocated_at_first.get_or_insert_with(|| connection.requests_allocated());
    }
    let allocated = connection.requests_allocated();
    statistics.allocated_late(allocated - allocated_at_first.unwrap_or(allocated));
    Ok(())
}
