//! What the driver has in common with a program that asks it for its counters: the name of the
//! device, the control code, and the order of the numbers. Programs include this file as it is.

/// The device, as programs open it: for reading, as an administrator.
pub const DEVICE: &str = r"\\.\WskGate";

/// The control code that reads the counters: no input; the output is [`COUNTERS_LENGTH`] bytes, a
/// little-endian 64-bit number for each of [`Counter::ALL`].
///
/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS)`
pub const READ_COUNTERS: u32 = (0x22 << 16) | (1 << 14) | (0x800 << 2);

/// Bytes that [`READ_COUNTERS`] gives.
pub const COUNTERS_LENGTH: usize = Counter::ALL.len() * size_of::<u64>();

/// What is counted, since the driver was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests to connect.
    Inspected,
    /// Requests that were let in, at once or later.
    Accepted,
    /// Requests that were refused at once, because of the sender's address.
    RejectedByRule,
    /// Requests that were refused later, because their source connects too often.
    RejectedByRate,
    /// Requests on which the decision was put off.
    Pended,
    /// Requests that were let in or put off, and given up by the other side.
    Aborted,
    /// Connections that were served.
    Served,
    /// Bytes that were sent back.
    Bytes,
}

impl Counter {
    /// Every counter, in the order in which the driver tells them.
    pub const ALL: [Self; 8] = [
        Self::Inspected,
        Self::Accepted,
        Self::RejectedByRule,
        Self::RejectedByRate,
        Self::Pended,
        Self::Aborted,
        Self::Served,
        Self::Bytes,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inspected => "inspected",
            Self::Accepted => "accepted",
            Self::RejectedByRule => "rejected_by_rule",
            Self::RejectedByRate => "rejected_by_rate",
            Self::Pended => "pended",
            Self::Aborted => "aborted",
            Self::Served => "served",
            Self::Bytes => "bytes",
        }
    }
}
