//! The event of datagram sockets: lists of datagrams, which the client takes, retains or refuses
//! [wsk 8.5].
//!
//! Unlike those of a connection, its calls are not serial.

use std::sync::Arc;

use wdk_sys::{STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING};
use wsk_sys::{PWSK_DATAGRAM_INDICATION, WSK_DATAGRAM_INDICATION, WSK_EVENT_RECEIVE_FROM};

use super::chain::Chain;
use super::events::{self, Callback};
use super::lists::{self, List, Lists, Part};
use super::request::Lane;
use super::socket::{Socket, State};
use super::{address, callbacks, control_data, datagram};
use crate::kernel::lent::Lent;
use crate::net::Datagram;
use crate::sim::{Shared, lock};

/// At most so many datagrams make a list.
const MOST_INDICATED: usize = 3;

/// A datagram as the client sees it.
pub(super) struct Indicated {
    chain: Chain,
    control: Option<Lent>,
    remote: Lent,
}

impl Indicated {
    fn new(sim: &Shared, state: &State, datagram: &Datagram) -> Self {
        let control = control_data::describe(state, datagram);
        Self {
            chain: Chain::new(sim, &datagram.data),
            control: (!control.is_empty()).then(|| Lent::of(sim, &control)),
            remote: Lent::of(sim, &address::encode(datagram.remote)),
        }
    }
}

impl Part for Indicated {
    type Node = WSK_DATAGRAM_INDICATION;

    fn lists(state: &mut State) -> &mut Lists<Self> {
        &mut state.datagrams.lists
    }

    fn node(&self, next: PWSK_DATAGRAM_INDICATION) -> WSK_DATAGRAM_INDICATION {
        let control = self.control.as_ref();
        let length = control.map_or(0, |control| control.bytes().len());
        WSK_DATAGRAM_INDICATION {
            Next: next,
            Buffer: self.chain.describe(),
            ControlInfo: control.map_or(core::ptr::null_mut(), Lent::pointer),
            ControlInfoLength: u32::try_from(length).unwrap_or(0),
            RemoteAddress: self.remote.pointer(),
        }
    }

    fn data(&self) -> &Chain {
        &self.chain
    }

    fn take_back(self) {
        self.chain.give_up();
        self.control.into_iter().for_each(Lent::take_back);
        self.remote.take_back();
    }
}

/// Raises the event if there is something to tell.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    if !state.events.may_be_raised(WSK_EVENT_RECEIVE_FROM) {
        return;
    }
    if state.dead {
        if !state.events.is_death_reported() {
            events::raise(sim, socket, state, WSK_EVENT_RECEIVE_FROM, indicate_death);
        }
        return;
    }
    let nobody_waits = state.lane(Lane::Receive).is_empty();
    if datagram::has_arrived(sim, state) && events::wins_the_race(sim, nobody_waits) {
        events::raise(sim, socket, state, WSK_EVENT_RECEIVE_FROM, indicate);
    }
}

/// `WskReceiveFromEvent` for a dead socket.
fn indicate_death(callback: &Callback<'_>) {
    let first = lock(&callback.socket.state).events.report_death();
    if first {
        callbacks::receive_from(callback, 0, core::ptr::null_mut());
    }
}

/// Some of the datagrams that are there; their flags are the same, because they are the event's.
fn take_some(sim: &Shared, state: &mut State) -> Vec<Datagram> {
    let most = 1 + sim.sched.choose_below(MOST_INDICATED);
    let mut taken: Vec<Datagram> = Vec::new();
    while taken.len() < most
        && let Some(datagram) = datagram::take(sim, state)
    {
        let alike = |first: &Datagram| control_data::flags(first) == control_data::flags(&datagram);
        if !taken.first().is_none_or(alike) {
            state.datagrams.put_back(vec![datagram]);
            break;
        }
        taken.push(datagram);
    }
    taken
}

/// `WskReceiveFromEvent` for what is there.
fn indicate(callback: &Callback<'_>) {
    let (sim, socket) = (&callback.me.sim, callback.socket);
    let mut state = lock(&socket.state);
    let datagrams = take_some(sim, &mut state);
    let Some(first) = datagrams.first() else {
        return;
    };
    let flags = control_data::flags(first);
    let parts = datagrams
        .iter()
        .map(|datagram| Indicated::new(sim, &state, datagram));
    let list = List::new(sim, parts.collect());
    let head = state.datagrams.lists.show(list);
    drop(state);
    let status = callbacks::receive_from(callback, flags, head);
    callback.expect_status(status, "WskReceiveFromEvent", &lists::ANSWERS);
    let mut state = lock(&socket.state);
    let retained = status == STATUS_PENDING;
    let list = lists::conclude::<Indicated>(socket, &mut state, head, retained);
    if status == STATUS_DATA_NOT_ACCEPTED {
        refused(&mut state, datagrams);
    }
    drop(state);
    if let Some(list) = list {
        list.take_back(sim);
    }
}

/// What becomes of datagrams that the client did not accept: they wait until it enables the event
/// again, or are lost where it was enabled for good.
fn refused(state: &mut State, datagrams: Vec<Datagram>) {
    if !state.events.is_permanent(WSK_EVENT_RECEIVE_FROM) {
        state.datagrams.put_back(datagrams);
        state.events.switch_off(WSK_EVENT_RECEIVE_FROM);
    }
}
