//! Requests that are not passed down: why, and that they can be ended in another way.

use std::time::Duration;

use wsk::{Buffer, ConnectionSocket, ErrorKind, PendingIrp, RefusedIrp, Status};
use wsk_sim::Sim;

use super::{
    Fixture, SEEDS, accepted,
    device::{Device, Kind, failed},
};
use crate::common::{Client, passive};

type Pass = fn(&ConnectionSocket, PendingIrp) -> Result<(), RefusedIrp>;

/// Has a read of eight bytes refused, which its client is told of when the refusal is dropped.
fn check_read(device: &Device, connection: &ConnectionSocket, call: &str, status: Status) {
    check(
        device,
        connection,
        ConnectionSocket::receive_into,
        call,
        status,
    );
}

fn check(device: &Device, connection: &ConnectionSocket, pass: Pass, call: &str, status: Status) {
    let read = device.handle.start_read(8);
    let refused = pass(connection, device.take()).expect_err("refused");
    assert!(read.is_pending(), "the driver still has it");
    assert_eq!(
        (refused.error().call(), refused.error().status()),
        (call, status)
    );
    drop(refused);
    assert_eq!(read.wait(), failed(status));
}

#[test]
fn request_of_the_other_direction_is_refused() {
    wsk_sim::run(|sim| {
        let fixture = Fixture::new(sim);
        let (device, connection) = (&fixture.device, &fixture.connection);
        let member = "IO_STACK_LOCATION.MajorFunction";
        let status = Status::INVALID_DEVICE_REQUEST;
        check(
            device,
            connection,
            ConnectionSocket::send_from,
            member,
            status,
        );
        let write = device.handle.start_write(b"data");
        let refused = connection.receive_into(device.take()).expect_err("refused");
        // The right way for it.
        accepted(connection.send_from(refused.into_irp()));
        assert_eq!(write.wait(), Ok(b"data".to_vec()));
        fixture.end(sim);
    });
}

fn check_kind(kind: Kind, call: &'static str, status: Status) {
    wsk_sim::run(move |sim| {
        let (device, client) = (Device::of_kind(sim, kind), Client::new());
        let (connection, _peer) = client.connect(sim);
        check_read(&device, &connection, call, status);
        drop(connection);
        client.end();
        device.end(sim);
    });
}

#[test]
fn request_without_mdl_is_refused() {
    check_kind(Kind::Buffered, "IRP.MdlAddress", Status::INVALID_PARAMETER);
}

// [wsk 3.1]
#[test]
fn request_without_a_stack_location_for_wsk_is_refused() {
    check_kind(
        Kind::Shallow,
        "DEVICE_OBJECT.StackSize",
        Status::INVALID_DEVICE_REQUEST,
    );
}

#[test]
fn request_on_a_closed_connection_is_refused() {
    wsk_sim::run(|sim| {
        let fixture = Fixture::new(sim);
        fixture.connection.closer().close();
        check_read(
            &fixture.device,
            &fixture.connection,
            "WskReceive",
            Status::FILE_CLOSED,
        );
        fixture.end(sim);
    });
}

/// A receive of the driver's own that is in flight, or has left bytes, is overtaken by nobody.
fn check_beside_receive(sim: &Sim, receive_in_flight: bool) {
    let mut fixture = Fixture::new(sim);
    let buffer = Buffer::with_capacity(4).expect("memory");
    let receive = fixture.connection.receive(buffer);
    let (device, refused) = (&fixture.device, Status::INVALID_DEVICE_STATE);
    if receive_in_flight {
        check_read(device, &fixture.connection, "WskReceive", refused);
        fixture.peer.write_all(b"x").expect("connected");
        assert_eq!(receive.wait(passive()).0, Ok(1));
    } else {
        // What comes until it is dropped is kept.
        fixture.peer.write_all(b"kept").expect("connected");
        sim.sleep(Duration::from_secs(1));
        drop(receive);
        check_read(device, &fixture.connection, "WskReceive", refused);
        let buffer = Buffer::with_capacity(4).expect("memory");
        let (received, kept) = fixture.connection.receive_exact(buffer).wait(passive());
        assert_eq!((received, &kept[..]), (Ok(4), &b"kept"[..]));
    }
    fixture.peer.write_all(b"y").expect("connected");
    assert_eq!(fixture.start_read(1).wait(), Ok(b"y".to_vec()));
    fixture.end(sim);
}

#[test]
fn read_beside_a_receive_of_the_driver_is_refused() {
    wsk_sim::seeds(SEEDS, |sim| check_beside_receive(sim, true));
}

#[test]
fn read_before_bytes_that_a_receive_has_left_is_refused() {
    wsk_sim::seeds(SEEDS, |sim| check_beside_receive(sim, false));
}

#[test]
fn read_after_lost_data_is_refused() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut fixture = Fixture::new(sim);
        let buffer = Buffer::with_capacity(4).expect("memory");
        // WSK does not say how much it had taken.
        let receive = fixture.connection.receive_all(buffer);
        let (ended, _) = receive.wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
        check_read(
            &fixture.device,
            &fixture.connection,
            "WskReceive",
            Status::DATA_OVERRUN,
        );
        fixture.end(sim);
    });
}
