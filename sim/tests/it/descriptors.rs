//! Security descriptors as a driver would build them, and the calls that cache and release them.

use crate::common::Client;
use crate::control::Control;
use wdk_sys::NTSTATUS;
use wsk_sys::{WSK_CACHE_SD, WSK_RELEASE_SD};

const DACL_PRESENT: u16 = 4;
const SELF_RELATIVE: u16 = 0x8000;

/// A security descriptor, absolute or self-relative.
#[derive(Clone)]
pub struct Descriptor {
    revision: u8,
    control: u16,
    list: Option<Vec<u8>>,
}

/// Who an entry of an access control list is about.
#[derive(Clone, Copy)]
pub enum Subject {
    Everyone,
    System,
    /// Nobody that a driver is.
    Guest,
}

impl Subject {
    fn encode(self) -> Vec<u8> {
        match self {
            Self::Everyone => vec![1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            Self::System => vec![1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
            Self::Guest => vec![1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x22, 2, 0, 0],
        }
    }
}

impl Descriptor {
    /// With a list that is null: everybody is let in.
    pub fn everybody() -> Self {
        Self {
            revision: 1,
            control: DACL_PRESENT,
            list: None,
        }
    }

    pub fn without_list() -> Self {
        Self {
            control: 0,
            ..Self::everybody()
        }
    }

    /// With entries that allow (true) or deny.
    pub fn list(entries: &[(bool, Subject)]) -> Self {
        let entries = entries.iter().map(|(allows, subject)| {
            let subject = subject.encode();
            let size = u16::try_from(8 + subject.len()).unwrap();
            let mut entry = vec![u8::from(!allows), 0];
            entry.extend(size.to_ne_bytes());
            entry.extend(0x1F_01FF_u32.to_ne_bytes());
            entry.extend(subject);
            entry
        });
        let entries: Vec<_> = entries.collect();
        let size = 8 + entries.iter().map(Vec::len).sum::<usize>();
        let mut list = vec![2, 0];
        list.extend(u16::try_from(size).unwrap().to_ne_bytes());
        list.extend(u16::try_from(entries.len()).unwrap().to_ne_bytes());
        list.extend([0, 0]);
        list.extend(entries.concat());
        Self {
            list: Some(list),
            ..Self::everybody()
        }
    }

    pub fn self_relative(self) -> Self {
        Self {
            control: self.control | SELF_RELATIVE,
            ..self
        }
    }

    pub fn of_revision(self, revision: u8) -> Self {
        Self { revision, ..self }
    }

    /// The bytes; they are valid as long as the descriptor.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.revision, 0];
        bytes.extend(self.control.to_ne_bytes());
        let list = self.list.as_deref();
        if self.control & SELF_RELATIVE == 0 {
            bytes.resize(32, 0);
            let pointer = list.map_or(0, |list| list.as_ptr().expose_provenance());
            bytes.extend(pointer.to_ne_bytes());
        } else {
            bytes.resize(16, 0);
            bytes.extend((if list.is_some() { 20_u32 } else { 0 }).to_ne_bytes());
            bytes.extend(list.unwrap_or_default());
        }
        bytes
    }
}

/// `WSK_CACHE_SD`: the address of the provider's copy.
pub fn cache(client: &Client, descriptor: &Descriptor) -> Result<usize, NTSTATUS> {
    let bytes = descriptor.encode();
    cache_at(client, bytes.as_ptr().expose_provenance())
}

/// As `cache`, of what lies at an address.
pub fn cache_at(client: &Client, address: usize) -> Result<usize, NTSTATUS> {
    let size = size_of::<usize>();
    let mut control = Control::ioctl(WSK_CACHE_SD)
        .input(&address.to_ne_bytes())
        .output(size);
    match control.on_client(client) {
        0 => Ok(usize::from_ne_bytes(
            control.taken(size).try_into().unwrap(),
        )),
        status => Err(status),
    }
}

/// `WSK_RELEASE_SD`.
pub fn release(client: &Client, cached: usize) {
    let status = Control::ioctl(WSK_RELEASE_SD)
        .input(&cached.to_ne_bytes())
        .on_client(client);
    assert_eq!(status, 0);
}
