//! A task that keeps a proof of PASSIVE_LEVEL while it waits could go on elsewhere.
//!
//! error: future cannot be sent between threads safely

pub fn spawn(spawner: &wsk::Spawner, passive: wsk::Passive) -> wsk::Result<()> {
    let before = passive;
    let _ = before;
    spawner.spawn(async move {
        #[cfg(misuse)]
        let before = passive;
        core::future::ready(()).await;
        #[cfg(misuse)]
        let _ = before;
    })
}
