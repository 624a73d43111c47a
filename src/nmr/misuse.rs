//! What must not compile of network modules, one idea each, as in the crate's `misuse`.
//!
//! A peer is called only while its binding is entered [wsk 12.11]: what entering gives does not
//! outlive the binding ...
//!
//! ```compile_fail,E0505
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{AsClient, Binding};
//!
//! fn keep(binding: Binding<Counter, AsClient>) -> wsk::Result<u32> {
//!     let entered = binding.enter()?;
//!     drop(binding);
//!     Ok(entered.add(1))
//! }
//! ```
//!
//! ... a binding itself has no functions of the peer's ...
//!
//! ```compile_fail,E0599
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{AsClient, Binding};
//!
//! fn call(binding: &Binding<Counter, AsClient>) -> u32 {
//!     binding.add(1)
//! }
//! ```
//!
//! ... and those of a table are not called by safe code:
//!
//! ```compile_fail,E0133
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{AsClient, Binding};
//!
//! fn call(binding: &Binding<Counter, AsClient>) -> wsk::Result<u32> {
//!     let entered = binding.enter()?;
//!     Ok((entered.dispatch().add)(entered.context(), 1))
//! }
//! ```
//!
//! A client does not call its provider's clients:
//!
//! ```compile_fail,E0599
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{AsClient, Binding};
//!
//! fn call(binding: &Binding<Counter, AsClient>) -> wsk::Result<()> {
//!     binding.enter()?.hundred(1);
//!     Ok(())
//! }
//! ```
//!
//! The functions of a table work on the context that is offered with it:
//!
//! ```compile_fail,E0308
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! struct One;
//! struct Other(u64);
//!
//! impl Count for Other {
//!     fn add(&self, by: u32) -> u32 {
//!         by
//!     }
//! }
//!
//! fn offer() -> wsk::nmr::ProviderOffer<Counter, One> {
//!     wsk::nmr::ProviderOffer { context: One, table: CountDispatch::of::<Other>() }
//! }
//! ```
//!
//! A context is used by several threads at once:
//!
//! ```compile_fail,E0277
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! struct Sum(core::cell::Cell<u32>);
//!
//! impl Count for Sum {
//!     fn add(&self, by: u32) -> u32 {
//!         self.0.replace(by)
//!     }
//! }
//!
//! let table = CountDispatch::of::<Sum>();
//! ```
//!
//! Nothing that belongs to one driver is left with another, whose peer may be unloaded:
//!
//! ```compile_fail,E0277
//! wsk::npi! {
//!     pub interface Counter = 1;
//!     pub provider trait Count, table CountDispatch { fn keep(&self, name: &'static u8); }
//!     pub client trait Listen, table ListenDispatch {}
//! }
//! ```
//!
//! A module is deregistered once [wsk 12.12]:
//!
//! ```compile_fail,E0382
//! # use wsk::nmr::wsk::Client;
//! fn leave(client: Client, passive: wsk::Passive) {
//!     client.deregister(passive);
//!     client.deregister(passive);
//! }
//! ```
//!
//! ... while everything here is as it should be, so that the interface above is not what is
//! refused:
//!
//! ```
//! # wsk::npi! {
//! #     pub interface Counter = 1;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{AsClient, AsProvider, Binding};
//!
//! fn call(binding: &Binding<Counter, AsClient>) -> wsk::Result<u32> {
//!     Ok(binding.enter()?.add(1))
//! }
//!
//! fn call_back(binding: &Binding<Counter, AsProvider>) -> wsk::Result<()> {
//!     binding.enter()?.hundred(1);
//!     Ok(())
//! }
//! # let _ = (call, call_back);
//! ```
