//! The whole driver on the simulator.

use std::net::SocketAddr;
use wsk_sim::{Driver, Sim};

#[test]
fn driver_serves_and_unloads() {
    wsk_sim::seeds(100, |sim| {
        let driver = sim
            .load("wsk_gate", wsk_gate::driver_entry)
            .expect("starts");
        let address = SocketAddr::from(([127, 0, 0, 1], 40008));
        let client = sim.connect(address).expect("listens");
        let line = format!("admitted {}\n", client.addresses().0);
        assert_eq!(client.read_exact(line.len()).unwrap(), line.as_bytes());
        client.write_all(b"hello").unwrap();
        assert_eq!(client.read_exact(5).unwrap(), b"hello");
        client.shut_down();
        assert_eq!(client.read_to_end().unwrap(), b"");
        driver.unload(sim);
    });
}
