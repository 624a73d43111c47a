//! How a test starts simulations: one, one for each seed, for each fault, or for each schedule.
//!
//! Many runs do without backtraces; the one that fails is run again with them, which is possible
//! because its choices decide everything.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Fault, KINDS};
use crate::rng::{Path, Rng};
use crate::sim::{Config, Failure, Host, Shared, Sim};
use crate::verifier::{Report, Rule};
use crate::worker;
use crate::wsk::Windows;

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
        preemptions: u64::MAX,
        backtraces: true,
        fault: None,
        inline_only: false,
        windows: Windows::Ten1809,
        host_network: false,
        lose_datagrams_one_in: 0,
        duplicate_datagrams_one_in: 0,
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

/// Runs `body` under the schedules of seeds 0 to `count`: to `WSK_SIM_SEEDS` instead if that is
/// set, or only under that of `WSK_SIM_SEED`.
///
/// # Panics
///
/// As [`run`], for the first seed that fails.
pub fn seeds(count: u64, body: impl Fn(&Sim) + Send + Sync + 'static) {
    builder().seeds(count, body);
}

/// Runs `body` once to count what can fail, then once for each single failure.
///
/// The body must cope with any one allocation or provider call failing, and with any one IRP that
/// completes with `STATUS_UNSUCCESSFUL`; see [`Fault`].
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

    /// Lets a thread that could go on be made to wait at most `n` times in a schedule: by another
    /// thread, or by a delivery on top of it. Most mistakes need one or two; all schedules with so
    /// few can be explored even where there are too many in all.
    #[must_use]
    pub fn preemptions_at_most(mut self, n: u64) -> Self {
        self.config.preemptions = n;
        self
    }

    /// Completes every request that can complete at once before the call returns.
    #[must_use]
    pub fn inline_only(mut self) -> Self {
        self.config.inline_only = true;
        self
    }

    /// Offers the tables of an older Windows: functions that it lacks are null [wsk 2.11]. On that
    /// Windows the tables end before them, and what a driver reads there is anything.
    #[must_use]
    pub fn windows(mut self, windows: Windows) -> Self {
        self.config.windows = windows;
        self
    }

    /// Uses the host's own loopback network, in real time: ordinary clients and servers, in this
    /// process or another, can talk to the driver.
    ///
    /// Choices among threads are still seeded, but when something arrives is not, so that a seed
    /// does not replay exactly. Whether anything can still arrive is not known: a hang ends at the
    /// limit of [`Builder::unresponsive_after`].
    #[must_use]
    pub fn host_network(mut self) -> Self {
        self.config.host_network = true;
        self
    }

    /// Loses one datagram in `n` on its way, as the schedule chooses. By default none is lost,
    /// except where a receiver's buffer is full.
    #[must_use]
    pub fn lose_datagrams_one_in(mut self, n: usize) -> Self {
        self.config.lose_datagrams_one_in = n;
        self
    }

    /// Has one datagram in `n` arrive twice, as the schedule chooses. By default none does.
    #[must_use]
    pub fn duplicate_datagrams_one_in(mut self, n: usize) -> Self {
        self.config.duplicate_datagrams_one_in = n;
        self
    }

    /// Gives a simulation up that does nothing for so long, in real time, because a thread does not
    /// call the kernel or, with [`Builder::host_network`], because all of them wait. The default is
    /// a minute.
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

    /// Goes on when a network module breaks `rule`, so that a test can have a faulty peer and see
    /// how the driver copes with it.
    ///
    /// Only [`Rule::NmrCharacteristics`] (wrong sizes, versions and types) and
    /// [`Rule::NmrDispatch`] (a provider's null table) can be tolerated.
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
        self.simulate(body).unwrap_or_else(|failed| failed.fail())
    }

    /// Runs a body that breaks a rule, and returns the report.
    ///
    /// # Panics
    ///
    /// If the body panics or breaks no rule.
    #[must_use]
    pub fn offence(self, body: impl FnOnce(&Sim) + Send + 'static) -> Report {
        match self.simulate(body).map_err(|failed| *failed) {
            Err(Failed {
                failure: Failure::Offence(report),
                ..
            }) => report,
            Err(failed) => failed.fail(),
            Ok(()) => panic!("the body was expected to break a rule, but broke none"),
        }
    }

    /// See [`seeds`].
    ///
    /// # Panics
    ///
    /// See [`seeds`].
    pub fn seeds(self, count: u64, body: impl Fn(&Sim) + Send + Sync + 'static) {
        let count = number("WSK_SIM_SEEDS").unwrap_or(count);
        let seeds = replay_seed().map_or(0..count, |seed| seed..seed + 1);
        let body = Arc::new(body);
        let result = self.on_worker(move |host| {
            for seed in seeds {
                let config = Config {
                    seed,
                    ..self.config
                };
                run_or_explain(host, config, &Rng::seeded(seed), &body)?;
            }
            Ok(())
        });
        result.unwrap_or_else(|failed| failed.fail());
    }

    /// See [`every_fault`].
    ///
    /// # Panics
    ///
    /// See [`every_fault`].
    pub fn every_fault(self, body: impl Fn(&Sim) + Send + Sync + 'static) {
        let body = Arc::new(body);
        let result = self.on_worker(move |host| {
            let shared = run_or_explain(host, self.config, &self.seeded(), &body)?;
            for fault in KINDS {
                for number in 1..=shared.faults.count(fault) {
                    let config = Config {
                        fault: Some((fault, number)),
                        ..self.config
                    };
                    run_or_explain(host, config, &self.seeded(), &body)?;
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|failed| failed.fail());
    }

    fn simulate<T: Send + 'static>(
        self,
        body: impl FnOnce(&Sim) -> T + Send + 'static,
    ) -> Result<T, Box<Failed>> {
        let config = self.config;
        self.on_worker(move |host| {
            let (result, shared) = host.simulate(config, self.seeded(), body);
            let replay = shared.sched.replay();
            result.map_err(|failure| {
                Box::new(Failed {
                    failure,
                    config,
                    replay,
                })
            })
        })
    }

    /// Has simulations run, and gives up when one of them does not answer.
    fn on_worker<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Host) -> Result<T, Box<Failed>> + Send + 'static,
    ) -> Result<T, Box<Failed>> {
        worker::run(self.config.unresponsive_after, work).unwrap_or_else(|stuck| {
            let config = Config {
                fault: stuck.faults.target(),
                ..self.config
            };
            let failure = Failure::Offence(stuck.give_up());
            Err(Box::new(Failed {
                failure,
                config,
                replay: stuck.sched.replay(),
            }))
        })
    }

    /// Runs `body` under every schedule, or under the first `limit`, or only under the one that
    /// `WSK_SIM_CHOICES` names if that is set.
    ///
    /// A schedule is a sequence of choices: who runs next at each scheduling point, and whatever
    /// else the simulation leaves open. Their number grows exponentially with the length of the
    /// body: keep it short, let it draw no choices of its own, and see
    /// [`preemptions_at_most`](Self::preemptions_at_most). No thread may loop until another one
    /// gets further.
    ///
    /// # Panics
    ///
    /// As [`run`], for the first schedule that fails; or if the body does not do the same when the
    /// same choices are made.
    #[must_use]
    pub fn exhaustive(self, limit: u64, body: impl Fn(&Sim) + Send + Sync + 'static) -> Explored {
        let body = Arc::new(body);
        let result = self.on_worker(move |host| {
            let mut explored = Explored::default();
            let replayed = replay_choices();
            let only_one = replayed.is_some();
            let mut next = Some(replayed.unwrap_or_default());
            while let Some(path) = next.take_if(|_| explored.schedules < limit) {
                let shared = run_or_explain(host, self.config, &Rng::Listed(path), &body)?;
                let path = shared.sched.path();
                assert!(
                    !path.strayed(),
                    "the same choices led to something else: the body depends on time, on \
                     addresses or on chance; {}",
                    shared.sched.replay()
                );
                explored.schedules += 1;
                explored.longest = explored.longest.max(path.length());
                next = path.next().filter(|_| !only_one);
            }
            explored.complete = next.is_none() && !only_one;
            Ok(explored)
        });
        result.unwrap_or_else(|failed| failed.fail())
    }

    fn seeded(&self) -> Rng {
        Rng::seeded(self.config.seed)
    }
}

