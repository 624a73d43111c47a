//! Events: WSK calls the driver.
//!
//! ```text
//! WSK -> callback -> handler, the driver's own type -> what it decided -> WSK
//!           |               ^
//!           +-- Offer, InspectRequest, Indication: valid during the call
//!           +-- Inspection, Retained: outlive the call, at no risk
//! ```
//!
//! A handler is a value of the driver's that implements [`ListenEvents`](crate::ListenEvents),
//! [`ConnectionEvents`](crate::ConnectionEvents) or [`DatagramEvents`](crate::DatagramEvents). It
//! belongs to its socket: it is dropped when the socket has been closed and no callback runs any
//! more [wsk 10.2]. Callbacks run at up to DISPATCH_LEVEL on any thread, several at a time, and
//! must not block [wsk 1.3]: they are given no [`Passive`](crate::Passive), so that waiting cannot
//! be written.
//!
//! `listen`, `connection` and `datagram` have the callbacks, one file for each category. `ticket`
//! decides the races of a pended inspection, `inspect` is built on it; `offer` is a connection on
//! its way in; `backlog` turns callbacks into something to await; `indication` is data that has
//! arrived, of which `data` are the bytes.
//!
//! `docs/LISTENING.md` follows a connection through all of it.

pub(crate) mod backlog;
pub(crate) mod connection;
pub(crate) mod data;
pub(crate) mod datagram;
pub(crate) mod indication;
pub(crate) mod inspect;
pub(crate) mod listen;
pub(crate) mod offer;
pub(crate) mod ticket;
