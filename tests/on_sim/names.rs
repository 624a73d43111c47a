//! Name resolution [wsk 11]: every way a query can end, and what becomes of its list.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use wsk::{
    AddressFamily, AddressHints, AddressInfoFlags, AddressInfoList, ErrorKind, NameHints,
    NameInfoFlags, Operation, Process, Protocol, Provider, SocketType, Thread, Version,
    nmr::{self, Guid, ModuleId},
    request::GetAddressInfo,
};
use wsk_sim::Sim;

use crate::common::{Client, Wakes, block_on, passive, poll};

const SCHEDULES: u64 = 200;
const SECOND: Duration = Duration::from_secs(1);

fn hosts(sim: &Sim) {
    let ips = ["198.51.100.7", "2001:db8:7::7"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
    sim.add_host("server.example", &ips);
}

fn ask(provider: &Provider, node: &str, service: &str) -> Operation<GetAddressInfo> {
    provider.get_address_info(Some(node), Some(service), &AddressHints::new(), passive())
}

fn addresses(list: &AddressInfoList) -> Vec<SocketAddr> {
    list.iter().filter_map(|info| info.address()).collect()
}

/// [wsk 11.1]
#[test]
fn list_has_every_address_and_is_freed_when_dropped() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        let list = ask(&client.provider, "server.example", "7").wait(passive());
        let list = list.expect("found");
        let expected = ["198.51.100.7:7", "[2001:db8:7::7]:7"];
        assert_eq!(
            addresses(&list),
            expected.map(|text| text.parse().expect("an address"))
        );
        drop(list);
        client.end();
    });
}

#[test]
fn hints_say_what_is_looked_for_and_the_elements_say_so_too() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let client = Client::new();
        let hints = AddressHints::new()
            .flags(AddressInfoFlags::CANONICAL_NAME)
            .family(AddressFamily::Inet6)
            .socket_type(SocketType::DATAGRAM)
            .protocol(Protocol::UDP)
            .owner(&Process::current());
        let query = client.provider.get_address_info(
            Some("server.example"),
            Some("domain"),
            &hints,
            passive(),
        );
        let list = query.wait(passive()).expect("found");
        let for_the_process = (Process::current().as_raw(), std::ptr::null_mut());
        assert_eq!(sim.last_owner(), for_the_process);
        let infos: Vec<_> = list.iter().collect();
        let [info] = infos[..] else {
            panic!("one address of the family: {list:?}");
        };
        assert_eq!(
            info.address(),
            Some("[2001:db8:7::7]:53".parse().expect("an address"))
        );
        assert_eq!(info.socket_type(), Some(SocketType::DATAGRAM));
        assert_eq!(info.protocol(), Some(Protocol::UDP));
        let name = info.canonical_name().expect("asked for");
        let mut room = [0; 64];
        assert_eq!(name.utf8(&mut room).expect("it fits"), "server.example");
        let service_only = AddressHints::new().flags(AddressInfoFlags::PASSIVE);
        let query = client
            .provider
            .get_address_info(None, Some("7"), &service_only, passive());
        let list_of_this_host = query.wait(passive()).expect("found");
        assert!(
            list_of_this_host
                .iter()
                .all(|info| info.socket_type().is_none())
        );
        assert_eq!(addresses(&list_of_this_host).len(), 2);
        drop((list, list_of_this_host));
        client.end();
    });
}

#[test]
fn names_that_cannot_be_asked_for_or_found_are_distinct_errors() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let client = Client::new();
        let kind = |node: &str, service: &str| {
            let outcome = ask(&client.provider, node, service).wait(passive());
            outcome.expect_err("nothing to find").kind()
        };
        assert_eq!(kind("nobody.example", "7"), ErrorKind::NameNotFound);
        assert_eq!(
            kind("server.example", "no-such-service"),
            ErrorKind::NameNotFound
        );
        assert_eq!(kind("server\0.example", "7"), ErrorKind::InvalidParameter);
        assert_eq!(kind(&"a".repeat(32767), "7"), ErrorKind::InvalidParameter);
        let nothing = client
            .provider
            .get_address_info(None, None, &AddressHints::new(), passive());
        let nothing = nothing.wait(passive()).expect_err("nothing is asked");
        assert_eq!(nothing.kind(), ErrorKind::InvalidParameter);
        assert_eq!(nothing.call(), "WskGetAddressInfo");
        client.end();
    });
}

