//! Whom a socket belongs to: a process, a thread, a security descriptor.

// UNSAFETY: counts references to objects of the kernel.
#![expect(unsafe_code, reason = "references to objects of the kernel")]

use core::{ffi::c_void, fmt, ptr::NonNull};

use wsk_sys::{
    KeGetCurrentThread,
    wdk_sys::{
        PEPROCESS, PETHREAD, PSECURITY_DESCRIPTOR,
        ntddk::{IoGetCurrentProcess, ObfDereferenceObject, ObfReferenceObject},
    },
};

use crate::security::SecurityDescriptor;

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident: $pointer:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// It keeps a reference to the kernel's object.
        ///
        /// # Invariants
        ///
        /// A reference is counted in the object.
        pub struct $name(NonNull<c_void>);

        // SAFETY: a counted reference to an object that is only passed on.
        unsafe impl Send for $name {}
        // SAFETY: as for `Send`.
        unsafe impl Sync for $name {}

        impl $name {
            /// Takes a reference to the object.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Safety
            ///
            /// `object` points to such an object, which stays during the call.
            #[must_use]
            pub unsafe fn from_raw(object: $pointer) -> Option<Self> {
                let object = NonNull::new(object)?.cast();
                // SAFETY: an object of the kernel (the caller's promise).
                unsafe { ObfReferenceObject(object.as_ptr()) };
                Some(Self(object))
            }

            /// The object, which stays while `self` does.
            #[must_use]
            pub fn as_raw(&self) -> $pointer {
                self.0.as_ptr().cast()
            }
        }

        impl Clone for $name {
            fn clone(&self) -> Self {
                // SAFETY: ours (invariant).
                unsafe { ObfReferenceObject(self.0.as_ptr()) };
                Self(self.0)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: ours (invariant), once. The kernel puts off what needs PASSIVE_LEVEL.
                unsafe { ObfDereferenceObject(self.0.as_ptr()) };
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    )*};
}

objects! {
    /// A process, as the owner of sockets or of requests.
    Process: PEPROCESS;
    /// A thread, whose security context counts.
    Thread: PETHREAD;
}

impl Process {
    /// The process in which this runs.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Panics
    ///
    /// Never: something always runs in a process.
    #[must_use]
    pub fn current() -> Self {
        // SAFETY: callable at any IRQL.
        let process = unsafe { IoGetCurrentProcess() };
        // SAFETY: the current process stays while this runs in it.
        unsafe { Self::from_raw(process) }.expect("something always runs in a process")
    }
}

/// The owner that a request is given, until it completes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner {
    pub(crate) process: Option<Process>,
    pub(crate) thread: Option<Thread>,
    pub(crate) security: Option<SecurityDescriptor>,
}

impl Owner {
    /// Null for the current process.
    pub(crate) fn process(&self) -> PEPROCESS {
        self.process
            .as_ref()
            .map_or(core::ptr::null_mut(), Process::as_raw)
    }

    pub(crate) fn thread(&self) -> PETHREAD {
        self.thread
            .as_ref()
            .map_or(core::ptr::null_mut(), Thread::as_raw)
    }

    pub(crate) fn security(&self) -> PSECURITY_DESCRIPTOR {
        let security = self.security.as_ref();
        security.map_or(core::ptr::null_mut(), |security| security.cached.raw())
    }
}

impl Thread {
    /// The thread in which this runs. In a driver's dispatch routine that may be the client's.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Panics
    ///
    /// Never: something always runs in a thread.
    #[must_use]
    pub fn current() -> Self {
        let thread = KeGetCurrentThread().cast();
        // SAFETY: the current thread stays while this runs in it.
        unsafe { Self::from_raw(thread) }.expect("something always runs in a thread")
    }
}
