//! Name resolution: `WskGetAddressInfo`, `WskFreeAddressInfo`, `WskGetNameInfo`.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use std::net::{IpAddr, SocketAddr};

use wdk_sys::ntddk::IoCancelIrp;
use wdk_sys::{
    NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED, STATUS_INVALID_PARAMETER, STATUS_NO_MATCH,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::Sim;
use wsk_sys::{
    AF_INET, AF_INET6, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, IPPROTO, NI_DGRAM,
    NI_NAMEREQD, NI_NOFQDN, NI_NUMERICHOST, NI_NUMERICSERV, NS_BTH, NS_DNS, SOCK_DGRAM,
    SOCK_STREAM,
};

use crate::common::{Client, Io};
use crate::names_client::{Query, Text};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 200;
const V4_LENGTH: usize = 16;

/// Enters two hosts.
fn hosts(sim: &Sim) {
    let ips =
        |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|t| t.parse().unwrap()).collect() };
    sim.add_host("server.example", &ips(&["198.51.100.7", "2001:db8:7::7"]));
    sim.add_host("this.example", &ips(&["192.0.2.1"]));
}

fn addresses(client: &Client, io: &mut Io, query: Query) -> Result<Vec<SocketAddr>, NTSTATUS> {
    let elements = client.resolve(io, query)?;
    Ok(elements.into_iter().map(|element| element.0).collect())
}

fn parsed(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn wsk_11_1_list_has_every_address_of_the_host_and_is_freed() {
    wsk_sim::seeds(SEEDS, |sim| {
        hosts(sim);
        let (client, mut io) = (Client::new(), Io::new());
        let found = addresses(&client, &mut io, Query::new("Server.Example", "7"));
        assert_eq!(found, Ok(parsed(&["198.51.100.7:7", "[2001:db8:7::7]:7"])));
    });
}

#[test]
fn wsk_11_1_query_without_node_and_service_is_refused() {
    wsk_sim::seeds(20, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let found = client.resolve(&mut io, Query::new("", ""));
        assert_eq!(found, Err(STATUS_INVALID_PARAMETER));
        let mut empty = Query::new("", "");
        empty.node = Some(Text::new(""));
        assert_eq!(
            client.resolve(&mut io, empty),
            Err(STATUS_INVALID_PARAMETER)
        );
    });
}

#[test]
fn wsk_11_2_thread_without_its_process_is_refused() {
    wsk_sim::run(|_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "");
        query.thread = ptr::dangling_mut();
        assert_eq!(
            client.resolve(&mut io, query),
            Err(STATUS_INVALID_PARAMETER)
        );
    });
}

#[test]
fn wsk_11_2_name_that_cannot_be_resolved_is_no_match() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let (client, mut io) = (Client::new(), Io::new());
        let mut no_match = |query| {
            let found = client.resolve(&mut io, query);
            assert_eq!(found, Err(STATUS_NO_MATCH));
        };
        no_match(Query::new("nobody.example", "7"));
        no_match(Query::new("localhost", "no-such-service"));
        no_match(Query::new("localhost", "65536"));
        // The host has no address of the family.
        no_match(Query::hinted("this.example", "", [0, AF_INET6, 0, 0]));
        no_match(Query::hinted("localhost", "", [AI_NUMERICHOST, 0, 0, 0]));
        no_match(Query::hinted(
            "localhost",
            "echo",
            [AI_NUMERICSERV, 0, 0, 0],
        ));
        // No provider serves that name space.
        let mut other = Query::new("localhost", "");
        other.name_space = NS_BTH;
        no_match(other);
    });
}

#[test]
fn numeric_node_and_service_need_no_names() {
    wsk_sim::seeds(20, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut find = |node, service| addresses(&client, &mut io, Query::new(node, service));
        assert_eq!(find("192.0.2.33", "80"), Ok(parsed(&["192.0.2.33:80"])));
        assert_eq!(
            find("2001:db8::5", "65535"),
            Ok(parsed(&["[2001:db8::5]:65535"]))
        );
        assert_eq!(find("127.0.0.1", "https"), Ok(parsed(&["127.0.0.1:443"])));
    });
}

