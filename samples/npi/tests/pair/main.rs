//! Both drivers on one simulated kernel: loaded and unloaded in any order, again and again, while
//! one calls the other. The simulator checks at every unload that nothing is left.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wsk_sim::{Driver, Sim};

mod cycles;
mod faults;
mod orders;

/// The drivers' statics are one for the image: one simulation at a time loads them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the two drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Client,
    Provider,
}

use Which::{Client, Provider};

impl Which {
    fn name(self) -> &'static str {
        match self {
            Client => "wsk_npi_client",
            Provider => "wsk_npi_provider",
        }
    }

    fn load(self, sim: &Sim) -> Driver {
        let loaded = match self {
            Client => sim.load(self.name(), wsk_npi_client::driver_entry),
            Provider => sim.load(self.name(), wsk_npi_provider::driver_entry),
        };
        loaded.expect("the driver starts")
    }

    /// What it has counted so far: the sums of what it said at each of its unloads.
    fn counted(self, sim: &Sim) -> Counted {
        let start = format!("{}: stopped: ", self.name());
        let mut counted = Counted::default();
        let output = sim.debug_output();
        for line in output.iter().filter_map(|line| line.strip_prefix(&start)) {
            counted.unloads += 1;
            for field in line.split_whitespace() {
                let (name, number) = field.split_once('=').expect("a name and a number");
                let number: u64 = number.parse().expect("a number");
                *counted.numbers.entry(name.to_owned()).or_default() += number;
            }
        }
        counted
    }
}

#[derive(Debug, Default)]
struct Counted {
    unloads: u64,
    numbers: BTreeMap<String, u64>,
}

impl Counted {
    #[track_caller]
    fn get(&self, name: &str) -> u64 {
        *self.numbers.get(name).expect("the driver counts it")
    }
}

/// Fails unless both drivers, unloaded by now, agree on what happened, and nothing of it is left.
#[track_caller]
fn agree(sim: &Sim) -> (Counted, Counted) {
    let (client, provider) = (Client.counted(sim), Provider.counted(sim));
    let pairs = [
        ("providers", "clients"),
        ("adds", "adds"),
        ("heard", "told"),
        ("contexts", "contexts"),
    ];
    for (of_client, of_provider) in pairs {
        assert_eq!(
            client.get(of_client),
            provider.get(of_provider),
            "{client:?} {provider:?}"
        );
    }
    assert_eq!(client.get("contexts"), 0);
    (client, provider)
}

/// How often the drivers have printed this.
fn times(sim: &Sim, line: &str) -> usize {
    let output = sim.debug_output();
    let is_it = |printed: &&String| printed.trim_end() == line;
    output.iter().filter(is_it).count()
}

/// Waits until a line has been printed so often.
fn wait_for(sim: &Sim, line: &str, count: usize) {
    while times(sim, line) < count {
        sim.sleep(Duration::from_micros(100));
    }
}

const ATTACHED: &str = "wsk_npi_client: attached, the count is 0";
const DETACHING: &str = "wsk_npi_client: detaching";
