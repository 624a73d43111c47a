//! What must not compile, one idea each. Documentation only: `cargo test --doc` checks that every
//! example is refused (and, with a nightly toolchain, that the error is the one named).
//!
//! A proof of PASSIVE_LEVEL does not leave its thread:
//!
//! ```compile_fail,E0277
//! fn is_send<T: Send>(_: T) {}
//! is_send(wsk::Passive::new());
//! ```
//!
//! A task that keeps such a proof while it waits cannot be spawned, since it may go on elsewhere:
//!
//! ```compile_fail
//! fn spawn(spawner: &wsk::Spawner, passive: wsk::Passive) {
//!     spawner.spawn(async move {
//!         core::future::ready(()).await;
//!         let _later = passive;
//!     });
//! }
//! ```
//!
//! ... while one that does not can:
//!
//! ```
//! fn spawn(spawner: &wsk::Spawner) -> wsk::Result<()> {
//!     spawner.spawn(async move {
//!         core::future::ready(()).await;
//!     })
//! }
//! ```
//!
//! Two accepts at once on one listener are refused [wsk 7.1]:
//!
//! ```compile_fail,E0499
//! async fn accept_twice(mut listener: wsk::ListenSocket) {
//!     let first = listener.accept();
//!     let second = listener.accept();
//!     let _ = (first.await, second.await);
//! }
//! ```
//!
//! A buffer belongs to the request that uses it [wsk 3.11]:
//!
//! ```compile_fail,E0382
//! async fn write_while_sending(connection: wsk::ConnectionSocket, mut buffer: wsk::Buffer) {
//!     let sending = connection.send(buffer);
//!     buffer.clear();
//!     let _ = sending.await;
//! }
//! ```
//!
//! ... and a borrow of its bytes ends before it is lent:
//!
//! ```compile_fail,E0505
//! fn look_while_sending(connection: &wsk::ConnectionSocket, buffer: wsk::Buffer) -> u8 {
//!     let bytes = &buffer[..];
//!     let _sending = connection.send(buffer);
//!     bytes[0]
//! }
//! ```
//!
//! A closed socket is gone [wsk 10.3]:
//!
//! ```compile_fail,E0382
//! fn send_after_close(connection: wsk::ConnectionSocket, buffer: wsk::Buffer) {
//!     let _closing = connection.close();
//!     let _sending = connection.send(buffer);
//! }
//! ```
//!
//! A listening socket cannot send, and a connection cannot accept [wsk 4.1]:
//!
//! ```compile_fail,E0599
//! fn send(listener: wsk::ListenSocket, buffer: wsk::Buffer) {
//!     let _sending = listener.send(buffer);
//! }
//! ```
//!
//! ```compile_fail,E0599
//! fn accept(connection: wsk::ConnectionSocket) {
//!     let _accepting = connection.accept();
//! }
//! ```
//!
//! A result is taken once: waiting consumes the operation.
//!
//! ```compile_fail,E0382
//! fn wait_twice(operation: wsk::Operation<wsk::request::Bind>, passive: wsk::Passive) {
//!     let _first = operation.wait(passive);
//!     let _second = operation.wait(passive);
//! }
//! ```
//!
//! An option of datagram sockets is none of a connection:
//!
//! ```compile_fail,E0277
//! fn broadcast(connection: &wsk::ConnectionSocket) {
//!     let _setting = connection.set_option(&wsk::option::BROADCAST, true);
//! }
//! ```
//!
//! Datagrams that an event brings cannot be looked at when they have been given back [wsk 8.5]:
//!
//! ```compile_fail,E0505
//! fn look_later(indication: wsk::DatagramIndication<'_>) -> usize {
//!     let datagrams = indication.datagrams();
//!     let _received = indication.consume();
//!     datagrams.iter().count()
//! }
//! ```
//!
//! ... nor, retained, but while the socket is kept from being closed [wsk 8.6]:
//!
//! ```compile_fail
//! fn look_anywhere(retained: &wsk::RetainedDatagrams) -> wsk::Result<usize> {
//!     let datagrams = retained.with(|datagrams| datagrams)?;
//!     Ok(datagrams.iter().count())
//! }
//! ```
//!
//! ... while this is allowed:
//!
//! ```
//! fn look(retained: &wsk::RetainedDatagrams) -> wsk::Result<usize> {
//!     retained.with(|datagrams| datagrams.iter().count())
//! }
//! ```
//!
//! The answer to one event is no answer to another:
//!
//! ```compile_fail
//! fn answer<'first, 'second>(
//!     first: wsk::DatagramIndication<'first>,
//!     _second: wsk::DatagramIndication<'second>,
//! ) -> wsk::Received<'second> {
//!     first.consume()
//! }
//! ```
