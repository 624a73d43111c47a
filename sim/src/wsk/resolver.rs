//! Names of hosts and of services: which there are, and what belongs to which.
//!
//! Pure: it knows nothing of the client's memory, or of requests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use wsk_sys::{SOCK_DGRAM, SOCK_STREAM};

use super::address::Family;

const LOCALHOST: &str = "localhost";
/// Both families, in the order in which addresses are given.
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
];
const WILDCARD: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
];

/// The services with a name: port, TCP, UDP.
const SERVICES: [(&str, u16, bool, bool); 12] = [
    ("echo", 7, true, true),
    ("discard", 9, true, true),
    ("ftp", 21, true, false),
    ("telnet", 23, true, false),
    ("smtp", 25, true, false),
    ("domain", 53, true, true),
    ("tftp", 69, false, true),
    ("http", 80, true, false),
    ("ntp", 123, false, true),
    ("snmp", 161, false, true),
    ("ldap", 389, true, false),
    ("https", 443, true, false),
];

/// The hosts that a test has entered: name and addresses.
#[derive(Default)]
pub(super) struct Hosts(BTreeMap<String, Vec<IpAddr>>);

/// What addresses are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Question {
    /// `None` or not empty.
    pub(super) node: Option<String>,
    /// `None` or not empty.
    pub(super) service: Option<String>,
    pub(super) family: Option<Family>,
    /// A `SOCK_` constant, or 0 for any.
    pub(super) socket_type: u32,
    /// Addresses to bind to are wanted.
    pub(super) passive: bool,
    pub(super) numeric_host: bool,
    pub(super) numeric_service: bool,
}

impl Hosts {
    pub(super) fn add(&mut self, name: &str, addresses: &[IpAddr]) {
        self.0.insert(name.to_ascii_lowercase(), addresses.to_vec());
    }

    /// The socket addresses that answer a question; none if there is no match.
    pub(super) fn resolve(&self, question: &Question) -> Vec<SocketAddr> {
        let Some(port) = question.port() else {
            return Vec::new();
        };
        let wanted = |address: &SocketAddr| {
            question
                .family
                .is_none_or(|family| Family::of(*address) == family)
        };
        let found = self.addresses(question).into_iter();
        found
            .map(|mut address| {
                address.set_port(port);
                address
            })
            .filter(wanted)
            .collect()
    }

    fn addresses(&self, question: &Question) -> Vec<SocketAddr> {
        let with_port = |ips: &[IpAddr]| ips.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
        let Some(node) = &question.node else {
            return with_port(if question.passive {
                &WILDCARD
            } else {
                &LOOPBACK
            });
        };
        if let Some(address) = numeric(node) {
            return vec![address];
        }
        if question.numeric_host {
            return Vec::new();
        }
        let name = node.to_ascii_lowercase();
        match self.0.get(&name) {
            Some(ips) => with_port(ips),
            None if name == LOCALHOST => with_port(&LOOPBACK),
            None => Vec::new(),
        }
    }

    /// The name of the host that has an address.
    pub(super) fn name_of(&self, ip: IpAddr) -> Option<&str> {
        let ip = ip.to_canonical();
        let found = self.0.iter().find(|(_, ips)| ips.contains(&ip));
        found
            .map(|(name, _)| name.as_str())
            .or(LOOPBACK.contains(&ip).then_some(LOCALHOST))
    }
}

impl Question {
    /// The port of the service; `None` if there is no such service.
    fn port(&self) -> Option<u16> {
        let Some(service) = &self.service else {
            return Some(0);
        };
        if let Ok(port) = service.parse() {
            return Some(port);
        }
        let fits = |tcp, udp| match self.socket_type {
            SOCK_STREAM => tcp,
            SOCK_DGRAM => udp,
            _ => true,
        };
        let known = |name: &str| !self.numeric_service && name.eq_ignore_ascii_case(service);
        let mut services = SERVICES.iter();
        services
            .find(|(name, _, tcp, udp)| known(name) && fits(*tcp, *udp))
            .map(|(_, port, ..)| *port)
    }
}

/// A numeric address; of IPv6, also one with a scope.
fn numeric(text: &str) -> Option<SocketAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 0));
    }
    let (ip, scope) = text.split_once('%')?;
    let (ip, scope) = (ip.parse().ok()?, scope.parse().ok()?);
    Some(SocketAddrV6::new(ip, 0, 0, scope).into())
}

/// The numeric form of an address.
pub(super) fn numeric_name(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}

/// The name of the service at a port.
pub(super) fn service_at(port: u16, datagrams: bool) -> Option<&'static str> {
    let mut services = SERVICES.iter();
    services
        .find(|(_, at, tcp, udp)| *at == port && if datagrams { *udp } else { *tcp })
        .map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::{Hosts, Question, SOCK_DGRAM, SOCK_STREAM, numeric_name, service_at};

    fn question(node: &str, service: &str) -> Question {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Question {
            node: text(node),
            service: text(service),
            ..Question::default()
        }
    }

    fn answers(question: &Question) -> Vec<String> {
        let mut hosts = Hosts::default();
        hosts.add(
            "Printer.Example",
            &["192.0.2.9".parse().expect("an address")],
        );
        let found = hosts.resolve(question);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resolve_name_in_any_case_gives_its_addresses() {
        assert_eq!(
            answers(&question("PRINTER.example", "515")),
            ["192.0.2.9:515"]
        );
        assert_eq!(answers(&question("nobody", "515")), [""; 0]);
    }

    #[test]
    fn resolve_numeric_gives_it_back_with_its_scope() {
        assert_eq!(answers(&question("127.0.0.1", "")), ["127.0.0.1:0"]);
        assert_eq!(answers(&question("fe80::1%3", "9")), ["[fe80::1%3]:9"]);
    }

    #[test]
    fn resolve_no_node_gives_loopback_or_the_wildcard() {
        let mut asked = question("", "http");
        assert_eq!(answers(&asked), ["[::1]:80", "127.0.0.1:80"]);
        asked.passive = true;
        assert_eq!(answers(&asked), ["[::]:80", "0.0.0.0:80"]);
    }

    #[test]
    fn resolve_service_of_the_other_protocol_is_no_match() {
        let mut asked = question("127.0.0.1", "tftp");
        assert_eq!(answers(&asked), ["127.0.0.1:69"]);
        asked.socket_type = SOCK_DGRAM;
        assert_eq!(answers(&asked), ["127.0.0.1:69"]);
        asked.socket_type = SOCK_STREAM;
        assert_eq!(answers(&asked), [""; 0]);
        assert_eq!(service_at(69, true), Some("tftp"));
        assert_eq!(service_at(69, false), None);
    }

    #[test]
    fn numeric_name_of_a_scoped_address_has_the_scope() {
        let address = "[fe80::1%3]:9".parse().expect("an address");
        assert_eq!(numeric_name(address), "fe80::1%3");
    }
}
