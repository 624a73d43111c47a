//! The one instance of the provider in this process: made on first use, and never ended.
//!
//! Takes the place of `crate::sim`.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::current::current;
use crate::faults::Faults;
use crate::kernel::{Kernel, ntoskrnl};
use crate::net::Net;
use crate::nmr::Nmr;
use crate::sched::Sched;
use crate::verifier::{self, Report, Rule};
use crate::wsk::{self, Windows, Wsk};

/// What every line of the provider begins with.
const PREFIX: &str = "wsk-sim: ";

/// Everything that belongs to the provider.
pub(crate) struct Shared {
    pub(crate) backtraces: bool,
    pub(crate) sched: Sched,
    pub(crate) faults: Faults,
    pub(crate) kernel: Kernel,
    pub(crate) net: Net,
    pub(crate) wsk: Wsk,
    pub(crate) nmr: Nmr,
    /// The rule that may be broken: none.
    pub(crate) tolerated: Option<Rule>,
}

/// What the body of a test sees of a simulation; nobody does here.
pub struct Sim(pub(crate) Arc<Shared>);

/// Why the provider ends.
pub(crate) enum Failure {
    Offence(Report),
}

/// The provider of this process.
pub(crate) fn global() -> Arc<Shared> {
    static GLOBAL: OnceLock<Arc<Shared>> = OnceLock::new();
    Arc::clone(GLOBAL.get_or_init(start))
}

fn start() -> Arc<Shared> {
    ntoskrnl::pin_image();
    std::panic::set_hook(Box::new(|panic| print_all(&panic.to_string())));
    let shared = Arc::new(Shared {
        backtraces: false,
        sched: Sched::new(),
        faults: Faults::new(None),
        kernel: Kernel::default(),
        net: Net::new(),
        wsk: Wsk::new(false, Windows::Ten1809),
        nmr: Nmr::new(wsk::ON_DEMAND),
        tolerated: None,
    });
    shared.net.start(&shared);
    print_all("ready");
    shared
}

impl Shared {
    /// Ends the process: nothing else would be noticed.
    pub(crate) fn finish(&self, outcome: Result<(), Failure>) {
        if let Err(Failure::Offence(report)) = outcome {
            let statement = report.rule.statement();
            print_all(&format!(
                "offence {:?}: {statement}\n{}",
                report.rule, report.details
            ));
        }
        std::process::abort();
    }
}

fn print_all(text: &str) {
    for line in text.lines() {
        ntoskrnl::print(&format!("{PREFIX}{line}"));
    }
}

/// Locks without caring for poison: a panic ends the process.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process with a report about the calling thread's doing.
pub(crate) fn offence(rule: Rule, details: &str) -> ! {
    verifier::stop(&current().sim, rule, details)
}
