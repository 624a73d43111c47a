//! Modules and their bindings, and the search through all that can happen to them.
//!
//! A binding has few states: each gets a number, and what can happen to it is worked out once. A
//! state of all modules and bindings is then one word.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use crate::binding::{Binding, CLIENT, EVENTS, Event, PROVIDER, Phase, Registrar};

/// How many there are, and how many calls may be in flight at once, of all bindings together.
pub struct Bounds {
    pub clients: usize,
    pub providers: usize,
    pub calls: u8,
    pub registrar: Registrar,
}

/// What the search has met.
#[derive(Debug, Default)]
pub struct Found {
    pub states: usize,
    pub steps: u64,
    /// Steps in which a provider agreed.
    pub attached: u64,
    /// Steps in which a call that left completed a detach.
    pub completed_by_callers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    Absent,
    Registered,
    Leaving,
    /// The wait for its deregistration has returned.
    Unloaded,
}

const MOST: usize = 2;

/// Clients and providers, two of each at most, and the number of the binding of each pair.
#[derive(Clone, Copy, Debug)]
struct State {
    modules: [[Module; MOST]; 2],
    bindings: [[u16; MOST]; MOST],
}

/// A step of a binding.
#[derive(Clone, Copy)]
struct Step {
    after: u16,
    enters: bool,
    attaches: bool,
    completes_by_caller: bool,
}

/// All states of bindings that have been met, by number.
struct Bindings {
    registrar: Registrar,
    all: Vec<Binding>,
    numbers: HashMap<Binding, u16>,
    /// For each of them: what can happen while nobody is leaving, and otherwise.
    steps: Vec<[Option<Rc<[Step]>>; 2]>,
}

impl Bindings {
    fn new(registrar: Registrar) -> Self {
        Self {
            registrar,
            all: Vec::new(),
            numbers: HashMap::new(),
            steps: Vec::new(),
        }
    }

    fn number(&mut self, binding: Binding) -> u16 {
        *self.numbers.entry(binding).or_insert_with(|| {
            self.all.push(binding);
            self.steps.push([None, None]);
            u16::try_from(self.all.len() - 1).expect("few states")
        })
    }

    fn get(&self, number: u16) -> &Binding {
        &self.all[usize::from(number)]
    }

    fn steps(&mut self, number: u16, leaving: bool) -> Rc<[Step]> {
        let place = (usize::from(number), usize::from(leaving));
        if let Some(steps) = &self.steps[place.0][place.1] {
            return steps.clone();
        }
        let before = *self.get(number);
        let step = |event| {
            let after = before.after(event, leaving, self.registrar)?;
            Some(Step {
                after: self.number(after),
                enters: matches!(event, Event::Enter(_)),
                attaches: event == Event::ProviderAgrees,
                completes_by_caller: matches!(event, Event::Leave(side)
                    if before.sides[side].is_completed_by_leaving(after.sides[side])),
            })
        };
        let steps: Rc<[_]> = EVENTS.into_iter().filter_map(step).collect();
        self.steps[place.0][place.1] = Some(steps.clone());
        steps
    }
}

/// Searches all states.
///
/// # Panics
///
/// When a step breaks a rule, or nothing can happen before the end.
pub fn explore(bounds: &Bounds) -> Found {
    let mut found = Found::default();
    let mut bindings = Bindings::new(bounds.registrar);
    let mut known: HashSet<u64, BuildHasherDefault<Mixer>> = HashSet::default();
    let first = State::new(bounds, bindings.number(Binding::NEW));
    known.insert(first.canonical());
    let mut open = vec![first];
    let mut next = Vec::new();
    while let Some(state) = open.pop() {
        state.add_module_steps(&mut bindings, &mut next);
        state.add_binding_steps(&mut bindings, bounds.calls, &mut found, &mut next);
        assert!(
            !next.is_empty() || state.is_end(),
            "hangs: {:?} {:?}",
            state.modules,
            state
                .bindings
                .map(|row| row.map(|binding| *bindings.get(binding)))
        );
        found.steps += u64::try_from(next.len()).expect("few");
        open.extend(
            next.drain(..)
                .filter(|state| known.insert(state.canonical())),
        );
    }
    found.states = known.len();
    found
}

