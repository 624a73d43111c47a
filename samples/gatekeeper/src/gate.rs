//! What the listening socket calls: who may connect, and who has connected.

use alloc::sync::Arc;

use wsk::{Backlog, InspectId, InspectRequest, ListenEvents, Offer, Verdict};

use crate::{interface::Counter, rules::Rules, statistics::Statistics};

/// The handler of the listening socket.
pub struct Gate {
    /// Who may connect.
    pub rules: Rules,
    /// Whether each source may connect so often only; then the backlog takes inspections.
    pub is_limited: bool,
    /// Where connections, and inspections that cannot be decided here, wait for their tasks.
    pub backlog: Backlog,
    /// What happened.
    pub statistics: Arc<Statistics>,
}

impl ListenEvents for Gate {
    fn accept(&self, offer: Offer<'_>) {
        self.backlog.accept(offer);
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        self.statistics.count(Counter::Inspected);
        let remote = request.remote();
        if !remote.is_some_and(|remote| self.rules.admit(remote.ip())) {
            self.statistics.count(Counter::RejectedByRule);
            return request.reject();
        }
        if !self.is_limited {
            self.statistics.count(Counter::Accepted);
            return request.accept();
        }
        self.statistics.count(Counter::Pended);
        self.backlog.inspect(request)
    }

    fn aborted(&self, id: InspectId) {
        self.statistics.count(Counter::Aborted);
        self.backlog.aborted(id);
    }

    fn dead(&self) {
        self.backlog.dead();
    }
}
