//! What is asked of the provider itself: versions, transports, descriptors, owners.

use std::{sync::Arc, time::Duration};

use crate::common::{Client, Wakes, address, passive, poll};
use wsk::{
    AddressFamily, ErrorKind, ListenSocket, OpenOptions, Process, Protocol, Registration,
    SecurityDescriptor, SocketType, TdiMap, Thread, Version, option,
};

const SCHEDULES: u64 = 100;
const SECOND: Duration = Duration::from_secs(1);

/// Everybody may do anything: the list of who may is absent.
const EVERYBODY: [u8; 20] = [
    1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn supported_versions_are_told() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let versions = client.registration.supported_versions().expect("told");
        assert!(versions.contains(&Version::V1_0));
        client.end();
    });
}

/// [wsk 2.5]
#[test]
fn negotiate_registers_anew_with_a_version_that_both_have() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let wanted = Version::V1_0..=Version { major: 7, minor: 3 };
        let (registration, provider) =
            Registration::negotiate(wanted, SECOND, passive()).expect("1.0");
        assert!(provider.transports().is_ok());
        drop(provider);
        drop(registration);
        let (low, high) = (
            Version { major: 7, minor: 0 },
            Version { major: 7, minor: 3 },
        );
        let refused = Registration::negotiate(low..=high, SECOND, passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::VersionNotSupported);
    });
}

/// [wsk 4.4]
#[test]
fn transports_are_those_that_sockets_can_be_opened_for() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let transports = client.provider.transports().expect("told");
        let tcp_of = |family| {
            transports.iter().any(|transport| {
                transport.address_family() == Some(family)
                    && transport.socket_type == SocketType::STREAM
                    && transport.protocol == Protocol::TCP
                    && transport.version == Version::V1_0
            })
        };
        assert!(tcp_of(AddressFamily::Inet) && tcp_of(AddressFamily::Inet6));
        client.end();
    });
}

#[test]
fn transport_changes_are_cancelled_when_all_sockets_are_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut changes = client.provider.transport_changes().expect("memory");
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut changes.changed(), &wakes).is_pending());
        let passed = changes.changed().wait_timeout(SECOND, passive());
        assert_eq!(passed.unwrap_err().kind(), ErrorKind::TimedOut);
        let registration = Arc::new(client.registration);
        let closing = registration.clone();
        let closer = sim.spawn(move || closing.close_sockets());
        let ended = changes.changed().wait_timeout(SECOND, passive());
        let ended = ended.unwrap_err().kind();
        assert!([ErrorKind::Cancelled, ErrorKind::Closed].contains(&ended));
        closer.join();
        let closed = changes.changed().wait_timeout(SECOND, passive());
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
        drop(changes);
        drop(client.provider);
        registration.deregister(passive());
    });
}

#[test]
fn transport_changes_dropped_leave_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        drop(client.provider.transport_changes().expect("memory"));
        let changes = client.provider.transport_changes().expect("memory");
        let closer = sim.spawn(move || drop(changes));
        client.registration.close_sockets();
        closer.join();
        client.end();
    });
}

/// [wsk 4.5]
#[test]
fn descriptor_is_kept_by_whoever_uses_it_and_released_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let descriptor = SecurityDescriptor::cache(&client.provider, &EVERYBODY).expect("cached");
        let options = OpenOptions::new().security(&descriptor);
        let opening = options.listen(&client.provider, AddressFamily::Inet);
        drop((descriptor, options));
        let listener = opening.wait(passive()).expect("opened");
        let read = listener.security().wait(passive()).expect("cached again");
        let other = ListenSocket::open(&client.provider, AddressFamily::Inet6);
        let other = other.wait(passive()).expect("opened");
        let set = other.set_security(&read);
        sim.at_dispatch(|| drop(read));
        set.wait(passive()).expect("set");
        drop((listener, other));
        client.end();
    });
}

#[test]
fn descriptor_of_a_dropped_request_is_released() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let descriptor = SecurityDescriptor::cache(&client.provider, &EVERYBODY).expect("cached");
        let listener = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let listener = listener.wait(passive()).expect("opened");
        drop(listener.set_security(&descriptor));
        drop(descriptor);
        drop(listener.security());
        // A close would cancel it: then the descriptor is the provider's to release.
        sim.sleep(SECOND);
        drop(listener);
        client.end();
    });
}

