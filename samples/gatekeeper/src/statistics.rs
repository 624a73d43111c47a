//! The counters, which everything shares.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::interface::{COUNTERS_LENGTH, Counter};

/// See [`Counter`] for what is counted.
#[derive(Debug, Default)]
pub struct Statistics([AtomicU64; Counter::ALL.len()]);

impl Statistics {
    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several.
    pub fn add(&self, counter: Counter, number: u64) {
        self.0[counter as usize].fetch_add(number, Ordering::Relaxed);
    }

    /// What a program gets.
    pub fn to_bytes(&self) -> [u8; COUNTERS_LENGTH] {
        let mut bytes = [0; COUNTERS_LENGTH];
        for (bytes, counter) in bytes.chunks_exact_mut(size_of::<u64>()).zip(Counter::ALL) {
            bytes.copy_from_slice(&self.get(counter).to_le_bytes());
        }
        bytes
    }

    fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{}={}", counter.name(), self.get(counter))?;
        }
        Ok(())
    }
}
