//! The list of local addresses: asked for, waited for, sorted [wsk 3a].

use core::ptr;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use crate::common::{Address, Client, Io, Socket};
use crate::control::{CATEGORIES, Control, Making, bind, open};
use wdk_sys::{
    STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use wsk_sys::{
    SIO_ADDRESS_LIST_CHANGE, SIO_ADDRESS_LIST_QUERY, SIO_ADDRESS_LIST_SORT, SOCKET_ADDRESS,
    SOCKET_ADDRESS_LIST, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

const ENTRIES: usize = core::mem::offset_of!(SOCKET_ADDRESS_LIST, Address);
const ENTRY: usize = size_of::<SOCKET_ADDRESS>();

/// The addresses of a list that a control operation has written, which lie in its buffer.
fn read_list(list: &[u8]) -> Vec<SocketAddr> {
    let word = |at: usize| usize::from_ne_bytes(list[at..at + 8].try_into().unwrap());
    let count = i32::from_ne_bytes(list[..4].try_into().unwrap());
    let entries = (0..usize::try_from(count).unwrap()).map(|number| ENTRIES + number * ENTRY);
    entries
        .map(|entry| {
            let at = word(entry) - list.as_ptr().addr();
            let size = list[entry + 8..entry + 12]
                .try_into()
                .map(i32::from_ne_bytes);
            let bytes = &list[at..at + usize::try_from(size.unwrap()).unwrap()];
            let port = u16::from_be_bytes([bytes[2], bytes[3]]);
            let ip: IpAddr = match bytes.len() {
                16 => <[u8; 4]>::try_from(&bytes[4..8]).unwrap().into(),
                28 => <[u8; 16]>::try_from(&bytes[8..24]).unwrap().into(),
                other => panic!("an address of {other} bytes"),
            };
            SocketAddr::new(ip, port)
        })
        .collect()
}

fn query(socket: Socket) -> Vec<String> {
    let mut empty = Control::ioctl(SIO_ADDRESS_LIST_QUERY);
    let first = empty.without_irp(socket);
    let size = usize::try_from(empty.returned).unwrap();
    assert_eq!(first, STATUS_BUFFER_OVERFLOW, "the size is asked for");
    let mut control = Control::ioctl(SIO_ADDRESS_LIST_QUERY).output(size);
    assert_eq!(control.without_irp(socket), STATUS_SUCCESS);
    assert_eq!(control.returned, size as u64);
    let list = read_list(control.taken(size));
    list.iter()
        .map(|address| address.ip().to_string())
        .collect()
}

#[test]
fn address_list_has_what_others_reach_the_host_by() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let v4 = Making::new(WSK_FLAG_DATAGRAM_SOCKET, false).make(&client, &mut io);
        let v6 = Making::new(WSK_FLAG_DATAGRAM_SOCKET, true).make(&client, &mut io);
        assert_eq!(query(v4), ["192.0.2.1"]);
        assert_eq!(query(v6), ["2001:db8::1"]);
        sim.add_address("192.0.2.77".parse().unwrap());
        sim.add_address("2001:db8::77".parse().unwrap());
        sim.remove_address("192.0.2.1".parse().unwrap());
        assert_eq!(query(v4), ["192.0.2.77"]);
        assert_eq!(query(v6), ["2001:db8::1", "2001:db8::77"]);
        sim.remove_address("192.0.2.77".parse().unwrap());
        assert_eq!(query(v4), [""; 0]);
        v4.close(&mut io);
        v6.close(&mut io);
    });
}

#[test]
fn address_list_in_too_small_a_buffer_tells_the_size() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let needed = ENTRIES + ENTRY + 16;
        for size in [0, 4, needed - 1] {
            let mut control = Control::ioctl(SIO_ADDRESS_LIST_QUERY).output(size);
            assert_eq!(control.without_irp(socket), STATUS_BUFFER_OVERFLOW);
            assert_eq!(control.returned, needed as u64);
        }
        socket.close(&mut io);
    });
}

#[test]
fn address_that_appears_can_be_bound_and_reached() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let (ip, address) = ("192.0.2.77".parse().unwrap(), "192.0.2.77:7");
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        assert_eq!(
            bind(socket, &mut io, address),
            STATUS_INVALID_ADDRESS_COMPONENT
        );
        sim.add_address(ip);
        assert_eq!(bind(socket, &mut io, address), STATUS_SUCCESS);
        let peer = sim.connect(address.parse().unwrap()).unwrap();
        drop(peer);
        socket.close(&mut io);
    });
}

