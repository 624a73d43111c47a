//! Choices for tests whose program varies as the schedule does.

/// Choices that depend on the seed, for tests whose program varies as the schedule does.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    pub fn small(&mut self, limit: u8) -> u8 {
        u8::try_from(self.below(limit.into())).expect("below a small limit")
    }
}
