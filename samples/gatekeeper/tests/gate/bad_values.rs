//! Values of the registry that make no sense: the driver says which, and does not start.

use wdk_sys::STATUS_INVALID_PARAMETER;
use wsk_sim::RegistryValue::{self, Binary, Dword, MultiString, Qword, String as Text};

use super::{alone, host, last_line, set};

/// Fails unless the driver refuses each of `values` for `name`.
#[track_caller]
fn refuses(name: &'static str, values: Vec<RegistryValue>) {
    let _alone = alone();
    for value in values {
        wsk_sim::run(move |sim| {
            set(sim, name, value.clone());
            let refused = sim.load("wsk_gate", wsk_gate::driver_entry).err();
            assert_eq!(refused, Some(STATUS_INVALID_PARAMETER), "{value:?}");
            let line = format!(
                r"wsk_gate: start failed: Parameters\{name}: STATUS_INVALID_PARAMETER (0xC000000D)"
            );
            assert_eq!(last_line(sim), line);
        });
    }
}

fn text(text: &str) -> RegistryValue {
    Text(text.to_owned())
}

#[test]
fn driver_with_a_port_that_makes_no_sense_does_not_start() {
    let values = vec![
        Dword(0),
        Dword(65_536),
        text("http"),
        text(""),
        text("+1"),
        Qword(1),
    ];
    refuses("Port", values);
}

#[test]
fn driver_with_an_address_that_makes_no_sense_does_not_start() {
    let values = vec![text("localhost"), text("127.0.0.1:80"), text(""), Dword(1)];
    refuses("Address", values);
}

#[test]
fn driver_with_a_rate_that_makes_no_sense_does_not_start() {
    for name in ["RateLimit", "RateSeconds"] {
        refuses(
            name,
            vec![Dword(0), text("-1"), text("4294967296"), Binary(vec![1; 3])],
        );
    }
}

#[test]
fn driver_with_a_prefix_that_makes_no_sense_does_not_start() {
    let prefixes = [
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "/8",
        "10.0.0/8",
        "10.0.0.1/8",
        "0.0.0.1/0",
        "fe80::/129",
        "fe80::1/64",
        "::ffff:10.0.0.1",
        "everybody",
    ];
    for name in ["Allow", "Deny"] {
        let values = prefixes.iter().map(|prefix| {
            let good = "127.0.0.0/8".to_owned();
            MultiString(vec![good, (*prefix).to_owned()])
        });
        let mut values: Vec<_> = values.collect();
        values.extend([Dword(10), Binary(vec![b'1'; 3])]);
        refuses(name, values);
    }
}

#[test]
fn driver_says_which_prefix_makes_no_sense() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        let values = MultiString(vec![host(1).to_string(), "10.0.0.0/33".to_owned()]);
        set(sim, "Deny", values);
        assert!(sim.load("wsk_gate", wsk_gate::driver_entry).is_err());
        let says = r"wsk_gate: Parameters\Deny: `10.0.0.0/33` is no address prefix";
        let output = sim.debug_output();
        assert!(
            output.iter().any(|line| line.starts_with(says)),
            "{output:?}"
        );
    });
}
