//! How a test starts simulations: one, one for each seed, or one for each fault.
//!
//! A run over many seeds does without backtraces; the seed that fails is run again with them, which
//! is possible because a seed decides everything.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Fault, KINDS};
use crate::sim::{Config, Failure, Sim, execute};
use crate::verifier::{Report, Rule};

/// Sets up simulations. Start with [`builder`].
#[derive(Debug, Clone, Copy)]
pub struct Builder {
    config: Config,
}

/// A set-up with seed 0 (or `WSK_SIM_SEED`) and no faults.
#[must_use]
pub fn builder() -> Builder {
    let config = Config {
        seed: replay_seed().unwrap_or(0),
        preempt_one_in: 4,
        backtraces: true,
        fault: None,
        inline_only: false,
        unresponsive_after: Duration::from_mins(1),
        step_limit: 100_000_000,
        tolerated: None,
    };
    Builder { config }
}

/// Runs `body` as a simulated thread at `PASSIVE_LEVEL`, then checks that nothing is left.
///
/// # Panics
///
/// If the body panics, a rule is broken, or something leaks; the message says what, and the seed.
pub fn run<T: Send + 'static>(body: impl FnOnce(&Sim) -> T + Send + 'static) -> T {
    builder().run(body)
}

/// Runs `body` under the schedules of seeds 0 to `count`, or only under that of `WSK_SIM_SEED` if
/// it is set.
///
/// # Panics
///
/// As [`run`], for the first seed that fails.
pub fn seeds(count: u64, body: impl Fn(&Sim) + Send + Sync + 'static) {
    builder().seeds(count, body);
}

/// Runs `body` once to count what can fail, then once for each single failure.
///
/// The body must cope with any one allocation or provider call failing.
///
/// # Panics
///
/// As [`run`], for the first failure that is not coped with.
pub fn every_fault(body: impl Fn(&Sim) + Send + Sync + 'static) {
    builder().every_fault(body);
}

impl Builder {
    /// The seed of the schedule, unless `WSK_SIM_SEED` overrides it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = replay_seed().unwrap_or(seed);
        self
    }

    /// At a scheduling point the thread goes on, except once in `n` times. The default is 4; 1 lets
    /// the schedule choose always.
    #[must_use]
    pub fn preempt_one_in(mut self, n: usize) -> Self {
        self.config.preempt_one_in = n.max(1);
        self
    }

    /// Completes every request that can complete at once before the call returns.
    #[must_use]
    pub fn inline_only(mut self) -> Self {
        self.config.inline_only = true;
        self
    }

    /// Gives a thread up that runs for so long, in real time, without calling the kernel. The
    /// default is a minute.
    #[must_use]
    pub fn unresponsive_after(mut self, limit: Duration) -> Self {
        self.config.unresponsive_after = limit;
        self
    }

    /// Takes a simulation of more than `limit` scheduling points to be in a live lock. The default
    /// is 100 million.
    #[must_use]
    pub fn step_limit(mut self, limit: u64) -> Self {
        self.config.step_limit = limit;
        self
    }

    /// Goes on when a network module breaks `rule`, so that a test can have a faulty peer and see how
    /// the driver copes with it.
    ///
    /// Only [`Rule::NmrCharacteristics`] (wrong sizes, versions and types) and [`Rule::NmrDispatch`]
    /// (a provider's null table) can be tolerated.
    ///
    /// # Panics
    ///
    /// For any other rule.
    #[must_use]
    pub fn tolerate(mut self, rule: Rule) -> Self {
        assert!(
            matches!(rule, Rule::NmrCharacteristics | Rule::NmrDispatch),
            "the simulation cannot go on when {rule:?} is broken"
        );
        self.config.tolerated = Some(rule);
        self
    }

    /// Lets the `number`th occasion (from 1) for `fault` fail.
    #[must_use]
    pub fn fail(mut self, fault: Fault, number: u64) -> Self {
        self.config.fault = Some((fault, number));
        self
    }

    /// See [`run`].
    ///
    /// # Panics
    ///
    /// See [`run`].
    pub fn run<T: Send + 'static>(self, body: impl FnOnce(&Sim) -> T + Send + 'static) -> T {
        match execute(self.config, body).0 {
            Ok(value) => value,
            Err(failure) => fail(failure, self.config),
        }
    }

    /// Runs a body that breaks a rule, and returns the report.
    ///
    /// # Panics
    ///
    /// If the body panics or breaks no rule.
    #[must_use]
    pub fn offence(self, body: impl FnOnce(&Sim) + Send + 'static) -> Report {
        match execute(self.config, body).0 {
            Err(Failure::Offence(report)) => report,
            Err(failure @ Failure::Panic(_)) => fail(failure, self.config),
            Ok(()) => panic!("the body was expected to break a rule, but broke none"),
        }
    }

    /// See [`seeds`].
    ///
    /// # Panics
    ///
    /// See [`seeds`].
    pub fn seeds(self, count: u64, body: impl Fn(&Sim) + Send + Sync + 'static) {
        let body = Arc::new(body);
        let seeds = replay_seed().map_or(0..count, |seed| seed..seed + 1);
        for seed in seeds {
            let config = Config {
                seed,
                ..self.config
            };
            run_or_explain(config, &body);
        }
    }

    /// See [`every_fault`].
    ///
    /// # Panics
    ///
    /// See [`every_fault`].
    pub fn every_fault(self, body: impl Fn(&Sim) + Send + Sync + 'static) {
        let body = Arc::new(body);
        let counts = run_or_explain(self.config, &body);
        for (fault, count) in KINDS.into_iter().zip(counts) {
            for number in 1..=count {
                let config = Config {
                    fault: Some((fault, number)),
                    ..self.config
                };
                run_or_explain(config, &body);
            }
        }
    }
}

/// Runs without backtraces, and again with them if it fails. Returns how many occasions for faults
/// there were.
fn run_or_explain<F: Fn(&Sim) + Send + Sync + 'static>(config: Config, body: &Arc<F>) -> Vec<u64> {
    let attempt = |backtraces| {
        let body = Arc::clone(body);
        execute(
            Config {
                backtraces,
                ..config
            },
            move |sim: &Sim| body(sim),
        )
    };
    let (result, shared) = attempt(false);
    if let Err(failure) = result {
        let explained = attempt(true).0.err().unwrap_or(failure);
        fail(explained, config);
    }
    KINDS
        .into_iter()
        .map(|fault| shared.faults.count(fault))
        .collect()
}

fn fail(failure: Failure, config: Config) -> ! {
    let fault = config.fault.map_or(String::new(), |(fault, number)| {
        format!("with {fault:?} number {number} failing: ")
    });
    match failure {
        Failure::Offence(report) => panic!("{fault}{report}"),
        Failure::Panic(payload) => {
            eprintln!(
                "wsk-sim: {fault}seed {0}: replay with WSK_SIM_SEED={0}",
                config.seed
            );
            resume_unwind(payload)
        }
    }
}

fn replay_seed() -> Option<u64> {
    let text = std::env::var("WSK_SIM_SEED").ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("WSK_SIM_SEED must be a number, not {text:?}")),
    )
}
