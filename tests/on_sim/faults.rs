//! Each allocation and each provider call fails in turn, over whole lives of sockets: what fails
//! says so, nothing is left, nothing hangs, and what is tried again works.

use std::{net::SocketAddr, sync::Arc, sync::Mutex, time::Duration};

use crate::common::{address, buffer, passive};
use wsk::{
    AddressFamily, Ancillary, Buffer, BufferChain, ConnectionSocket, ControlData, DatagramEvents,
    DatagramIndication, DatagramSocket, ErrorKind, Executor, ListenSocket, Provider, Received,
    Registration, Result, RetainBudget, Spawner, Status, Version,
};
use wsk_sim::{Fault, Sim};

/// What went wrong in a run; a fault is meant to be seen by the caller.
type Seen = Arc<Mutex<Vec<wsk::Error>>>;

/// Every call on the way to an echo and back.
fn live(sim: &Sim) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let mut listener = ListenSocket::open(&provider, AddressFamily::Inet).wait(passive())?;
    listener.bind(address()).wait(passive())?;
    assert_eq!(listener.local_address().wait(passive())?, address());
    let peer = sim.connect(address()).expect("it listens");
    let mut connection = listener.accept().wait(passive())?.socket;
    peer.write_all(b"hello").expect("connected");
    let mut all = Vec::new();
    let mut free = Buffer::with_capacity(8)?;
    while all.len() < 5 {
        let (received, filled) = connection.receive(free).wait(passive());
        received?;
        all.extend_from_slice(&filled);
        free = filled;
    }
    assert_eq!(all, b"hello");
    free.clear();
    free.extend_from_slice(&all)?;
    let (sent, same) = connection.send(free).wait(passive());
    sent?;
    connection.disconnect().wait(passive())?;
    assert_eq!(peer.read_to_end().expect("a graceful end"), b"hello");
    peer.shut_down();
    let (ended, _) = connection.receive(same).wait(passive());
    assert_eq!(ended?, 0);
    connection.close().wait(passive())?;
    listener.close().wait(passive())
}

#[test]
fn fault_anywhere_in_a_life_is_an_error_that_says_so() {
    check_every_fault(live);
}

#[test]
fn fault_anywhere_in_the_life_of_a_client_is_an_error_that_says_so() {
    check_every_fault(live_as_client);
}

#[test]
fn fault_anywhere_in_a_life_with_datagrams_is_an_error_that_says_so() {
    check_every_fault(live_with_datagrams);
}

pub fn check_every_fault(life: fn(&Sim) -> Result<()>) {
    let runs: Arc<Mutex<Vec<Result<()>>>> = Arc::default();
    let seen = runs.clone();
    wsk_sim::every_fault(move |sim| {
        let result = life(sim);
        seen.lock().expect("not poisoned").push(result);
    });
    let runs = runs.lock().expect("not poisoned");
    let (first, failing) = runs.split_first().expect("a run without fault");
    assert_eq!(*first, Ok(()));
    assert!(
        failing.len() >= 12,
        "only {} places can fail",
        failing.len()
    );
    for result in failing {
        let error = result
            .as_ref()
            .expect_err("a failure that nobody was told of");
        assert!(is_the_fault(*error), "{error}");
    }
}

/// Every call on the way to somebody else's echo and back.
fn live_as_client(sim: &Sim) -> Result<()> {
    let server = sim.listen(address()).expect("nobody else listens");
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut connection = ConnectionSocket::open(&provider, AddressFamily::Inet).wait(passive())?;
    connection.bind(any).wait(passive())?;
    connection.connect(address()).wait(passive())?;
    let peer = server.accept();
    assert_eq!(connection.remote_address().wait(passive())?, address());
    let mut hello = Buffer::with_capacity(8)?;
    hello.extend_from_slice(b"hello")?;
    let (sent, hello) = connection.send(hello).wait(passive());
    assert_eq!(sent?, 5);
    assert_eq!(peer.read_exact(5).expect("sent"), b"hello");
    peer.write_all(b"echoed").expect("connected");
    peer.shut_down();
    let (received, echoed) = connection.receive_all(hello).wait(passive());
    received?;
    assert_eq!(echoed[..], *b"echoed");
    connection.disconnect().wait(passive())?;
    connection.close().wait(passive())
}

