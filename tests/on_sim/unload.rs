//! Loading and unloading a driver: what is open, in flight or abandoned at unload is gone when
//! `DriverUnload` returns, since the image goes away then. The simulator checks it at that moment.

// UNSAFETY: a driver's entry point and unload routine.
#![expect(unsafe_code, reason = "entry point and unload routine of a driver")]

use std::{cell::RefCell, sync::Arc};

use wsk::{AddressFamily, DatagramSocket, ListenSocket};
use wsk_sim::Sim;
use wsk_sys::wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS};

use crate::common::{Client, Wakes, address, buffer, passive, poll};

const SCHEDULES: u64 = 1000;

std::thread_local! {
    /// The driver's state. Each simulation loads and unloads on a thread of its own.
    static DRIVER: RefCell<Option<Client>> = const { RefCell::new(None) };
}

unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    _registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the I/O manager passes the driver object, which is this driver's alone here.
    let driver: &mut DRIVER_OBJECT = unsafe { &mut *driver };
    driver.DriverUnload = Some(driver_unload);
    DRIVER.set(Some(Client::new()));
    STATUS_SUCCESS
}

unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    let client = DRIVER.take().expect("loaded");
    client.registration.close_sockets();
    client.end();
}

/// Loads a driver, has it do something, and unloads it, on many schedules.
fn unload_after(work: fn(&Sim, &Client)) {
    wsk_sim::seeds(SCHEDULES, move |sim| {
        let driver = sim.load("unload", driver_entry).expect("it starts");
        DRIVER.with_borrow(|client| work(sim, client.as_ref().expect("loaded")));
        driver.unload(sim);
    });
}

#[test]
fn unload_after_nothing_leaves_nothing() {
    unload_after(|_, _| {});
}

#[test]
fn unload_after_an_abandoned_open_leaves_nothing() {
    unload_after(|_, client| {
        drop(ListenSocket::open(&client.provider, AddressFamily::Inet));
    });
}

#[test]
fn unload_after_an_abandoned_accept_leaves_nothing() {
    unload_after(|sim, client| {
        let mut listener = client.listen();
        let wakes = Arc::new(Wakes::default());
        let _ = poll(&mut listener.accept(), &wakes);
        let peer = sim.connect(address());
        drop(listener);
        drop(peer);
    });
}

#[test]
fn unload_after_dropped_sockets_leaves_nothing() {
    unload_after(|sim, client| {
        let (mut connection, peer) = client.connect(sim);
        drop(connection.receive(buffer(&[0; 16])));
        drop(connection.send(buffer(b"on its way")));
        drop(connection);
        drop(peer);
    });
}

#[test]
fn unload_after_a_dropped_datagram_socket_leaves_nothing() {
    unload_after(|sim, client| {
        let socket = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let socket = socket.wait(passive()).expect("opened");
        socket.bind(address()).wait(passive()).expect("bound");
        let peer = sim
            .datagram_peer(([127, 0, 0, 1], 0).into())
            .expect("a free one");
        drop(socket.receive_from(buffer(&[0; 16])));
        peer.send_to(b"for nobody", address()).expect("sent");
        drop(socket.receive_from(buffer(&[0; 16])));
        drop(socket.send_to(buffer(b"on its way"), peer.local_addr()));
        drop(socket);
    });
}

#[test]
fn unload_after_an_abandoned_open_of_a_datagram_socket_leaves_nothing() {
    unload_after(|_, client| {
        drop(DatagramSocket::open(&client.provider, AddressFamily::Inet6));
    });
}

#[test]
fn unload_with_a_forgotten_listener_closes_it() {
    unload_after(|_, client| {
        // Its memory is the leak that forgetting asks for; see `every_way`. Here it is kept.
        let listener = client.listen();
        let closer = listener.closer();
        drop(listener);
        closer.close();
    });
}
