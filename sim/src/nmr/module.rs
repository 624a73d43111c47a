//! A network module that registered, and whether what it registered with is still there
//! [wsk 12.1].
//!
//! Peers are shown the characteristics where they are, in the module's memory. The registrar looks
//! at them again whenever it uses them: memory of a function that has returned is a common mistake,
//! and no free tells of it.

// UNSAFETY: characteristics are read in the driver's memory.
#![expect(unsafe_code, reason = "reads structures in the driver's memory")]

use core::fmt;
use core::mem::offset_of;
use core::ops::Range;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{HANDLE, PVOID};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_PROVIDER_CHARACTERISTICS, PNPI_REGISTRATION_INSTANCE,
};

use super::characteristics::{Callbacks, Characteristics, Found, Side, read_client, read_provider};
use super::handle;
use crate::kernel::layout::Header;
use crate::kernel::object::{NOTIFICATION_EVENT, Object};
use crate::kernel::thread::Context;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{Rule, Site};

/// What a provider of the system has called when the client of a binding, which is named by the
/// provider's handle, has detached.
pub(super) type ClientDetached = fn(&Arc<Shared>, usize);

/// A module that registered.
pub(super) struct Module {
    pub(super) number: usize,
    pub(super) side: Side,
    pub(super) characteristics: Characteristics,
    pub(super) callbacks: Callbacks,
    /// The registration context.
    pub(super) context: Context,
    /// For a provider of the system: called with the binding when its client has detached.
    pub(super) client_detached: Option<ClientDetached>,
    /// Signalled when the deregistration is complete.
    complete: Header,
    site: Site,
}

impl Module {
    pub(super) fn new(
        me: &Thread,
        number: usize,
        side: Side,
        found: &Found,
        context: PVOID,
        client_detached: Option<ClientDetached>,
    ) -> Self {
        Self {
            number,
            side,
            characteristics: found.characteristics,
            callbacks: found.callbacks,
            context: Context(context),
            client_detached,
            complete: Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0),
            site: Site::here(&me.sim),
        }
    }

    pub(super) fn handle(&self) -> HANDLE {
        core::ptr::without_provenance_mut(handle(self.number))
    }

    /// Does it belong to the simulator, not to a driver?
    pub(super) fn is_system(&self) -> bool {
        self.client_detached.is_some()
    }

    /// The registration instance, as peers are shown it.
    pub(super) fn instance(&self) -> PNPI_REGISTRATION_INSTANCE {
        let offset = match self.side {
            Side::Client => {
                offset_of!(NPI_CLIENT_CHARACTERISTICS, ClientRegistrationInstance)
            }
            Side::Provider => {
                offset_of!(NPI_PROVIDER_CHARACTERISTICS, ProviderRegistrationInstance)
            }
        };
        core::ptr::with_exposed_provenance(self.characteristics.address + offset)
    }

    pub(super) fn completion(&self) -> Object {
        Object::of(&self.complete)
    }

    pub(super) fn signal_complete(&self, sim: &Shared) {
        let object = self.completion();
        sim.sched
            .update(object, || object.header().state.store(1, SeqCst));
    }

    /// What of the module's must stay in this range of memory.
    pub(super) fn uses(&self, range: &Range<usize>) -> Option<&'static str> {
        let context = (self.context.get().addr(), 1, "the registration context");
        let mut memory = self.characteristics.memory().into_iter().chain([context]);
        memory
            .find(|(start, length, _)| *start < range.end && range.start < start + length)
            .map(|(_, _, what)| what)
    }

    /// Reports characteristics in paged pool, which a callback at `DISPATCH_LEVEL` cannot use.
    pub(super) fn check_resident(&self, me: &Thread) {
        let pool = lock(&me.sim.kernel.pool);
        let paged = self
            .characteristics
            .memory()
            .into_iter()
            .find(|(start, _, _)| pool.is_paged(*start));
        drop(pool);
        if let Some((_, _, what)) = paged {
            let details = format!("{what} of the {self} in paged pool");
            offence(Rule::NmrCharacteristics, &details);
        }
    }

    /// Reports characteristics that do not say any more what they said at registration.
    pub(super) fn check_unchanged(&self) {
        let address = self.characteristics.address;
        let found = match self.side {
            Side::Client => {
                let address = core::ptr::with_exposed_provenance(address);
                // SAFETY: the module keeps them valid while it is registered [wsk 12.1].
                unsafe { read_client(address) }
            }
            Side::Provider => {
                let address = core::ptr::with_exposed_provenance(address);
                // SAFETY: as above.
                unsafe { read_provider(address) }
            }
        };
        if found.is_ok_and(|found| found.characteristics == self.characteristics) {
            return;
        }
        let details = format!(
            "the characteristics at {address:#x} of the {self} are not what they were when it \
             registered{}",
            self.site
        );
        offence(Rule::NmrCharacteristics, &details);
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Characteristics { id, number, .. } = &self.characteristics;
        let (side, handle) = (self.side.name(), self.handle());
        write!(f, "{side} module {id} number {number} ({handle:p})")
    }
}