impl State {
    /// Those that there are not have come and gone already.
    fn new(bounds: &Bounds, binding: u16) -> Self {
        let module = |exists| {
            if exists {
                Module::Absent
            } else {
                Module::Unloaded
            }
        };
        let counts = [bounds.clients, bounds.providers];
        Self {
            modules: counts.map(|count| [module(count > 0), module(count > 1)]),
            bindings: [[binding; MOST]; MOST],
        }
    }

    fn is_end(&self) -> bool {
        let mut modules = self.modules.iter().flatten();
        modules.all(|module| *module == Module::Unloaded)
    }

    /// Registering, deregistering, and the return of the wait.
    fn add_module_steps(&self, bindings: &mut Bindings, next: &mut Vec<Self>) {
        for (side, number) in [(CLIENT, 0), (CLIENT, 1), (PROVIDER, 0), (PROVIDER, 1)] {
            let mut after = *self;
            let is_over = |other| bindings.get(self.binding(side, number, other)).is_over();
            after.modules[side][number] = match self.modules[side][number] {
                Module::Absent => Module::Registered,
                Module::Registered => Module::Leaving,
                Module::Leaving if is_over(0) && is_over(1) => Module::Unloaded,
                Module::Leaving | Module::Unloaded => continue,
            };
            if self.modules[side][number] == Module::Absent {
                after.propose(side, number, bindings);
            }
            next.push(after);
        }
    }

    fn propose(&mut self, side: usize, number: usize, bindings: &mut Bindings) {
        for other in 0..MOST {
            if self.modules[1 - side][other] == Module::Registered {
                let (client, provider) = pair(side, number, other);
                let mut binding = *bindings.get(self.bindings[client][provider]);
                binding.phase = Phase::Proposed;
                self.bindings[client][provider] = bindings.number(binding);
            }
        }
    }

    fn add_binding_steps(
        &self,
        bindings: &mut Bindings,
        most_calls: u8,
        found: &mut Found,
        next: &mut Vec<Self>,
    ) {
        let all = self.bindings.iter().flatten();
        let calls: u8 = all.map(|binding| bindings.get(*binding).calls()).sum();
        for (client, provider) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let leaving = self.modules[CLIENT][client] == Module::Leaving
                || self.modules[PROVIDER][provider] == Module::Leaving;
            for step in &*bindings.steps(self.bindings[client][provider], leaving) {
                if step.enters && calls == most_calls {
                    continue;
                }
                found.attached += u64::from(step.attaches);
                found.completed_by_callers += u64::from(step.completes_by_caller);
                let mut after = *self;
                after.bindings[client][provider] = step.after;
                next.push(after);
            }
        }
    }

    fn binding(&self, side: usize, number: usize, other: usize) -> u16 {
        let (client, provider) = pair(side, number, other);
        self.bindings[client][provider]
    }

    /// One word for all states that differ only in who is called which.
    fn canonical(&self) -> u64 {
        let straight = self.pack(0, 0).min(self.pack(0, 1));
        straight.min(self.pack(1, 0)).min(self.pack(1, 1))
    }

    /// With these two coming first.
    fn pack(&self, client: usize, provider: usize) -> u64 {
        let [clients, providers] = &self.modules;
        let modules = clients[client] as u64
            | (clients[1 - client] as u64) << 2
            | (providers[provider] as u64) << 4
            | (providers[1 - provider] as u64) << 6;
        let bindings = u64::from(self.bindings[client][provider])
            | u64::from(self.bindings[client][1 - provider]) << 14
            | u64::from(self.bindings[1 - client][provider]) << 28
            | u64::from(self.bindings[1 - client][1 - provider]) << 42;
        bindings << 8 | modules
    }
}

/// The client and the provider of the binding between number `number` of `side` and number `other`
/// of the other one.
fn pair(side: usize, number: usize, other: usize) -> (usize, usize) {
    if side == CLIENT {
        (number, other)
    } else {
        (other, number)
    }
}

/// Spreads words that are distinct already.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only words are hashed");
    }

    fn write_u64(&mut self, word: u64) {
        let product = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}
