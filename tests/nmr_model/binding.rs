//! One binding: what the registrar knows of it, and what each side does in its callbacks.

use crate::gate::State as Gate;

/// How far the registrar has got with a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The two have not met.
    Nothing,
    /// `ClientAttachProvider` is to be called, or runs.
    Proposed,
    /// `ProviderAttachClient` runs within it.
    ProviderAsked,
    /// The provider has agreed.
    Attached,
    Detaching,
    Cleaning,
    Gone,
}

/// How far the client's attach callback has got after the provider has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attach {
    Agreed,
    Published,
    Returned,
}

/// How far one side has got with detaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detach {
    NotCalled,
    /// The callback runs, and is inside.
    Running,
    /// It has left, but not as the last one, and is about to say so.
    Left,
    /// The same, and the completion has overtaken it.
    Overtaken,
    Pending,
    /// It has left as the last one; or it was completed.
    Done,
}

/// When the registrar begins to detach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registrar {
    /// When the client's attach callback has returned; publishing and returning are then one step.
    Orderly,
    /// Also while it runs, once the provider has agreed: the worst that a registrar could do.
    Hasty,
}

/// One side of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    gate: Gate,
    /// How many calls of the peer this side has in flight.
    pub calls: u8,
    detach: Detach,
    pub has_context: bool,
    is_cleaned: bool,
}

/// A binding with its client's side and its provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    pub phase: Phase,
    attach: Attach,
    pub sides: [Side; 2],
}

pub const CLIENT: usize = 0;
pub const PROVIDER: usize = 1;

/// What can happen to a binding; the number is that of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    DropProposal,
    ClientDeclines,
    ClientAgrees,
    ProviderDeclines,
    ProviderAgrees,
    Publish,
    AttachReturns,
    BeginDetach,
    Enter(usize),
    Leave(usize),
    CallDetach(usize),
    LeaveDetach(usize),
    ReturnDetach(usize),
    CleanUp(usize),
}

pub const EVENTS: [Event; 20] = [
    Event::DropProposal,
    Event::ClientDeclines,
    Event::ClientAgrees,
    Event::ProviderDeclines,
    Event::ProviderAgrees,
    Event::Publish,
    Event::AttachReturns,
    Event::BeginDetach,
    Event::Enter(CLIENT),
    Event::Enter(PROVIDER),
    Event::Leave(CLIENT),
    Event::Leave(PROVIDER),
    Event::CallDetach(CLIENT),
    Event::CallDetach(PROVIDER),
    Event::LeaveDetach(CLIENT),
    Event::LeaveDetach(PROVIDER),
    Event::ReturnDetach(CLIENT),
    Event::ReturnDetach(PROVIDER),
    Event::CleanUp(CLIENT),
    Event::CleanUp(PROVIDER),
];

impl Side {
    const NEW: Self = Self {
        gate: Gate::NEW,
        calls: 0,
        detach: Detach::NotCalled,
        has_context: false,
        is_cleaned: false,
    };

    fn make_context(&mut self) {
        assert!(!self.has_context, "a context is made twice");
        self.has_context = true;
    }

    fn free_context(&mut self) {
        assert!(self.has_context, "a context is freed twice");
        self.has_context = false;
    }

    /// Somebody leaves; `true`: as the last one.
    fn leave(&mut self) -> bool {
        let (gate, last) = self.gate.leave();
        self.gate = gate;
        last
    }

    /// A caller who left last calls the completion function.
    fn complete(&mut self) {
        self.detach = match self.detach {
            Detach::Left => Detach::Overtaken,
            Detach::Pending => Detach::Done,
            other => panic!("completed in the state {other:?}"),
        };
    }

    /// Whether a call that left completed the detach.
    pub fn is_completed_by_leaving(self, after: Self) -> bool {
        self.detach != after.detach
    }
}

impl Binding {
    pub const NEW: Self = Self {
        phase: Phase::Nothing,
        attach: Attach::Agreed,
        sides: [Side::NEW; 2],
    };

