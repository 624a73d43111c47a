//! The Network Module Registrar: it introduces network modules to each other and takes care that
//! they part in order [wsk 12].
//!
//! - `characteristics`, `module`: what a module registered, and whether it is still there
//! - `registration`: `NmrRegisterClient`, `NmrDeregisterClient`, the wait, and the providers' ones
//! - `binding`: how far a client and a provider have got with each other
//! - `callback`: where and at which IRQL a module's callback is called
//! - `attach`, `detach`, `cleanup`: the life of a binding
//!
//! The registrar knows no interface: what two modules say to each other, and what their dispatch
//! tables hold, is their own affair. Handles are numbers that are never used again, so that the use
//! of an old one is noticed.

mod attach;
mod binding;
mod callback;
mod characteristics;
mod cleanup;
mod detach;
mod module;
mod registration;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{DriverNumber, Rule};
use binding::{Binding, Outcome};
use characteristics::Side;
use module::Module;

pub(crate) use characteristics::Guid;
pub(crate) use detach::NmrProviderDetachClientComplete;
pub(crate) use registration::register_system_provider;

/// Where handles begin; they point to nothing.
const FIRST_HANDLE: usize = 0x4E4D_0000;
/// What a provider's handle of a binding has on top of the client's.
const PROVIDERS: usize = 8;

/// A provider that the registrar starts when the first client of its interface registers.
pub(crate) type OnDemand = (Guid, fn(&Arc<Thread>));

/// The registrar of one simulation.
pub(crate) struct Nmr {
    on_demand: &'static [OnDemand],
    books: Mutex<Books>,
}

/// How far the registration of a module has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registered,
    Deregistering,
    /// Deregistered, and no binding is left.
    Complete,
    /// Somebody has waited for that: the module may be unloaded.
    Closed,
}

struct Registration {
    module: Arc<Module>,
    phase: Phase,
    /// How many bindings there are that are not gone, including those that are being made.
    open: usize,
}

/// All modules and bindings there ever were, by number.
#[derive(Default)]
struct Books {
    modules: BTreeMap<usize, Registration>,
    bindings: BTreeMap<usize, Binding>,
    last: usize,
}

impl Nmr {
    pub(crate) fn new(on_demand: &'static [OnDemand]) -> Self {
        Self {
            on_demand,
            books: Mutex::default(),
        }
    }

    /// The modules that are not deregistered and waited for, and the bindings that are not gone.
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let books = lock(&self.books);
        let modules = books.modules.values().filter(|found| found.is_left());
        let made = modules.filter(|found| found.module.site().is_of(driver));
        let mut left: Vec<_> = made.map(Registration::describe).collect();
        let bindings = books.bindings.values().filter(|binding| !binding.is_gone());
        let made = bindings.filter(|binding| {
            let mut modules = binding.modules().into_iter();
            modules.any(|module| module.site().is_of(driver))
        });
        left.extend(made.map(Binding::describe));
        left
    }

    /// What a module must not free yet in this range of memory, and the rule that says so.
    pub(crate) fn uses_memory(&self, start: usize, length: usize) -> Option<(Rule, String)> {
        let range = start..start + length;
        let books = lock(&self.books);
        for found in books.modules.values().filter(|found| found.is_left()) {
            if let Some(what) = found.module.uses(&range) {
                let words = format!("{what} of the {}", found.describe());
                return Some((Rule::NmrCharacteristics, words));
            }
        }
        let mut bindings = books.bindings.values();
        bindings.find_map(|binding| binding.uses(&range))
    }

    /// Changes a binding, and reports the offence if that breaks a rule.
    fn change<R>(&self, number: usize, change: impl FnOnce(&mut Binding) -> Outcome<R>) -> R {
        let mut books = lock(&self.books);
        let outcome = change(books.binding(number));
        drop(books);
        outcome.unwrap_or_else(|(rule, details)| offence(rule, &details))
    }

    /// Is a client of this interface registered?
    pub(crate) fn has_clients(&self, npi: Guid) -> bool {
        let books = lock(&self.books);
        let mut found = books.modules.values();
        found.any(|found| found.is_peer_of(Side::Provider, npi))
    }

    /// Has the client of a binding finished detaching, or is the binding gone?
    pub(crate) fn client_is_detached(&self, binding: usize) -> bool {
        let books = lock(&self.books);
        let number = books.find(binding).map(|(number, _)| number);
        number.is_none_or(|number| books.bindings[&number].is_detached(Side::Client))
    }
}