#[test]
fn descriptor_that_is_none_is_refused_before_the_kernel_sees_it() {
    wsk_sim::seeds(10, |_| {
        let client = Client::new();
        for bytes in [&[][..], &[1; 20], &EVERYBODY[..19]] {
            let refused = SecurityDescriptor::cache(&client.provider, bytes).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidParameter);
        }
        client.end();
    });
}

#[test]
fn security_set_after_the_bind_is_refused() {
    wsk_sim::seeds(10, |_| {
        let client = Client::new();
        let descriptor = SecurityDescriptor::cache(&client.provider, &EVERYBODY).expect("cached");
        let listener = client.listen();
        let late = listener.set_security(&descriptor).wait(passive());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::InvalidState);
        drop((listener, descriptor));
        client.end();
    });
}

/// Whoever may share the address does so, whoever else does not [wsk 4.5].
#[test]
fn address_is_shared_with_whom_the_descriptor_admits() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let descriptor = SecurityDescriptor::cache(&client.provider, &EVERYBODY).expect("cached");
        let options = OpenOptions::new().security(&descriptor);
        let anywhere = ([0, 0, 0, 0], address().port()).into();
        let first = options.listen(&client.provider, AddressFamily::Inet);
        let first = first.wait(passive()).expect("opened");
        first.bind(anywhere).wait(passive()).expect("bound");
        let second = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let second = second.wait(passive()).expect("opened");
        second.bind(address()).wait(passive()).expect("admitted");
        drop((first, second, descriptor, options));
        client.end();
    });
}

#[test]
fn owner_is_told_and_kept_until_the_socket_is_open() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (process, thread) = (Process::current(), Thread::current());
        let owner = (process.as_raw(), thread.as_raw());
        let options = OpenOptions::new().process(&process).thread(&thread);
        let opening = options.stream(&client.provider, AddressFamily::Inet);
        assert_eq!(sim.last_owner(), owner);
        let another = options.connection(&client.provider, AddressFamily::Inet6);
        assert_eq!(sim.last_owner(), owner);
        drop((process, thread, options, another));
        drop(opening.wait(passive()).expect("opened"));
        client.end();
    });
}

static DEVICE: [u16; 5] = [b'\\' as u16, b'T' as u16, b'c' as u16, b'p' as u16, 0];
static MAP: [TdiMap; 1] = [TdiMap::new(
    AddressFamily::Inet,
    SocketType::STREAM,
    Protocol::TCP,
    &DEVICE,
)];

/// [wsk 5, 5.6]
#[test]
fn tdi_settings_come_before_the_first_socket() {
    wsk_sim::seeds(10, |_| {
        let client = Client::new();
        client.provider.bypass_tdi().expect("no socket yet");
        client
            .provider
            .map_tdi_devices(&MAP)
            .expect("no socket yet");
        let listener = client.listen();
        for late in [
            client.provider.bypass_tdi(),
            client.provider.map_tdi_devices(&MAP),
        ] {
            assert_eq!(late.unwrap_err().kind(), ErrorKind::InvalidState);
        }
        drop(listener);
        client.end();
    });
}

#[test]
fn provider_requests_with_any_fault_leave_nothing() {
    wsk_sim::every_fault(|_| {
        let wanted = Version::V1_0..=Version { major: 2, minor: 0 };
        let Ok((registration, provider)) = Registration::negotiate(wanted, SECOND, passive())
        else {
            return;
        };
        let _ = provider.transports();
        if let Ok(mut changes) = provider.transport_changes() {
            let _ = changes.changed().wait_timeout(SECOND, passive());
        }
        let Ok(descriptor) = SecurityDescriptor::cache(&provider, &EVERYBODY) else {
            return;
        };
        let options = OpenOptions::new().security(&descriptor);
        let opening = options.listen(&provider, AddressFamily::Inet);
        if let Ok(listener) = opening.wait(passive()) {
            let _ = listener.security().wait(passive());
            let _ = listener.set_security(&descriptor).wait(passive());
            let _ = listener
                .set_option(&option::REUSE_ADDRESS, true)
                .wait(passive());
        }
        drop((descriptor, options, provider));
        drop(registration);
    });
}
