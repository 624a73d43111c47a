//! Options, too, are those of a socket's category.
//!
//! error: E0277

pub fn set(listener: &wsk::ListenSocket, datagrams: &wsk::DatagramSocket) {
    let option = &wsk::option::ipv4::MULTICAST_LOOP;
    drop(datagrams.set_option(option, true));
    #[cfg(misuse)]
    drop(listener.set_option(option, true));
}