/// Every call of a datagram socket.
fn live_with_datagrams(sim: &Sim) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let inet = AddressFamily::Inet;
    let socket = DatagramSocket::open(&provider, inet).wait(passive())?;
    socket.bind(address()).wait(passive())?;
    assert_eq!(socket.local_address().wait(passive())?, address());
    let peer = sim
        .datagram_peer(([127, 0, 0, 1], 0).into())
        .expect("a free one");
    let remote = peer.local_addr();
    let receive = socket.receive_from(Buffer::with_capacity(8)?);
    peer.send_to(b"ping", address()).expect("sent");
    let (received, ping) = receive.wait(passive());
    assert_eq!((received?.remote, &ping[..]), (Some(remote), &b"ping"[..]));
    let hops = Ancillary {
        hop_limit: Some(3),
        ..Ancillary::default()
    };
    let control = ControlData::encode(inet, &hops)?;
    let (sent, ping) = socket.send_with(ping, remote, &control).wait(passive());
    sent?;
    assert_eq!(peer.receive().hops, Some(3));
    socket.set_send_to_address(Some(remote)).wait(passive())?;
    let mut chain = BufferChain::with_capacity(1)?;
    chain.push(ping).map_err(|(error, _buffer)| error)?;
    let (sent, _) = socket.send_messages(chain, None).wait(passive());
    sent?;
    assert_eq!(peer.receive_from().0, b"ping");
    socket.close().wait(passive())
}

/// Receiving by event.
fn live_with_events(sim: &Sim) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let inet = AddressFamily::Inet;
    let socket = DatagramSocket::open_with(&provider, inet, Consumer).wait(passive())?;
    socket.bind(address()).wait(passive())?;
    let peer = sim.datagram_peer(([127, 0, 0, 1], 0).into());
    let peer = peer.expect("a free one");
    socket.enable_receive_events()?;
    peer.send_to(b"event", address()).expect("sent");
    sim.sleep(Duration::from_secs(1));
    socket.disable_receive_events().wait(passive())?;
    socket.close().wait(passive())
}

struct Consumer;

impl DatagramEvents for Consumer {
    /// Retains it if there is memory for that, and else not.
    fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
        let Ok(budget) = RetainBudget::new(1000) else {
            return indication.consume();
        };
        match indication.retain(&budget) {
            Ok((received, _dropped)) => received,
            Err(indication) => indication.consume(),
        }
    }
}

/// What fails in the event is told to the handler only, and nothing is left in either case.
#[test]
fn allocation_failing_anywhere_around_events_leaves_nothing() {
    let allocations = wsk_sim::run(|sim| {
        live_with_events(sim).expect("nothing fails");
        sim.allocations()
    });
    let results: Vec<_> = (1..=allocations)
        .map(|number| {
            let builder = wsk_sim::builder().fail(Fault::Allocation, number);
            builder.run(live_with_events)
        })
        .collect();
    let failed: Vec<_> = results.iter().filter_map(|result| result.err()).collect();
    assert!(failed.iter().copied().all(is_the_fault), "{failed:?}");
    assert_eq!(failed.len() + 2, results.len(), "two are made in the event");
}

/// A capture that fails has no other status than that of a provider which is not ready.
pub fn is_the_fault(error: wsk::Error) -> bool {
    match error.call() {
        "WskCaptureProviderNPI" => error.kind() == ErrorKind::NotReady,
        _ => error.kind() == ErrorKind::OutOfMemory || error.status() == Status::UNSUCCESSFUL,
    }
}

/// A server on the executor, which serves until its sockets are closed; says what failed.
async fn serve(provider: Provider, spawner: Spawner, seen: Seen) -> Result<()> {
    let mut listener = ListenSocket::open(&provider, AddressFamily::Inet).await?;
    listener.bind(address()).await?;
    loop {
        let mut connection = listener.accept().await?.socket;
        let seen = seen.clone();
        spawner.spawn(async move {
            if let Err(error) = echo(&mut connection).await {
                seen.lock().expect("not poisoned").push(error);
            }
        })?;
    }
}

async fn echo(connection: &mut wsk::ConnectionSocket) -> Result<()> {
    let mut buffer = Buffer::with_capacity(16)?;
    loop {
        let (received, filled) = connection.receive(buffer).await;
        if received? == 0 {
            return connection.disconnect().await;
        }
        let (sent, same) = connection.send(filled).await;
        sent?;
        buffer = same;
    }
}

/// The server's driver, from start to unload; what fails at once is returned.
fn run_server(sim: &Sim, seen: &Seen) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let executor = Executor::new(2, passive())?;
    let (spawner, server_seen) = (executor.spawner(), seen.clone());
    executor.spawner().spawn(async move {
        let ended = serve(provider, spawner, server_seen.clone()).await;
        let error = ended.expect_err("it serves until it fails");
        server_seen.lock().expect("not poisoned").push(error);
    })?;
    // The server may not listen yet, or never; then nobody is served.
    sim.sleep(Duration::from_secs(1));
    if let Ok(peer) = sim.connect(address()) {
        let _ = peer.write_all(b"echo");
        let echoed = peer.read_exact(4);
        assert!(echoed.is_err() || echoed.is_ok_and(|bytes| b"echo".starts_with(&bytes)));
    }
    registration.close_sockets();
    executor.shutdown(passive());
    Ok(())
}