#[test]
fn localhost_and_no_node_are_this_host() {
    wsk_sim::seeds(20, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut find = |query| addresses(&client, &mut io, query);
        let loopback = Ok(parsed(&["[::1]:7", "127.0.0.1:7"]));
        assert_eq!(find(Query::new("localhost", "echo")), loopback);
        assert_eq!(find(Query::new("", "echo")), loopback);
        let passive = find(Query::hinted("", "echo", [AI_PASSIVE, 0, 0, 0]));
        assert_eq!(passive, Ok(parsed(&["[::]:7", "0.0.0.0:7"])));
        let v4 = find(Query::hinted("", "echo", [AI_PASSIVE, AF_INET, 0, 0]));
        assert_eq!(v4, Ok(parsed(&["0.0.0.0:7"])));
        let mut dns = Query::new("localhost", "echo");
        dns.name_space = NS_DNS;
        assert_eq!(find(dns), loopback);
    });
}

#[test]
fn hints_say_what_the_elements_are_for() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let (client, mut io) = (Client::new(), Io::new());
        let udp = IPPROTO::IPPROTO_UDP.cast_unsigned();
        let query = Query::hinted(
            "server.example",
            "domain",
            [AI_CANONNAME, AF_INET6, SOCK_DGRAM, udp],
        );
        let found = client.resolve(&mut io, query).unwrap();
        let name = Some("server.example".to_owned());
        let kind = (SOCK_DGRAM.cast_signed(), udp.cast_signed());
        let address = "[2001:db8:7::7]:53".parse().unwrap();
        assert_eq!(found, [(address, kind.0, kind.1, name)]);
        // Only the first element has the name.
        let query = Query::hinted("server.example", "", [AI_CANONNAME, 0, SOCK_STREAM, 0]);
        let names: Vec<_> = client.resolve(&mut io, query).unwrap();
        assert_eq!(
            names.iter().filter(|element| element.3.is_some()).count(),
            1
        );
        assert!(names[0].3.is_some());
    });
}

#[test]
fn hints_that_make_no_sense_are_refused() {
    wsk_sim::run(|_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut status = |query| client.resolve(&mut io, query).unwrap_err();
        let unknown_flag = Query::hinted("localhost", "", [0x4000_0000, 0, 0, 0]);
        assert_eq!(status(unknown_flag), STATUS_INVALID_PARAMETER);
        let nobodys_name = Query::hinted("", "7", [AI_CANONNAME, 0, 0, 0]);
        assert_eq!(status(nobodys_name), STATUS_INVALID_PARAMETER);
        let family = Query::hinted("localhost", "", [0, 99, 0, 0]);
        assert_eq!(status(family), STATUS_NOT_SUPPORTED);
        let socket_type = Query::hinted("localhost", "", [0, 0, 99, 0]);
        assert_eq!(status(socket_type), STATUS_NOT_SUPPORTED);
        let mut filled = Query::hinted("localhost", "", [0; 4]);
        filled.hints.as_mut().unwrap().ai_addrlen = 16;
        assert_eq!(status(filled), STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn wsk_3b_query_completes_now_or_later_and_takes_time() {
    static WHEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "7");
        let before = sim.now();
        let status = client.start_query(&mut query, io.prepare());
        // Information is the status code.
        assert_eq!(io.wait(), (STATUS_SUCCESS, 0));
        WHEN[usize::from(status == STATUS_PENDING)].fetch_add(1, SeqCst);
        assert!(status == STATUS_PENDING || sim.now() == before);
        client.free_list(*query.result);
    });
    assert!(WHEN.iter().all(|count| count.load(SeqCst) > 0), "{WHEN:?}");
}

