//! How requests end that do not succeed: by their client, by the peer, by the driver.

use std::sync::{Arc, Mutex};

use wsk::{AddressFamily, Error, ListenSocket, Registration, Result, Status, Version};
use wsk_sim::Sim;
use wsk_sys::wdk_sys::NTSTATUS;

use super::{
    Fixture, SEEDS,
    device::{Device, Kind, failed},
};
use crate::{
    common::{Client, address, passive},
    faults::is_the_fault,
};

#[test]
fn read_after_a_graceful_end_gives_nothing() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let read = fixture.start_read(8);
        fixture.peer.shut_down();
        assert_eq!(read.wait(), Ok(Vec::new()));
        assert_eq!(fixture.start_read(8).wait(), Ok(Vec::new()));
        fixture.end(sim);
    });
}

#[test]
fn reset_fails_the_read_and_says_so() {
    wsk_sim::seeds(SEEDS, |sim| {
        let Fixture {
            device,
            client,
            connection,
            peer,
        } = Fixture::new(sim);
        let read = device.handle.start_read(8);
        super::accepted(connection.receive_into(device.take()));
        peer.reset();
        assert_eq!(read.wait(), failed(Status::CONNECTION_RESET));
        drop(connection);
        client.end();
        device.end(sim);
    });
}

// [wsk 3.11]
#[test]
fn read_cancelled_by_its_client_takes_nothing_from_the_stream() {
    wsk_sim::builder().preempt_one_in(2).seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let read = fixture.start_read(8);
        let peer = sim.spawn({
            let peer = fixture.peer;
            move || {
                peer.write_all(b"data").expect("connected");
                peer
            }
        });
        read.cancel();
        let got = match read.wait() {
            Ok(bytes) => bytes,
            Err(status) => {
                assert_eq!(status, Status::CANCELLED.as_raw());
                Vec::new()
            }
        };
        let fixture = Fixture {
            peer: peer.join(),
            ..fixture
        };
        let rest = fixture.read_exact(4 - got.len());
        assert_eq!([got, rest].concat(), b"data");
        fixture.end(sim);
    });
}

#[test]
fn write_cancelled_by_its_client_ends_once() {
    wsk_sim::builder().preempt_one_in(2).seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let write = fixture.start_write(&[7; 1000]);
        write.cancel();
        let ended = write.wait();
        assert!(
            ended == Ok(vec![7; 1000]) || ended == failed(Status::CANCELLED),
            "{ended:?}"
        );
        fixture.end(sim);
    });
}

#[test]
fn request_cancelled_before_it_is_passed_is_cancelled_by_wsk() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let read = fixture.device.handle.start_read(8);
        read.cancel();
        assert!(read.is_pending(), "nobody could be told");
        super::accepted(fixture.connection.receive_into(fixture.device.take()));
        assert_eq!(read.wait(), failed(Status::CANCELLED));
        fixture.end(sim);
    });
}

// [wsk 10.4]
#[test]
fn closing_the_connection_ends_what_is_in_flight() {
    wsk_sim::builder().preempt_one_in(2).seeds(SEEDS, |sim| {
        let Fixture {
            device,
            client,
            connection,
            peer: _peer,
        } = Fixture::new(sim);
        let reads = [device.handle.start_read(8), device.handle.start_read(8)];
        for _ in &reads {
            super::accepted(connection.receive_into(device.take()));
        }
        let closing = connection.close();
        for read in reads {
            assert_eq!(read.wait(), failed(Status::CANCELLED));
        }
        closing.wait(passive()).expect("closed");
        client.end();
        device.end(sim);
    });
}

#[test]
fn close_beside_a_request_that_is_being_passed_ends_it_once() {
    wsk_sim::builder().preempt_one_in(2).seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let closer = fixture.connection.closer();
        let closing = sim.spawn(move || closer.close());
        let read = fixture.device.handle.start_read(8);
        let irp = fixture.device.take();
        // One that is refused is completed by its refusal.
        let refused = fixture.connection.receive_into(irp).err();
        let expected = refused.map_or(Status::CANCELLED, |refused| {
            assert_eq!(refused.error().status(), Status::FILE_CLOSED);
            refused.error().status()
        });
        assert_eq!(read.wait(), failed(expected));
        closing.join();
        fixture.end(sim);
    });
}

