//! What WSK keeps is static.
//!
//! error: E0597

pub static MAP: [wsk::TdiMap; 0] = [];

pub fn map(provider: &wsk::Provider) -> wsk::Result<()> {
    #[cfg(misuse)]
    {
        let map: [wsk::TdiMap; 1] = core::array::from_fn(|_| unreachable!());
        provider.map_tdi_devices(&map)?;
    }
    provider.map_tdi_devices(&MAP)
}
