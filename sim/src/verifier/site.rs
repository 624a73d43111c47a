//! Who created an object, and where: the driver, and its part of a backtrace.
//!
//! Capturing a backtrace costs tens of microseconds, so runs over many seeds do without; the seed
//! that fails is run again with them.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;

use crate::current;
use crate::sim::Shared;

/// At most this many frames are shown.
const FRAMES: usize = 8;

/// The number of a driver that was loaded into the simulation; 0 is the test's own code.
pub(crate) type DriverNumber = u32;

/// A driver, and a place in its code unless backtraces are off.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    driver: DriverNumber,
    backtrace: Option<Arc<Backtrace>>,
}

impl Site {
    pub(crate) fn here(sim: &Shared) -> Self {
        let capture = || Arc::new(Backtrace::force_capture());
        Self {
            driver: current::driver(),
            backtrace: sim.backtraces.then(capture),
        }
    }

    pub(crate) const fn unknown() -> Self {
        Self {
            driver: 0,
            backtrace: None,
        }
    }

    pub(crate) fn driver(&self) -> DriverNumber {
        self.driver
    }

    /// Is this the work of `driver`? Everything is somebody's.
    pub(crate) fn is_of(&self, driver: Option<DriverNumber>) -> bool {
        driver.is_none_or(|driver| driver == self.driver)
    }
}

impl fmt::Display for Site {
    /// Starts with " at" on the same line, or writes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(backtrace) = &self.backtrace else {
            return Ok(());
        };
        f.write_str(" at")?;
        let text = backtrace.to_string();
        let mut shown = 0;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let place = lines.next_if(|next| next.trim_start().starts_with("at "));
            let name = line.split_once(": ").map_or(line, |(_, name)| name);
            if is_ours(name) || shown == FRAMES {
                continue;
            }
            shown += 1;
            write!(f, "\n      {name}")?;
            if let Some(place) = place {
                write!(f, " ({})", place.trim_start().trim_start_matches("at "))?;
            }
        }
        Ok(())
    }
}

/// Frames that say nothing about the driver.
fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "wsk_sim",
        "<wsk_sim",
        "std::",
        "<std::",
        "core::",
        "<core::",
        "alloc::",
        "<alloc::",
        "__rust",
        "start_thread",
        "clone",
        "Ke",
        "Io",
        "Ex",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
