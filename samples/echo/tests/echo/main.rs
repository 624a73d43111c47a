//! The whole driver on the simulator: `DriverEntry` to `DriverUnload`, with clients on its virtual
//! network, over many schedules, and ordinary clients on the host's. The simulator checks at every
//! unload that nothing is left.

mod device;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wdk_sys::{STATUS_ADDRESS_ALREADY_EXISTS, STATUS_DEVICE_NOT_READY, STATUS_INVALID_PARAMETER};
use wsk_sim::{Driver, Peer, RegistryValue, Sim};

const SCHEDULES: u64 = 100;
const PARAMETERS: &str = r"\Registry\Machine\System\CurrentControlSet\Services\wsk_echo\Parameters";

/// The driver's statics are one for the image: one simulation at a time loads it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(sim: &Sim) -> Driver {
    sim.load("wsk_echo", wsk_echo::driver_entry)
        .expect("the driver starts")
}

fn connect(sim: &Sim, port: u16) -> Peer {
    sim.connect(SocketAddr::from(([127, 0, 0, 1], port)))
        .expect("the driver listens")
}

fn echo(client: &Peer, data: &[u8]) {
    client.write_all(data).expect("the connection holds");
    assert_eq!(
        client.read_exact(data.len()).expect("the connection holds"),
        data
    );
}

/// The last line that the driver printed.
fn last_line(sim: &Sim) -> String {
    sim.debug_output()
        .last()
        .expect("the driver prints")
        .trim_end()
        .to_owned()
}

#[test]
fn driver_serves_clients_and_unloads_with_nothing_left() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        for _ in 0..2 {
            let client = connect(sim, 40007);
            echo(&client, b"hello");
            echo(&client, &vec![7; 40_000]);
            client.shut_down();
            assert_eq!(client.read_to_end().expect("a graceful end"), b"");
        }
        driver.unload(sim);
        let line = last_line(sim);
        let counted = line.find(" refused=").expect("the counters");
        assert!(
            line.starts_with("wsk_echo: stopped: connections=2 "),
            "{line}"
        );
        assert_eq!(
            &line[counted..],
            " refused=0 operations=0 buffers=0 sockets=0 late_allocations=0"
        );
    });
}

#[test]
fn driver_with_busy_connections_unloads() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let clients: Vec<Peer> = (0..4).map(|_| connect(sim, 40007)).collect();
        for client in &clients {
            echo(client, b"busy");
            client.write_all(&[1; 1000]).expect("the connection holds");
        }
        driver.unload(sim);
        assert!(last_line(sim).ends_with(" operations=0 buffers=0 sockets=0 late_allocations=0"));
    });
}

#[test]
fn driver_survives_a_client_that_resets() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let client = connect(sim, 40007);
        client
            .write_all(b"half of a mess")
            .expect("the connection holds");
        client.reset();
        echo(&connect(sim, 40007), b"the next one is served");
        driver.unload(sim);
    });
}

#[test]
fn driver_refuses_connections_above_the_maximum() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        sim.set_registry_value(PARAMETERS, "MaxConnections", RegistryValue::Dword(1));
        let driver = load(sim);
        let first = connect(sim, 40007);
        echo(&first, b"served");
        // Refused at once, or reset before it gets a byte.
        if let Ok(second) = sim.connect(SocketAddr::from(([127, 0, 0, 1], 40007))) {
            assert!(second.read(1).is_err(), "refused");
        }
        echo(&first, b"still served");
        driver.unload(sim);
        assert!(last_line(sim).contains(" refused=1 "));
    });
}

#[test]
fn driver_reads_its_port_from_the_registry() {
    let _alone = alone();
    for value in [
        RegistryValue::Dword(5000),
        RegistryValue::String("5000".to_owned()),
    ] {
        wsk_sim::run(move |sim| {
            sim.set_registry_value(PARAMETERS, "Port", value);
            let driver = load(sim);
            echo(&connect(sim, 5000), b"here");
            driver.unload(sim);
        });
    }
}

#[test]
fn driver_with_a_port_that_makes_no_sense_does_not_start() {
    let _alone = alone();
    for value in [
        RegistryValue::Dword(0),
        RegistryValue::Dword(65_536),
        RegistryValue::String("http".to_owned()),
        RegistryValue::String(String::new()),
        RegistryValue::String("4294967296000000000000000000000000".to_owned()),
        RegistryValue::Binary(vec![1, 2, 3, 4]),
    ] {
        wsk_sim::run(move |sim| {
            sim.set_registry_value(PARAMETERS, "Port", value);
            let refused = sim.load("wsk_echo", wsk_echo::driver_entry).err();
            assert_eq!(refused, Some(STATUS_INVALID_PARAMETER));
            assert_eq!(
                last_line(sim),
                r"wsk_echo: start failed: Parameters\Port: STATUS_INVALID_PARAMETER (0xC000000D)"
            );
        });
    }
}

#[test]
fn driver_on_a_busy_port_does_not_start() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let _listener = sim
            .listen(SocketAddr::from(([127, 0, 0, 1], 40007)))
            .expect("free");
        let refused = sim.load("wsk_echo", wsk_echo::driver_entry).err();
        assert_eq!(refused, Some(STATUS_ADDRESS_ALREADY_EXISTS));
    });
}

#[test]
fn driver_without_a_provider_does_not_wait_for_ever() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        sim.provider_never_ready();
        let refused = sim.load("wsk_echo", wsk_echo::driver_entry).err();
        assert_eq!(refused, Some(STATUS_DEVICE_NOT_READY));
    });
}

/// What an ordinary client gets back for `data`, until the driver has ended the connection as well.
fn echo_to_ordinary_client(address: SocketAddr, data: Vec<u8>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the driver listens");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a time limit");
    let mut sender = stream.try_clone().expect("a second handle");
    let sending = std::thread::spawn(move || {
        sender.write_all(&data).expect("the connection holds");
        sender.shutdown(Shutdown::Write).expect("connected");
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("a graceful end");
    sending.join().expect("all was sent");
    received
}

#[test]
fn driver_serves_ordinary_clients_of_the_host_and_unloads() {
    const CLIENTS: u8 = 4;
    let _alone = alone();
    wsk_sim::builder().host_network().run(|sim| {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let port = RegistryValue::Dword(address.port().into());
        sim.set_registry_value(PARAMETERS, "Port", port);
        let driver = load(sim);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|i| {
                let data: Vec<u8> = (0..=248_u8).cycle().take(200_000).map(|n| n ^ i).collect();
                std::thread::spawn(move || {
                    assert!(echo_to_ordinary_client(address, data.clone()) == data);
                })
            })
            .collect();
        for client in clients {
            sim.outside(|| client.join()).expect("every byte came back");
        }
        driver.unload(sim);
        let line = last_line(sim);
        assert!(line.contains(": connections=4 "), "{line}");
        assert!(line.ends_with(" operations=0 buffers=0 sockets=0 late_allocations=0"));
    });
}

#[test]
fn driver_with_any_failing_call_or_allocation_leaves_nothing() {
    let _alone = alone();
    wsk_sim::every_fault(|sim| {
        let Ok(driver) = sim.load("wsk_echo", wsk_echo::driver_entry) else {
            return;
        };
        if let Ok(client) = sim.connect(SocketAddr::from(([127, 0, 0, 1], 40007))) {
            let _ = client.write_all(b"hello");
            let _ = client.read_exact(5);
        }
        driver.unload(sim);
    });
}
