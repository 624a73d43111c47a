//! One connection's echo traffic: sends messages, verifies every byte that comes back, measures
//! round trips.
//!
//! Called by the `echo` and `hold` commands with the two halves of a connected stream. Sending and
//! receiving go on at the same time in one task, so that a peer with small buffers cannot bring
//! both sides to a halt. Every wait has a deadline. Generic over the stream, so that its rules are
//! tested in memory under a paused clock; knows nothing of addresses, reports or exit codes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::cli::SizeRange;
use crate::content::{Content, Origin};
use crate::failure::{Cause, Ending, Expected, Finding, excerpt};
use crate::limit::Limit;

/// What one connection has to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seed of the run.
    pub seed: u64,
    /// Number of connections in the run.
    pub connections: u32,
    /// Number of messages; `None` goes on until the peer ends the connection.
    pub messages: Option<u64>,
    /// Sizes of messages.
    pub size: SizeRange,
    /// Most bytes sent ahead of their echo; `None` sends a message once the one before has come
    /// back.
    pub window: Option<u64>,
    /// How long to wait.
    pub limit: Limit,
}

/// A message that has come back entirely.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrip {
    /// Its size.
    pub bytes: u64,
    /// Time from before its first byte was sent until its last byte was verified.
    pub time: Duration,
}

/// Exchanges all messages of `plan` as `connection`, then half-closes and expects end of file and
/// no byte more.
///
/// # Errors
/// The first thing that goes wrong ends the exchange: behind a wrong byte nothing can be said of a
/// stream.
pub async fn run(
    plan: &Plan,
    connection: u32,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut completed: impl FnMut(RoundTrip),
) -> Result<(), Cause> {
    let mut exchange = Exchange::new(plan, connection);
    let mut input = vec![0; CHUNK];
    while exchange.plan_next_message() {
        let deadline = plan.limit.deadline();
        let moving = step(&mut reader, &mut input, &mut writer, exchange.output());
        let moved = timeout_at(deadline, moving).await;
        match moved.map_err(|_| exchange.timed_out(exchange.expected()))? {
            Step::Received(Ok(0)) => {
                return Err(exchange.ended(Ending::Closed, exchange.expected()));
            }
            Step::Received(Ok(len)) => exchange.received(&input[..len], &mut completed)?,
            Step::Sent(Ok(len)) => exchange.sent += len as u64,
            Step::Received(Err(error)) | Step::Sent(Err(error)) => {
                return Err(exchange.ended(error.into(), exchange.expected()));
            }
        }
    }
    finish(&exchange, &mut input, &mut reader, &mut writer).await
}

