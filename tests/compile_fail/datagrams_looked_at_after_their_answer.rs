//! Datagrams that an event brings cannot be looked at when they have been given back [wsk 8.5].
//!
//! error: E0505

pub fn look(indication: wsk::DatagramIndication<'_>) -> usize {
    let datagrams = indication.datagrams();
    let count = datagrams.iter().count();
    let _received = indication.consume();
    #[cfg(misuse)]
    let count = datagrams.iter().count();
    count
}
