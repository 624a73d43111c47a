//! `wsk-gate-counters`: asks the driver `wsk_gate.sys` for its counters and prints them, a line
//! `name=number` for each.
//!
//! An ordinary program for Windows, which also runs in Wine. It shares with the driver the file
//! that says what the device understands, and nothing else.

use std::io;
use std::process::ExitCode;

#[cfg(windows)]
mod device;
#[path = "../../src/interface.rs"]
mod interface;

use interface::{COUNTERS_LENGTH, Counter, DEVICE};

fn main() -> ExitCode {
    match ask() {
        Ok(bytes) => {
            for (number, counter) in bytes.chunks_exact(8).zip(Counter::ALL) {
                let number = number.try_into().map_or(0, u64::from_le_bytes);
                println!("{}={number}", counter.name());
            }
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
        io::ErrorKind::NotFound => "is the driver started (sc query wsk_gate)?",
        io::ErrorKind::PermissionDenied => "does this program run as an administrator?",
        io::ErrorKind::Unsupported => "run it on Windows, or in Wine",
        _ => "is the driver of the same version as this program?",
    }
}

#[cfg(windows)]
fn ask() -> io::Result<[u8; COUNTERS_LENGTH]> {
    let device = std::fs::File::open(DEVICE)?;
    let mut bytes = [0; COUNTERS_LENGTH];
    let length = device::control(&device, interface::READ_COUNTERS, &mut bytes)?;
    if length != COUNTERS_LENGTH {
        return Err(io::Error::other(format!("{length} bytes came back")));
    }
    Ok(bytes)
}

/// There are no such devices elsewhere.
#[cfg(not(windows))]
fn ask() -> io::Result<[u8; COUNTERS_LENGTH]> {
    let code = interface::READ_COUNTERS;
    let what = format!("control code {code:#x} is for a device of Windows");
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}
