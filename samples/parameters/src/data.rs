//! What a value says: a number, a text, several texts.

use alloc::{string::String, vec::Vec};

use wdk_sys::{REG_DWORD, REG_MULTI_SZ, REG_SZ};

/// A value as the registry has it.
#[derive(Clone, Debug)]
pub struct Data {
    kind: u32,
    bytes: Vec<u8>,
}

impl Data {
    pub(crate) fn new(kind: u32, bytes: Vec<u8>) -> Self {
        Self { kind, bytes }
    }

    /// A `REG_DWORD`, or the decimal digits of a `REG_SZ`.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self.kind {
            REG_DWORD => Some(u32::from_le_bytes(self.bytes.as_slice().try_into().ok()?)),
            REG_SZ => self.decimal(),
            _ => None,
        }
    }

    fn decimal(&self) -> Option<u32> {
        let mut number: Option<u32> = None;
        for word in self.words()?.take_while(|word| *word != 0) {
            let digit = char::from_u32(word.into())?.to_digit(10)?;
            let shifted = number.unwrap_or(0).checked_mul(10)?;
            number = Some(shifted.checked_add(digit)?);
        }
        number
    }

    /// A `REG_SZ`, up to its end or the first null character.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let all = self.characters().filter(|_| self.kind == REG_SZ)?;
        all.split('\0').next().map(String::from)
    }

    /// The texts of a `REG_MULTI_SZ`, or the one of a `REG_SZ`; empty ones are left out.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<String>> {
        if self.kind == REG_SZ {
            let text = self.text()?;
            return Some(
                Some(text)
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect(),
            );
        }
        let all = self.characters().filter(|_| self.kind == REG_MULTI_SZ)?;
        let texts = all.split('\0').filter(|text| !text.is_empty());
        Some(texts.map(String::from).collect())
    }

    fn characters(&self) -> Option<String> {
        let text: Result<String, _> = char::decode_utf16(self.words()?).collect();
        text.ok()
    }

    /// The units of UTF-16, unless there are halves of them.
    fn words(&self) -> Option<impl Iterator<Item = u16>> {
        let words = self.bytes.chunks_exact(2);
        let whole = words.remainder().is_empty();
        whole.then(|| words.map(|word| u16::from_le_bytes([word[0], word[1]])))
    }
}
