//! TCP clients of the cases: `wsk-harness` in the foreground and in the background, and single
//! connections by hand.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Bench;
use crate::process;

/// How long one run of the harness may take.
const HARNESS_LIMIT: Duration = Duration::from_mins(1);
/// How long a single connection waits for anything.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// What [`Bench::echo`] sent: every byte of it came back.
#[derive(Clone, Copy, Debug)]
pub struct Echoed {
    pub messages: u64,
    pub bytes: u64,
}

impl Bench {
    /// Echoes messages of 1 B to 16 KiB; fails unless every byte comes back.
    pub fn echo(&self, addr: SocketAddr, connections: u32, messages: u64) -> Result<Echoed> {
        let json = crate::paths::log().join("driver-test-echo.json");
        self.harness
            .command("echo", "echo", addr, connections)
            .args([
                "--messages",
                &messages.to_string(),
                "--size",
                "1..16KiB",
                "--json",
            ])
            .arg(&json)
            .time_limit(HARNESS_LIMIT)
            .silent()
            .run()?;
        let text = std::fs::read_to_string(&json)
            .with_context(|| format!("cannot read {}", json.display()))?;
        let figures: serde_json::Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", json.display()))?;
        let number = |name: &str| {
            let number = figures[name].as_u64();
            number.with_context(|| format!("wsk-harness reports no number `{name}`"))
        };
        let echoed = Echoed {
            messages: number("messages")?,
            bytes: number("bytes")?,
        };
        ensure!(
            echoed.messages == u64::from(connections) * messages && number("mismatches")? == 0,
            "{} of {connections} times {messages} messages came back: {text}",
            echoed.messages
        );
        Ok(echoed)
    }

    /// Runs another command of the harness; fails unless it succeeds.
    pub fn clients(&self, command: &str, addr: SocketAddr, connections: u32) -> Result<()> {
        self.harness
            .command(command, command, addr, connections)
            .time_limit(HARNESS_LIMIT)
            .silent()
            .run()
            .map(drop)
    }

    /// Starts connections that are busy until the driver ends them; returns once all are served.
    pub fn hold(&self, addr: SocketAddr, connections: u32) -> Result<Hold> {
        let limit = HARNESS_LIMIT.as_secs().to_string();
        let mut child = Command::new(self.harness.program())
            .args(["hold", "--addr", &addr.to_string(), "--timeout", &limit])
            .args(["--connections", &connections.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `wsk-harness hold`")?;
        let output = child.stdout.take().expect("standard output is a pipe");
        let mut hold = Hold {
            child,
            output: BufReader::new(output),
        };
        let busy = format!("busy: {connections}");
        let mut line = String::new();
        // Ends: the harness gives up by itself after its time limit.
        while line.trim_end() != busy {
            process::check_interrupt()?;
            line.clear();
            let length = hold.output.read_line(&mut line);
            if length.context("cannot read what `wsk-harness hold` writes")? == 0 {
                bail!("`wsk-harness hold` ended before all {connections} connections were served");
            }
        }
        Ok(hold)
    }
}

/// Busy connections. Dropping it ends them.
#[derive(Debug)]
pub struct Hold {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Hold {
    /// Waits until the driver has ended every connection; fails if a byte was wrong or one of them
    /// ended otherwise.
    pub fn ended(mut self) -> Result<()> {
        let mut text = String::new();
        self.output
            .read_to_string(&mut text)
            .context("cannot read what `wsk-harness hold` writes")?;
        let status = self
            .child
            .wait()
            .context("cannot wait for `wsk-harness hold`")?;
        ensure!(
            status.success(),
            "`wsk-harness hold` ended with {status}:\n{text}"
        );
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It ends by itself soon if this fails: its time is limited.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// One connection that the driver serves.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// Connects, and gets a first byte echoed. `None` if the driver closes the connection instead.
    pub fn open(addr: SocketAddr) -> Result<Option<Self>> {
        let stream = TcpStream::connect_timeout(&addr, CONNECTION_LIMIT)
            .with_context(|| format!("cannot connect to {addr}"))?;
        stream.set_read_timeout(Some(CONNECTION_LIMIT))?;
        let mut connection = Self(stream);
        let mut answer = [0];
        let read = connection
            .0
            .write_all(b"?")
            .and_then(|()| connection.0.read(&mut answer));
        match read {
            Ok(0) => Ok(None),
            Ok(_) if answer == *b"?" => Ok(Some(connection)),
            Ok(_) => bail!("{addr} echoed {answer:?} instead of what was sent"),
            Err(error) if is_closed(error.kind()) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{addr} neither echoes nor closes")),
        }
    }

    /// Sends no more, and waits until the driver has closed its side as well.
    pub fn close(mut self) -> Result<()> {
        self.0.shutdown(Shutdown::Write)?;
        match self.0.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => bail!("the driver sent what nobody had sent to it"),
            // Wine lacks WskDisconnect, so that the driver can only close, which may reset.
            Err(error) if is_closed(error.kind()) => Ok(()),
            Err(error) => Err(error).context("the driver does not close its side"),
        }
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
