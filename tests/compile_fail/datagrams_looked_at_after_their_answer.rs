//! Datagrams that an event brings are not looked at when they have been given back [wsk 8.5].
//!
//! error: E0505

pub fn look(indication: wsk::DatagramIndication<'_>) -> wsk::Received<'_> {
    let datagrams = indication.datagrams();
    let _count = datagrams.iter().count();
    let received = indication.consume();
    #[cfg(misuse)]
    let _count = datagrams.iter().count();
    received
}