/// What [`Builder::exhaustive`] has explored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explored {
    /// How many schedules were run.
    pub schedules: u64,
    /// Were these all that there are?
    pub complete: bool,
    /// The number of choices in the longest one.
    pub longest: usize,
}

/// Runs without backtraces, and again with them if it fails.
fn run_or_explain<F: Fn(&Sim) + Send + Sync + 'static>(
    host: &mut Host,
    config: Config,
    rng: &Rng,
    body: &Arc<F>,
) -> Result<Arc<Shared>, Box<Failed>> {
    let mut attempt = |backtraces| {
        let body = Arc::clone(body);
        let config = Config {
            backtraces,
            ..config
        };
        host.simulate(config, rng.clone(), move |sim: &Sim| body(sim))
    };
    let (result, shared) = attempt(false);
    if let Err(failure) = result {
        let (failure, replay) = (
            attempt(true).0.err().unwrap_or(failure),
            shared.sched.replay(),
        );
        return Err(Box::new(Failed {
            failure,
            config,
            replay,
        }));
    }
    Ok(shared)
}

/// A simulation that ended badly.
struct Failed {
    failure: Failure,
    config: Config,
    replay: String,
}

impl Failed {
    /// Fails the test.
    fn fail(self) -> ! {
        let fault = self.config.fault.map_or(String::new(), |(fault, number)| {
            format!("with {fault:?} number {number} failing: ")
        });
        match self.failure {
            Failure::Offence(report) => panic!("{fault}{report}"),
            Failure::Panic(payload) => {
                eprintln!("wsk-sim: {fault}replay with {}", self.replay);
                resume_unwind(payload)
            }
        }
    }
}

fn replay_seed() -> Option<u64> {
    number("WSK_SIM_SEED")
}

/// The number in an environment variable, if that is set.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")),
    )
}

fn replay_choices() -> Option<Path> {
    let text = std::env::var("WSK_SIM_CHOICES").ok()?;
    let path = Path::parse(&text);
    Some(path.unwrap_or_else(|| {
        panic!("WSK_SIM_CHOICES must be numbers separated by dots, not {text:?}")
    }))
}
