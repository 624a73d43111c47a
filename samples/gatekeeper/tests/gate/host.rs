//! Ordinary clients of the host, which has all addresses of 127.0.0.0/8.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use wsk_sim::{RegistryValue, Sim};

use super::{alone, counters, host, load, set, set_prefixes, set_rate, unload};

const LIMIT: Duration = Duration::from_secs(20);

fn connect(source: IpAddr, service: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(service), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&service.into(), LIMIT)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Connects, sends `data` and all, and returns what comes back until the driver has ended the
/// connection.
fn exchange(source: IpAddr, service: SocketAddr, data: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(source, service)?;
    stream.write_all(data)?;
    stream.shutdown(Shutdown::Write)?;
    let expected = format!("admitted {}\n", stream.local_addr()?);
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    let echoed = received.strip_prefix(expected.as_bytes());
    assert!(received.is_empty() || echoed.is_some(), "{received:?}");
    Ok(echoed.unwrap_or_default().to_vec())
}

/// Whether a client from `source` is served; every byte has to come back then. A client that is
/// refused may see its connection established and reset: the host's network does that by itself.
fn is_served(source: IpAddr, service: SocketAddr) -> bool {
    let data: Vec<u8> = (0..=248_u8).cycle().take(10_000).collect();
    match exchange(source, service, &data) {
        Ok(echoed) if echoed.is_empty() => false,
        Ok(echoed) => {
            assert!(echoed == data);
            true
        }
        Err(error) => {
            let kind = error.kind();
            let refused = [
                io::ErrorKind::ConnectionRefused,
                io::ErrorKind::ConnectionReset,
                io::ErrorKind::BrokenPipe,
                io::ErrorKind::NotConnected,
            ];
            assert!(refused.contains(&kind), "{error}");
            false
        }
    }
}

/// An address at which nobody listens, which the driver is told to use.
fn free_service(sim: &Sim) -> SocketAddr {
    let free = TcpListener::bind((host(1), 0)).expect("a free port");
    let service = free.local_addr().expect("it is bound");
    let port = RegistryValue::Dword(service.port().into());
    set(sim, "Port", port);
    service
}

#[test]
fn ordinary_clients_are_served_or_refused_by_their_addresses() {
    let _alone = alone();
    wsk_sim::builder().host_network().run(|sim| {
        set_prefixes(sim, "Deny", &["127.0.0.3", "127.0.0.128/25"]);
        let service = free_service(sim);
        let driver = load(sim);
        let clients = [(1, true), (2, true), (3, false), (4, true), (129, false)];
        let clients = clients.map(|(last, served)| {
            std::thread::spawn(move || assert_eq!(is_served(host(last), service), served))
        });
        for client in clients {
            sim.outside(|| client.join()).expect("as the rules say");
        }
        let [inspected, accepted, by_rule, .., served, bytes] = counters(sim);
        assert_eq!((inspected, accepted, by_rule), (5, 3, 2));
        assert_eq!((served, bytes), (3, 30_000));
        unload(driver, sim);
    });
}

#[test]
fn ordinary_clients_above_their_rate_are_refused() {
    let _alone = alone();
    wsk_sim::builder().host_network().run(|sim| {
        set_rate(sim, 2, 3600);
        let service = free_service(sim);
        let driver = load(sim);
        for (last, served) in [(1, true), (1, true), (1, false), (2, true), (1, false)] {
            let client = std::thread::spawn(move || is_served(host(last), service));
            let was_served = sim
                .outside(|| client.join())
                .expect("it is served or refused");
            assert_eq!(was_served, served, "127.0.0.{last}");
        }
        let [inspected, accepted, by_rule, by_rate, pended, ..] = counters(sim);
        assert_eq!((inspected, accepted, by_rule), (5, 3, 0));
        assert_eq!((by_rate, pended), (2, 5));
        unload(driver, sim);
    });
}
