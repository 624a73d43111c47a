//! A driver in C on the simulator: its device, its server, its unload, with every fault.

use core::time::Duration;

use wdk_sys::{NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_CONNECTION_REFUSED};
use wsk_sim::{Peer, Rule, Sim, builder, every_fault, run, seeds};
use wsk_sim_c_driver::driver_entry;

/// Connects to the driver, which begins to listen some time after it was loaded.
fn connect(sim: &Sim) -> Result<Peer, NTSTATUS> {
    let mut result = Err(STATUS_CONNECTION_REFUSED);
    for _ in 0..100 {
        result = sim.connect("127.0.0.1:7".parse().unwrap());
        if result.is_ok() {
            break;
        }
        sim.sleep(Duration::from_millis(1));
    }
    result
}

#[test]
fn driver_in_c_echoes_under_any_schedule() {
    seeds(200, |sim| {
        let driver = sim.load("echo", driver_entry).expect("it loads");
        for round in 1..=2 {
            let client = connect(sim).expect("it listens");
            let data: Vec<u8> = (0..1000)
                .map(|at| u8::try_from(at % 251 * round % 256).unwrap())
                .collect();
            client.write_all(&data).expect("connected");
            assert_eq!(client.read_exact(data.len()).expect("echoed"), data);
            client.shut_down();
            assert!(client.read(1).expect("the driver ends as well").is_empty());
        }
        driver.unload(sim);
    });
}

#[test]
fn driver_in_c_stops_in_the_middle_of_everything() {
    seeds(200, |sim| {
        let driver = sim.load("echo", driver_entry).expect("it loads");
        let client = connect(sim);
        let silent = connect(sim);
        driver.unload(sim);
        drop((client, silent));
    });
}

#[test]
fn driver_in_c_stops_before_the_provider_is_ready() {
    run(|sim| {
        sim.provider_never_ready();
        let driver = sim.load("echo", driver_entry).expect("it loads");
        sim.sleep(Duration::from_secs(5));
        driver.unload(sim);
    });
}

#[test]
fn driver_in_c_answers_requests_of_programs() {
    seeds(50, |sim| {
        let driver = sim.load("echo", driver_entry).expect("it loads");
        let device = sim.open_device("\\DosDevices\\EchoC").expect("it is there");
        let client = connect(sim).expect("it listens");
        client.write_all(b"hello").expect("connected");
        client.read_exact(5).expect("echoed");
        client.shut_down();
        assert!(client.read(1).expect("the driver ends as well").is_empty());
        let mut count = [0; 4];
        assert_eq!(device.read(&mut count), Ok(4));
        assert_eq!(u32::from_le_bytes(count), 5);
        assert_eq!(device.read(&mut [0; 3]), Err(STATUS_BUFFER_TOO_SMALL));
        assert_eq!(device.write(&[7; 100]), Ok(64));
        assert!(
            sim.debug_output()
                .contains(&"echo: a note of 64 bytes\n".to_owned())
        );
        device.close().expect("it closes");
        driver.unload(sim);
    });
}

#[test]
fn driver_in_c_is_named_in_reports_by_its_lines() {
    let report = builder().offence(|sim| {
        core::mem::forget(sim.load("echo", driver_entry));
    });
    assert_eq!(report.rule, Rule::Leak, "{report}");
    assert!(report.details.contains("server.c:"), "{report}");
}

#[test]
fn driver_in_c_copes_with_every_fault() {
    every_fault(|sim| {
        let Ok(driver) = sim.load("echo", driver_entry) else {
            return;
        };
        if let Ok(client) = connect(sim) {
            let echoed = client
                .write_all(b"hello")
                .and_then(|()| client.read_exact(5));
            assert!(echoed.is_err() || echoed.is_ok_and(|data| b"hello".starts_with(&data)));
        }
        let device = sim.open_device("\\DosDevices\\EchoC").expect("it is there");
        let _ = device.write(b"a note");
        device.close().expect("it closes");
        driver.unload(sim);
    });
}
