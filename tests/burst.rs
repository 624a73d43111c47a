//! A thousand connections at the same moment, through the host's network, are accepted without
//! loss: by call and by event.
//!
//! The clients are threads that start together, each with a number of its own, which it sends and
//! waits to be answered. Where the limit of open files is too low and cannot be raised, the test
//! says so and counts as ignored.

#[path = "on_sim/common.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod common;

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Barrier},
    thread::JoinHandle,
    time::Instant,
};

use common::{Client, buffer, passive};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wsk::{
    Accepted, AddressFamily, Backlog, ConnectionEventSet, ConnectionSocket, ListenSocket, WhenFull,
};
use wsk_sim::Sim;

const CONNECTIONS: u16 = 1000;
/// Both ends are in this process.
const FILES_NEEDED: u64 = 2 * CONNECTIONS as u64 + 100;
const STACK: usize = 64 << 10;

fn main() {
    let mut arguments = Arguments::from_args();
    // One after the other: the files of one are enough.
    arguments.test_threads = Some(1);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit can be raised to the most");
    if most < FILES_NEEDED {
        eprintln!(
            "ignored: {CONNECTIONS} connections need {FILES_NEEDED} open files, and the limit of \
             {most} cannot be raised\n  what to do: ulimit -Hn {FILES_NEEDED}, as root"
        );
    }
    let trials = [
        Trial::test("burst_of_connects_is_accepted_by_call", by_call),
        Trial::test("burst_of_connects_is_accepted_by_event", by_event),
    ];
    let ignored = most < FILES_NEEDED;
    let trials = trials.map(|trial| trial.with_ignored_flag(ignored));
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// Every client connects at the same moment, sends its number and waits for a byte.
fn start_clients(target: SocketAddr) -> Vec<JoinHandle<()>> {
    let together = Arc::new(Barrier::new(CONNECTIONS.into()));
    let start = |number: u16| {
        let together = together.clone();
        let client = move || {
            together.wait();
            let mut stream = TcpStream::connect(target).expect("accepted");
            stream.write_all(&number.to_le_bytes()).expect("connected");
            let mut answer = [0];
            stream.read_exact(&mut answer).expect("answered");
        };
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn(client).expect("a thread")
    };
    (0..CONNECTIONS).map(start).collect()
}

fn address_of(listener: &ListenSocket) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(any).wait(passive()).expect("bound");
    listener.local_address().wait(passive()).expect("bound")
}

/// Asks for the number, and answers.
fn serve(connection: &mut ConnectionSocket) -> u16 {
    let (received, bytes) = connection.receive_exact(buffer(&[0; 2])).wait(passive());
    assert_eq!(received.expect("sent"), 2);
    let number = u16::from_le_bytes([bytes[0], bytes[1]]);
    let (sent, _) = connection.send(buffer(b"!")).wait(passive());
    assert_eq!(sent.expect("connected"), 1);
    number
}

/// Takes them all before one is served, so that all of them are there at once.
fn take_all(sim: &Sim, target: SocketAddr, mut next: impl FnMut() -> Accepted) -> String {
    let began = Instant::now();
    let clients = start_clients(target);
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| next()).collect();
    let accepted = began.elapsed();
    let numbers = connections.iter_mut();
    let numbers: HashSet<_> = numbers.map(|one| serve(&mut one.socket)).collect();
    assert_eq!(numbers.len(), usize::from(CONNECTIONS), "lost or doubled");
    sim.outside(|| {
        for client in clients {
            client.join().expect("the client succeeds");
        }
    });
    let served = began.elapsed();
    format!("{CONNECTIONS} connections accepted in {accepted:.1?}, all answered after {served:.1?}")
}

#[expect(clippy::unnecessary_wraps, reason = "what the runner asks for")]
fn by_call() -> Result<(), Failed> {
    wsk_sim::builder().host_network().run(|sim| {
        let client = Client::new();
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let mut listener = opening.wait(passive()).expect("opened");
        let target = address_of(&listener);
        let facts = take_all(sim, target, || {
            listener.accept().wait(passive()).expect("accepted")
        });
        println!("facts: by call: {facts}");
        drop(listener);
        client.end();
    });
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "what the runner asks for")]
fn by_event() -> Result<(), Failed> {
    wsk_sim::builder().host_network().run(|sim| {
        let client = Client::new();
        let room = usize::from(CONNECTIONS);
        let (backlog, mut connections) = Backlog::new(room, WhenFull::Refuse).expect("memory");
        let opening = ListenSocket::open_with(&client.provider, AddressFamily::Inet, backlog);
        let listener = opening.wait(passive()).expect("opened");
        let target = address_of(&listener);
        let nothing = ConnectionEventSet::empty();
        listener.enable_accept_events(nothing).expect("bound");
        let facts = take_all(sim, target, || {
            connections
                .wait_next(passive())
                .expect("the listener is open")
        });
        println!("facts: by event: {facts}");
        drop((listener, connections));
        client.end();
    });
    Ok(())
}