#[test]
fn deregistration_waits_for_what_is_in_flight() {
    wsk_sim::seeds(SEEDS, |sim| {
        let Fixture {
            device,
            client,
            connection,
            peer: _peer,
        } = Fixture::new(sim);
        let read = device.handle.start_read(8);
        super::accepted(connection.receive_into(device.take()));
        client.registration.close_sockets();
        let Client {
            provider,
            registration,
        } = client;
        drop((provider, connection));
        registration.deregister(passive());
        assert!(!read.is_pending(), "its completion routine has run");
        assert_eq!(read.wait(), failed(Status::CANCELLED));
        device.end(sim);
    });
}

#[test]
fn request_that_is_dropped_is_cancelled() {
    wsk_sim::run(|sim| {
        let device = Device::new(sim);
        let read = device.handle.start_read(8);
        drop(device.take());
        assert_eq!(read.wait(), failed(Status::CANCELLED));
        device.end(sim);
    });
}

#[test]
fn request_completed_by_the_driver_gives_at_most_what_was_asked_for() {
    wsk_sim::run(|sim| {
        let device = Device::new(sim);
        let end = |status, count| {
            let read = device.handle.start_read(8);
            device.take().complete(status, count);
            read.wait().map(|bytes| bytes.len())
        };
        assert_eq!(end(Status::SUCCESS, 3), Ok(3));
        assert_eq!(end(Status::SUCCESS, 9), Ok(8));
        assert_eq!(end(Status::IO_TIMEOUT, 3), failed(Status::IO_TIMEOUT));
        device.end(sim);
    });
}

/// A life with a write and a read of a client, which says what the client or the driver was told.
fn live(sim: &Sim, device: &Device) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let mut listener = ListenSocket::open(&provider, AddressFamily::Inet).wait(passive())?;
    listener.bind(address()).wait(passive())?;
    let peer = sim.connect(address()).expect("it listens");
    let connection = listener.accept().wait(passive())?.socket;
    let told = |call, ended: core::result::Result<Vec<u8>, NTSTATUS>| {
        ended.map_err(|status| Error::new(call, Status::from_raw(status)))
    };
    let write = device.handle.start_write(b"ping");
    // Dropping the refusal completes the request.
    let passed = connection.send_from(device.take());
    let refused = passed.map_err(|refused| refused.error());
    let ended = told("WskSend", write.wait());
    if let Err(error) = refused {
        assert_eq!(ended, Err(error));
    }
    ended?;
    assert_eq!(peer.read_exact(4).expect("sent"), b"ping");
    let read = device.handle.start_read(4);
    let _ = connection.receive_into(device.take());
    peer.write_all(b"p").expect("connected");
    assert_eq!(told("WskReceive", read.wait())?, b"p");
    connection.close().wait(passive())
}

#[test]
fn fault_anywhere_in_a_life_is_told_to_the_driver_or_its_client() {
    let runs: Arc<Mutex<Vec<Result<()>>>> = Arc::default();
    let seen = runs.clone();
    wsk_sim::every_fault(move |sim| {
        let Ok(device) = Device::try_of_kind(sim, Kind::Direct) else {
            return;
        };
        let result = live(sim, &device);
        device.end(sim);
        seen.lock().expect("not poisoned").push(result);
    });
    let runs = runs.lock().expect("not poisoned");
    let (first, failing) = runs.split_first().expect("a run without fault");
    assert_eq!(*first, Ok(()));
    for call in ["WskSend", "WskReceive"] {
        let told = |error: &Error| error.call() == call;
        let failed = failing.iter().filter(|run| run.as_ref().is_err_and(told));
        assert!(
            failed.count() >= 2,
            "{call} fails at once, in the end, for want of memory"
        );
    }
    for result in failing {
        let error = result.expect_err("a failure that nobody was told of");
        assert!(is_the_fault(error), "{error}");
    }
}
