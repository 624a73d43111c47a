//! Tables of older Windows [wsk 2.11]: which functions they lack.

// UNSAFETY: plays a driver in C, which reads the provider's tables.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use wsk_sim::{Windows, builder};

use crate::common::Client;

#[test]
fn wsk_2_11_windows_before_7_has_no_names() {
    for (windows, has) in [
        (Windows::Vista, false),
        (Windows::Seven, true),
        (Windows::Eight, true),
    ] {
        builder().windows(windows).run(move |_| {
            let client = Client::new();
            // SAFETY: the provider's table is valid while it is captured.
            let table = unsafe { &*client.npi.Dispatch };
            assert_eq!(table.WskGetAddressInfo.is_some(), has);
            assert_eq!(table.WskFreeAddressInfo.is_some(), has);
            assert_eq!(table.WskGetNameInfo.is_some(), has);
            assert!(table.WskSocket.is_some() && table.WskControlClient.is_some());
        });
    }
}
