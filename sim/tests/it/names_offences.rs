//! Each test breaks one rule about name resolution, and expects exactly that report.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "breaks the rules of WSK")]

use core::mem::forget;
use core::ptr;
use core::time::Duration;

use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};
use wdk_sys::{STATUS_PENDING, UNICODE_STRING};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{PADDRINFOEXW, WskReleaseProviderNPI};

use crate::common::{Client, Io, TAG};
use crate::names_client::{Query, Text};
use crate::wsk_offences::expect;

const NON_PAGED: u64 = 0x40;

/// A client with a list that it has not freed.
fn with_list(io: &mut Io) -> (Client, PADDRINFOEXW) {
    let client = Client::new();
    let list = client.query(io, &mut Query::new("localhost", "7")).unwrap();
    (client, list)
}

#[test]
fn wsk_11_1_name_that_is_not_terminated_is_reported() {
    expect(
        Rule::NameString,
        "NodeName of 18 bytes in a buffer of 18",
        |_| {
            let (client, mut io) = (Client::new(), Io::new());
            let mut query = Query::new("localhost", "7");
            // The terminator is there, but not within the buffer.
            query.node.as_mut().unwrap().string.MaximumLength = 18;
            client.start_query(&mut query, io.prepare());
        },
    );
    expect(
        Rule::NameString,
        "ServiceName of 2 bytes in a buffer of 6",
        |_| {
            let (client, mut io) = (Client::new(), Io::new());
            let mut query = Query::new("localhost", "77");
            // The text goes on behind its length.
            query.service.as_mut().unwrap().string.Length = 2;
            client.start_query(&mut query, io.prepare());
        },
    );
}

#[test]
fn wsk_11_1_second_free_is_reported() {
    expect(Rule::AddressList, "which was freed", |_| {
        let (client, list) = with_list(&mut Io::new());
        client.free_list(list);
        client.free_list(list);
    });
}

#[test]
fn wsk_11_1_free_of_another_pointer_is_reported() {
    expect(Rule::AddressList, "no list of WskGetAddressInfo's", |_| {
        let (client, list) = with_list(&mut Io::new());
        // SAFETY: the list is not freed.
        let second = unsafe { (*list).ai_next };
        client.free_list(second);
    });
    expect(Rule::AddressList, "no list of WskGetAddressInfo's", |_| {
        let (client, _) = with_list(&mut Io::new());
        client.free_list(ptr::null_mut());
    });
}

#[test]
fn wsk_11_1_free_for_another_client_is_reported() {
    expect(Rule::AddressList, "of another client", |_| {
        let (_client, list) = with_list(&mut Io::new());
        Client::new().free_list(list);
    });
}

#[test]
fn wsk_11_1_list_freed_as_pool_is_reported() {
    expect(Rule::BadFree, "", |_| {
        let (_client, list) = with_list(&mut Io::new());
        // SAFETY: breaks the rule: WSK has allocated the list.
        unsafe { ExFreePoolWithTag(list.cast(), 0) };
    });
}

#[test]
fn wsk_11_1_write_beyond_a_list_is_reported() {
    expect(Rule::Overrun, "", |_| {
        let (client, list) = with_list(&mut Io::new());
        // SAFETY: breaks the rule: the list has two elements with their addresses, 400 bytes.
        unsafe { list.cast::<u8>().wrapping_add(400).write(1) };
        client.free_list(list);
    });
}

#[test]
fn list_left_at_deregistration_is_reported() {
    expect(Rule::Leak, "of 2 addresses", |_| {
        let (client, _) = with_list(&mut Io::new());
        drop(client);
    });
}

#[test]
fn list_left_at_the_end_is_reported() {
    expect(Rule::Leak, "of 2 addresses", |_| {
        forget(with_list(&mut Io::new()));
    });
}

