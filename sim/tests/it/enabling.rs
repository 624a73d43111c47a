//! Enabling and disabling the events of listening sockets [wsk 6.1, 6.2, 6.3, 6.4].

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, STATUS_EVENT_PENDING, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sim::{Sim, seeds};
use wsk_sys::{
    WSK_EVENT_ACCEPT, WSK_EVENT_DISABLE, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE,
    WSK_EVENT_RECEIVE_FROM, WSK_EVENT_SEND_BACKLOG,
};

use crate::accept_events::{accepting, check_exchange, dial};
use crate::common::{Client, Io, Socket};
use crate::handlers::{ConnectionHandlers, ListenHandlers, Queue, is_passive};
use crate::requests::ADDRESS;

const SEEDS: u64 = 200;

/// How disabling with and without an IRP ended, and whether a callback was running.
static DISABLED: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

#[test]
fn wsk_6_2_enabling_before_bind_is_refused() {
    seeds(20, |_| {
        let mut io = Io::new();
        let (client, handlers) = (Client::new(), ListenHandlers::default());
        let listener = client.unbound_listener(&mut io, &handlers);
        assert_eq!(
            listener.set_events(WSK_EVENT_ACCEPT),
            STATUS_INVALID_DEVICE_STATE
        );
        assert_eq!(listener.bind(&mut io, ADDRESS.parse().unwrap()).0, 0);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_6_3_bits_of_other_categories_are_refused() {
    seeds(5, |sim| {
        let mut io = Io::new();
        let (client, handlers) = (Client::new(), ListenHandlers::default());
        let listener = client.listener_with(&mut io, &handlers, false);
        for mask in [
            0,
            WSK_EVENT_RECEIVE_FROM,
            WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE_FROM,
        ] {
            assert_eq!(listener.set_events(mask), STATUS_INVALID_PARAMETER);
        }
        let all = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT | WSK_EVENT_SEND_BACKLOG;
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT | all), STATUS_SUCCESS);
        let handlers = ConnectionHandlers::default();
        let (socket, _peer) = client.connection_with(sim, &mut io, &handlers);
        assert_eq!(
            socket.set_events(WSK_EVENT_ACCEPT),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(socket.set_events(all), STATUS_SUCCESS);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_6_4_several_bits_at_once_are_not_disabled() {
    seeds(5, |sim| {
        let mut io = Io::new();
        let (client, handlers) = (Client::new(), ConnectionHandlers::default());
        let (socket, _peer) = client.connection_with(sim, &mut io, &handlers);
        let both = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT;
        assert_eq!(socket.set_events(both), STATUS_SUCCESS);
        assert_eq!(socket.disable(both), STATUS_INVALID_PARAMETER);
        assert_eq!(socket.disable(0), STATUS_INVALID_PARAMETER);
        assert_eq!(socket.disable(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_6_1_events_of_a_new_socket_are_disabled() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, accepted) = (Client::new(), Queue::new());
        let handlers = accepting(&accepted);
        let listener = client.listener_with(&mut io, &handlers, false);
        let peer = dial(sim);
        let (status, socket) = listener.accept(&mut io);
        assert_eq!(status, STATUS_SUCCESS);
        assert!(accepted.is_empty());
        check_exchange(&mut io, Socket::new(socket), &peer);
        Socket::new(socket).close(&mut io);
        listener.close(&mut io);
    });
}

/// Disables an event, and waits until no callback for it runs.
pub fn disable_and_wait(io: &mut Io, socket: Socket, event: u32) {
    let outcome = io.call(|irp| socket.start_set_events(event | WSK_EVENT_DISABLE, irp));
    assert_eq!(outcome.0, STATUS_SUCCESS);
}

#[test]
fn wsk_6_4_disabled_event_is_not_called_until_it_is_enabled_again() {
    seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let (client, accepted) = (Client::new(), Queue::new());
        let handlers = accepting(&accepted);
        let listener = client.listener_with(&mut io, &handlers, false);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        assert_eq!(listener.disable(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let peer = dial(sim);
        sim.sleep(core::time::Duration::from_secs(1));
        assert!(accepted.is_empty());
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let socket = accepted.pop();
        check_exchange(&mut io, socket, &peer);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

/// Disables an accept event whose callback may be running, and lets it return then.
fn disable_during_callback(sim: &Sim, with_irp: bool) -> (bool, NTSTATUS) {
    let (mut io, mut disable) = (Io::new(), Io::new());
    let (client, accepted) = (Client::new(), Queue::new());
    let (entered, leave) = (Queue::new(), Queue::new());
    let returned = Arc::new(AtomicBool::new(false));
    let handlers = {
        let (accepted, entered, leave) = (
            Arc::clone(&accepted),
            Arc::clone(&entered),
            Arc::clone(&leave),
        );
        let returned = Arc::clone(&returned);
        ListenHandlers {
            accept: Box::new(move |offer| {
                let stays = is_passive();
                entered.push(stays);
                if stays {
                    leave.pop();
                }
                let status = offer.accept();
                offer
                    .socket
                    .into_iter()
                    .for_each(|socket| accepted.push(socket));
                returned.store(true, SeqCst);
                status
            }),
            ..ListenHandlers::default()
        }
    };
    let listener = client.listener_with(&mut io, &handlers, false);
    assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);
    let _peer = dial(sim);
    let stays = entered.pop();
    let status = if with_irp {
        let event = WSK_EVENT_ACCEPT | WSK_EVENT_DISABLE;
        listener.start_set_events(event, disable.prepare())
    } else {
        listener.disable(WSK_EVENT_ACCEPT)
    };
    leave.push(());
    if with_irp {
        assert_eq!(disable.wait().0, STATUS_SUCCESS);
        assert!(
            returned.load(SeqCst),
            "completed before the callback returned"
        );
    }
    accepted.pop().close(&mut io);
    listener.close(&mut io);
    (stays, status)
}

#[test]
fn wsk_6_4_disable_with_irp_completes_when_callbacks_have_returned() {
    seeds(SEEDS, |sim| {
        let (stays, status) = disable_during_callback(sim, true);
        assert!(!stays || status == STATUS_PENDING, "{status:#x}");
        DISABLED[usize::from(stays)].fetch_add(1, SeqCst);
    });
    assert!(DISABLED[..2].iter().all(|count| count.load(SeqCst) > 0));
}

#[test]
fn wsk_6_4_disable_without_irp_says_that_a_callback_runs() {
    seeds(SEEDS, |sim| {
        let (stays, status) = disable_during_callback(sim, false);
        let expected = [STATUS_SUCCESS, STATUS_EVENT_PENDING];
        if stays {
            assert_eq!(status, STATUS_EVENT_PENDING);
        } else {
            assert!(expected.contains(&status), "{status:#x}");
        }
        DISABLED[2 + usize::from(stays)].fetch_add(1, SeqCst);
    });
    assert!(DISABLED[2..].iter().all(|count| count.load(SeqCst) > 0));
}
