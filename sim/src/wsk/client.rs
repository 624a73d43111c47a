//! The clients of the provider: whether they registered with WSK or attached through the registrar
//! of network modules, and what each still has [wsk 2, 12.17].
//!
//! What they call WSK by is a number. A client outlives its deregistration in the books, because a
//! capture afterwards is legal and has a defined answer. How a client comes and goes is the affair
//! of `registration` and `nmr`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{ULONG, USHORT};
use wsk_sys::WSK_CLIENT_VERSION_1_0;

use super::nmr;
use crate::kernel::layout::Header;
use crate::kernel::object::{NOTIFICATION_EVENT, Object};
use crate::sim::Shared;
use crate::verifier::{DriverNumber, Site};

/// Where the addresses of clients, as `WSK_PROVIDER_NPI` carries them, begin; they point to
/// nothing.
const FIRST_CLIENT: usize = 0x5757_0000;

/// When the provider becomes ready, in virtual time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    At(u64),
    Never,
}

/// How a client came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// By `WskRegister` with the block at this address.
    Block(usize),
    /// Through the registrar, in the binding that WSK knows by this handle.
    Binding(usize),
}

/// The clients of one simulation, by number.
pub(super) struct Registrations {
    clients: BTreeMap<usize, Client>,
    pub(super) ready: Readiness,
    /// WSK is registered as a provider module.
    pub(super) offered: bool,
    last: usize,
}

pub(super) struct Client {
    number: usize,
    pub(super) origin: Origin,
    pub(super) version: USHORT,
    pub(super) captures: usize,
    sockets: usize,
    has_made_sockets: bool,
    /// Calls that run, and requests that are not complete.
    uses: usize,
    /// The events that are enabled for all sockets [wsk 6.7].
    static_events: ULONG,
    /// The client, or the registrar, has asked WSK to let go of it; that is also over.
    pub(super) leaving: bool,
    pub(super) gone: bool,
    /// Signalled when a capture need not wait any more, and when a deregistration may go on.
    pub(super) changed: Arc<Header>,
    site: Site,
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            ready: Readiness::At(0),
            offered: false,
            last: 0,
        }
    }
}

impl Registrations {
    pub(super) fn is_ready(&self, sim: &Shared) -> bool {
        matches!(self.ready, Readiness::At(time) if time <= sim.sched.now())
    }

    /// Enters a new client, and returns what it calls WSK by.
    pub(super) fn add(&mut self, sim: &Shared, origin: Origin, version: USHORT) -> usize {
        self.last += 1;
        let client = Client {
            number: self.last,
            origin,
            version,
            captures: 0,
            sockets: 0,
            has_made_sockets: false,
            uses: 0,
            static_events: 0,
            leaving: false,
            gone: false,
            changed: Arc::new(Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0)),
            site: Site::here(sim),
        };
        let name = client.name();
        self.clients.insert(self.last, client);
        name
    }

    /// The client that calls WSK by this.
    pub(super) fn of_name(&mut self, name: usize) -> Option<&mut Client> {
        let offset = name.checked_sub(FIRST_CLIENT)?;
        let found = self.clients.get_mut(&(offset / 16));
        found.filter(|_| offset % 16 == 0)
    }

    /// The client that came in this way; of several, the latest.
    pub(super) fn of_origin(&mut self, origin: Origin) -> Option<&mut Client> {
        let mut clients = self.clients.values_mut().rev();
        clients.find(|client| client.origin == origin)
    }

    pub(super) fn count_socket(&mut self, name: usize) {
        if let Some(client) = self.of_name(name) {
            client.sockets += 1;
            client.has_made_sockets = true;
        }
    }

    pub(super) fn uncount_socket(&mut self, sim: &Shared, name: usize) {
        if let Some(client) = self.of_name(name) {
            client.sockets -= 1;
            client.notice(sim);
        }
    }

    /// A call or a request of the client's begins [wsk 2.9].
    pub(super) fn count_use(&mut self, name: usize) {
        if let Some(client) = self.of_name(name) {
            client.uses += 1;
        }
    }

    pub(super) fn uncount_use(&mut self, sim: &Shared, name: usize) {
        if let Some(client) = self.of_name(name) {
            client.uses -= 1;
            if client.uses == 0 && client.leaving {
                client.notice(sim);
            }
        }
    }

    pub(super) fn static_events(&mut self, name: usize) -> ULONG {
        self.of_name(name).map_or(0, |client| client.static_events)
    }

    /// Has events enabled for all sockets that the client makes from now on [wsk 6.7].
    pub(super) fn add_static_events(&mut self, name: usize, events: ULONG) {
        if let Some(client) = self.of_name(name) {
            client.static_events |= events;
        }
    }

    pub(super) fn has_made_sockets(&mut self, name: usize) -> bool {
        self.of_name(name)
            .is_some_and(|client| client.has_made_sockets)
    }

    /// Has somebody asked WSK to let go of the client?
    pub(super) fn is_leaving(&mut self, name: usize) -> bool {
        self.of_name(name).is_some_and(|client| client.leaving)
    }

    /// The driver that is this client.
    pub(super) fn driver_of(&mut self, name: usize) -> DriverNumber {
        self.of_name(name).map_or(0, |client| client.site.driver())
    }

    /// Did `driver` make this client? Everybody's clients were made by somebody.
    pub(super) fn is_of(&self, name: usize, driver: Option<DriverNumber>) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| client.name() == name && client.site.is_of(driver))
    }

    pub(super) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let made = self
            .clients
            .values()
            .filter(|client| client.site.is_of(driver));
        let open = made.filter(|client| !client.gone);
        open.map(Client::describe).collect()
    }

    pub(super) fn uses_memory(&self, start: usize, length: usize) -> Option<String> {
        let range = start..start + length;
        let mut open = self.clients.values().filter(|client| !client.gone);
        let user = open.find(
            |client| matches!(client.origin, Origin::Block(address) if range.contains(&address)),
        );
        user.map(Client::describe)
    }
}

impl Client {
    /// What the client calls WSK by.
    pub(super) fn name(&self) -> usize {
        FIRST_CLIENT + self.number * 16
    }

    /// Is everything through that WSK waits for before it lets go of the client?
    pub(super) fn is_idle(&self) -> bool {
        self.captures == 0 && self.sockets == 0 && self.uses == 0
    }

    /// Something has changed: whoever waits for it looks again.
    pub(super) fn notice(&self, sim: &Shared) {
        match self.origin {
            Origin::Block(_) => {
                let object = Object::of(&self.changed);
                sim.sched
                    .update(object, || object.header().state.store(1, SeqCst));
            }
            Origin::Binding(binding) if self.leaving && self.is_idle() => {
                nmr::finish_detach_soon(sim, binding);
            }
            Origin::Binding(_) => {}
        }
    }

    pub(super) fn describe(&self) -> String {
        let (captures, sockets, site) = (self.captures, self.sockets, &self.site);
        match self.origin {
            Origin::Block(address) => format!(
                "WSK registration {address:#x} with {captures} captures and {sockets} sockets, \
                 registered{site}"
            ),
            Origin::Binding(binding) => {
                format!("WSK client of binding {binding:#x} with {sockets} sockets, attached{site}")
            }
        }
    }
}

/// Does WSK have this version of the client's interface [wsk 2.5]?
pub(super) fn is_supported(version: USHORT) -> bool {
    version == WSK_CLIENT_VERSION_1_0
}
