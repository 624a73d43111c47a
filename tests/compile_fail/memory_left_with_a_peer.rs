//! Nothing of one driver's memory is left with another one, which may stay longer.
//!
//! error: E0277

#[cfg(misuse)]
wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Keep, table KeepDispatch { fn keep(&self, name: &'static u8); }
    pub client trait Listen, table ListenDispatch {}
}

#[cfg(not(misuse))]
wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Keep, table KeepDispatch { fn keep(&self, name: u8); }
    pub client trait Listen, table ListenDispatch {}
}
