//! What the listening socket calls: who may connect, and who has connected.

use alloc::sync::Arc;

use wsk::{Backlog, InspectId, InspectRequest, ListenEvents, Offer, Verdict};

use crate::{interface::Counter, rules::Rules, statistics::Statistics};

/// The handler of the listening socket. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    rules: Rules,
    /// Whether each source may connect so often only; then the backlog takes inspections.
    is_limited: bool,
    /// Where connections, and inspections that cannot be decided here, wait for their tasks.
    backlog: Backlog,
    statistics: Arc<Statistics>,
}

impl Gate {
    /// A gate that follows `rules`. If it `is_limited`, the backlog has inspections.
    pub fn new(
        rules: Rules,
        is_limited: bool,
        backlog: Backlog,
        statistics: Arc<Statistics>,
    ) -> Self {
        Self(Arc::new(Inner {
            rules,
            is_limited,
            backlog,
            statistics,
        }))
    }

    /// Lets nobody in any more. The tasks of the backlog end when they have taken what waits.
    pub fn close(&self) {
        self.0.backlog.dead();
    }
}

impl ListenEvents for Gate {
    fn accept(&self, offer: Offer<'_>) {
        self.0.backlog.accept(offer);
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let Inner {
            rules,
            is_limited,
            backlog,
            statistics,
        } = &*self.0;
        statistics.count(Counter::Inspected);
        let remote = request.remote();
        if !remote.is_some_and(|remote| rules.admit(remote.ip())) {
            statistics.count(Counter::RejectedByRule);
            return request.reject();
        }
        if !is_limited {
            statistics.count(Counter::Accepted);
            return request.accept();
        }
        statistics.count(Counter::Pended);
        backlog.inspect(request)
    }

    fn aborted(&self, id: InspectId) {
        self.0.statistics.count(Counter::Aborted);
        self.0.backlog.aborted(id);
    }

    fn dead(&self) {
        self.close();
    }
}
