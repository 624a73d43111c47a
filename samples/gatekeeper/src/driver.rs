//! Starting and stopping the server.
//!
//! Stopping is: let nobody in any more, close every socket, wait for the tasks that used them, take
//! leave of WSK. The order is what the types demand; a step left out would make the next one wait.

use alloc::sync::Arc;
use core::time::Duration;

use wdk::println;
use wsk::{
    AddressFamily, Backlog, ConnectionEventSet, Executor, ListenSocket, Passive, Provider,
    Registration, Result, Version, WhenFull, WhenInspecting,
};

use crate::{
    accounts::Accounts, gate::Gate, parameters::Parameters, session, statistics::Statistics,
};

/// `DriverEntry` must not wait for long: nothing that it waits for may take longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// System threads that run the tasks.
const THREADS: usize = 4;

/// Connections, and inspections, that wait for their tasks. More are refused.
const WAITING: usize = 1024;

/// The running server.
pub struct Server {
    gate: Gate,
    listener: ListenSocket,
    executor: Executor,
    registration: Registration,
    statistics: Arc<Statistics>,
}

impl Server {
    /// Listens, and lets clients in from then on.
    pub fn start(
        parameters: Parameters,
        statistics: Arc<Statistics>,
        passive: Passive,
    ) -> Result<Self> {
        let registration = Registration::register(Version::V1_0, passive)?;
        let provider = registration.capture_timeout(PATIENCE, passive)?;
        let executor = Executor::new(THREADS, passive)?;
        let spawner = executor.spawner();
        let (mut backlog, connections) = Backlog::new(WAITING, WhenFull::Refuse)?;
        if let Some(rate) = parameters.rate {
            let accounts = Accounts::new(rate)?;
            let inspections;
            (backlog, inspections) = backlog.with_inspections(WAITING, WhenInspecting::Reject)?;
            spawner.spawn(accounts.run(inspections, statistics.clone()))?;
        }
        spawner.spawn(session::run(
            connections,
            spawner.clone(),
            statistics.clone(),
        ))?;
        let is_limited = parameters.rate.is_some();
        let gate = Gate::new(parameters.rules, is_limited, backlog, statistics.clone());
        let listener = listen(&provider, parameters.address, gate.clone(), passive);
        // The tasks do not wait for a gate that nobody knocks at.
        let listener = listener.inspect_err(|_| gate.close())?;
        println!("wsk_gate: listening on {}", parameters.address);
        Ok(Self {
            gate,
            listener,
            executor,
            registration,
            statistics,
        })
    }

    /// Closes everything and waits until it is gone.
    pub fn stop(self, passive: Passive) {
        self.gate.close();
        drop(self.listener);
        self.registration.close_sockets();
        self.executor.shutdown(passive);
        self.registration.deregister(passive);
        let left = wsk::counters();
        println!(
            "wsk_gate: stopped: {} operations={} buffers={} sockets={}",
            self.statistics, left.operations, left.buffers, left.sockets,
        );
    }
}

/// Opens a socket that asks `gate` about everybody who wants to connect.
fn listen(
    provider: &Provider,
    address: core::net::SocketAddr,
    gate: Gate,
    passive: Passive,
) -> Result<ListenSocket> {
    let family = AddressFamily::of(&address);
    let listener =
        ListenSocket::open_conditional(provider, family, gate).wait_timeout(PATIENCE, passive)?;
    listener.bind(address).wait_timeout(PATIENCE, passive)?;
    listener.enable_accept_events(ConnectionEventSet::empty())?;
    Ok(listener)
}