#[test]
fn wsk_1_names_at_dispatch_level_are_reported() {
    expect(Rule::Irql, "WskGetAddressInfo", |sim| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "7");
        sim.at_dispatch(|| client.start_query(&mut query, io.prepare()));
    });
    expect(Rule::Irql, "WskGetNameInfo", |sim| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut node = Some(Text::room(16));
        let of = ("127.0.0.1:7".parse().unwrap(), 16);
        sim.at_dispatch(|| client.names(&mut io, of, (&mut node, &mut None), 0));
    });
    expect(Rule::Irql, "WskFreeAddressInfo", |sim| {
        let (client, list) = with_list(&mut Io::new());
        sim.at_dispatch(|| client.free_list(list));
    });
}

#[test]
fn wsk_3a_query_without_an_irp_is_reported() {
    expect(Rule::IrpRequired, "WskGetAddressInfo", |_| {
        let client = Client::new();
        client.start_query(&mut Query::new("localhost", "7"), ptr::null_mut());
    });
}

#[test]
fn wsk_2_8_query_after_release_is_reported() {
    expect(Rule::CallAfterRelease, "WskGetAddressInfo", |_| {
        let (mut client, mut io) = (Client::new(), Io::new());
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
        client.start_query(&mut Query::new("localhost", "7"), io.prepare());
    });
}

/// Starts a query with everything in pool; breaks a rule if it pends, and another, so that there is
/// a report in any case, if it does not.
fn start_and_break(sim: &Sim, which: usize) {
    let mut io = Io::new();
    let mut client = Client::new();
    let mut query = Query::new("localhost", "7");
    // SAFETY: within a simulation.
    let pool = unsafe { ExAllocatePool2(NON_PAGED, 128, TAG) };
    match which {
        0 => query.node.as_mut().unwrap().move_to(pool.cast()),
        1 => query.elsewhere = pool.cast(),
        _ => {}
    }
    if client.start_query(&mut query, io.prepare()) != STATUS_PENDING {
        client.free_list(ptr::null_mut());
    }
    if which == 2 {
        // SAFETY: breaks the rule, unless the query is complete already.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
    } else {
        // SAFETY: as above.
        unsafe { ExFreePoolWithTag(pool, TAG) };
    }
    sim.sleep(Duration::from_secs(5));
    client.free_list(ptr::null_mut());
}

/// Whether one of some schedules leaves the query pending, and ends in this report.
fn one_reports(rule: Rule, which: usize) -> bool {
    (0..50).any(|seed| {
        let report = builder()
            .seed(seed)
            .offence(move |sim| start_and_break(sim, which));
        report.rule == rule
    })
}

#[test]
fn wsk_11_3_name_freed_while_the_query_is_pending_is_reported() {
    assert!(one_reports(Rule::BufferFreed, 0));
}

#[test]
fn wsk_11_3_place_of_the_result_freed_while_the_query_is_pending_is_reported() {
    assert!(one_reports(Rule::BufferFreed, 1));
}

#[test]
fn wsk_11_5_release_while_the_query_is_pending_is_reported() {
    assert!(one_reports(Rule::ReleasedDuringRequest, 2));
}

#[test]
fn wsk_3_12_name_in_freed_memory_is_reported() {
    expect(Rule::BufferFreed, "WskGetAddressInfo", |_| {
        let (client, mut io) = (Client::new(), Io::new());
        let mut query = Query::new("localhost", "7");
        // SAFETY: within a simulation.
        let pool = unsafe { ExAllocatePool2(NON_PAGED, 128, TAG) };
        query.node.as_mut().unwrap().move_to(pool.cast());
        // SAFETY: breaks the rule: the name is in it.
        unsafe { ExFreePoolWithTag(pool, TAG) };
        client.start_query(&mut query, io.prepare());
    });
}

impl Text {
    /// Moves the text to other memory, which is large enough.
    fn move_to(&mut self, place: *mut u16) {
        let UNICODE_STRING {
            Buffer: text,
            MaximumLength: size,
            ..
        } = *self.string;
        // SAFETY: the place is large enough.
        unsafe { place.copy_from_nonoverlapping(text, usize::from(size) / 2) };
        self.string.Buffer = place;
    }
}
