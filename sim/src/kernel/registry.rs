//! The registry: keys with values, as far as drivers read their parameters.

// UNSAFETY: names and buffers are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over the driver's buffers"
)]

use std::collections::BTreeMap;

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, ACCESS_MASK, HANDLE, KEY_VALUE_INFORMATION_CLASS, NTSTATUS,
    PHANDLE, POBJECT_ATTRIBUTES, PULONG, PUNICODE_STRING, PVOID, STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, ULONG,
};

use super::handle::HandleObject;
use super::irql::{PASSIVE, require};
use super::rtl::read_unicode;
use crate::current::current;
use crate::sim::{Sim, lock};

/// A value in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryValue {
    /// `REG_SZ`.
    String(String),
    /// `REG_BINARY`.
    Binary(Vec<u8>),
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_MULTI_SZ`.
    MultiString(Vec<String>),
    /// `REG_QWORD`.
    Qword(u64),
}

/// The keys and values of one simulation; names are compared without regard to case.
#[derive(Default)]
pub(crate) struct Registry(BTreeMap<String, BTreeMap<String, (String, RegistryValue)>>);

impl Sim {
    /// Sets a value of the registry key `path`, and creates the key if it is not there.
    ///
    /// The key of a service is `\Registry\Machine\System\CurrentControlSet\Services\` and its name.
    pub fn set_registry_value(&self, path: &str, name: &str, value: RegistryValue) {
        let mut registry = lock(&self.0.kernel.registry);
        let key = registry.0.entry(fold(path)).or_default();
        key.insert(fold(name), (name.to_owned(), value));
    }
}

impl Registry {
    /// Creates a key without values.
    pub(crate) fn create(&mut self, path: &str) {
        self.0.entry(fold(path)).or_default();
    }
}

impl RegistryValue {
    fn kind(&self) -> u32 {
        match self {
            Self::String(_) => 1,
            Self::Binary(_) => 3,
            Self::Dword(_) => 4,
            Self::MultiString(_) => 7,
            Self::Qword(_) => 11,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::String(text) => wide(text),
            Self::Binary(bytes) => bytes.clone(),
            Self::Dword(number) => number.to_le_bytes().to_vec(),
            Self::Qword(number) => number.to_le_bytes().to_vec(),
            Self::MultiString(texts) => {
                let mut bytes: Vec<u8> = texts.iter().flat_map(|text| wide(text)).collect();
                bytes.extend([0, 0]);
                bytes
            }
        }
    }
}

/// UTF-16 with a terminating zero.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn fold(name: &str) -> String {
    name.trim_end_matches('\\').to_lowercase()
}

/// The answer of `ZwQueryValueKey`, without regard to the size of the caller's buffer: the fixed
/// part's length and all bytes.
fn answer(
    class: KEY_VALUE_INFORMATION_CLASS,
    name: &str,
    value: &RegistryValue,
) -> Option<(usize, Vec<u8>)> {
    let data = value.bytes();
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = [0; 4].to_vec();
    bytes.extend(value.kind().to_le_bytes());
    match class {
        _KEY_VALUE_INFORMATION_CLASS::KeyValueBasicInformation => {
            bytes.extend(number(name.len()));
            bytes.extend(name);
        }
        _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation => {
            bytes.extend(number(data.len()));
            bytes.extend(data);
        }
        _KEY_VALUE_INFORMATION_CLASS::KeyValueFullInformation => {
            bytes.extend(number(20 + name.len()));
            bytes.extend(number(data.len()));
            bytes.extend(number(name.len()));
            bytes.extend(name);
            bytes.extend(data);
            return Some((20, bytes));
        }
        _ => return None,
    }
    Some((12, bytes))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwOpenKey(
    handle: PHANDLE,
    _access: ACCESS_MASK,
    attributes: POBJECT_ATTRIBUTES,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwOpenKey");
    // SAFETY: the driver passes object attributes.
    let attributes = unsafe { attributes.read() };
    // SAFETY: their name is a counted string.
    let name = unsafe { read_unicode(attributes.ObjectName) };
    let mut handles = lock(&me.sim.kernel.handles);
    let path = if attributes.RootDirectory.is_null() {
        name
    } else {
        match handles.get(attributes.RootDirectory) {
            Some(HandleObject::Key(root)) => format!("{root}\\{name}"),
            _ => return STATUS_INVALID_HANDLE,
        }
    };
    let path = fold(&path);
    if !lock(&me.sim.kernel.registry).0.contains_key(&path) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    let value = handles.open(&me.sim, HandleObject::Key(path));
    // SAFETY: the driver passes a place for the handle.
    unsafe { handle.write(value) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwQueryValueKey(
    key: HANDLE,
    name: PUNICODE_STRING,
    class: KEY_VALUE_INFORMATION_CLASS,
    buffer: PVOID,
    length: ULONG,
    result_length: PULONG,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwQueryValueKey");
    let Some(HandleObject::Key(path)) = lock(&me.sim.kernel.handles).get(key) else {
        return STATUS_INVALID_HANDLE;
    };
    // SAFETY: the driver passes a counted string.
    let name = unsafe { read_unicode(name) };
    let registry = lock(&me.sim.kernel.registry);
    let Some((name, value)) = registry.0.get(&path).and_then(|key| key.get(&fold(&name))) else {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    };
    let Some((fixed, bytes)) = answer(class, name, value) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: the driver passes a place for the length.
    unsafe { result_length.write(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) };
    let room = length as usize;
    if room < fixed {
        return STATUS_BUFFER_TOO_SMALL;
    }
    let count = bytes.len().min(room);
    // SAFETY: the driver passes a buffer of `length` bytes.
    unsafe {
        buffer
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), count);
    };
    if count < bytes.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        STATUS_SUCCESS
    }
}
