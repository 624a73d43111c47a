//! The registry calls.

// UNSAFETY: registry calls, which take pointers.
#![expect(unsafe_code, reason = "registry calls")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of small things")]

use alloc::{vec, vec::Vec};
use core::ptr::null_mut;

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_READ, NTSTATUS, OBJ_CASE_INSENSITIVE,
    OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PCUNICODE_STRING, UNICODE_STRING,
    ntddk::{ZwClose, ZwOpenKey, ZwQueryValueKey},
};
use wsk::{Error, Result, Status};

use crate::data::Data;

/// The key, and what the titles of values begin with.
const KEY: &str = "Parameters";
const PREFIX: &str = "Parameters\\";

/// `KEY_VALUE_PARTIAL_INFORMATION` up to its data: title index, type, length.
const HEAD: usize = 12;

/// A value is tried with a buffer of this size first, which most fit into.
const SMALL: usize = 128;

/// A longer value is none that a driver expects.
const LARGE: usize = 64 * 1024;

/// The parameters of a service.
#[derive(Debug)]
pub struct Parameters(Option<Key>);

impl Parameters {
    /// Opens the `Parameters` key of a service. If there is none, all values are missing.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// What `ZwOpenKey` says.
    ///
    /// # Safety
    ///
    /// `service` is the path of the service's key, as `DriverEntry` gets it, valid during the call.
    pub unsafe fn open(service: PCUNICODE_STRING) -> Result<Self> {
        // SAFETY: the caller's promise.
        let Some(service) = (unsafe { Key::open(null_mut(), service) })? else {
            return Ok(Self(None));
        };
        let text = wide(KEY);
        let name = unicode(&text);
        // SAFETY: an open key, and a name that outlives the call.
        unsafe { Key::open(service.0, &raw const name) }.map(Self)
    }

    /// What the value `title` says, as `read` understands it; `None` if there is no such value. A
    /// title is the value's name after `Parameters\`, as in `Parameters\Port`.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_PARAMETER` of the title if `read` makes nothing of it, or what
    /// `ZwQueryValueKey` says.
    pub fn get<T>(
        &self,
        title: &'static str,
        read: impl FnOnce(&Data) -> Option<T>,
    ) -> Result<Option<T>> {
        let name = wide(title.strip_prefix(PREFIX).unwrap_or(title));
        let Some(key) = &self.0 else {
            return Ok(None);
        };
        let Some(data) = key.query(&name)? else {
            return Ok(None);
        };
        let value = read(&data).ok_or(Error::new(title, Status::INVALID_PARAMETER))?;
        Ok(Some(value))
    }

    /// The number of the value `title`, above zero; `default` if there is no such value.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn number<T: TryFrom<u32>>(&self, title: &'static str, default: T) -> Result<T> {
        let read = |data: &Data| {
            let number = data.number().filter(|number| *number != 0)?;
            T::try_from(number).ok()
        };
        Ok(self.get(title, read)?.unwrap_or(default))
    }
}

/// An open registry key.
#[derive(Debug)]
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
        let mut buffer = vec![0_u32; SMALL / 4];
        let (mut status, length) = self.query_into(name, &mut buffer);
        if status == Status::BUFFER_OVERFLOW.as_raw() && length <= LARGE {
            buffer = vec![0; length.div_ceil(4)];
            (status, _) = self.query_into(name, &mut buffer);
        }
        if !found("ZwQueryValueKey", status)? {
            return Ok(None);
        }
        let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_le_bytes()).collect();
        let length = buffer[2] as usize;
        let data = bytes[HEAD..].iter().take(length).copied().collect();
        Ok(Some(Data::new(buffer[1], data)))
    }

    /// Reads a value into `buffer`; gives the status and the length that it takes.
    fn query_into(&self, name: &[u16], buffer: &mut [u32]) -> (NTSTATUS, usize) {
        let mut name = unicode(name);
        let mut length = 0;
        // SAFETY: PASSIVE_LEVEL; our own open key; the name is only read; the output has the size
        // that is said, and the alignment of its first fields.
        let status = unsafe {
            ZwQueryValueKey(
                self.0,
                &raw mut name,
                _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                buffer.as_mut_ptr().cast(),
                size_of_val(buffer) as u32,
                &raw mut length,
            )
        };
        (status, length as usize)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: our own handle, closed once.
        let _ = unsafe { ZwClose(self.0) };
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

/// Names of keys and values are ASCII.
fn wide(text: &str) -> Vec<u16> {
    text.bytes().map(u16::from).collect()
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
