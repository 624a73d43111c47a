//! The event of the client, called as WSK would call it: through the table that was registered. No
//! type of such an event exists, so that no provider raises one by itself.

// UNSAFETY: calls a function of the table.
#![expect(unsafe_code, reason = "calls a function of the table")]

extern crate std;
use std::{sync::Mutex, vec::Vec};

use wsk_sys::wdk_sys::STATUS_NOT_IMPLEMENTED;

use super::Registration;
use crate::{irql::Passive, version::Version};

static SEEN: Mutex<Vec<(u32, Vec<u8>)>> = Mutex::new(Vec::new());

fn record(event_type: u32, information: &[u8]) {
    let mut seen = SEEN.lock().expect("not poisoned");
    seen.push((event_type, information.to_vec()));
}

/// [wsk 2.3, 6.1]
#[test]
fn client_event_tells_its_type_and_information() {
    wsk_sim::run(|_| {
        let passive = Passive::new().expect("a test body runs at PASSIVE_LEVEL");
        let version = Version::V1_0;
        let registration = Registration::register_with_event(version, record, passive);
        let registration = registration.expect("registered");
        // SAFETY: there until the registration is dropped.
        let inner = unsafe { registration.inner.as_ref() };
        let event = inner.dispatch.WskClientEvent.expect("registered with one");
        let context = registration.inner.as_ptr().cast();
        let mut information = [1_u8, 2, 3];
        // SAFETY: the function of the table, with its context and three bytes.
        let status = unsafe { event(context, 7, information.as_mut_ptr().cast(), 3) };
        assert_eq!(status, STATUS_NOT_IMPLEMENTED);
        // SAFETY: as above, without information.
        let status = unsafe { event(context, 8, core::ptr::null_mut(), 0) };
        assert_eq!(status, STATUS_NOT_IMPLEMENTED);
        let seen = SEEN.lock().expect("not poisoned");
        assert_eq!(*seen, [(7, [1, 2, 3].to_vec()), (8, Vec::new())]);
    });
}
