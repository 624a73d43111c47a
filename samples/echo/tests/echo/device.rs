//! The device: a program writes, and reads what the server has sent back.

use std::time::Duration;

use wdk_sys::{
    STATUS_CANCELLED, STATUS_CONNECTION_REFUSED, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_OBJECT_NAME_NOT_FOUND,
};
use wsk_sim::{DeviceHandle, RegistryValue, Sim};

use crate::{PARAMETERS, SCHEDULES, alone, last_line, load};

const DEVICE: &str = r"\DosDevices\WskEcho";

fn open(sim: &Sim) -> DeviceHandle {
    sim.open_device(DEVICE).expect("it connects to the server")
}

/// Writes all, and reads until as much has come back.
fn echo(device: &DeviceHandle, data: &[u8]) {
    assert_eq!(device.write(data), Ok(data.len()));
    let mut back = Vec::new();
    while back.len() < data.len() {
        let mut piece = [0; 4096];
        let count = device.read(&mut piece).expect("the connection holds");
        assert!(count > 0, "the server does not end first");
        back.extend_from_slice(&piece[..count]);
    }
    assert!(back == data, "{} bytes came back", back.len());
}

#[test]
fn device_echoes_what_programs_write() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let (first, second) = (open(sim), open(sim));
        echo(&first, b"hello");
        echo(&second, &vec![7; 20_000]);
        echo(&first, b"again");
        first.close().expect("closed");
        second.close().expect("closed");
        driver.unload(sim);
        let line = last_line(sim);
        assert!(
            line.starts_with("wsk_echo: stopped: connections=2 "),
            "{line}"
        );
        assert!(
            line.ends_with(" operations=0 buffers=0 sockets=0 late_allocations=0"),
            "{line}"
        );
    });
}

#[test]
fn device_reads_and_writes_at_the_same_time() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let device = open(sim);
        let read = device.start_read(5);
        let write = device.start_write(b"hello");
        assert_eq!(write.wait().as_deref(), Ok(&b"hello"[..]));
        let mut back = read.wait().expect("data");
        while back.len() < 5 {
            back.extend(device.start_read(5 - back.len()).wait().expect("data"));
        }
        assert_eq!(back, b"hello");
        device.close().expect("closed");
        driver.unload(sim);
    });
}

#[test]
fn device_read_that_is_cancelled_leaves_the_connection_as_it_was() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let device = open(sim);
        let read = device.start_read(5);
        sim.sleep(Duration::from_millis(1));
        read.cancel();
        assert_eq!(read.wait(), Err(STATUS_CANCELLED));
        echo(&device, b"hello");
        device.close().expect("closed");
        driver.unload(sim);
    });
}

#[test]
fn device_closed_with_requests_in_flight_ends_them() {
    let _alone = alone();
    wsk_sim::builder()
        .preempt_one_in(2)
        .seeds(SCHEDULES, |sim| {
            let driver = load(sim);
            let device = open(sim);
            let reads = [device.start_read(5), device.start_read(5)];
            device.close().expect("closed");
            for read in reads {
                assert_eq!(read.wait(), Err(STATUS_CANCELLED));
            }
            driver.unload(sim);
        });
}

#[test]
fn device_takes_no_other_requests_and_is_gone_after_unload() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        let driver = load(sim);
        let device = open(sim);
        let refused = device.control(0x0022_2000, &mut [0; 4], 4);
        assert_eq!(refused, Err(STATUS_INVALID_DEVICE_REQUEST));
        device.close().expect("closed");
        driver.unload(sim);
        assert_eq!(
            sim.open_device(DEVICE).err(),
            Some(STATUS_OBJECT_NAME_NOT_FOUND)
        );
    });
}

#[test]
fn device_lets_in_the_system_and_administrators_only() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        let driver = load(sim);
        let list = sim.device_access(DEVICE).expect("the driver has set it");
        // Two entries that allow; FILE_GENERIC_READ with FILE_GENERIC_WRITE; S-1-5-18, and
        // S-1-5-32-544.
        assert_eq!(list[..8], [2, 0, 52, 0, 2, 0, 0, 0]);
        assert_eq!(list[8..16], [0, 0, 20, 0, 0x9F, 0x01, 0x12, 0]);
        assert_eq!(list[16..28], [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
        assert_eq!(list[28..36], [0, 0, 24, 0, 0x9F, 0x01, 0x12, 0]);
        assert_eq!(
            list[36..],
            [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]
        );
        driver.unload(sim);
    });
}

#[test]
fn device_of_a_full_server_says_that_the_connection_has_ended() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        sim.set_registry_value(PARAMETERS, "MaxConnections", RegistryValue::Dword(1));
        let driver = load(sim);
        let first = open(sim);
        echo(&first, b"served");
        match sim.open_device(DEVICE) {
            Ok(second) => {
                assert!(second.read(&mut [0; 1]).is_err(), "it was reset");
                second.close().expect("closed");
            }
            Err(status) => assert_eq!(status, STATUS_CONNECTION_REFUSED),
        }
        echo(&first, b"still served");
        first.close().expect("closed");
        driver.unload(sim);
    });
}

#[test]
fn device_with_any_failing_call_or_allocation_leaves_nothing() {
    let _alone = alone();
    wsk_sim::every_fault(|sim| {
        let Ok(driver) = sim.load("wsk_echo", wsk_echo::driver_entry) else {
            return;
        };
        if let Ok(device) = sim.open_device(DEVICE) {
            if device.write(b"hello").is_ok() {
                let _ = device.read(&mut [0; 5]);
            }
            device.close().expect("closed");
        }
        driver.unload(sim);
    });
}
