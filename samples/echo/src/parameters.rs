//! The driver's parameters: values of the `Parameters` key below its service's key in the registry.
//!
//! | value            | type                  | meaning                              | if missing |
//! |------------------|-----------------------|--------------------------------------|------------|
//! | `Port`           | `REG_DWORD`, `REG_SZ` | TCP port, from 1                     | 40007      |
//! | `MaxConnections` | `REG_DWORD`, `REG_SZ` | connections served at a time, from 1 | 1024       |
//!
//! A value that makes no sense is an error that names it, not a default.

// UNSAFETY: registry calls, which take pointers.
#![expect(unsafe_code, reason = "registry calls")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of small things")]

use core::ptr::null_mut;

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_READ, NTSTATUS, OBJ_CASE_INSENSITIVE,
    OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PCUNICODE_STRING, REG_DWORD, REG_SZ, UNICODE_STRING,
    ntddk::{ZwClose, ZwOpenKey, ZwQueryValueKey},
};
use wsk::{Error, Result, Status};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// The TCP port to listen on.
    pub port: u16,
    /// Connections served at a time.
    pub most_connections: u32,
}

/// A value above zero: its name in the registry, what an error calls it, and what it is if missing.
struct Value<const N: usize, T> {
    name: [u16; N],
    title: &'static str,
    default: T,
}

const PORT: Value<4, u16> = Value {
    name: wide(b"Port"),
    title: "Parameters\\Port",
    default: 40007,
};
const MAX_CONNECTIONS: Value<14, u32> = Value {
    name: wide(b"MaxConnections"),
    title: "Parameters\\MaxConnections",
    default: 1024,
};

impl Parameters {
    /// Reads them.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Safety
    ///
    /// `service` is the path of the service's key, valid during the call.
    pub unsafe fn read(service: PCUNICODE_STRING) -> Result<Self> {
        // SAFETY: the caller's promise.
        let service = unsafe { Key::open(null_mut(), service) }?;
        let text = wide(b"Parameters");
        let name = unicode(&text);
        let key = match &service {
            // SAFETY: an open key, and a name that outlives the call.
            Some(service) => unsafe { Key::open(service.0, &raw const name) }?,
            None => None,
        };
        let key = key.as_ref();
        Ok(Self {
            port: PORT.read(key)?,
            most_connections: MAX_CONNECTIONS.read(key)?,
        })
    }
}

impl<const N: usize, T: TryFrom<u32> + Copy> Value<N, T> {
    /// The number in `key`, or the default if there is none.
    fn read(&self, key: Option<&Key>) -> Result<T> {
        let Some(data) = key.map(|key| key.query(&self.name)).transpose()?.flatten() else {
            return Ok(self.default);
        };
        data.number()
            .filter(|number| *number != 0)
            .and_then(|number| T::try_from(number).ok())
            .ok_or(Error::new(self.title, Status::INVALID_PARAMETER))
    }
}

/// An open registry key.
struct Key(HANDLE);

impl Key {
    /// Opens the key `name` below `root`, or at an absolute path if that is null; `None` if there
    /// is no such key.
    ///
    /// # Safety
    ///
    /// `root` is null or an open key, and `name` is valid during the call.
    unsafe fn open(root: HANDLE, name: PCUNICODE_STRING) -> Result<Option<Self>> {
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: root,
            ObjectName: name.cast_mut(),
            Attributes: OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut handle: HANDLE = null_mut();
        // SAFETY: PASSIVE_LEVEL; the attributes and what they point to are valid during the call.
        let status = unsafe { ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes) };
        found("ZwOpenKey", status).map(|found| found.then(|| Self(handle)))
    }

    /// The value `name`; `None` if there is no such value.
    fn query(&self, name: &[u16]) -> Result<Option<Data>> {
        let mut name = unicode(name);
        let mut data = Data::default();
        let mut length = 0;
        // SAFETY: PASSIVE_LEVEL; our own open key; the name is only read; the output has the size
        // that is said.
        let status = unsafe {
            ZwQueryValueKey(
                self.0,
                &raw mut name,
                _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                (&raw mut data).cast(),
                size_of::<Data>() as u32,
                &raw mut length,
            )
        };
        if status == Status::BUFFER_OVERFLOW.as_raw() {
            // Longer than any number: `Data::number` will not like what came.
            return Ok(Some(data));
        }
        found("ZwQueryValueKey", status).map(|found| found.then_some(data))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: our own handle, closed once.
        let _ = unsafe { ZwClose(self.0) };
    }
}

/// `KEY_VALUE_PARTIAL_INFORMATION` with room for a number, as a `REG_DWORD` or as decimal digits.
#[repr(C)]
#[derive(Default)]
struct Data {
    title_index: u32,
    kind: u32,
    length: u32,
    words: [u16; 16],
}

impl Data {
    fn number(&self) -> Option<u32> {
        match self.kind {
            REG_DWORD if self.length == 4 => {
                Some(u32::from(self.words[0]) | u32::from(self.words[1]) << 16)
            }
            REG_SZ => self.digits(),
            _ => None,
        }
    }

    /// Decimal digits, up to a null character if there is one.
    fn digits(&self) -> Option<u32> {
        let words = self.words.get(..usize::try_from(self.length).ok()? / 2)?;
        let text = words
            .split(|word| *word == 0)
            .next()
            .filter(|text| !text.is_empty())?;
        text.iter().try_fold(0_u32, |number, word| {
            let digit = char::from_u32(u32::from(*word))?.to_digit(10)?;
            number.checked_mul(10)?.checked_add(digit)
        })
    }
}

/// Whether it was found; anything but success and "not found" is an error.
fn found(call: &'static str, status: NTSTATUS) -> Result<bool> {
    match Status::from_raw(status) {
        status if status.is_success() => Ok(true),
        Status::OBJECT_NAME_NOT_FOUND => Ok(false),
        status => Err(Error::new(call, status)),
    }
}

/// ASCII as UTF-16.
const fn wide<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut wide = [0; N];
    let mut index = 0;
    while index < N {
        wide[index] = ascii[index] as u16;
        index += 1;
    }
    wide
}

/// `text` as the kernel takes it; valid as long as `text`.
fn unicode(text: &[u16]) -> UNICODE_STRING {
    let length = size_of_val(text) as u16;
    UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: text.as_ptr().cast_mut(),
    }
}