/// The hints are an `ADDRINFOEXW`: a flag that says otherwise never gets to WSK, which would read
/// beyond them.
#[test]
fn flags_that_need_larger_hints_are_not_supported() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let client = Client::new();
        for bits in [
            wsk_sys::AI_EXTENDED,
            wsk_sys::AI_RESOLUTION_HANDLE,
            wsk_sys::AI_EXCLUSIVE_CUSTOM_SERVERS,
            wsk_sys::AI_RETURN_RESPONSE_FLAGS,
        ] {
            let flags = AddressInfoFlags::from_bits_retain(bits | wsk_sys::AI_CANONNAME);
            let hints = AddressHints::new().flags(flags);
            let query =
                client
                    .provider
                    .get_address_info(Some("server.example"), None, &hints, passive());
            let refused = query.wait(passive()).expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::NotSupported, "{bits:#x}");
        }
        client.end();
    });
}

/// What the provider does not know it refuses itself, so it has got it.
#[test]
fn flags_are_passed_on_whether_the_provider_knows_them_or_not() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let client = Client::new();
        let ask = |node, service, flags| {
            let hints = AddressHints::new().flags(flags);
            let query = client
                .provider
                .get_address_info(node, Some(service), &hints, passive());
            let found = query.wait(passive()).map_err(wsk::Error::kind);
            found.map(|list| addresses(&list))
        };
        let flags = AddressInfoFlags::NUMERIC_HOST | AddressInfoFlags::NUMERIC_SERVICE;
        let found = ask(Some("198.51.100.7"), "7", flags).expect("in digits");
        assert_eq!(found.len(), 1);
        let named = ask(Some("server.example"), "7", AddressInfoFlags::NUMERIC_HOST);
        assert_eq!(named.expect_err("no digits"), ErrorKind::NameNotFound);
        let found = ask(None, "7", AddressInfoFlags::PASSIVE).expect("of this host");
        let unspecified = |address: SocketAddr| address.ip().is_unspecified();
        assert!(!found.is_empty() && found.into_iter().all(unspecified));
        ask(Some("server.example"), "7", AddressInfoFlags::CONFIGURED).expect("configured");
        for unknown in [
            AddressInfoFlags::DNS_ONLY,
            AddressInfoFlags::BYPASS_DNS_CACHE,
            AddressInfoFlags::ALL,
            AddressInfoFlags::V4_MAPPED,
            AddressInfoFlags::NON_AUTHORITATIVE,
            AddressInfoFlags::SECURE,
            AddressInfoFlags::PREFERRED_NAMES,
            AddressInfoFlags::FULLY_QUALIFIED,
            AddressInfoFlags::FILE_SERVER,
            AddressInfoFlags::DISABLE_IDN_ENCODING,
        ] {
            let refused = ask(Some("server.example"), "7", unknown).expect_err("unknown");
            assert_eq!(refused, ErrorKind::InvalidParameter, "{unknown:?}");
        }
        client.end();
    });
}

/// [wsk 11.4]
#[test]
fn names_of_an_address_are_found() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        let ask = |address: &str, hints: NameHints| {
            let address = address.parse().expect("an address");
            let query = client.provider.get_name_info(address, hints, passive());
            query.wait(passive())
        };
        let names = |address, flags: NameInfoFlags| ask(address, flags.into());
        let found = names("198.51.100.7:443", NameInfoFlags::empty()).expect("found");
        assert_eq!(found.node(), "server.example");
        assert_eq!(found.service(), "https");
        let digits = NameInfoFlags::NUMERIC_HOST | NameInfoFlags::NUMERIC_SERVICE;
        let found = names("[2001:db8:7::7]:443", digits).expect("digits");
        assert_eq!(found.node(), "2001:db8:7::7");
        assert_eq!(found.service(), "443");
        let short = names("198.51.100.7:443", NameInfoFlags::NO_DOMAIN).expect("found");
        assert_eq!(short.node(), "server.example", "it is of another domain");
        let of_datagrams = names("198.51.100.7:69", NameInfoFlags::DATAGRAM).expect("found");
        assert_eq!(of_datagrams.service(), "tftp");
        let nobody = names("203.0.113.1:7", NameInfoFlags::NAME_REQUIRED);
        assert_eq!(nobody.expect_err("no name").kind(), ErrorKind::NameNotFound);
        // [wsk 11.2]
        let (process, thread) = (Process::current(), Thread::current());
        let for_a_thread = NameHints::default().owner_thread(&process, &thread);
        let of_thread = ask("198.51.100.7:443", for_a_thread).expect("found");
        let owner = (process.as_raw(), thread.as_raw());
        assert_eq!(sim.last_owner(), owner);
        assert_eq!(of_thread.node(), "server.example");
        drop((found, short, of_datagrams, of_thread, process, thread));
        client.end();
    });
}

#[test]
fn query_is_awaited_and_wakes_its_task() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        let list = block_on(sim, ask(&client.provider, "server.example", "7"));
        assert_eq!(addresses(&list.expect("found")).len(), 2);
        client.end();
    });
}

