//! `wsk-echo-file`: writes to the device of the driver `wsk_echo.sys`, reads what comes back, and
//! compares. Prints `messages=NUMBER bytes=NUMBER`.
//!
//! An ordinary program for Windows, which also runs in Wine; it knows the name of the device, and
//! that what is written comes back to be read. Two files are open at a time, so that their data
//! could be mixed up.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::ExitCode;

const DEVICE: &str = r"\\.\WskEcho";
const MESSAGES: usize = 200;
/// The longest message; the others are shorter, down to one byte.
const LONGEST: usize = 16 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(bytes) => {
            println!("messages={MESSAGES} bytes={bytes}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {DEVICE}: {error}\n  check: {}", advice(&error));
            ExitCode::FAILURE
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "is this Windows, or Wine, and the driver started?",
        io::ErrorKind::PermissionDenied => "does this program run as an administrator?",
        _ => "is the driver being stopped, or above its maximum of connections?",
    }
}

fn run() -> io::Result<usize> {
    let open = || OpenOptions::new().read(true).write(true).open(DEVICE);
    let mut files = [open()?, open()?];
    let mut bytes = 0;
    for number in 0..MESSAGES {
        let message = message(number);
        echo(&mut files[number % 2], &message)?;
        bytes += message.len();
    }
    Ok(bytes)
}

/// A message that differs from those before and after it in length and content.
fn message(number: usize) -> Vec<u8> {
    let length = 1 + number * number * 7 % LONGEST;
    let bytes = (number..).map(|value| u8::try_from(value * 31 % 251).unwrap_or(0));
    bytes.take(length).collect()
}

fn echo(file: &mut File, message: &[u8]) -> io::Result<()> {
    file.write_all(message)?;
    let mut back = vec![0; message.len()];
    file.read_exact(&mut back)?;
    if back == message {
        return Ok(());
    }
    let place = back
        .iter()
        .zip(message)
        .position(|(one, other)| one != other);
    let (place, length) = (place.unwrap_or(0), message.len());
    let what = format!("byte {place} of a message of {length} came back changed");
    Err(io::Error::other(what))
}