#[test]
fn wsk_3_11_cancelled_query_completes_once_with_either_outcome() {
    static WON: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "7");
        let irp = io.prepare();
        client.start_query(&mut query, irp);
        // SAFETY: `io` keeps the IRP, whether it is complete or not.
        unsafe { IoCancelIrp(irp) };
        let (status, information) = io.wait();
        assert_eq!(information, status.cast_unsigned() as usize);
        WON[usize::from(status == STATUS_CANCELLED)].fetch_add(1, SeqCst);
        if status == STATUS_SUCCESS {
            client.free_list(*query.result);
        } else {
            assert_eq!(status, STATUS_CANCELLED);
            assert!(query.result.is_null(), "a cancelled query gives nothing");
        }
    });
    assert!(WON.iter().all(|won| won.load(SeqCst) > 0), "{WON:?}");
}

#[test]
fn irp_cancelled_before_the_query_is_answered_at_once_or_as_cancelled() {
    wsk_sim::seeds(SEEDS, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "7");
        let irp = io.prepare();
        // SAFETY: the IRP is ours.
        unsafe { IoCancelIrp(irp) };
        let returned = client.start_query(&mut query, irp);
        let (status, _) = io.wait();
        if returned == STATUS_PENDING {
            assert_eq!(status, STATUS_CANCELLED);
        } else {
            assert_eq!(status, STATUS_SUCCESS);
            client.free_list(*query.result);
        }
    });
}

/// The names of an address.
fn names(
    client: &Client,
    io: &mut Io,
    address: &str,
    flags: u32,
) -> Result<(String, String), NTSTATUS> {
    let address: SocketAddr = address.parse().unwrap();
    let length = if address.is_ipv4() { V4_LENGTH } else { 28 };
    let (mut node, mut service) = (Some(Text::room(64)), Some(Text::room(32)));
    let texts = (&mut node, &mut service);
    let (status, information) = client.names(io, (address, length), texts, flags);
    assert_eq!(information, status.cast_unsigned() as usize);
    if status < 0 {
        return Err(status);
    }
    Ok((node.unwrap().read(), service.unwrap().read()))
}

fn pair(node: &str, service: &str) -> (String, String) {
    (node.to_owned(), service.to_owned())
}

