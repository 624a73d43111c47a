//! Text in UTF-16, as WSK takes and gives names [wsk 11.1]: exact in both directions, or an error.

// UNSAFETY: owns raw memory, and reads text that WSK gives by address.
#![expect(unsafe_code, reason = "an owned allocation, and text by address")]

use core::{char::DecodeUtf16Error, fmt, ptr::NonNull};

use wsk_sys::wdk_sys::UNICODE_STRING;

use super::pool;
use crate::status::{Error, Result, Status};

/// A `UNICODE_STRING` counts bytes in 16 bits, the terminator included.
const LONGEST: usize = u16::MAX as usize / size_of::<u16>();

/// A `UNICODE_STRING` and its text in nonpaged memory.
///
/// # Invariants
///
/// `Buffer` is from `pool::allocate_bytes`, is ours, and has `MaximumLength` bytes.
pub(crate) struct WideString(UNICODE_STRING);

// SAFETY: it owns its text.
unsafe impl Send for WideString {}
// SAFETY: a shared reference only reads the text.
unsafe impl Sync for WideString {}

impl WideString {
    /// Room for `units` units, the terminator included.
    pub(crate) fn room(units: usize) -> Result<Self> {
        let bytes = units.min(LONGEST) * size_of::<u16>();
        let text = pool::allocate_bytes(bytes)?.cast::<u16>();
        Ok(Self(UNICODE_STRING {
            Length: 0,
            // At most `u16::MAX`.
            MaximumLength: u16::try_from(bytes).unwrap_or(0),
            Buffer: text.as_ptr(),
        }))
    }

    /// A copy of `text`, terminated, for `call`.
    pub(crate) fn of(text: &str, call: &'static str) -> Result<Self> {
        let units = text.encode_utf16().count();
        if units + 1 > LONGEST || text.contains('\0') {
            return Err(Error::new(call, Status::INVALID_PARAMETER));
        }
        let mut wide = Self::room(units + 1)?;
        for (index, unit) in text.encode_utf16().enumerate() {
            let place = wide.0.Buffer.wrapping_add(index);
            // SAFETY: `units` are in bounds, and ours; the memory is zeroed, so that the last unit
            // is the terminator.
            unsafe { place.write(unit) };
        }
        // At most `MaximumLength`.
        wide.0.Length = u16::try_from(units * size_of::<u16>()).unwrap_or(0);
        Ok(wide)
    }

    /// What WSK gets the address of.
    pub(crate) fn as_raw(&mut self) -> *mut UNICODE_STRING {
        &raw mut self.0
    }

    /// The text.
    pub(crate) fn text(&self) -> &WideStr {
        let bytes = self.0.Length.min(self.0.MaximumLength);
        let units = usize::from(bytes) / size_of::<u16>();
        // SAFETY: within the memory, which is initialised since it was zeroed (invariant).
        WideStr::new(unsafe { core::slice::from_raw_parts(self.0.Buffer, units) })
    }
}

impl fmt::Debug for WideString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WideString").finish_non_exhaustive()
    }
}

impl Drop for WideString {
    fn drop(&mut self) {
        if let Some(text) = NonNull::new(self.0.Buffer) {
            // SAFETY: from `pool::allocate_bytes`, and ours (invariant).
            unsafe { pool::free_bytes(text.cast()) }
        }
    }
}

/// A name as WSK gave it, in UTF-16.
///
/// It may be ill-formed: nothing checks what a name server says. [`utf8`](Self::utf8) converts
/// exactly or fails; showing it puts a replacement character for what is ill-formed.
///
/// ```
/// fn is_ours(name: &wsk::WideStr) -> wsk::Result<bool> {
///     let mut room = [0; 256];
///     Ok(name.utf8(&mut room)?.ends_with(".example"))
/// }
/// ```
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct WideStr([u16]);

impl WideStr {
    fn new(units: &[u16]) -> &Self {
        // SAFETY: a transparent wrapper.
        unsafe { &*(core::ptr::from_ref(units) as *const Self) }
    }

    /// A terminated text that WSK gives; none for null.
    ///
    /// # Safety
    ///
    /// `text` is null, or aligned and terminated, and stays unchanged for `'a`.
    pub(crate) unsafe fn terminated<'a>(text: *const u16) -> Option<&'a Self> {
        if text.is_null() {
            return None;
        }
        let mut length = 0;
        let mut end = text;
        // SAFETY: the terminator is not before this unit (the caller's promise).
        while unsafe { end.read() } != 0 {
            end = end.wrapping_add(1);
            length += 1;
        }
        // SAFETY: so many units are before the terminator (the caller's promise).
        Some(Self::new(unsafe {
            core::slice::from_raw_parts(text, length)
        }))
    }

    /// The units of UTF-16, in the processor's byte order, without a terminator.
    #[must_use]
    pub const fn as_units(&self) -> &[u16] {
        &self.0
    }

    /// The characters.
    pub fn chars(&self) -> impl Iterator<Item = core::result::Result<char, DecodeUtf16Error>> {
        char::decode_utf16(self.0.iter().copied())
    }

    /// Converts the whole text, into `room`.
    ///
    /// IRQL: any.
    ///
    /// # Errors
    ///
    /// [`NotUnicode`](crate::ErrorKind::NotUnicode) if it is ill-formed;
    /// [`BufferTooSmall`](crate::ErrorKind::BufferTooSmall): three bytes for each unit always
    /// suffice.
    pub fn utf8<'room>(&self, room: &'room mut [u8]) -> Result<&'room str> {
        const CALL: &str = "WideStr::utf8";
        let mut length = 0;
        for character in self.chars() {
            let character =
                character.map_err(|_| Error::new(CALL, Status::UNMAPPABLE_CHARACTER))?;
            let bytes = character.len_utf8();
            let Some(place) = room.get_mut(length..length + bytes) else {
                return Err(Error::new(CALL, Status::BUFFER_TOO_SMALL));
            };
            character.encode_utf8(place);
            length += bytes;
        }
        let text = core::str::from_utf8(&room[..length]);
        text.map_err(|_| Error::new(CALL, Status::UNMAPPABLE_CHARACTER))
    }
}

impl PartialEq<str> for WideStr {
    fn eq(&self, other: &str) -> bool {
        self.0.iter().copied().eq(other.encode_utf16())
    }
}

impl fmt::Display for WideStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.chars().try_for_each(|character| {
            f.write_char(character.unwrap_or(char::REPLACEMENT_CHARACTER))
        })
    }
}

impl fmt::Debug for WideStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::WideStr;
    use crate::status::ErrorKind;

    #[test]
    fn utf8_is_exact_or_fails() {
        let mut room = [0; 16];
        let wide = WideStr::new(&[0x62, 0xFC, 0xD83D, 0xDE00]);
        assert_eq!(wide.utf8(&mut room).unwrap(), "b\u{fc}\u{1f600}");
        assert_eq!(wide, "b\u{fc}\u{1f600}");
        assert_eq!(wide.utf8(&mut room[..7]).unwrap(), "b\u{fc}\u{1f600}");
        let short = wide.utf8(&mut room[..6]).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::BufferTooSmall);
        let half = WideStr::new(&[0x62, 0xD83D]);
        let ill = half.utf8(&mut room).unwrap_err();
        assert_eq!(ill.kind(), ErrorKind::NotUnicode);
        assert_ne!(half, "b\u{fffd}");
        assert_eq!(WideStr::new(&[]).utf8(&mut []).unwrap(), "");
    }
}
