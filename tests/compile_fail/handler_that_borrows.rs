//! A handler, and with it the dispatch table, lives as long as its socket: it borrows nothing.
//!
//! error: E0597

pub struct Reader<'a>(pub &'a [u8]);

impl wsk::ListenEvents for Reader<'static> {}

pub fn open(provider: &wsk::Provider) {
    let family = wsk::AddressFamily::Inet;
    drop(wsk::ListenSocket::open_with(
        provider,
        family,
        Reader(b"static"),
    ));
    #[cfg(misuse)]
    let stack = [0; 8];
    #[cfg(misuse)]
    drop(wsk::ListenSocket::open_with(
        provider,
        family,
        Reader(&stack),
    ));
}