#[test]
fn fault_anywhere_in_a_server_is_seen_once_and_leaves_nothing() {
    wsk_sim::every_fault(|sim| {
        let seen = Seen::default();
        let failed = run_server(sim, &seen).err();
        // What the others see is that their socket is closed, or the peer gone.
        let seen = seen.lock().expect("not poisoned");
        let faults = seen.iter().copied().chain(failed).filter(|error| {
            let consequence = matches!(
                error.kind(),
                ErrorKind::Cancelled | ErrorKind::Closed | ErrorKind::ConnectionLost
            );
            assert!(consequence || is_the_fault(*error), "{error}");
            !consequence
        });
        assert!(faults.count() <= 1, "one fault, seen twice: {seen:?}");
    });
}

/// The calls of a driver's life whose single failure is told apart below.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failed {
    Earlier,
    Accept,
    Send,
    Receive,
    Later,
}

/// Has the `number`th provider call fail, and tries again what has failed; which was it?
fn try_again(number: u64) -> Failed {
    let builder = wsk_sim::builder().fail(Fault::ProviderCall, number);
    builder.run(|sim| {
        let Ok(registration) = Registration::register(Version::V1_0, passive()) else {
            return Failed::Earlier;
        };
        let Ok(mut listener) = listen(&registration) else {
            return Failed::Earlier;
        };
        let mut failed = Failed::Later;
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener.accept().wait(passive()).unwrap_or_else(|_| {
            failed = Failed::Accept;
            listener.accept().wait(passive()).expect("accepted")
        });
        assert_eq!(accepted.remote, Some(peer.addresses().0));
        let mut connection = accepted.socket;
        let (sent, mut same) = connection.send(buffer(b"again")).wait(passive());
        assert_eq!(same[..], *b"again");
        if sent.is_err() {
            failed = Failed::Send;
            let (sent, _) = connection.send(same).wait(passive());
            sent.expect("sent this time");
        }
        assert_eq!(peer.read_exact(5).expect("sent"), b"again");
        peer.write_all(b"x").expect("connected");
        let received;
        (received, same) = connection.receive(buffer(&[0])).wait(passive());
        if received.is_err() {
            failed = Failed::Receive;
            assert!(same.is_empty() && same.capacity() == 1);
            let received;
            (received, same) = connection.receive(same).wait(passive());
            received.expect("received this time");
        }
        assert_eq!(same[..], *b"x");
        assert_eq!(connection.requests_allocated(), 1);
        failed
    })
}

#[test]
fn request_that_failed_can_be_tried_again() {
    let mut failed = Vec::new();
    for nth in 1.. {
        match try_again(nth) {
            Failed::Later => break,
            Failed::Earlier => {}
            request => failed.push(request),
        }
    }
    assert_eq!(failed, [Failed::Accept, Failed::Send, Failed::Receive]);
}

/// A request for which there is no memory was never made, and what it was lent comes back.
#[test]
fn request_without_memory_gives_its_buffer() {
    wsk_sim::every_fault(|sim| {
        let Ok(buffer) = Buffer::with_capacity(32) else {
            return;
        };
        let Ok(registration) = Registration::register(Version::V1_0, passive()) else {
            return;
        };
        let Ok(connection) = connect(sim, &registration) else {
            return;
        };
        let (sent, same) = connection.send(buffer).wait(passive());
        assert_eq!(same.capacity(), 32);
        if let Err(error) = sent {
            assert_eq!(error.call(), "WskSend");
            assert!(is_the_fault(error), "{error}");
        }
        // Closing needs no memory, whatever failed before [wsk 10.9].
        connection.close().wait(passive()).expect("closed");
    });
}

fn listen(registration: &Registration) -> Result<ListenSocket> {
    let provider = registration.try_capture()?;
    let listener = ListenSocket::open(&provider, AddressFamily::Inet).wait(passive())?;
    listener.bind(address()).wait(passive())?;
    Ok(listener)
}

fn connect(sim: &Sim, registration: &Registration) -> Result<wsk::ConnectionSocket> {
    let mut listener = listen(registration)?;
    let peer = sim.connect(address()).expect("it listens");
    let accepted = listener.accept().wait(passive())?;
    drop(peer);
    Ok(accepted.socket)
}
