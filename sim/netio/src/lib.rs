//! `netio.sys` for a kernel that lacks Winsock Kernel or has too little of it, such as Wine's: the
//! provider of `wsk-sim` on the host's own network.
//!
//! There is nothing to it: the functions that drivers import are the exports of `wsk-sim`. It must
//! not know any driver.

#[cfg(windows)]
use wsk_sim as _;
