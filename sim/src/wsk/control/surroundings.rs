//! What a test decides about the surroundings of the provider: the transports, the host's
//! addresses, filters, extension interfaces.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::STATUS_SUCCESS;

use super::super::address::Family;
use super::super::{death, progress};
use super::extension::Extension;
use super::redirect::Redirect;
use super::transports::{Transport, end_waiting};
use crate::sim::{Sim, lock};

impl Sim {
    /// Has a transport appear. Does nothing if it is there.
    pub fn add_transport(&self, transport: Transport) {
        if lock(&self.0.wsk.controls.transports).add(transport) {
            end_waiting(&self.0, |_| true, STATUS_SUCCESS);
        }
    }

    /// Has a transport go: its sockets are dead from now on, and no new ones can be made. Does
    /// nothing if it is not there.
    pub fn remove_transport(&self, transport: Transport) {
        if !lock(&self.0.wsk.controls.transports).remove(transport) {
            return;
        }
        for socket in self.0.wsk.open_sockets() {
            if Transport::of(socket.family, socket.protocol) == transport {
                death::end(&self.0, &socket);
            }
        }
        end_waiting(&self.0, |_| true, STATUS_SUCCESS);
    }

    /// Has all transports go: every open socket is dead.
    pub fn detach_transport(&self) {
        for transport in Transport::ALL {
            self.remove_transport(transport);
        }
    }

    /// Gives the second interface of the host another address. Does nothing if the host has it.
    ///
    /// # Panics
    ///
    /// With the host's own network.
    pub fn add_address(&self, ip: IpAddr) {
        if self.0.net.in_memory().add_address(ip) {
            self.tell_of_address(ip);
        }
    }

    /// Takes an address from the second interface of the host. Does nothing if that has it not.
    /// Connections from and to the address stay.
    ///
    /// # Panics
    ///
    /// With the host's own network.
    pub fn remove_address(&self, ip: IpAddr) {
        if self.0.net.in_memory().remove_address(ip) {
            self.tell_of_address(ip);
        }
    }

    fn tell_of_address(&self, ip: IpAddr) {
        let family = Family::of((ip, 0).into());
        self.0.wsk.controls.address_changes[family as usize].fetch_add(1, SeqCst);
        for socket in self.0.wsk.open_sockets() {
            progress::schedule(&self.0, &socket);
        }
    }

    /// Has every connection that a driver accepts from now on be one that a filter has redirected
    /// to it, with these records and this context.
    pub fn redirect_connections(&self, records: &[u8], context: &[u8]) {
        let redirect = Redirect::new(records, context);
        *lock(&self.0.wsk.controls.redirect) = Some(Arc::new(redirect));
    }

    /// Offers an extension interface to all clients from now on.
    pub fn offer_extension(&self, extension: impl Extension + 'static) {
        lock(&self.0.wsk.controls.extensions).push(Arc::new(extension));
    }
}
