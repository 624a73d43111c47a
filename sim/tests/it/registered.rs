//! A registration without a capture, as a C driver would write it.

// UNSAFETY: plays a driver in C, which calls the exports of NETIO.SYS.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;

use wdk_sys::NTSTATUS;
use wsk_sys::{
    WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_PROVIDER_NPI, WSK_REGISTRATION, WskCaptureProviderNPI,
    WskDeregister, WskRegister,
};

use crate::common::DISPATCH;

/// A registration without a capture.
pub struct Registered {
    block: Box<WSK_REGISTRATION>,
    open: bool,
    _dispatch: Box<WSK_CLIENT_DISPATCH>,
}

impl Registered {
    pub fn new(version: u16) -> Self {
        let dispatch = Box::new(WSK_CLIENT_DISPATCH {
            Version: version,
            ..DISPATCH
        });
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: &raw const *dispatch,
        };
        let mut block = Box::new(WSK_REGISTRATION::default());
        // SAFETY: block and table stay where they are.
        let status = unsafe { WskRegister(&raw mut npi, &raw mut *block) };
        assert_eq!(status, 0);
        Self {
            block,
            open: true,
            _dispatch: dispatch,
        }
    }

    /// Tries to capture the provider, and must fail.
    pub fn capture(&mut self, timeout: u32) -> NTSTATUS {
        let mut npi = WSK_PROVIDER_NPI::default();
        // SAFETY: the block is intact.
        let status = unsafe { WskCaptureProviderNPI(&raw mut *self.block, timeout, &raw mut npi) };
        assert_ne!(status, 0, "captured");
        status
    }

    pub fn deregister(&mut self) {
        self.open = false;
        // SAFETY: registered once.
        unsafe { WskDeregister(&raw mut *self.block) };
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if self.open {
            self.deregister();
        }
    }
}
