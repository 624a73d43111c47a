//! How fast the simulator is: completed WSK requests and whole simulations for each second of one
//! core.
//!
//! Run it with `cargo xtask sim-bench`. The requests are those of a driver in the manner of C: an
//! IRP for each call, an event that its completion sets, a wait for that event. Schedules are those
//! of any test: half of the requests pend, completions come at either IRQL, data comes in pieces.

// The client is the one of the tests, of which this needs a part.
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/common.rs"]
mod common;

use std::process::ExitCode;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use common::{Client, Io, Memory, Socket};
use wsk_sim::{Peer, Sim, seeds};
use wsk_sys::WSK_FLAG_WAITALL;

/// Round trips in one simulation; enough that setting up does not count.
const ROUNDS: u32 = 20_000;

/// Requests for each second of one core, at least.
const FIGURE: f64 = 200_000.0;

fn main() -> ExitCode {
    let rates = [
        measure("requests, echo of 64 bytes with a peer", 10, echo),
        measure("requests, between two sockets of one driver", 10, pair),
    ];
    measure(
        "simulations, each with one connection served",
        50_000,
        serve,
    );
    if rates.iter().all(|rate| *rate >= FIGURE) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: fewer than {FIGURE} requests a second; was this built for release?");
    ExitCode::FAILURE
}

/// Runs one simulation under each of so many seeds, and prints how much of what it counts was done
/// in a second of processor time, which other processes do not change.
fn measure(what: &str, schedules: u64, count: fn(&Sim) -> u32) -> f64 {
    static TOTAL: AtomicU32 = AtomicU32::new(0);
    TOTAL.store(0, Relaxed);
    let (start, used) = (Instant::now(), processor_time());
    seeds(schedules, move |sim| {
        TOTAL.fetch_add(count(sim), Relaxed);
    });
    let (used, time) = (processor_time() - used, start.elapsed().as_secs_f64());
    let total = f64::from(TOTAL.load(Relaxed));
    let rate = total / used;
    println!(
        "{what}: {rate:.0} a second of processor time \
         ({total} in {used:.2} s; {time:.2} s of real time)"
    );
    rate
}

/// The processor time of this process so far, in seconds. Linux counts in steps of 10 ms.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this runs on Linux");
    let (_, fields) = stat
        .rsplit_once(')')
        .expect("the name of the program ends with )");
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = fields
        .map(|field| field.parse::<u32>().expect("a number"))
        .sum();
    f64::from(ticks) / 100.0
}

/// A listening socket of the driver, a connection that it has accepted, and its other end.
fn accept(sim: &Sim, client: &Client, io: &mut Io) -> (Socket, Socket, Peer) {
    let listener = client.listener(io, "127.0.0.1:7");
    let peer = sim.connect("127.0.0.1:7".parse().unwrap()).unwrap();
    let (status, socket) = listener.accept(io);
    assert_eq!(status, 0);
    (listener, Socket::new(socket), peer)
}

/// The driver echoes what a peer sends: a receive and a send for each round.
fn echo(sim: &Sim) -> u32 {
    let (client, mut io) = (Client::new(), Io::new());
    let (listener, socket, peer) = accept(sim, &client, &mut io);
    let user = sim.spawn(move || {
        for _ in 0..ROUNDS {
            peer.write_all(&[7; 64]).unwrap();
            assert_eq!(peer.read_exact(64).unwrap(), [7; 64]);
        }
    });
    let memory = Memory::new(64);
    for _ in 0..ROUNDS {
        let received = io.call(|irp| socket.start_receive(&memory, WSK_FLAG_WAITALL, irp));
        assert_eq!(received, (0, 64));
        assert_eq!(io.call(|irp| socket.start_send(&memory, irp)).0, 0);
    }
    user.join();
    socket.close(&mut io);
    listener.close(&mut io);
    2 * ROUNDS
}

/// One thread sends on one socket and receives on another: two requests for each round.
fn pair(_: &Sim) -> u32 {
    let (client, mut io) = (Client::new(), Io::new());
    let listener = client.listener(&mut io, "127.0.0.1:7");
    let sender = client.connection(&mut io, "127.0.0.1:0");
    let address = "127.0.0.1:7".parse().unwrap();
    assert_eq!(sender.connect(&mut io, address).0, 0);
    let (status, receiver) = listener.accept(&mut io);
    assert_eq!(status, 0);
    let (receiver, memory) = (Socket::new(receiver), Memory::new(64));
    for _ in 0..ROUNDS {
        assert_eq!(io.call(|irp| sender.start_send(&memory, irp)).0, 0);
        let outcome = io.call(|irp| receiver.start_receive(&memory, WSK_FLAG_WAITALL, irp));
        assert_eq!(outcome, (0, 64));
    }
    for socket in [sender, receiver, listener] {
        socket.close(&mut io);
    }
    2 * ROUNDS
}

/// What a small test does: registers, listens, serves one connection, and closes everything.
fn serve(sim: &Sim) -> u32 {
    let (client, mut io) = (Client::new(), Io::new());
    let (listener, socket, peer) = accept(sim, &client, &mut io);
    peer.write_all(b"hello").unwrap();
    let hello = socket.receive(&mut io, 5).unwrap();
    assert_eq!(socket.send(&mut io, &hello).0, 0);
    assert_eq!(peer.read_exact(hello.len()).unwrap(), hello);
    socket.close(&mut io);
    listener.close(&mut io);
    1
}
