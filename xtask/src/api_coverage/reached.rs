//! What tests have reached, as the simulator wrote it down when they ran: a file for each test, one
//! name a line.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::facts::{Fact, Kind};

/// The table whose functions are no sockets'.
const OF_THE_CLIENT: &str = "WSK_PROVIDER_DISPATCH.";
/// The levels of options: `SOL_SOCKET`, else the numbers of the protocols.
const LEVELS: [(&str, &[u32]); 6] = [
    ("SO_", &[0xFFFF]),
    ("IP_", &[0]),
    ("IPV6_", &[41]),
    ("MCAST_", &[0, 41]),
    ("TCP_", &[6]),
    ("UDP_", &[17]),
];

/// The records of one run.
#[derive(Debug)]
pub struct Reached {
    directory: PathBuf,
}

impl Reached {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What a test has reached: `None` if it left no record.
    pub fn by(&self, test: &str) -> Result<Option<BTreeSet<String>>> {
        let path = self
            .directory
            .join(test.replace("::", "--").replace('/', "--"));
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.lines().map(str::to_owned).collect())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// How the simulator calls a fact, any of which will do; none for what it does not write down.
pub fn names_of(fact: &Fact) -> Vec<String> {
    // Numbers wrap, as in C.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as in C"
    )]
    let number = fact.value.unwrap_or_default() as u32;
    match fact.kind {
        Kind::Slot if !fact.name.starts_with(OF_THE_CLIENT) => vec![fact.name.clone()],
        Kind::Event if fact.value.is_some() => vec![format!("event {number:#x}")],
        Kind::Function | Kind::Slot | Kind::Event | Kind::Callback => vec![fact.word().to_owned()],
        Kind::ClientControlCode => vec![format!("client {number:#x}")],
        Kind::Ioctl => vec![format!("ioctl {number:#x}")],
        Kind::Option => {
            let of_level = LEVELS
                .iter()
                .filter(|(prefix, _)| fact.name.starts_with(prefix));
            let levels = of_level.flat_map(|(_, levels)| *levels);
            levels
                .map(|level| format!("option {level:#x} {number:#x}"))
                .collect()
        }
        Kind::Flag => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_simulator() {
        let names = |kind, name: &str, value| {
            names_of(&Fact {
                kind,
                name: name.to_owned(),
                value,
                mark: None,
            })
            .join(", ")
        };
        for (kind, name, value, expected) in [
            (Kind::Function, "WskRegister", None, "WskRegister"),
            (
                Kind::Slot,
                "WSK_PROVIDER_DISPATCH.WskSocket",
                None,
                "WskSocket",
            ),
            (
                Kind::Slot,
                "WSK_PROVIDER_BASIC_DISPATCH.A",
                None,
                "WSK_PROVIDER_BASIC_DISPATCH.A",
            ),
            (
                Kind::Event,
                "WSK_CLIENT_DISPATCH.WskClientEvent",
                None,
                "WskClientEvent",
            ),
            (Kind::Event, "WSK_EVENT_ACCEPT", Some(0x200), "event 0x200"),
            (
                Kind::Callback,
                "NPI_CLIENT_CHARACTERISTICS.Attach",
                None,
                "Attach",
            ),
            (
                Kind::ClientControlCode,
                "WSK_CACHE_SD",
                Some(4),
                "client 0x4",
            ),
            (
                Kind::Option,
                "SO_EXCLUSIVEADDRUSE",
                Some(-5),
                "option 0xffff 0xfffffffb",
            ),
            (Kind::Option, "IPV6_V6ONLY", Some(27), "option 0x29 0x1b"),
            (
                Kind::Option,
                "MCAST_JOIN_GROUP",
                Some(41),
                "option 0x0 0x29, option 0x29 0x29",
            ),
            (
                Kind::Ioctl,
                "SIO_FLUSH",
                Some(0x2800_0004),
                "ioctl 0x28000004",
            ),
            (Kind::Flag, "WSK_FLAG_OOB", Some(1), ""),
        ] {
            assert_eq!(names(kind, name, value), expected);
        }
    }

    #[test]
    fn record_of_a_test_is_found_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("on_sim--nmr--pair--a");
        fs::write(file, "NmrRegisterClient\nioctl 0x8f000001\n").unwrap();
        let reached = Reached::new(directory.path().to_owned());
        let names = reached.by("on_sim/nmr/pair::a").unwrap().unwrap();
        assert!(
            names.contains("ioctl 0x8f000001") && names.len() == 2,
            "{names:?}"
        );
        assert_eq!(reached.by("on_sim/nmr/pair::b").unwrap(), None);
    }
}
