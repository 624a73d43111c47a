//! Datagrams at the network itself, with what travels with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use wdk_sys::{STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER};

use super::{LOOPBACK, bind, on_host, until};
use crate::kernel::layout::Header;
use crate::net::peer::event;
use crate::net::{BindingId, Datagram, Network, Protocol};
use crate::sim::Sim;

/// A socket that receives.
struct Inbox<'a> {
    net: &'a dyn Network,
    binding: BindingId,
    address: SocketAddr,
    changed: Arc<Header>,
}

impl<'a> Inbox<'a> {
    fn new(sim: &'a Sim, address: &str) -> Self {
        let net = &*sim.0.net;
        let (binding, address) = net.bind(bind(Protocol::Udp, address)).unwrap();
        let (changed, watcher) = event();
        net.receive_datagrams(binding, None, watcher);
        Self {
            net,
            binding,
            address,
            changed,
        }
    }

    fn receive(&self) -> Datagram {
        until(&self.changed, || self.net.receive_from(self.binding))
    }

    fn send(&self, datagram: &Datagram) -> Result<(), wdk_sys::NTSTATUS> {
        until(&self.changed, || {
            match self.net.send_to(self.binding, datagram) {
                Ok(true) => Some(Ok(())),
                Ok(false) => None,
                Err(status) => Some(Err(status)),
            }
        })
    }
}

impl Drop for Inbox<'_> {
    fn drop(&mut self) {
        self.net.unbind(self.binding);
    }
}

fn datagram(remote: SocketAddr, data: &[u8]) -> Datagram {
    Datagram {
        data: data.to_vec(),
        remote,
        local: None,
        interface: 0,
        hops: None,
        traffic_class: None,
    }
}

