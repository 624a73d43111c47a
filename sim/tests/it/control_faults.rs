//! Control operations that fail for want of resources: each in turn, and nothing is left of it.

use crate::common::{Client, Io, Socket};
use crate::control::{Control, Making, set_number};
use crate::descriptors::{Descriptor, cache, release};
use core::ptr;
use wdk_sys::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use wsk_sys::{
    NPI_WSK_INTERFACE_ID, SIO_ADDRESS_LIST_QUERY, SIO_WSK_QUERY_INSPECT_ID, SO_KEEPALIVE,
    SO_WSK_SECURITY, SOL_SOCKET, WSK_EVENT_ACCEPT, WSK_FLAG_CONNECTION_SOCKET,
    WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR, WSK_TRANSPORT_LIST_CHANGE,
    WSK_TRANSPORT_LIST_QUERY,
};

/// Either what it ends with otherwise, or the failure that is injected.
fn check(status: NTSTATUS, otherwise: NTSTATUS) {
    let known = [
        otherwise,
        STATUS_INSUFFICIENT_RESOURCES,
        STATUS_UNSUCCESSFUL,
    ];
    assert!(known.contains(&status), "{status:#x}");
}

#[test]
fn operation_that_fails_leaves_nothing_behind() {
    wsk_sim::every_fault(|_| {
        let Some(mut io) = Io::new_unless_out_of_memory() else {
            return;
        };
        let Some(client) = Client::try_new() else {
            return;
        };
        on_client(&client, &mut io);
        let making = Making::new(WSK_FLAG_CONNECTION_SOCKET, false);
        let (status, socket) = making.try_make(&client, &mut io);
        if status == STATUS_SUCCESS {
            let socket = Socket::new(socket);
            on_socket(&client, socket, &mut io);
            socket.close(&mut io);
        }
    });
}

fn on_client(client: &Client, io: &mut Io) {
    let mut query = Control::ioctl(WSK_TRANSPORT_LIST_QUERY);
    check(query.on_client(client), STATUS_BUFFER_OVERFLOW);
    let npi = ptr::from_ref(&NPI_WSK_INTERFACE_ID);
    let events = crate::control::event_control(npi, WSK_EVENT_ACCEPT);
    let mut set = Control::ioctl(WSK_SET_STATIC_EVENT_CALLBACKS).input(&events);
    check(set.on_client(client), STATUS_SUCCESS);
    let mut tdi = Control::ioctl(WSK_TDI_BEHAVIOR).input(&1_u32.to_ne_bytes());
    check(tdi.on_client(client), STATUS_SUCCESS);
    let mut change = Control::ioctl(WSK_TRANSPORT_LIST_CHANGE);
    let irp = io.prepare();
    change.start_on_client(client, ptr::null_mut(), irp);
    io.cancel();
    check(io.wait().0, wdk_sys::STATUS_CANCELLED);
}

fn on_socket(client: &Client, socket: Socket, io: &mut Io) {
    check(
        set_number(socket, io, (SOL_SOCKET, SO_KEEPALIVE), 1),
        STATUS_SUCCESS,
    );
    let mut addresses = Control::ioctl(SIO_ADDRESS_LIST_QUERY);
    check(addresses.without_irp(socket), STATUS_BUFFER_OVERFLOW);
    let mut inspected = Control::ioctl(SIO_WSK_QUERY_INSPECT_ID).output(16);
    check(inspected.without_irp(socket), STATUS_INVALID_DEVICE_REQUEST);
    let security = (SOL_SOCKET, SO_WSK_SECURITY);
    match cache(client, &Descriptor::everybody()) {
        Ok(cached) => {
            let (status, _) = Control::set(security, &cached.to_ne_bytes()).with_irp(socket, io);
            check(status, STATUS_SUCCESS);
            release(client, cached);
        }
        Err(status) => check(status, STATUS_INSUFFICIENT_RESOURCES),
    }
    let mut copy = Control::get(security, size_of::<usize>());
    let (status, size) = copy.with_irp(socket, io);
    check(status, STATUS_SUCCESS);
    if status == STATUS_SUCCESS {
        release(
            client,
            usize::from_ne_bytes(copy.taken(size).try_into().unwrap()),
        );
    }
}
