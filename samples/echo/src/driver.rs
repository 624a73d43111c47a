//! Starting and stopping the server.
//!
//! Stopping is: delete the device, which nobody has open any more; close every socket, wait for the
//! tasks that used them, take leave of WSK. The order of the last two is what the types demand; a
//! step left out would make the next one wait.

use alloc::sync::Arc;
use core::{net::SocketAddr, time::Duration};

use wdk::println;
use wdk_sys::DRIVER_OBJECT;
use wsk::{AddressFamily, Executor, ListenSocket, Passive, Registration, Result, Version};

use crate::{
    device::{self, Device, Target},
    listener::Listener,
    parameters::Parameters,
    statistics::Statistics,
};

/// Neither `DriverEntry` nor a program that opens the device must wait for long: nothing that they
/// wait for may take longer than this.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// System threads that run the sessions.
const THREADS: usize = 4;

/// The running server.
pub struct Echo {
    device: Device,
    executor: Executor,
    registration: Registration,
    statistics: Arc<Statistics>,
}

impl Echo {
    /// Listens, and accepts from then on.
    pub fn start(
        driver: &mut DRIVER_OBJECT,
        parameters: Parameters,
        passive: Passive,
    ) -> Result<Self> {
        let registration = Registration::register(Version::V1_0, passive)?;
        let provider = registration.capture_timeout(PATIENCE, passive)?;
        let address = SocketAddr::from(([127, 0, 0, 1], parameters.port));
        let socket = ListenSocket::open(&provider, AddressFamily::of(&address))
            .wait_timeout(PATIENCE, passive)?;
        socket.bind(address).wait_timeout(PATIENCE, passive)?;
        let device = device::create(driver, Target { provider, address })?;
        let executor = Executor::new(THREADS, passive)?;
        let statistics = Arc::new(Statistics::default());
        let spawner = executor.spawner();
        let listener = Listener::new(
            socket,
            spawner.clone(),
            statistics.clone(),
            parameters.most_connections,
        );
        spawner.spawn(listener.run())?;
        println!("wsk_echo: listening on {address}");
        Ok(Self {
            device,
            executor,
            registration,
            statistics,
        })
    }

    /// Closes everything and waits until it is gone.
    pub fn stop(self, passive: Passive) {
        drop(self.device);
        self.registration.close_sockets();
        self.executor.shutdown(passive);
        self.registration.deregister(passive);
        let left = wsk::counters();
        println!(
            "wsk_echo: stopped: {} operations={} buffers={} sockets={} late_allocations={}",
            self.statistics,
            left.operations,
            left.buffers,
            left.sockets,
            self.statistics.late_allocations(),
        );
    }
}
