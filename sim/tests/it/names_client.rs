//! Name resolution by the client in the manner of C.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use std::net::SocketAddr;

use wdk_sys::{NTSTATUS, PETHREAD, PIRP, UNICODE_STRING};
use wsk_sys::{ADDRINFOEXW, PADDRINFOEXW};

use crate::common::{Address, Client, Io, Outcome};

/// A string with its terminator, or room for one.
pub struct Text {
    units: Vec<u16>,
    pub string: Box<UNICODE_STRING>,
}

impl Text {
    pub fn new(text: &str) -> Self {
        let mut units: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let size = |count: usize| u16::try_from(count * 2).unwrap();
        let string = Box::new(UNICODE_STRING {
            Length: size(units.len() - 1),
            MaximumLength: size(units.len()),
            Buffer: units.as_mut_ptr(),
        });
        Self { units, string }
    }

    /// Room for so many units, the terminator included.
    pub fn room(count: usize) -> Self {
        let mut units = vec![0xFFFF; count];
        let string = Box::new(UNICODE_STRING {
            Length: 0,
            MaximumLength: u16::try_from(count * 2).unwrap(),
            Buffer: units.as_mut_ptr(),
        });
        Self { units, string }
    }

    /// The text, which must be terminated.
    pub fn read(&self) -> String {
        let length = usize::from(self.string.Length) / 2;
        assert_eq!(self.units[length], 0, "the text is terminated");
        String::from_utf16(&self.units[..length]).unwrap()
    }

    pub fn pointer(text: &mut Option<Self>) -> *mut UNICODE_STRING {
        text.as_mut()
            .map_or(ptr::null_mut(), |text| &raw mut *text.string)
    }
}

/// What a query for addresses points to.
pub struct Query {
    pub node: Option<Text>,
    pub service: Option<Text>,
    pub hints: Option<Box<ADDRINFOEXW>>,
    pub name_space: u32,
    pub thread: PETHREAD,
    pub result: Box<PADDRINFOEXW>,
    /// Where else the result is to go.
    pub elsewhere: *mut PADDRINFOEXW,
}

impl Query {
    /// A query without hints; an empty text is not passed.
    pub fn new(node: &str, service: &str) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Text::new(text));
        Self {
            node: text(node),
            service: text(service),
            hints: None,
            name_space: 0,
            thread: ptr::null_mut(),
            result: Box::new(ptr::null_mut()),
            elsewhere: ptr::null_mut(),
        }
    }

    /// With hints: flags, family, socket type, protocol.
    pub fn hinted(node: &str, service: &str, hints: [u32; 4]) -> Self {
        let [flags, family, socket_type, protocol] = hints.map(u32::cast_signed);
        let hints = ADDRINFOEXW {
            ai_flags: flags,
            ai_family: family,
            ai_socktype: socket_type,
            ai_protocol: protocol,
            ai_addrlen: 0,
            ai_canonname: ptr::null_mut(),
            ai_addr: ptr::null_mut(),
            ai_blob: ptr::null_mut(),
            ai_bloblen: 0,
            ai_provider: ptr::null_mut(),
            ai_next: ptr::null_mut(),
        };
        Self {
            hints: Some(Box::new(hints)),
            ..Self::new(node, service)
        }
    }
}

/// What an element of a list says: address, socket type, protocol, canonical name.
pub type Element = (SocketAddr, i32, i32, Option<String>);

/// Reads a list.
///
/// # Safety
///
/// The list is valid.
pub unsafe fn read_list(list: PADDRINFOEXW) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: promised by the caller.
        let element = unsafe { next.read() };
        let mut address = Address([0; 28]);
        let start = element.ai_addr.cast::<u8>();
        // SAFETY: promised by the caller: an address of the length that is given.
        unsafe { start.copy_to_nonoverlapping(address.pointer().cast(), element.ai_addrlen) };
        // SAFETY: as above: a terminated text.
        let name = unsafe { read_text(element.ai_canonname) };
        let (kind, protocol) = (element.ai_socktype, element.ai_protocol);
        elements.push((address.to_socket(), kind, protocol, name));
        next = element.ai_next;
    }
    elements
}

/// # Safety
///
/// `text` is null or terminated.
unsafe fn read_text(text: *const u16) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let mut units = Vec::new();
    loop {
        // SAFETY: the end has not been reached.
        let next = unsafe { text.add(units.len()) };
        // SAFETY: promised by the caller.
        match unsafe { next.read() } {
            0 => return Some(String::from_utf16(&units).unwrap()),
            unit => units.push(unit),
        }
    }
}

impl Client {
    pub fn start_query(&self, query: &mut Query, irp: PIRP) -> NTSTATUS {
        // SAFETY: the provider's table is valid while it is captured.
        let get = unsafe { (*self.npi.Dispatch).WskGetAddressInfo }.unwrap();
        let hints = query.hints.as_mut();
        let result = if query.elsewhere.is_null() {
            &raw mut *query.result
        } else {
            query.elsewhere
        };
        // SAFETY: a complete request.
        unsafe {
            get(
                self.npi.Client,
                Text::pointer(&mut query.node),
                Text::pointer(&mut query.service),
                query.name_space,
                ptr::null_mut(),
                hints.map_or(ptr::null_mut(), |hints| &raw mut **hints),
                result,
                ptr::null_mut(),
                query.thread,
                irp,
            )
        }
    }

    /// The list that answers a query, or its status.
    pub fn query(&self, io: &mut Io, query: &mut Query) -> Result<PADDRINFOEXW, NTSTATUS> {
        let (status, information) = io.call(|irp| self.start_query(query, irp));
        assert_eq!(information, status.cast_unsigned() as usize);
        if status == 0 {
            Ok(*query.result)
        } else {
            Err(status)
        }
    }

    /// The elements that answer a query, or its status.
    pub fn resolve(&self, io: &mut Io, mut query: Query) -> Result<Vec<Element>, NTSTATUS> {
        let list = self.query(io, &mut query)?;
        // SAFETY: the list is not freed yet.
        let elements = unsafe { read_list(list) };
        self.free_list(list);
        Ok(elements)
    }

    pub fn free_list(&self, list: PADDRINFOEXW) {
        // SAFETY: the provider's table is valid while it is captured.
        let free = unsafe { (*self.npi.Dispatch).WskFreeAddressInfo }.unwrap();
        // SAFETY: WSK checks the list.
        unsafe { free(self.npi.Client, list) };
    }

    /// Asks for the names of an address of which so many bytes are passed.
    pub fn names(
        &self,
        io: &mut Io,
        (address, length): (SocketAddr, usize),
        (node, service): (&mut Option<Text>, &mut Option<Text>),
        flags: u32,
    ) -> Outcome {
        // SAFETY: the provider's table is valid while it is captured.
        let get = unsafe { (*self.npi.Dispatch).WskGetNameInfo }.unwrap();
        let mut address = Address::of(address);
        let length = u32::try_from(length).unwrap();
        io.call(|irp| {
            // SAFETY: a complete request.
            unsafe {
                get(
                    self.npi.Client,
                    address.pointer(),
                    length,
                    Text::pointer(node),
                    Text::pointer(service),
                    flags,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    irp,
                )
            }
        })
    }
}
