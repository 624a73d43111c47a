//! What the harness sends: a byte stream per connection that is a function of seed, connection and
//! offset alone.
//!
//! Every aligned 8-byte word of a stream is its own position (connection and word index) passed
//! through a bijection of 64-bit words. So no two words of a run are equal, nothing needs to be
//! remembered in order to verify, and eight bytes in a row tell where they belong: a misplaced byte
//! is traced to its source, not only noticed. Pure: knows nothing of sockets, messages or time.

/// The stream of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    key: u64,
    connection: u32,
}

/// A place in one connection's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the connection, from 0.
    pub connection: u32,
    /// Offset in that connection's stream.
    pub offset: u64,
}

impl Content {
    /// The stream of `connection` in a run with `seed`.
    #[must_use]
    pub fn new(seed: u64, connection: u32) -> Self {
        Self {
            key: mix(seed.wrapping_add(GOLDEN_GAMMA)),
            connection,
        }
    }

    /// Number of the connection whose stream this is.
    #[must_use]
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Writes the bytes that the stream has at `offset` and after.
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        let mut index = offset / WORD;
        let mut skip = (offset % WORD) as usize;
        let mut rest = out;
        while !rest.is_empty() {
            let word = self.word(index).to_le_bytes();
            let part = &word[skip..];
            let (now, later) = rest.split_at_mut(part.len().min(rest.len()));
            now.copy_from_slice(&part[..now.len()]);
            (rest, index, skip) = (later, index + 1, 0);
        }
    }

    /// The `len` bytes that the stream has at `offset`.
    #[must_use]
    pub fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(offset, &mut bytes);
        bytes
    }

    /// Index in `received` of the first byte that differs from the stream at `offset`; `scratch` is
    /// as long as `received` at least.
    pub fn first_difference(
        &self,
        offset: u64,
        received: &[u8],
        scratch: &mut [u8],
    ) -> Option<usize> {
        let expected = &mut scratch[..received.len()];
        self.fill(offset, expected);
        if expected == received {
            return None;
        }
        expected
            .iter()
            .zip(received)
            .position(|(expected, got)| expected != got)
    }

    /// A number below `bound` for the `index`-th decision on this connection, uniform and
    /// independent of the bytes.
    #[must_use]
    pub fn choice(&self, index: u64, bound: u64) -> u64 {
        let random = mix(mix(self.word(index)).wrapping_add(GOLDEN_GAMMA));
        ((u128::from(random) * u128::from(bound)) >> 64) as u64
    }

    /// Where in the streams of this run `received` belongs: the index in `received` of the first
    /// byte that could be placed, and its origin. `None` if fewer than two words in a row are of
    /// one of the streams.
    #[must_use]
    pub fn locate(&self, received: &[u8], connections: u32) -> Option<(usize, Origin)> {
        let runs = received.windows(2 * size_of::<u64>()).take(LOCATE_WITHIN);
        runs.enumerate().find_map(|(at, run)| {
            let (word, after) = run.split_first_chunk()?;
            let position = unmix(u64::from_le_bytes(*word)) ^ self.key;
            let connection = u32::try_from(position >> INDEX_BITS).ok()?;
            let index = position & INDEX_MASK;
            let confirmed = Self {
                connection,
                ..*self
            }
            .word(index + 1)
            .to_le_bytes()
                == after;
            let offset = index * WORD;
            (connection < connections && confirmed).then_some((at, Origin { connection, offset }))
        })
    }

    /// Streams repeat after 8 TiB, where the word index is used up.
    fn word(&self, index: u64) -> u64 {
        mix((u64::from(self.connection) << INDEX_BITS | index & INDEX_MASK) ^ self.key)
    }
}

/// The bijection that ends `SplitMix64`, a public-domain generator.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(FACTOR_1);
    word = (word ^ (word >> 27)).wrapping_mul(FACTOR_2);
    word ^ (word >> 31)
}

/// The inverse of [`mix`].
const fn unmix(mut word: u64) -> u64 {
    word = (word ^ (word >> 31) ^ (word >> 62)).wrapping_mul(inverse(FACTOR_2));
    word = (word ^ (word >> 27) ^ (word >> 54)).wrapping_mul(inverse(FACTOR_1));
    word ^ (word >> 30) ^ (word >> 60)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each round doubles the number
/// of correct bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// Connections have numbers below this.
pub const MAX_CONNECTIONS: u32 = 1 << (u64::BITS - INDEX_BITS);

const WORD: u64 = 8;
const INDEX_BITS: u32 = 40;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR_1: u64 = 0xbf58_476d_1ce4_e5b9;
const FACTOR_2: u64 = 0x94d0_49bb_1331_11eb;
/// How many places of the received bytes are tried: enough to step over a short run of damaged
/// ones.
const LOCATE_WITHIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmix_undoes_mix() {
        for word in [0, 1, u64::MAX, GOLDEN_GAMMA, 0x0123_4567_89ab_cdef] {
            assert_eq!(unmix(mix(word)), word);
        }
    }

    #[test]
    fn fill_at_any_offset_gives_the_same_stream() {
        let content = Content::new(7, 3);
        let whole = content.bytes(0, 100);
        for start in 0..40 {
            assert_eq!(content.bytes(start as u64, 60), whole[start..start + 60]);
        }
    }

    #[test]
    fn streams_of_other_seed_or_connection_differ() {
        let bytes = Content::new(7, 3).bytes(0, 64);
        assert_ne!(bytes, Content::new(8, 3).bytes(0, 64));
        assert_ne!(bytes, Content::new(7, 4).bytes(0, 64));
    }

    #[test]
    fn first_difference_is_the_first_wrong_byte() {
        let content = Content::new(1, 0);
        let mut received = content.bytes(1001, 50);
        let mut scratch = [0; 64];
        assert_eq!(
            content.first_difference(1001, &received, &mut scratch),
            None
        );
        received[17] ^= 0x10;
        received[40] ^= 0x01;
        assert_eq!(
            content.first_difference(1001, &received, &mut scratch),
            Some(17)
        );
    }

    #[test]
    fn locate_finds_connection_and_offset_of_any_run() {
        let here = Content::new(5, 0);
        for offset in 4096..4112 {
            let received = Content::new(5, 2).bytes(offset, 23);
            let (at, origin) = here.locate(&received, 3).unwrap();
            assert_eq!(origin.connection, 2);
            assert_eq!(origin.offset, offset + at as u64);
        }
    }

    #[test]
    fn locate_rejects_bytes_of_no_stream_of_the_run() {
        let here = Content::new(5, 0);
        assert_eq!(here.locate(&[0; 64], 8), None);
        assert_eq!(here.locate(&Content::new(6, 0).bytes(0, 64), 8), None);
        assert_eq!(here.locate(&Content::new(5, 8).bytes(0, 64), 8), None);
    }

    #[test]
    fn choice_reaches_every_value_below_its_bound() {
        let content = Content::new(1, 0);
        let mut seen = [0; 4];
        (0..1000).for_each(|index| seen[usize::try_from(content.choice(index, 4)).unwrap()] += 1);
        assert!(seen.iter().all(|&count| count > 200), "{seen:?}");
        assert!((0..100).all(|index| content.choice(index, 1) == 0));
    }
}
