//! In-process servers for the tests: a correct echo, and ones with every fault that the harness
//! must find.
//!
//! A server learns which connection of the run it serves from the bytes themselves, so that a fault
//! can be put on one connection and no other. Also captures what a run prints. Knows nothing of how
//! the harness verifies.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use wsk_harness::cli::Cli;
use wsk_harness::content::Content;
use wsk_harness::failure::Exit;

/// Size of the messages that [`echo_messages`] expects.
pub const SIZE: usize = 100;

/// Serves every connection with `serve` until the runtime of the test ends.
pub async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

/// An address that refuses connections as long as the socket lives: bound, so that nobody else gets
/// it, not listening.
pub fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A correct echo: whatever comes, as it comes, end of file for end of file.
pub async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

/// What a faulty server does with a message of [`SIZE`] bytes.
pub enum Answer {
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this and closes.
    Close(Vec<u8>),
    /// Resets.
    Reset,
    /// Keeps silent and the connection open.
    Stall,
}

/// Echoes messages of [`SIZE`] bytes through `fault`, which gets the number of the connection, that
/// of the message, and its bytes; `last_words` are sent after the client's end of file.
pub async fn echo_messages(
    mut stream: TcpStream,
    fault: fn(u32, u64, Vec<u8>) -> Answer,
    last_words: &'static [u8],
) -> io::Result<()> {
    let mut connection = None;
    for message in 0.. {
        let mut bytes = vec![0; SIZE];
        if stream.read_exact(&mut bytes).await.is_err() {
            break;
        }
        let origin = || Content::new(1, 0).locate(&bytes, u32::MAX).unwrap().1;
        let connection = *connection.get_or_insert_with(|| origin().connection);
        match fault(connection, message, bytes) {
            Answer::Send(bytes) => stream.write_all(&bytes).await?,
            Answer::Close(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Answer::Reset => return stream.set_zero_linger(),
            Answer::Stall => std::future::pending().await,
        }
    }
    stream.write_all(last_words).await?;
    stream.shutdown().await
}

/// What a run of the harness printed and how it exits.
pub struct Ran {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

/// Runs the harness with this command line against `addr`.
pub async fn run(command: &str, addr: SocketAddr) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let cli = parse(command, addr);
    let exit = wsk_harness::run(&cli.command, &mut out, &mut err)
        .await
        .unwrap();
    let [out, err] = [out, err].map(|text| String::from_utf8(text).unwrap());
    Ran { exit, out, err }
}

/// The parsed command line.
pub fn parse(command: &str, addr: SocketAddr) -> Cli {
    let addr = addr.to_string();
    let words = ["wsk-harness"]
        .into_iter()
        .chain(command.split(' '))
        .chain(["--addr", &addr]);
    Cli::try_parse_from(words).unwrap()
}

impl Ran {
    /// Asserts that exactly one failure was reported, with all of `parts` in its first line.
    pub fn assert_one_failure(&self, exit: Exit, parts: &[&str]) {
        assert_eq!(self.exit, exit, "{}", self.err);
        let lines: Vec<&str> = self.err.lines().collect();
        let [failure, advice] = lines[..] else {
            panic!("not one failure: {}", self.err)
        };
        for part in parts {
            assert!(failure.contains(part), "`{part}` is not in: {failure}");
        }
        assert!(advice.trim_start().starts_with("check: "), "{advice}");
    }

    /// The value in the row `name` of the table.
    pub fn row(&self, name: &str) -> &str {
        let row = self.out.lines().find_map(|line| line.strip_prefix(name));
        row.unwrap_or_else(|| panic!("no row `{name}` in:\n{}", self.out))
            .trim()
    }
}
