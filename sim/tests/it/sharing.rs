//! Address sharing: the whole table of section 4 of the contract, for both families, and the
//! security descriptors that decide where it asks for a check [wsk 4.5].

use std::collections::BTreeMap;

use crate::common::{Client, Io, Socket};
use crate::control::{Control, Making, bind, set_number};
use crate::descriptors::{Descriptor, Subject, cache, release};
use wdk_sys::{NTSTATUS, STATUS_ACCESS_DENIED, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_SUCCESS};
use wsk_sys::{
    SO_EXCLUSIVEADDRUSE, SO_REUSEADDR, SO_WSK_SECURITY, SOL_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

const CONTRACT: &str = include_str!("../../../docs/CONTRACT.md");
const EXCLUSIVE: u32 = SO_EXCLUSIVEADDRUSE.cast_unsigned();
const SECURITY: (u32, u32) = (SOL_SOCKET, SO_WSK_SECURITY);

/// The cells of the table, by the kinds of the second socket and the first.
fn table() -> BTreeMap<(String, String), String> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = CONTRACT
        .lines()
        .skip_while(|line| !line.starts_with("| second"));
    let first = cells(lines.next().expect("the contract has the table"));
    let rows = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells);
    rows.flat_map(|row| {
        let of_row = first.iter().zip(row.clone()).skip(1);
        let cells: Vec<_> = of_row
            .map(|(column, cell)| ((row[0].clone(), column.clone()), cell))
            .collect();
        cells
    })
    .collect()
}

/// What a cell says, for a first socket that admits others or not.
fn status_of(cell: &str, admits: bool) -> NTSTATUS {
    match cell {
        "ok" => STATUS_SUCCESS,
        "check" if admits => STATUS_SUCCESS,
        "check" | "denied" => STATUS_ACCESS_DENIED,
        "in use" => STATUS_ADDRESS_ALREADY_EXISTS,
        other => panic!("{other:?} in the table"),
    }
}

/// One case: a family, the kind of sockets, and whether the first admits others.
#[derive(Clone, Copy, Debug)]
struct Case {
    v6: bool,
    flags: u32,
    admits: bool,
}

impl Case {
    /// The address of a kind, such as `REUSE W`.
    fn address(self, kind: &str) -> &'static str {
        match (kind.ends_with('W'), self.v6) {
            (true, false) => "0.0.0.0:7",
            (true, true) => "[::]:7",
            (false, false) => "192.0.2.1:7",
            (false, true) => "[2001:db8::1]:7",
        }
    }

    /// A socket of a kind, and how binding it ended.
    fn bound(self, client: &Client, io: &mut Io, kind: &str, admits: bool) -> (Socket, NTSTATUS) {
        let mut making = Making::new(self.flags, self.v6);
        let descriptor = admits.then(|| cache(client, &Descriptor::everybody()).unwrap());
        if let Some(descriptor) = descriptor {
            making.security = core::ptr::with_exposed_provenance_mut(descriptor);
        }
        let socket = making.make(client, io);
        if let Some(descriptor) = descriptor {
            release(client, descriptor);
        }
        let option = match kind.split(' ').next() {
            Some("REUSE") => Some(SO_REUSEADDR),
            Some("EXCL") => Some(EXCLUSIVE),
            _ => None,
        };
        if let Some(option) = option {
            assert_eq!(
                set_number(socket, io, (SOL_SOCKET, option), 1),
                STATUS_SUCCESS
            );
        }
        let status = bind(socket, io, self.address(kind));
        (socket, status)
    }

    fn check(self) {
        let table = table();
        assert_eq!(table.len(), 36, "six kinds, each beside each");
        wsk_sim::run(move |_| {
            let mut io = Io::new();
            let client = Client::new();
            for ((second, first), cell) in &table {
                let (one, status) = self.bound(&client, &mut io, first, self.admits);
                assert_eq!(status, STATUS_SUCCESS, "{first} alone, {self:?}");
                let (other, status) = self.bound(&client, &mut io, second, false);
                let expected = status_of(cell, self.admits);
                assert_eq!(status, expected, "{second} beside {first}, {self:?}");
                one.close(&mut io);
                other.close(&mut io);
            }
        });
    }
}

#[test]
fn sharing_is_as_the_table_says() {
    for v6 in [false, true] {
        for flags in [
            WSK_FLAG_LISTEN_SOCKET,
            WSK_FLAG_CONNECTION_SOCKET,
            WSK_FLAG_DATAGRAM_SOCKET,
        ] {
            for admits in [false, true] {
                Case { v6, flags, admits }.check();
            }
        }
    }
}

