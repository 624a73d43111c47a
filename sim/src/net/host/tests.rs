//! Connections at the network itself: inspection, which the provider wraps in callbacks, and what
//! can be seen only here.

mod datagrams;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use wdk_sys::STATUS_ADDRESS_ALREADY_EXISTS;

use crate::kernel::layout::Header;
use crate::net::peer::{event, wait_for};
use crate::net::{Arrival, Bind, BindingId, Net, Protocol, Received, Request};
use crate::sim::Sim;

/// Any free port of loopback, IPv4 and IPv6.
const LOOPBACK: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn on_host(body: impl FnOnce(&Sim) + Send + 'static) {
    crate::builder().host_network().run(body);
}

fn bind(protocol: Protocol, address: &str) -> Bind {
    Bind {
        address: address.parse().unwrap(),
        protocol,
        shared: false,
        both_families: false,
    }
}

/// A listener that inspects, and the means to wait for something of it.
struct Inspector<'a> {
    net: &'a Net,
    binding: BindingId,
    address: SocketAddr,
    changed: Arc<Header>,
}

impl<'a> Inspector<'a> {
    fn new(sim: &'a Sim) -> Self {
        let net = &sim.0.net;
        let (binding, address) = net.bind(bind(Protocol::Tcp, LOOPBACK[0])).unwrap();
        let (changed, watcher) = event();
        net.listen(binding, true, watcher).unwrap();
        Self {
            net,
            binding,
            address,
            changed,
        }
    }

    fn wait<T>(&self, attempt: impl Fn(&Net, BindingId) -> Option<T>) -> T {
        until(&self.changed, || attempt(self.net, self.binding))
    }

    fn request(&self) -> Request {
        self.wait(|net, listener| net.next_request(listener))
    }
}

fn reset(stream: TcpStream) {
    let zero = Some(Duration::ZERO);
    SockRef::from(&stream).set_linger(zero).unwrap();
    drop(stream);
}

#[test]
fn inspected_connection_let_in_can_be_accepted() {
    on_host(|sim| {
        let inspector = Inspector::new(sim);
        let client = TcpStream::connect(inspector.address).unwrap();
        let request = inspector.request();
        assert_eq!(request.local, inspector.address);
        assert_eq!(request.remote, client.local_addr().unwrap());
        assert!(!inspector.net.has_arrived(inspector.binding));
        inspector.net.decide(request.id, true);
        let Arrival {
            endpoint,
            request: of,
        } = inspector.wait(|net, listener| net.accept(listener));
        assert_eq!(of, Some(request.id));
        let addresses = inspector.net.addresses(endpoint);
        assert_eq!(addresses, Some((request.local, request.remote)));
        inspector.net.close(endpoint);
        inspector.net.unbind(inspector.binding);
    });
}

#[test]
fn inspected_connection_refused_is_reset() {
    on_host(|sim| {
        let inspector = Inspector::new(sim);
        let client = TcpStream::connect(inspector.address).unwrap();
        let request = inspector.request();
        inspector.net.decide(request.id, false);
        let error = sim.outside(|| client.peek(&mut [0])).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(inspector.net.accept(inspector.binding), None);
        assert_eq!(inspector.net.next_given_up(inspector.binding), None);
        inspector.net.unbind(inspector.binding);
    });
}

#[test]
fn connection_given_up_before_and_after_the_decision_is_noticed() {
    for decided in [false, true] {
        for leave in [reset, drop] {
            on_host(move |sim| {
                let inspector = Inspector::new(sim);
                let client = TcpStream::connect(inspector.address).unwrap();
                let request = inspector.request();
                if decided {
                    inspector.net.decide(request.id, true);
                }
                leave(client);
                let given_up = inspector.wait(|net, listener| net.next_given_up(listener));
                assert_eq!(given_up, request.id);
                inspector.net.decide(request.id, true);
                assert_eq!(inspector.net.accept(inspector.binding), None);
                inspector.net.unbind(inspector.binding);
            });
        }
    }
}

#[test]
fn unbind_resets_what_was_not_accepted() {
    on_host(|sim| {
        let inspector = Inspector::new(sim);
        let clients = [(); 3].map(|()| TcpStream::connect(inspector.address).unwrap());
        let first = inspector.request();
        inspector.net.decide(first.id, true);
        inspector.request();
        inspector.net.unbind(inspector.binding);
        for client in clients {
            let error = sim.outside(|| client.peek(&mut [0])).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
}

/// Tries until something comes of it, which an event announces.
fn until<T>(changed: &Header, attempt: impl FnMut() -> Option<T>) -> T {
    wait_for(changed, "a test of the host's network", attempt)
}

#[test]
fn receive_with_a_limit_of_0_only_looks() {
    on_host(|sim| {
        let net = &*sim.0.net;
        let server = TcpListener::bind(LOOPBACK[0]).unwrap();
        let (binding, _) = net.bind(bind(Protocol::Tcp, LOOPBACK[0])).unwrap();
        let (changed, watcher) = event();
        let endpoint = net.connect(binding, server.local_addr().unwrap(), watcher);
        assert_eq!(until(&changed, || net.connected(endpoint)), Ok(()));
        let (mut client, _) = server.accept().unwrap();
        assert_eq!(net.receive(endpoint, 0, true), Ok(Received::Empty));
        client.write_all(b"x").unwrap();
        until(&changed, || {
            (net.receive(endpoint, 0, true) != Ok(Received::Empty)).then_some(())
        });
        assert_eq!(
            net.receive(endpoint, 0, true),
            Ok(Received::Data(Vec::new()))
        );
        let data = Received::Data(b"x".to_vec());
        assert_eq!(net.receive(endpoint, 8, true), Ok(data));
        drop(client);
        until(&changed, || {
            (net.receive(endpoint, 0, true) != Ok(Received::Empty)).then_some(())
        });
        assert_eq!(net.receive(endpoint, 0, true), Ok(Received::End));
        net.close(endpoint);
        net.unbind(binding);
    });
}

#[test]
fn address_is_shared_only_if_both_want_it() {
    on_host(|sim| {
        let net = &sim.0.net;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let shared = Bind {
                shared: true,
                ..bind(protocol, LOOPBACK[0])
            };
            let (first, address) = net.bind(shared).unwrap();
            let (second, same) = net.bind(Bind { address, ..shared }).unwrap();
            assert_eq!(same, address);
            if protocol == Protocol::Tcp {
                // Until somebody listens, Linux lets others have an address.
                for binding in [first, second] {
                    let (_, watcher) = event();
                    assert_eq!(net.listen(binding, false, watcher), Ok(()));
                }
            }
            let alone = Bind {
                address,
                ..bind(protocol, LOOPBACK[0])
            };
            let refused = net.bind(alone).unwrap_err();
            assert_eq!(refused, STATUS_ADDRESS_ALREADY_EXISTS);
            net.unbind(first);
            net.unbind(second);
            let (again, _) = net.bind(alone).unwrap();
            net.unbind(again);
        }
    });
}