/// The index of the loopback interface.
fn loopback(net: &dyn Network) -> u32 {
    let addresses = net.local_addresses();
    let found = addresses
        .iter()
        .find(|(ip, _)| *ip == IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (_, index) = found.expect("the host has a loopback interface");
    assert_ne!(*index, 0);
    *index
}

#[test]
fn ordinary_socket_of_either_family_exchanges_datagrams() {
    for address in LOOPBACK {
        on_host(move |sim| {
            let ours = Inbox::new(sim, address);
            let theirs = UdpSocket::bind(address).unwrap();
            let remote = theirs.local_addr().unwrap();
            for data in [&b"ping"[..], b""] {
                theirs.send_to(data, ours.address).unwrap();
                let received = ours.receive();
                assert_eq!((&received.data[..], received.remote), (data, remote));
            }
            assert_eq!(ours.send(&datagram(remote, b"pong")), Ok(()));
            let mut buffer = [0; 16];
            let (count, from) = sim.outside(|| theirs.recv_from(&mut buffer)).unwrap();
            assert_eq!((&buffer[..count], from), (&b"pong"[..], ours.address));
        });
    }
}

#[test]
fn datagrams_of_others_are_dropped_for_a_fixed_remote() {
    on_host(|sim| {
        let ours = Inbox::new(sim, LOOPBACK[0]);
        let [wanted, other] = [(); 2].map(|()| UdpSocket::bind(LOOPBACK[0]).unwrap());
        let (_, watcher) = event();
        let remote = wanted.local_addr().unwrap();
        ours.net
            .receive_datagrams(ours.binding, Some(remote), watcher);
        other.send_to(b"other", ours.address).unwrap();
        wanted.send_to(b"wanted", ours.address).unwrap();
        let received = ours.net.receive_from(ours.binding).unwrap();
        assert_eq!(received.data, b"wanted");
        assert_eq!(ours.net.receive_from(ours.binding), None);
    });
}

#[test]
fn datagram_larger_than_any_is_refused() {
    for (address, largest) in LOOPBACK.into_iter().zip([65_507, 65_527]) {
        on_host(move |sim| {
            let ours = Inbox::new(sim, address);
            let fits = vec![7; largest];
            assert_eq!(ours.send(&datagram(ours.address, &fits)), Ok(()));
            assert_eq!(ours.receive().data, fits);
            let too_large = datagram(ours.address, &vec![7; largest + 1]);
            assert_eq!(ours.send(&too_large), Err(STATUS_BUFFER_OVERFLOW));
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_travels_with_a_datagram_is_set_and_told() {
    for address in LOOPBACK {
        on_host(move |sim| {
            let (sender, receiver) = (Inbox::new(sim, address), Inbox::new(sim, address));
            let interface = loopback(sender.net);
            let sent = Datagram {
                local: Some(sender.address.ip()),
                interface,
                hops: Some(7),
                traffic_class: Some(0xB8),
                ..datagram(receiver.address, b"marked")
            };
            assert_eq!(sender.send(&sent), Ok(()));
            let expected = Datagram {
                remote: sender.address,
                local: Some(receiver.address.ip()),
                ..sent
            };
            assert_eq!(receiver.receive(), expected);
            assert_eq!(sender.send(&datagram(receiver.address, b"plain")), Ok(()));
            let plain = receiver.receive();
            assert_eq!(plain.traffic_class, Some(0));
            assert!(plain.hops > Some(7), "{plain:?}");
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn socket_of_both_families_is_told_what_travels_with_ipv4() {
    on_host(|sim| {
        let net = &*sim.0.net;
        let both = crate::net::Bind {
            both_families: true,
            ..bind(Protocol::Udp, "[::]:0")
        };
        let (binding, address) = net.bind(both).unwrap();
        let (changed, watcher) = event();
        net.receive_datagrams(binding, None, watcher);
        let sender = Inbox::new(sim, LOOPBACK[0]);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        let sent = Datagram {
            hops: Some(9),
            traffic_class: Some(0x20),
            ..datagram(target, b"mapped")
        };
        assert_eq!(sender.send(&sent), Ok(()));
        let received = until(&changed, || net.receive_from(binding));
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        assert_eq!(received.local, Some(mapped.into()));
        assert_eq!(received.remote.ip(), IpAddr::from(mapped));
        assert_eq!(
            (received.hops, received.traffic_class),
            (Some(9), Some(0x20))
        );
        let answer = Datagram {
            local: received.local,
            hops: Some(3),
            ..datagram(received.remote, b"back")
        };
        assert_eq!(net.send_to(binding, &answer), Ok(true));
        let received = sender.receive();
        assert_eq!((received.remote, received.hops), (target, Some(3)));
        net.unbind(binding);
    });
}

#[test]
fn broadcast_is_refused_until_it_is_allowed() {
    on_host(|sim| {
        let (sender, receiver) = (Inbox::new(sim, "0.0.0.0:0"), Inbox::new(sim, "0.0.0.0:0"));
        // The broadcast address of the loopback interface.
        let all = SocketAddr::from(([127, 255, 255, 255], receiver.address.port()));
        let shout = datagram(all, b"all");
        assert_eq!(sender.send(&shout), Err(STATUS_ACCESS_DENIED));
        sender.net.allow_broadcast(sender.binding, true);
        assert_eq!(sender.send(&shout), Ok(()));
        assert_eq!(receiver.receive().data, b"all");
        sender.net.allow_broadcast(sender.binding, false);
        assert_eq!(sender.send(&shout), Err(STATUS_ACCESS_DENIED));
    });
}

#[test]
fn group_is_joined_once_and_left_once() {
    for (address, group) in [("0.0.0.0:0", "239.1.2.3"), ("[::]:0", "ff01::1:2:3")] {
        on_host(move |sim| {
            let (sender, member) = (Inbox::new(sim, address), Inbox::new(sim, address));
            let group: IpAddr = group.parse().unwrap();
            let interface = loopback(sender.net);
            let set = |join| {
                let net = member.net;
                net.set_membership(member.binding, group, interface, join)
            };
            assert_eq!(set(false), Err(STATUS_INVALID_PARAMETER));
            assert_eq!(set(true), Ok(()));
            assert_eq!(set(true), Err(STATUS_INVALID_PARAMETER));
            // Linux has no route for IPv6 groups on its loopback interface.
            if group.is_ipv4() {
                let target = SocketAddr::new(group, member.address.port());
                let hello = Datagram {
                    interface,
                    ..datagram(target, b"hello")
                };
                assert_eq!(sender.send(&hello), Ok(()));
                assert_eq!(member.receive().data, b"hello");
            }
            assert_eq!(set(false), Ok(()));
            assert_eq!(set(false), Err(STATUS_INVALID_PARAMETER));
        });
    }
}