#[test]
fn names_of_addresses_are_those_of_hosts_and_services() {
    wsk_sim::seeds(SEEDS, |sim| {
        hosts(sim);
        let (client, mut io) = (Client::new(), Io::new());
        let mut find = |address, flags| names(&client, &mut io, address, flags);
        assert_eq!(
            find("198.51.100.7:443", 0),
            Ok(pair("server.example", "https"))
        );
        assert_eq!(
            find("[2001:db8:7::7]:9999", 0),
            Ok(pair("server.example", "9999"))
        );
        assert_eq!(find("127.0.0.1:7", 0), Ok(pair("localhost", "echo")));
        let numeric = NI_NUMERICHOST | NI_NUMERICSERV;
        assert_eq!(
            find("198.51.100.7:443", numeric),
            Ok(pair("198.51.100.7", "443"))
        );
        // The port of TFTP is one of UDP.
        assert_eq!(find("198.51.100.7:69", 0), Ok(pair("server.example", "69")));
        assert_eq!(
            find("198.51.100.7:69", NI_DGRAM),
            Ok(pair("server.example", "tftp"))
        );
        // Only the names of this host are cut.
        assert_eq!(find("192.0.2.1:7", 0), Ok(pair("this.example", "echo")));
        assert_eq!(find("192.0.2.1:7", NI_NOFQDN), Ok(pair("this", "echo")));
        assert_eq!(
            find("198.51.100.7:7", NI_NOFQDN),
            Ok(pair("server.example", "echo"))
        );
        // Without a name the address is the name, unless one is required.
        assert_eq!(find("203.0.113.1:7", 0), Ok(pair("203.0.113.1", "echo")));
        assert_eq!(find("203.0.113.1:7", NI_NAMEREQD), Err(STATUS_NO_MATCH));
        assert_eq!(find("203.0.113.1:7", 0x100), Err(STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn wsk_11_4_one_of_the_names_is_enough_but_one_is_needed() {
    wsk_sim::seeds(20, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let address = "127.0.0.1:7".parse().unwrap();
        let (mut node, mut service) = (Some(Text::room(64)), Some(Text::room(32)));
        let of = (address, V4_LENGTH);
        let outcome = client.names(&mut io, of, (&mut node, &mut None), 0);
        assert_eq!(outcome, (STATUS_SUCCESS, 0));
        assert_eq!(node.unwrap().read(), "localhost");
        let outcome = client.names(&mut io, of, (&mut None, &mut service), 0);
        assert_eq!(outcome, (STATUS_SUCCESS, 0));
        assert_eq!(service.unwrap().read(), "echo");
        let outcome = client.names(&mut io, of, (&mut None, &mut None), 0);
        assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn wsk_11_4_length_of_the_address_must_fit() {
    wsk_sim::run(|_| {
        let (client, mut io) = (Client::new(), Io::new());
        let v4 = "127.0.0.1:7".parse().unwrap();
        let v6 = "[::1]:7".parse().unwrap();
        for (of, expected) in [
            ((v4, V4_LENGTH), STATUS_SUCCESS),
            ((v4, V4_LENGTH - 1), STATUS_INVALID_PARAMETER),
            ((v6, V4_LENGTH), STATUS_INVALID_PARAMETER),
            ((v6, 28), STATUS_SUCCESS),
            ((v6, 129), STATUS_INVALID_PARAMETER),
            ((v4, 0), STATUS_INVALID_PARAMETER),
        ] {
            let mut node = Some(Text::room(64));
            let outcome = client.names(&mut io, of, (&mut node, &mut None), 0);
            assert_eq!(outcome.0, expected, "{of:?}");
        }
    });
}

#[test]
fn name_that_does_not_fit_is_refused_and_nothing_is_written() {
    wsk_sim::seeds(20, |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let of = ("127.0.0.1:7".parse().unwrap(), V4_LENGTH);
        // "localhost" and its terminator need ten units; "echo" fits.
        let (mut node, mut service) = (Some(Text::room(9)), Some(Text::room(32)));
        let outcome = client.names(&mut io, of, (&mut node, &mut service), 0);
        assert_eq!(outcome.0, STATUS_BUFFER_TOO_SMALL);
        assert_eq!(service.unwrap().string.Length, 0);
        let mut exact = Some(Text::room(10));
        let outcome = client.names(&mut io, of, (&mut exact, &mut None), 0);
        assert_eq!(outcome, (STATUS_SUCCESS, 0));
        assert_eq!(exact.unwrap().read(), "localhost");
    });
}

#[test]
fn any_single_fault_leaves_no_list_behind() {
    wsk_sim::every_fault(|_| {
        let (Some(client), Some(mut io)) = (Client::try_new(), Io::new_unless_out_of_memory())
        else {
            return;
        };
        let mut query = Query::new("localhost", "7");
        if let Ok(list) = client.query(&mut io, &mut query) {
            client.free_list(list);
        }
        let _ = names(&client, &mut io, "127.0.0.1:7", 0);
    });
}

#[test]
fn list_is_not_changed_by_later_queries() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let (client, mut io) = (Client::new(), Io::new());
        let mut first = Query::new("server.example", "1");
        let mut second = Query::new("server.example", "2");
        let one = client.query(&mut io, &mut first).unwrap();
        let two = client.query(&mut io, &mut second).unwrap();
        assert_ne!(one, two);
        client.free_list(two);
        // SAFETY: the first list is not freed.
        let elements = unsafe { crate::names_client::read_list(one) };
        assert_eq!(elements[0].0, "198.51.100.7:1".parse().unwrap());
        client.free_list(one);
        assert_ne!(one, ptr::null_mut());
    });
}