/// [wsk 3.11]: with a deadline, either the list or the deadline wins.
#[test]
fn query_with_a_deadline_gives_its_list_or_times_out() {
    static LISTS_AND_TIMEOUTS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        let query = ask(&client.provider, "server.example", "7");
        match query.wait_timeout(Duration::from_millis(20), passive()) {
            Ok(list) => {
                assert_eq!(addresses(&list).len(), 2);
                LISTS_AND_TIMEOUTS[0].fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                LISTS_AND_TIMEOUTS[1].fetch_add(1, Ordering::SeqCst);
            }
        }
        client.end();
    });
    let counts = LISTS_AND_TIMEOUTS
        .each_ref()
        .map(|count| count.load(Ordering::SeqCst));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// An abandoned query may be answered all the same: its list is freed, by the next query or when
/// the driver deregisters (else the simulator reports a leak).
#[test]
fn abandoned_query_leaves_no_list_behind() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        drop(ask(&client.provider, "server.example", "1"));
        let mut polled = ask(&client.provider, "server.example", "2");
        let wakes = Arc::new(Wakes::default());
        let _ = poll(&mut polled, &wakes);
        sim.sleep(Duration::from_millis(sim.seed() % 30));
        drop(polled);
        let list = ask(&client.provider, "server.example", "3").wait(passive());
        assert_eq!(addresses(&list.expect("found")).len(), 2);
        drop(ask(&client.provider, "server.example", "4"));
        client.end();
    });
}

/// WSK takes lists back at PASSIVE_LEVEL only [wsk 1].
#[test]
fn list_dropped_at_dispatch_level_is_freed_later() {
    wsk_sim::seeds(20, |sim| {
        hosts(sim);
        let client = Client::new();
        for _ in 0..3 {
            let list = ask(&client.provider, "server.example", "7").wait(passive());
            sim.at_dispatch(|| drop(list));
        }
        let query = ask(&client.provider, "server.example", "7");
        sim.sleep(SECOND * 2);
        sim.at_dispatch(|| drop(query));
        client.end();
    });
}

/// [wsk 11.5]
#[test]
fn list_keeps_the_registration_from_ending() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let Client {
            provider,
            registration,
        } = Client::new();
        let list = ask(&provider, "server.example", "7")
            .wait(passive())
            .expect("found");
        drop(provider);
        let ending = sim.spawn(move || drop(registration));
        sim.sleep(SECOND);
        assert_eq!(addresses(&list).len(), 2);
        drop(list);
        ending.join();
    });
}

#[test]
fn closing_all_sockets_cancels_queries_and_refuses_new_ones() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let client = Client::new();
        let query = ask(&client.provider, "server.example", "7");
        client.registration.close_sockets();
        if let Err(error) = query.wait(passive()) {
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        }
        let refused = ask(&client.provider, "server.example", "7").wait(passive());
        assert_eq!(refused.expect_err("closed").kind(), ErrorKind::Closed);
        let address = SocketAddr::from(([127, 0, 0, 1], 7));
        let flags = NameInfoFlags::empty();
        let refused = client
            .provider
            .get_name_info(address, flags, passive())
            .wait(passive());
        assert_eq!(refused.expect_err("closed").kind(), ErrorKind::Closed);
        client.end();
    });
}

const MODULE: ModuleId = ModuleId::Guid(Guid::from_u128(0x51));

fn attached() -> (nmr::wsk::Client, Provider) {
    let versions = Version::V1_0..=Version::V1_0;
    let client = nmr::wsk::Client::register(MODULE, versions, passive()).expect("registered");
    let provider = client.capture_timeout(SECOND, passive()).expect("attached");
    (client, provider)
}

#[test]
fn network_module_frees_every_list_before_it_detaches() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        hosts(sim);
        let (client, provider) = attached();
        let list = ask(&provider, "server.example", "7").wait(passive());
        sim.at_dispatch(|| drop(list));
        drop(ask(&provider, "server.example", "7"));
        drop(provider);
        match sim.seed() % 3 {
            0 => client.deregister(passive()),
            1 => drop(client),
            _ => block_on(sim, Box::pin(client.deregistration())),
        }
    });
}

#[test]
fn any_single_fault_leaves_no_query_behind() {
    wsk_sim::every_fault(|sim| {
        hosts(sim);
        let Ok(registration) = wsk::Registration::register(Version::V1_0, passive()) else {
            return;
        };
        let Ok(provider) = registration.try_capture() else {
            return;
        };
        let _ = ask(&provider, "server.example", "7").wait(passive());
        drop(ask(&provider, "server.example", "7"));
        let address = SocketAddr::from(([127, 0, 0, 1], 7));
        let names = provider.get_name_info(address, NameInfoFlags::empty(), passive());
        let _ = names.wait(passive());
    });
}
