//! What the options of datagram sockets mean when a datagram comes or goes: how far it goes, by
//! which interface it leaves, and whether the sender hears it too.

use std::net::IpAddr;

use wsk_sys::{
    IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL, IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_UNICAST_HOPS,
};

use super::control::groups;
use super::control::option_table::{IP, IPV6};
use super::control::options;
use super::socket::State;
use crate::net::Datagram;
use crate::sim::Shared;

/// How far multicast goes unless the client says otherwise.
const DEFAULT_MULTICAST_HOPS: u32 = 1;

/// The options of IPv4 or of IPv6 that this module looks at.
struct Names {
    level: u32,
    hops: u32,
    multicast_hops: u32,
    multicast_interface: u32,
    multicast_loop: u32,
}

const V4: Names = Names {
    level: IP,
    hops: IP_TTL,
    multicast_hops: IP_MULTICAST_TTL,
    multicast_interface: IP_MULTICAST_IF,
    multicast_loop: IP_MULTICAST_LOOP,
};

const V6: Names = Names {
    level: IPV6,
    hops: IPV6_UNICAST_HOPS,
    multicast_hops: IPV6_MULTICAST_HOPS,
    multicast_interface: IPV6_MULTICAST_IF,
    multicast_loop: IPV6_MULTICAST_LOOP,
};

impl Names {
    const fn of(ip: IpAddr) -> &'static Self {
        if ip.is_ipv4() { &V4 } else { &V6 }
    }
}

/// Whether a datagram that has arrived is for the client: one for many that the socket has sent
/// itself is not, unless `IP_MULTICAST_LOOP` is on.
pub(super) fn is_wanted(sim: &Shared, state: &State, datagram: &Datagram) -> bool {
    let target = datagram.local.map(|local| local.to_canonical());
    let Some(target) = target.filter(IpAddr::is_multicast) else {
        return true;
    };
    let names = Names::of(target);
    let option = (names.level, names.multicast_loop);
    let loops = !state.options.contains_key(&option) || state.is_set(option);
    let own_port = state.local.map(|local| local.port());
    let from = datagram.remote.ip().to_canonical();
    let own = own_port == Some(datagram.remote.port())
        && sim.net.local_addresses().iter().any(|(ip, _)| *ip == from);
    loops || !own
}

/// How far a datagram goes, and by which interface it leaves, as the options say.
pub(super) fn apply(sim: &Shared, state: &State, datagram: &mut Datagram) {
    let target = datagram.remote.ip().to_canonical();
    let names = Names::of(target);
    let value = |option| state.options.get(&(names.level, option));
    let number = |option| value(option).map(|value| options::read_number(value));
    let hops = if target.is_multicast() {
        let chosen = value(names.multicast_interface)
            .and_then(|value| groups::interface(sim, names.level, value).ok());
        datagram.interface = chosen.unwrap_or(0);
        Some(number(names.multicast_hops).unwrap_or(DEFAULT_MULTICAST_HOPS))
    } else {
        number(names.hops)
    };
    datagram.hops = hops.and_then(|hops| u8::try_from(hops).ok());
}
