//! The lists of addresses that clients were given: `ADDRINFOEXW` structures with their addresses
//! and names, in one block of pool each, until `WskFreeAddressInfo`.

// UNSAFETY: lists are built in memory that the client reads.
#![expect(unsafe_code, reason = "lists in memory of the client's")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use wdk_sys::PWSTR;
use wsk_sys::{ADDRINFOEXW, AF_INET, AF_INET6, PADDRINFOEXW, SOCKADDR_STORAGE};

use super::address::{self, Family};
use crate::kernel::pool::Owner;
use crate::sim::{Shared, lock};
use crate::verifier::{DriverNumber, Rule, Site};

const TAG: u32 = u32::from_le_bytes(*b"WskA");

/// What every element of a list says.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) socket_type: i32,
    pub(super) protocol: i32,
    /// The name that the first element gets.
    pub(super) canonical_name: Option<String>,
}

/// The lists that are not freed, by the address of their first element.
#[derive(Default)]
pub(super) struct AddressLists(Mutex<BTreeMap<usize, Owned>>);

struct Owned {
    client: usize,
    count: usize,
    site: Site,
}

impl Owned {
    fn describe(&self, head: usize) -> String {
        format!(
            "list {head:#x} of {} addresses, asked for{}",
            self.count, self.site
        )
    }
}

/// Where the parts of a list lie in its block: the elements, the addresses, the name.
struct Layout {
    addresses: usize,
    name: usize,
    size: usize,
}

impl Layout {
    fn new(count: usize, name: usize) -> Self {
        let addresses = count * size_of::<ADDRINFOEXW>();
        let name_at = addresses + count * size_of::<SOCKADDR_STORAGE>();
        Self {
            addresses,
            name: name_at,
            size: name_at + name * size_of::<u16>(),
        }
    }
}

impl AddressLists {
    /// Makes a list for a client, which asked for it at `site`.
    pub(super) fn make(
        &self,
        sim: &Shared,
        client: usize,
        addresses: &[SocketAddr],
        template: &Template,
        site: Site,
    ) -> PADDRINFOEXW {
        let name: Vec<u16> = template
            .canonical_name
            .iter()
            .flat_map(|name| name.encode_utf16().chain([0]))
            .collect();
        let layout = Layout::new(addresses.len(), name.len());
        let block = lock(&sim.kernel.pool).allocate(sim, layout.size, TAG, false, Owner::Kernel);
        let head = core::ptr::with_exposed_provenance_mut::<ADDRINFOEXW>(block);
        let places = head.wrapping_byte_add(layout.addresses).cast();
        let name_place: PWSTR = head.wrapping_byte_add(layout.name).cast();
        // SAFETY: the block has room for the name at its end.
        unsafe { name_place.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
        for (index, address) in addresses.iter().enumerate() {
            let place: *mut SOCKADDR_STORAGE = places;
            let place = place.wrapping_add(index);
            // SAFETY: the block has room for each address behind the elements.
            unsafe { address::write(place.cast(), *address) };
            let mut element = element(*address, template);
            element.ai_addr = place.cast();
            if index == 0 && !name.is_empty() {
                element.ai_canonname = name_place;
            }
            let last = index + 1 == addresses.len();
            let next = head.wrapping_add(index + 1);
            element.ai_next = if last { core::ptr::null_mut() } else { next };
            // SAFETY: the block begins with room for each element.
            unsafe { head.wrapping_add(index).write(element) };
        }
        let owned = Owned {
            client,
            count: addresses.len(),
            site,
        };
        lock(&self.0).insert(block, owned);
        head
    }

    /// Frees a list of a client's; the report of what is wrong is the error.
    pub(super) fn free(
        &self,
        sim: &Shared,
        client: usize,
        head: usize,
    ) -> Result<(), (Rule, String)> {
        let mut lists = lock(&self.0);
        let found = lists.get(&head).map(|list| list.client == client);
        if found == Some(true) {
            lists.remove(&head);
            drop(lists);
            return lock(&sim.kernel.pool).free(head, None, Owner::Kernel);
        }
        let what = match lists.get(&head) {
            Some(list) => format!("{}, of another client", list.describe(head)),
            None => match lock(&sim.kernel.pool).find_freed(head) {
                Some(freed) => format!("{head:#x}, which was freed: {freed}"),
                None => format!("{head:#x}, which is no list of WskGetAddressInfo's"),
            },
        };
        Err((Rule::AddressList, format!("WskFreeAddressInfo of {what}")))
    }

    /// The lists that a client has not freed.
    pub(super) fn of_client(&self, client: usize) -> Vec<String> {
        self.describe(|list| list.client == client)
    }

    pub(super) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        self.describe(|list| list.site.is_of(driver))
    }

    fn describe(&self, which: impl Fn(&Owned) -> bool) -> Vec<String> {
        let lists = lock(&self.0);
        let found = lists.iter().filter(|(_, list)| which(list));
        found.map(|(head, list)| list.describe(*head)).collect()
    }
}

fn element(address: SocketAddr, template: &Template) -> ADDRINFOEXW {
    let family = Family::of(address);
    let number = match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    };
    ADDRINFOEXW {
        ai_flags: 0,
        ai_family: number.cast_signed(),
        ai_socktype: template.socket_type,
        ai_protocol: template.protocol,
        ai_addrlen: family.address_size(),
        ai_canonname: core::ptr::null_mut(),
        ai_addr: core::ptr::null_mut(),
        ai_blob: core::ptr::null_mut(),
        ai_bloblen: 0,
        ai_provider: core::ptr::null_mut(),
        ai_next: core::ptr::null_mut(),
    }
}