impl Registration {
    fn is_left(&self) -> bool {
        self.phase != Phase::Closed && !self.module.is_system()
    }

    /// Can a module of `side` attach to this one over `npi`?
    fn is_peer_of(&self, side: Side, npi: Guid) -> bool {
        self.phase == Phase::Registered
            && self.module.side != side
            && self.module.characteristics.npi == npi
    }

    fn describe(&self) -> String {
        let phase = match self.phase {
            Phase::Registered => "not deregistered",
            Phase::Deregistering => "deregistering",
            Phase::Complete => "deregistered, but not waited for",
            Phase::Closed => "deregistered",
        };
        let (module, open) = (&self.module, self.open);
        format!(
            "{module} of the interface {}, {phase}, open bindings: {open}, registered{}",
            module.characteristics.npi,
            module.site()
        )
    }
}

impl Books {
    fn next_number(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    fn binding(&mut self, number: usize) -> &mut Binding {
        let found = self.bindings.get_mut(&number);
        found.expect("bindings stay in the books")
    }

    /// The number of the binding with this handle, and whose handle it is.
    fn find(&self, handle: usize) -> Option<(usize, Side)> {
        let offset = handle.checked_sub(FIRST_HANDLE)?;
        let number = offset / 16;
        self.bindings.get(&number)?;
        match offset % 16 {
            0 => Some((number, Side::Client)),
            PROVIDERS => Some((number, Side::Provider)),
            _ => None,
        }
    }

    /// Is the client or the provider of a binding deregistering?
    fn is_leaving(&self, number: usize) -> bool {
        let modules = self.bindings[&number].modules();
        modules.iter().any(|module| {
            let found = &self.modules[&module.number];
            found.phase != Phase::Registered
        })
    }

    /// Strikes a binding out, and completes the deregistrations that waited for that.
    fn release(&mut self, sim: &Shared, number: usize) {
        for module in self.bindings[&number].modules() {
            if let Some(found) = self.modules.get_mut(&module.number) {
                found.open -= 1;
                found.complete_if_idle(sim);
            }
        }
    }
}

impl Registration {
    /// Completes the deregistration if nothing stands in its way.
    fn complete_if_idle(&mut self, sim: &Shared) {
        if self.phase == Phase::Deregistering && self.open == 0 {
            self.phase = Phase::Complete;
            self.module.signal_complete(sim);
        }
    }
}

/// The handle of a module, or the client's handle of a binding.
fn handle(number: usize) -> usize {
    FIRST_HANDLE + number * 16
}

/// Never called: compiles only if the exports have the signatures that `wsk-sys` declares.
macro_rules! check_signatures {
    ($($module:ident::$name:ident),* $(,)?) => {
        #[expect(dead_code, reason = "a check at compile time")]
        fn check_signatures(which: bool) {
            $(let _ = if which { wsk_sys::$name } else { $module::$name };)*
        }
    };
}

check_signatures! {
    registration::NmrRegisterClient,
    registration::NmrRegisterProvider,
    registration::NmrDeregisterClient,
    registration::NmrDeregisterProvider,
    registration::NmrWaitForClientDeregisterComplete,
    registration::NmrWaitForProviderDeregisterComplete,
    attach::NmrClientAttachProvider,
    detach::NmrClientDetachProviderComplete,
    detach::NmrProviderDetachClientComplete,
}
