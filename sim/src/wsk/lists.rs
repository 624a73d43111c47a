//! Lists of indications: what receive events hand over, and clients may retain [wsk 8.2, 8.5, 8.6].
//!
//! What an indication of a list describes is up to its event: see `indication` and
//! `datagram_events`.

use std::collections::BTreeMap;

use wdk_sys::{NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS};
use wsk_sys::PWSK_SOCKET;

use super::call::Entry;
use super::chain::Chain;
use super::socket::{Phase, Socket, State};
use super::tables::Category;
use crate::kernel::lent::Lent;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// What an event that indicates a list may return.
pub(super) const ANSWERS: [NTSTATUS; 3] =
    [STATUS_SUCCESS, STATUS_PENDING, STATUS_DATA_NOT_ACCEPTED];

/// What one indication describes.
pub(super) trait Part: Send + Sized {
    /// How the client sees it.
    type Node: Copy;

    /// Where a socket has its lists of this kind.
    fn lists(state: &mut State) -> &mut Lists<Self>;

    fn node(&self, next: *mut Self::Node) -> Self::Node;

    fn data(&self) -> &Chain;

    /// Takes the memory back from the client.
    fn take_back(self);
}

/// A list of indications.
pub(super) struct List<P> {
    /// The last of the list comes first.
    nodes: Vec<Lent>,
    parts: Vec<P>,
}

impl<P: Part> List<P> {
    pub(super) fn new(sim: &Shared, parts: Vec<P>) -> Self {
        let mut nodes: Vec<Lent> = Vec::new();
        for part in parts.iter().rev() {
            let next = nodes.last().map_or(core::ptr::null_mut(), Lent::pointer);
            nodes.push(Lent::holding(sim, part.node(next)));
        }
        Self { nodes, parts }
    }

    pub(super) fn head(&self) -> *mut P::Node {
        self.nodes
            .last()
            .map_or(core::ptr::null_mut(), Lent::pointer)
    }

    /// Takes the memory back from the client, which must not be sending it.
    pub(super) fn take_back(self, sim: &Shared) {
        let user = {
            let mut mdls = self.parts.iter().flat_map(|part| part.data().mdls());
            mdls.find_map(|mdl| sim.wsk.uses_mdl(mdl))
        };
        if let Some(user) = user {
            let details = format!("an indicated list was given back, and is used by {user}");
            offence(Rule::MdlFreedInUse, &details);
        }
        self.nodes.into_iter().for_each(Lent::take_back);
        self.parts.into_iter().for_each(Part::take_back);
    }
}

/// A list that the client sees.
struct Shown<P> {
    list: List<P>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The callback runs.
    Indicated,
    /// The client has released it before the callback has returned.
    Released,
    Retained,
}

/// The lists of one socket that the client sees, by their heads.
pub(super) struct Lists<P>(BTreeMap<usize, Shown<P>>);

impl<P> Default for Lists<P> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P: Part> Lists<P> {
    pub(super) fn has_retained(&self) -> bool {
        let mut lists = self.0.values();
        lists.any(|shown| shown.stage == Stage::Retained)
    }

    /// The event is about to be called for a list.
    pub(super) fn show(&mut self, list: List<P>) -> *mut P::Node {
        let (head, stage) = (list.head(), Stage::Indicated);
        self.0.insert(head.addr(), Shown { list, stage });
        head
    }
}

/// The event has returned, and the client has retained the list, or has not; the list, if the
/// client is through with it.
pub(super) fn conclude<P: Part>(
    socket: &Socket,
    state: &mut State,
    head: *mut P::Node,
    retained: bool,
) -> Option<List<P>> {
    let mut shown = P::lists(state).0.remove(&head.addr())?;
    let broken = match (retained, shown.stage) {
        (true, Stage::Indicated) if state.phase != Phase::Open => {
            Some((Rule::RetainedAtClose, "retained when the socket was closed"))
        }
        (false, Stage::Released) => Some((Rule::ReleaseUnknown, "released, but not retained")),
        _ => None,
    };
    if let Some((rule, what)) = broken {
        let socket = socket.describe_as(state);
        offence(rule, &format!("list {head:p} {what}, for the {socket}"));
    }
    if shown.stage == Stage::Released || !retained {
        return Some(shown.list);
    }
    shown.stage = Stage::Retained;
    P::lists(state).0.insert(head.addr(), shown);
    None
}

/// `WskRelease` [wsk 8.6]. A callback that retains a list may have it released by another thread
/// before it returns.
pub(super) fn release<P: Part>(
    socket: PWSK_SOCKET,
    head: *mut P::Node,
    categories: &[Category],
) -> NTSTATUS {
    let entry = Entry::new(socket, "WskRelease", categories);
    let mut state = lock(&entry.socket.state);
    let lists = &mut P::lists(&mut state).0;
    let retained = match lists.get_mut(&head.addr()) {
        Some(shown) if shown.stage == Stage::Indicated => {
            shown.stage = Stage::Released;
            None
        }
        Some(shown) if shown.stage == Stage::Retained => lists.remove(&head.addr()),
        Some(_) | None => {
            let socket = entry.socket.describe_as(&state);
            let details = format!("{head:p} released to the {socket}");
            offence(Rule::ReleaseUnknown, &details)
        }
    };
    drop(state);
    if let Some(shown) = retained {
        shown.list.take_back(&entry.me.sim);
    }
    entry.me.sim.sched.point(&entry.me);
    STATUS_SUCCESS
}