#[test]
fn different_specific_addresses_never_clash() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let sockets = ["127.0.0.1:7", "192.0.2.1:7"].map(|address| {
            let socket = making.make(&client, &mut io);
            let exclusive = (SOL_SOCKET, EXCLUSIVE);
            assert_eq!(set_number(socket, &mut io, exclusive, 1), STATUS_SUCCESS);
            assert_eq!(bind(socket, &mut io, address), STATUS_SUCCESS, "{address}");
            socket
        });
        for socket in sockets {
            socket.close(&mut io);
        }
    });
}

#[test]
fn address_is_free_again_when_its_socket_is_closed() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        for _ in 0..2 {
            let case = Case {
                v6: false,
                flags: WSK_FLAG_LISTEN_SOCKET,
                admits: false,
            };
            let (socket, status) = case.bound(&client, &mut io, "EXCL W", false);
            assert_eq!(status, STATUS_SUCCESS);
            socket.close(&mut io);
        }
    });
}

/// How a socket may be bound to a specific address beside one with this descriptor at the
/// wildcard.
fn beside(descriptor: Descriptor) -> NTSTATUS {
    wsk_sim::run(move |_| {
        let mut io = Io::new();
        let client = Client::new();
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let first = making.make(&client, &mut io);
        let cached = cache(&client, &descriptor).unwrap();
        let (status, _) = Control::set(SECURITY, &cached.to_ne_bytes()).with_irp(first, &mut io);
        assert_eq!(status, STATUS_SUCCESS);
        // The socket keeps what the descriptor says.
        release(&client, cached);
        assert_eq!(bind(first, &mut io, "0.0.0.0:7"), STATUS_SUCCESS);
        let second = making.make(&client, &mut io);
        let status = bind(second, &mut io, "127.0.0.1:7");
        second.close(&mut io);
        first.close(&mut io);
        status
    })
}

#[test]
fn wsk_4_5_access_list_decides_who_shares() {
    use Subject::{Everyone, Guest, System};
    let cases = [
        (Descriptor::everybody(), STATUS_SUCCESS),
        (Descriptor::without_list(), STATUS_SUCCESS),
        (Descriptor::list(&[]), STATUS_ACCESS_DENIED),
        (Descriptor::list(&[(true, Everyone)]), STATUS_SUCCESS),
        (Descriptor::list(&[(true, System)]), STATUS_SUCCESS),
        (Descriptor::list(&[(true, Guest)]), STATUS_ACCESS_DENIED),
        (
            Descriptor::list(&[(true, Guest), (true, System)]),
            STATUS_SUCCESS,
        ),
        (
            Descriptor::list(&[(false, System), (true, Everyone)]),
            STATUS_ACCESS_DENIED,
        ),
        (
            Descriptor::list(&[(false, Guest), (true, Everyone)]),
            STATUS_SUCCESS,
        ),
    ];
    for (number, (descriptor, expected)) in cases.into_iter().enumerate() {
        let relative = descriptor.clone().self_relative();
        assert_eq!(beside(descriptor), expected, "case {number}");
        assert_eq!(beside(relative), expected, "case {number}, self-relative");
    }
}

#[test]
fn wsk_4_5_security_is_got_as_a_copy_to_be_released() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let first = Making::new(WSK_FLAG_LISTEN_SOCKET, false).make(&client, &mut io);
        let get = |io: &mut Io| {
            let mut control = Control::get(SECURITY, size_of::<usize>());
            assert_eq!(
                control.with_irp(first, io),
                (STATUS_SUCCESS, size_of::<usize>())
            );
            usize::from_ne_bytes(control.taken(size_of::<usize>()).try_into().unwrap())
        };
        let default = get(&mut io);
        let cached = cache(&client, &Descriptor::everybody()).unwrap();
        let (status, _) = Control::set(SECURITY, &cached.to_ne_bytes()).with_irp(first, &mut io);
        assert_eq!(status, STATUS_SUCCESS);
        let copy = get(&mut io);
        assert_ne!(copy, cached);
        // A copy is as good as the one that it was made from, and the default one admits nobody.
        for (descriptor, expected) in [(copy, STATUS_SUCCESS), (default, STATUS_ACCESS_DENIED)] {
            let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
            making.security = core::ptr::with_exposed_provenance_mut(descriptor);
            let wild = making.make(&client, &mut io);
            assert_eq!(bind(wild, &mut io, "0.0.0.0:7"), STATUS_SUCCESS);
            making.security = core::ptr::null_mut();
            let specific = making.make(&client, &mut io);
            assert_eq!(bind(specific, &mut io, "127.0.0.1:7"), expected);
            specific.close(&mut io);
            wild.close(&mut io);
        }
        first.close(&mut io);
        for descriptor in [default, cached, copy] {
            release(&client, descriptor);
        }
    });
}