#[test]
fn address_change_is_waited_for_by_sockets_of_every_category() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        for (category, flags) in CATEGORIES {
            let mut change = Io::new();
            let socket = open(&client, &mut io, flags);
            let mut control = Control::ioctl(SIO_ADDRESS_LIST_CHANGE);
            control.start(socket, ptr::null_mut(), change.prepare());
            // Neither another family nor what changes nothing counts.
            sim.add_address("2001:db8::77".parse().unwrap());
            sim.add_address("192.0.2.1".parse().unwrap());
            sim.remove_address("192.0.2.200".parse().unwrap());
            sim.sleep(Duration::from_secs(1));
            assert!(!change.is_complete(), "{category}");
            sim.add_address("192.0.2.99".parse().unwrap());
            assert_eq!(change.wait(), (STATUS_SUCCESS, 0), "{category}");
            control.start(socket, ptr::null_mut(), change.prepare());
            sim.remove_address("192.0.2.99".parse().unwrap());
            assert_eq!(change.wait(), (STATUS_SUCCESS, 0), "{category}");
            socket.close(&mut io);
        }
    });
}

#[test]
fn address_change_does_not_hold_up_other_requests_and_ends_with_its_socket() {
    wsk_sim::seeds(20, |_| {
        let (mut io, mut changes) = (Io::new(), [Io::new(), Io::new()]);
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        for change in &mut changes {
            let mut control = Control::ioctl(SIO_ADDRESS_LIST_CHANGE);
            control.start(socket, ptr::null_mut(), change.prepare());
        }
        assert_eq!(bind(socket, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        changes[0].cancel();
        assert_eq!(changes[0].wait().0, STATUS_CANCELLED);
        socket.close(&mut io);
        assert_eq!(changes[1].wait().0, STATUS_CANCELLED);
    });
}

/// A `SOCKET_ADDRESS_LIST` of addresses that lie elsewhere.
fn list_of(addresses: &[Vec<u8>]) -> Vec<u8> {
    let mut list = u32::try_from(addresses.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    list.resize(ENTRIES, 0);
    for address in addresses {
        list.extend(address.as_ptr().expose_provenance().to_ne_bytes());
        list.extend(u32::try_from(address.len()).unwrap().to_ne_bytes());
        list.extend([0; 4]);
    }
    list
}

fn encode(address: &str) -> Vec<u8> {
    let address: SocketAddr = address.parse().unwrap();
    let size = if address.is_ipv4() { 16 } else { 28 };
    Address::of(address).0[..size].to_vec()
}

#[test]
fn sorted_addresses_begin_with_those_that_can_be_reached() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let given = [
            "198.51.100.1:1",
            "192.0.2.1:2",
            "[2001:db8::9]:3",
            "[::1]:4",
        ];
        let addresses = given.map(encode);
        let list = list_of(&addresses);
        let sort = || Control::ioctl(SIO_ADDRESS_LIST_SORT).input(&list);
        let expected = [1, 3, 0, 2].map(|at| given[at].parse().unwrap());
        let mut control = sort().output(1024);
        let (status, size) = control.with_irp(socket, &mut io);
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(read_list(control.taken(size)), expected);
        // Without an IRP the size comes by the other way.
        let mut control = sort().output(1024);
        assert_eq!(control.without_irp(socket), STATUS_SUCCESS);
        assert_eq!(control.returned, size as u64);
        assert_eq!(read_list(control.taken(size)), expected);
        let mut small = sort().output(size - 1);
        assert_eq!(small.without_irp(socket), STATUS_BUFFER_OVERFLOW);
        assert_eq!(small.returned, size as u64);
        socket.close(&mut io);
    });
}

#[test]
fn list_to_sort_that_is_damaged_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let address = [encode("192.0.2.1:2")];
        let list = list_of(&address);
        let mut too_many = list.clone();
        too_many[0] = 2;
        let mut too_short = list.clone();
        too_short[ENTRIES + 8] = 15;
        let mut of_nothing = list.clone();
        of_nothing[ENTRIES..ENTRIES + 8].fill(0);
        for (what, list) in [
            ("more entries than there are", too_many),
            ("an address that is too short", too_short),
            ("no address", of_nothing),
            ("no list", list[..4].to_vec()),
        ] {
            let mut control = Control::ioctl(SIO_ADDRESS_LIST_SORT)
                .input(&list)
                .output(1024);
            let status = control.without_irp(socket);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{what}");
        }
        socket.close(&mut io);
    });
}
