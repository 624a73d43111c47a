//! The whole driver on the simulator: `DriverEntry` to `DriverUnload`, with clients from many
//! addresses on its virtual network, over many schedules, and ordinary clients on the host's. The
//! simulator checks at every unload that nothing is left.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use wdk_sys::NTSTATUS;
use wsk_gate::interface::{COUNTERS_LENGTH, Counter, READ_COUNTERS};
use wsk_sim::{Connecting, Driver, Peer, RegistryValue, Sim};

mod bad_values;
mod counters;
mod decisions;
mod disturbances;
mod host;

const SCHEDULES: u64 = 100;
const PORT: u16 = 40008;
const PARAMETERS: &str = r"\Registry\Machine\System\CurrentControlSet\Services\wsk_gate\Parameters";
const DEVICE: &str = r"\DosDevices\WskGate";

/// The driver's statics are one for the image: one simulation at a time loads it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(sim: &Sim) -> Driver {
    sim.load("wsk_gate", wsk_gate::driver_entry)
        .expect("the driver starts")
}

fn set(sim: &Sim, name: &str, value: RegistryValue) {
    sim.set_registry_value(PARAMETERS, name, value);
}

fn set_prefixes(sim: &Sim, name: &str, prefixes: &[&str]) {
    let texts = prefixes.iter().map(|text| (*text).to_owned()).collect();
    set(sim, name, RegistryValue::MultiString(texts));
}

fn set_rate(sim: &Sim, limit: u32, seconds: u32) {
    set(sim, "RateLimit", RegistryValue::Dword(limit));
    set(sim, "RateSeconds", RegistryValue::Dword(seconds));
}

/// The address of this host, of the many that it has, with this last byte.
fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn service() -> SocketAddr {
    SocketAddr::new(host(1), PORT)
}

fn begin(sim: &Sim, source: IpAddr) -> Connecting {
    let service = match source {
        IpAddr::V4(_) => service(),
        IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), PORT),
    };
    sim.begin_to_connect_from(source, service)
        .expect("an address of this host")
}

fn connect(sim: &Sim, source: IpAddr) -> Result<Peer, NTSTATUS> {
    begin(sim, source).finish()
}

/// Reads the line that says that the client is let in, and has `data` echoed.
fn is_served(client: &Peer, data: &[u8]) {
    let line = format!("admitted {}\n", client.addresses().0);
    let answer = client.read_exact(line.len()).expect("connected");
    assert_eq!(answer, line.as_bytes());
    client.write_all(data).expect("connected");
    assert_eq!(client.read_exact(data.len()).expect("connected"), data);
}

/// Ends a connection gracefully, from both sides.
fn end(client: &Peer) {
    client.shut_down();
    assert_eq!(client.read_to_end().expect("a graceful end"), b"");
}

/// What the device tells.
fn counters(sim: &Sim) -> [u64; Counter::ALL.len()] {
    let device = sim.open_device(DEVICE).expect("the device is there");
    let mut buffer = [0; COUNTERS_LENGTH];
    let length = device.control(READ_COUNTERS, &mut buffer, 0);
    assert_eq!(length, Ok(COUNTERS_LENGTH));
    device.close().expect("closed");
    let mut numbers = buffer
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    std::array::from_fn(|_| numbers.next().expect("one for each counter"))
}

/// Unloads the driver; it says that nothing is left.
fn unload(driver: Driver, sim: &Sim) {
    driver.unload(sim);
    let line = last_line(sim);
    assert!(line.starts_with("wsk_gate: stopped: inspected="), "{line}");
    assert!(
        line.ends_with(" operations=0 buffers=0 sockets=0"),
        "{line}"
    );
}

/// The last line that the driver printed.
fn last_line(sim: &Sim) -> String {
    let output = sim.debug_output();
    let line = output.last().expect("the driver prints");
    line.trim_end().to_owned()
}