    /// How many calls are in flight, of both sides.
    pub fn calls(&self) -> u8 {
        self.sides.iter().map(|side| side.calls).sum()
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Nothing | Phase::Gone)
    }

    /// What comes of an event, if it can happen now. `leaving`: one of the two is deregistering.
    pub fn after(&self, event: Event, leaving: bool, registrar: Registrar) -> Option<Self> {
        let too_early = event == Event::BeginDetach && self.attach != Attach::Returned;
        if too_early && registrar == Registrar::Orderly {
            return None;
        }
        let mut next = *self;
        next.apply(event, leaving).then_some(())?;
        if event == Event::Publish && registrar == Registrar::Orderly {
            next.attach = Attach::Returned;
        }
        next.settle();
        next.check();
        Some(next)
    }

    fn apply(&mut self, event: Event, leaving: bool) -> bool {
        match event {
            Event::Enter(side) => return self.enter(side),
            Event::Leave(side) => return self.leave(side),
            Event::CallDetach(side) | Event::LeaveDetach(side) | Event::ReturnDetach(side) => {
                return self.detach(event, side);
            }
            Event::CleanUp(side) => return self.clean_up(side),
            Event::Publish | Event::AttachReturns => return self.end_attach(event),
            _ => {}
        }
        self.phase = match (event, self.phase) {
            (Event::DropProposal, Phase::Proposed) if leaving => Phase::Gone,
            (Event::ClientDeclines, Phase::Proposed) => Phase::Gone,
            (Event::ClientAgrees, Phase::Proposed) => {
                self.sides[CLIENT].make_context();
                Phase::ProviderAsked
            }
            (Event::ProviderDeclines, Phase::ProviderAsked) => {
                self.sides[CLIENT].free_context();
                Phase::Gone
            }
            (Event::ProviderAgrees, Phase::ProviderAsked) => {
                self.sides[PROVIDER].make_context();
                self.publish(PROVIDER);
                Phase::Attached
            }
            (Event::BeginDetach, Phase::Attached) if leaving => Phase::Detaching,
            _ => return false,
        };
        true
    }

    fn publish(&mut self, side: usize) {
        let gate = &mut self.sides[side].gate;
        *gate = gate.publish().unwrap_or(*gate);
    }

    fn end_attach(&mut self, event: Event) -> bool {
        let provider_agreed = matches!(
            self.phase,
            Phase::Attached | Phase::Detaching | Phase::Cleaning
        );
        self.attach = match (event, self.attach) {
            (Event::Publish, Attach::Agreed) if provider_agreed => {
                self.publish(CLIENT);
                Attach::Published
            }
            (Event::AttachReturns, Attach::Published) => Attach::Returned,
            _ => return false,
        };
        true
    }

    fn enter(&mut self, side: usize) -> bool {
        let side = &mut self.sides[side];
        let Ok(gate) = side.gate.enter() else {
            return false;
        };
        side.gate = gate;
        side.calls += 1;
        true
    }

    fn leave(&mut self, side: usize) -> bool {
        let side = &mut self.sides[side];
        if side.calls == 0 {
            return false;
        }
        side.calls -= 1;
        if side.leave() {
            side.complete();
        }
        true
    }

    fn detach(&mut self, event: Event, side: usize) -> bool {
        let detaching = self.phase == Phase::Detaching;
        let side = &mut self.sides[side];
        side.detach = match (event, side.detach) {
            (Event::CallDetach(_), Detach::NotCalled) if detaching => {
                side.gate = side.gate.begin_detach();
                Detach::Running
            }
            (Event::LeaveDetach(_), Detach::Running) if side.leave() => Detach::Done,
            (Event::LeaveDetach(_), Detach::Running) => Detach::Left,
            (Event::ReturnDetach(_), Detach::Left) => Detach::Pending,
            (Event::ReturnDetach(_), Detach::Overtaken) => Detach::Done,
            _ => return false,
        };
        true
    }

    fn clean_up(&mut self, side: usize) -> bool {
        if self.phase != Phase::Cleaning || self.sides[side].is_cleaned {
            return false;
        }
        self.sides[side].free_context();
        self.sides[side].is_cleaned = true;
        true
    }

    /// What the registrar concludes by itself.
    fn settle(&mut self) {
        let all = |sides: &[Side; 2], is: fn(&Side) -> bool| sides.iter().all(is);
        if self.phase == Phase::Detaching && all(&self.sides, |side| side.detach == Detach::Done) {
            self.phase = Phase::Cleaning;
        }
        let cleaned = all(&self.sides, |side| side.is_cleaned);
        if self.phase == Phase::Cleaning && cleaned && self.attach == Attach::Returned {
            self.phase = Phase::Gone;
        }
        if self.phase == Phase::Gone {
            for side in &self.sides {
                assert!(side.gate.enter().is_err(), "what is gone can be entered");
                assert!(!side.has_context, "a context is left");
            }
            // Nobody looks at the rest any more.
            *self = Self {
                phase: Phase::Gone,
                ..Self::NEW
            };
        }
    }

    fn check(&self) {
        let [client, provider] = &self.sides;
        for side in [client, provider] {
            if side.calls == 0 {
                continue;
            }
            assert!(
                client.has_context && provider.has_context,
                "a context in use is freed"
            );
            assert_ne!(side.detach, Detach::Done, "detached during a call");
        }
    }
}
