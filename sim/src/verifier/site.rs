//! Where an object was created: the driver's part of a backtrace.
//!
//! Capturing one costs tens of microseconds, so runs over many seeds do without; the seed that
//! fails is run again with them.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;

use crate::sim::Shared;

/// At most this many frames are shown.
const FRAMES: usize = 8;

/// A place in the driver's code, or nothing when backtraces are off.
#[derive(Debug, Clone)]
pub(crate) struct Site(Option<Arc<Backtrace>>);

impl Site {
    pub(crate) fn here(sim: &Shared) -> Self {
        Self(sim.backtraces.then(|| Arc::new(Backtrace::force_capture())))
    }

    pub(crate) const fn unknown() -> Self {
        Self(None)
    }
}

impl fmt::Display for Site {
    /// Starts with " at" on the same line, or writes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(backtrace) = &self.0 else {
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
