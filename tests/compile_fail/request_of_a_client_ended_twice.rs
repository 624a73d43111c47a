//! A request of the driver's client is ended once: passing it on, like completing it, consumes it.
//!
//! error: E0382

pub fn read(connection: &wsk::ConnectionSocket, irp: wsk::PendingIrp) {
    let _ = connection.receive_into(irp);
    #[cfg(misuse)]
    irp.complete(wsk::Status::SUCCESS, 0);
}
