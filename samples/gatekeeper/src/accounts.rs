//! How often each source has connected, and the task that decides by it.
//!
//! The accounts belong to the task alone, so that nothing has to be locked, and no lock taken in an
//! event. Their memory is taken at the start, so that no client can make it grow.

use alloc::{sync::Arc, vec::Vec};
use core::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use wdk::println;
use wsk::{Error, ErrorKind, Inspection, Inspections, Result, Status};

use crate::{clock, interface::Counter, statistics::Statistics};

/// Sources that have an account at the same time. A new one is refused if all of them have
/// connected lately.
const MOST_SOURCES: usize = 1024;

/// The bits that the addresses of an IPv6 host have in common.
const HOST_PREFIX: u32 = 64;

/// How often a source may connect.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// So many times
    pub limit: u32,
    /// in so much time.
    pub period: Duration,
}

/// The accounts of all sources.
pub struct Accounts {
    rate: Rate,
    /// In the order of their sources.
    accounts: Vec<Account>,
}

struct Account {
    source: IpAddr,
    since: Duration,
    connections: u32,
}

impl Accounts {
    /// Without any source.
    pub fn new(rate: Rate) -> Result<Self> {
        let mut accounts = Vec::new();
        accounts
            .try_reserve_exact(MOST_SOURCES)
            .map_err(|_| Error::new("Accounts::new", Status::INSUFFICIENT_RESOURCES))?;
        Ok(Self { rate, accounts })
    }

    /// Decides on the inspections that are put off, until the listener is closed.
    pub async fn run(mut self, mut inspections: Inspections, statistics: Arc<Statistics>) {
        while let Some(inspection) = inspections.next().await {
            let admitted = inspection
                .remote()
                .is_some_and(|remote| self.admit(remote.ip(), clock::now()));
            if let Err(error) = decide(inspection, admitted, &statistics).await {
                println!("wsk_gate: deciding on a connection: {error}");
            }
        }
    }

    /// Whether `address` may connect now. If so, that is one time more.
    fn admit(&mut self, address: IpAddr, now: Duration) -> bool {
        let limit = self.rate.limit;
        let Some(account) = self.account(source(address), now) else {
            return false;
        };
        let admitted = account.connections < limit;
        account.connections += u32::from(admitted);
        admitted
    }

    /// The account of `source` in its current period; a new one if it has none, unless there are
    /// too many.
    fn account(&mut self, source: IpAddr, now: Duration) -> Option<&mut Account> {
        let period = self.rate.period;
        let is_over = |account: &Account| now.saturating_sub(account.since) >= period;
        if self.accounts.len() == MOST_SOURCES {
            self.accounts.retain(|account| !is_over(account));
        }
        let new = Account {
            source,
            since: now,
            connections: 0,
        };
        let place = self
            .accounts
            .binary_search_by_key(&source, |account| account.source);
        match place {
            Ok(index) if is_over(&self.accounts[index]) => self.accounts[index] = new,
            Ok(_) => {}
            Err(index) if self.accounts.len() < MOST_SOURCES => self.accounts.insert(index, new),
            Err(_) => return None,
        }
        let (Ok(index) | Err(index)) = place;
        Some(&mut self.accounts[index])
    }
}

/// Whose account `address` goes to: an IPv6 host may take any address below its prefix.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::MAX << (u128::BITS - HOST_PREFIX);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Decides, and counts that before anybody can see it.
async fn decide(inspection: Inspection, admitted: bool, statistics: &Statistics) -> Result<()> {
    let decided = if admitted {
        statistics.count(Counter::Accepted);
        inspection.accept().await
    } else {
        statistics.count(Counter::RejectedByRate);
        inspection.reject().await
    };
    match decided {
        Err(error) if !is_end(error.kind()) => Err(error),
        _ => Ok(()),
    }
}

/// The client has given up, or the driver unloads.
fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Cancelled | ErrorKind::Closed | ErrorKind::ConnectionLost
    )
}
