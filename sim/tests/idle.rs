//! Ten thousand connections at once through the host's network, each with a receive pending.
//!
//! The clients are a process of their own, this program again, so that each end has its own limit
//! of open files. Where that limit is too low and cannot be raised, the test says so and counts as
//! ignored.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(
    unsafe_code,
    reason = "a client in the manner of C, with an IRP and a buffer for each of its connections"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wdk_sys::{STATUS_PENDING, STATUS_SUCCESS};

use common::{Address, Client, Io, Memory, Socket};

#[path = "it/common.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod common;

const CONNECTIONS: usize = 10_000;
/// What else may be open.
const OTHER_FILES: u64 = 100;
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Tells the clients' process where to connect to.
const TARGET: &str = "WSK_SIM_IDLE_TARGET";

fn main() {
    let limit = raise_file_limit();
    if let Ok(target) = std::env::var(TARGET) {
        return clients(target.parse().expect("an address"));
    }
    let arguments = Arguments::from_args();
    let needed = CONNECTIONS as u64 + OTHER_FILES;
    if limit < needed {
        eprintln!(
            "ignored: {CONNECTIONS} connections need {needed} open files, and the limit of {limit} \
             cannot be raised\n  what to do: ulimit -Hn {needed}, as root"
        );
    }
    let name = "idle_connections_10000_each_with_a_receive_pending_are_served";
    let trial = Trial::test(name, served).with_ignored_flag(limit < needed);
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

/// Raises the limit of open files as far as it goes.
fn raise_file_limit() -> u64 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit can be raised to the most");
    most
}

/// Connects, says so, and sends a byte on each connection when it is told to.
fn clients(target: SocketAddr) {
    let streams: Vec<_> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(target).expect("the listener accepts"))
        .collect();
    println!("connected");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a word");
    for mut stream in &streams {
        stream.write_all(b"!").expect("the connection holds");
    }
    // Until the other side is through.
    std::io::stdin().read_line(&mut line).expect("the end");
}

/// The clients' process. Dropping it ends it.
struct Clients(Child);

impl Clients {
    fn start(target: SocketAddr) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let child = Command::new(program)
            .env(TARGET, target.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("this program can be started again"))
    }

    fn wait_until_connected(&mut self) {
        let output = self.0.stdout.take().expect("standard output is a pipe");
        let line = BufReader::new(output).lines().next();
        let line = line.expect("the clients did not connect");
        assert_eq!(line.expect("text"), "connected");
    }

    fn send(&mut self) {
        let input = self.0.stdin.as_mut().expect("standard input is a pipe");
        input.write_all(b"go\n").expect("the clients wait");
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It has ended by itself, or was told to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection with a receive pending.
struct Connection {
    socket: Socket,
    io: Io,
    memory: Memory,
}

fn accept(listener: Socket, io: &mut Io) -> Connection {
    let (status, socket) = listener.accept(io);
    assert_eq!(status, STATUS_SUCCESS);
    let mut connection = Connection {
        socket: Socket::new(socket),
        io: Io::new(),
        memory: Memory::new(1),
    };
    let irp = connection.io.prepare();
    let returned = connection.socket.start_receive(&connection.memory, 0, irp);
    assert_eq!(returned, STATUS_PENDING, "nothing was sent");
    connection
}

#[expect(clippy::unnecessary_wraps, reason = "what the runner asks for")]
fn served() -> Result<(), Failed> {
    let began = Instant::now();
    // One schedule, without the cost of a backtrace for each object.
    wsk_sim::builder().host_network().seeds(1, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = client.listener(&mut io, "127.0.0.1:0");
        let get = listener.listen_table().WskGetLocalAddress.unwrap();
        let mut local = Box::new(Address([0; 28]));
        // SAFETY: a complete request.
        let outcome = io.call(|irp| unsafe { get(listener.0, local.pointer(), irp) });
        assert_eq!(outcome.0, STATUS_SUCCESS);

        let began = Instant::now();
        let mut clients = Clients::start(SocketAddr::from(([127, 0, 0, 1], local.port())));
        let mut open: Vec<_> = (0..CONNECTIONS)
            .map(|_| accept(listener, &mut io))
            .collect();
        sim.outside(|| clients.wait_until_connected());
        let accepted = began.elapsed();
        clients.send();
        for connection in &mut open {
            assert_eq!(connection.io.wait(), (STATUS_SUCCESS, 1));
            assert_eq!(connection.memory.read(1), b"!");
        }
        let served = began.elapsed();
        for connection in open {
            connection.socket.close(&mut io);
        }
        listener.close(&mut io);
        println!(
            "facts: {CONNECTIONS} connections accepted in {accepted:.1?}, a byte received on each \
             after {served:.1?}, all closed after {:.1?}",
            began.elapsed()
        );
    });
    let took = began.elapsed();
    assert!(took < LIMIT, "it took {took:.1?}, more than {LIMIT:?}");
    Ok(())
}