async fn finish(
    exchange: &Exchange<'_>,
    input: &mut [u8],
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Cause> {
    let closing = async {
        writer.shutdown().await?;
        reader.read(input).await
    };
    let closed = timeout_at(exchange.plan.limit.deadline(), closing).await;
    match closed.map_err(|_| exchange.timed_out(Expected::EndOfFile))? {
        Ok(0) => Ok(()),
        Ok(len) => Err(exchange.surplus(&input[..len], Expected::EndOfFile)),
        Err(error) => Err(exchange.ended(error.into(), Expected::EndOfFile)),
    }
}

enum Step {
    Received(io::Result<usize>),
    Sent(io::Result<usize>),
}

/// Moves bytes in whichever direction is ready; what has come back goes first, so that a peer which
/// has ended the connection is judged by all that it sent.
async fn step(
    reader: &mut (impl AsyncRead + Unpin),
    input: &mut [u8],
    writer: &mut (impl AsyncWrite + Unpin),
    output: &[u8],
) -> Step {
    tokio::select! {
        biased;
        received = reader.read(input) => Step::Received(received),
        sent = writer.write(output), if !output.is_empty() => Step::Sent(sent),
    }
}

/// The books of one connection; does no input or output.
struct Exchange<'a> {
    plan: &'a Plan,
    content: Content,
    /// Bytes sent.
    sent: u64,
    /// Bytes that have come back and were verified.
    echoed: u64,
    /// Where the last message planned so far ends.
    planned: u64,
    messages_planned: u64,
    messages_echoed: u64,
    /// Messages planned and not yet echoed, oldest first.
    pending: VecDeque<Pending>,
    /// The stream from `output_start` on, made once and sent in as many parts as the peer takes.
    output: Vec<u8>,
    output_start: u64,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Pending {
    bytes: u64,
    end: u64,
    since: Instant,
}

impl<'a> Exchange<'a> {
    fn new(plan: &'a Plan, connection: u32) -> Self {
        Self {
            plan,
            content: Content::new(plan.seed, connection),
            sent: 0,
            echoed: 0,
            planned: 0,
            messages_planned: 0,
            messages_echoed: 0,
            pending: VecDeque::new(),
            output: Vec::new(),
            output_start: 0,
            scratch: vec![0; CHUNK],
        }
    }

    /// Plans the next message if it is due; false once all have come back.
    fn plan_next_message(&mut self) -> bool {
        let remain = self
            .plan
            .messages
            .is_none_or(|messages| self.messages_planned < messages);
        let room = self.plan.window.map_or(self.outstanding() == 0, |window| {
            self.outstanding() < window
        });
        if remain && room && self.sent == self.planned {
            let bytes = self.plan.size.pick(&self.content, self.messages_planned);
            self.planned += bytes;
            self.messages_planned += 1;
            self.pending.push_back(Pending {
                bytes,
                end: self.planned,
                since: Instant::now(),
            });
        }
        remain || self.echoed < self.planned
    }

    /// What to send now, at most.
    fn output(&mut self) -> &[u8] {
        if self.sent == self.output_start + self.output.len() as u64 {
            self.output_start = self.sent;
            self.output
                .resize(at_most_chunk(self.planned - self.sent), 0);
            self.content.fill(self.sent, &mut self.output);
        }
        let unsent = &self.output[at_most_chunk(self.sent - self.output_start)..];
        let room = self
            .plan
            .window
            .map_or(u64::MAX, |window| window - self.outstanding());
        &unsent[..at_most_chunk(room).min(unsent.len())]
    }

    /// Verifies what has come back and reports the messages that it completes.
    fn received(
        &mut self,
        bytes: &[u8],
        completed: &mut impl FnMut(RoundTrip),
    ) -> Result<(), Cause> {
        let (echo, surplus) = bytes.split_at(at_most_chunk(self.outstanding()).min(bytes.len()));
        if let Some(at) = self
            .content
            .first_difference(self.echoed, echo, &mut self.scratch)
        {
            return Err(self.mismatch(self.echoed + at as u64, &bytes[at..]));
        }
        self.echoed += echo.len() as u64;
        while let Some(&message) = self.pending.front()
            && message.end <= self.echoed
        {
            self.pending.pop_front();
            self.messages_echoed += 1;
            completed(RoundTrip {
                bytes: message.bytes,
                time: message.since.elapsed(),
            });
        }
        if surplus.is_empty() {
            Ok(())
        } else {
            Err(self.surplus(surplus, Expected::Nothing))
        }
    }

    fn outstanding(&self) -> u64 {
        self.sent - self.echoed
    }

    fn expected(&self) -> Expected {
        match self.outstanding() {
            0 => Expected::Nothing,
            outstanding => Expected::Echo { outstanding },
        }
    }

    /// `got` begins with the first wrong byte, which came at `offset`.
    fn mismatch(&self, offset: u64, got: &[u8]) -> Cause {
        let complete = self
            .pending
            .iter()
            .take_while(|message| message.end <= offset)
            .count();
        let finding = match self.content.locate(got, self.plan.connections) {
            Some((at, origin)) => self.finding(offset, &got[..at], origin),
            None => Finding::Unknown,
        };
        let got = excerpt(got);
        Cause::Mismatch {
            offset,
            message: self.messages_echoed + complete as u64,
            expected: self.content.bytes(offset, got.len()),
            got,
            finding,
        }
    }

    /// What it tells that the bytes at `offset` are `unplaced` ones, then those of `origin`.
    fn finding(&self, offset: u64, unplaced: &[u8], origin: Origin) -> Finding {
        let place = offset + unplaced.len() as u64;
        if origin.connection != self.content.connection() {
            Finding::Foreign(origin)
        } else if origin.offset > place {
            Finding::Lost {
                bytes: origin.offset - place,
            }
        } else if origin.offset < place {
            Finding::Inserted {
                bytes: place - origin.offset,
            }
        } else {
            let expected = self.content.bytes(offset, unplaced.len());
            let wrong = expected
                .iter()
                .zip(unplaced)
                .filter(|(expected, got)| expected != got)
                .count();
            Finding::Altered {
                bytes: wrong as u64,
            }
        }
    }

    fn surplus(&self, surplus: &[u8], expected: Expected) -> Cause {
        Cause::Surplus {
            offset: self.echoed,
            expected,
            count: surplus.len(),
            got: excerpt(surplus),
        }
    }

    fn ended(&self, ending: Ending, expected: Expected) -> Cause {
        Cause::EndedEarly {
            ending,
            offset: self.echoed,
            expected,
        }
    }

    fn timed_out(&self, expected: Expected) -> Cause {
        let expected = match self.plan.limit {
            Limit::Idle(_) => expected,
            Limit::Whole { .. } => Expected::PeerToEnd,
        };
        Cause::TimedOut {
            offset: self.echoed,
            expected,
            waited: self.plan.limit.duration(),
        }
    }
}

fn at_most_chunk(len: u64) -> usize {
    usize::try_from(len).map_or(CHUNK, |len| len.min(CHUNK))
}

/// Most bytes handed to or taken from the socket at once.
const CHUNK: usize = 64 * 1024;
