//! Starts that fail for want of something which others use now, such as descriptors. The gang is smaller for a while.

use super::core::Core;
use super::event::{Event, Time, WorkerId};
use super::seat::Stage;
use super::staffing::backoff;
use super::state::State;

impl State {
    /// A start failed for want of something. As long as there are other workers that is no failed start: they do the
    /// work, and it is tried again, in growing intervals. A pool without any other worker breaks by it as by other
    /// failures, as nobody knows whether the want will end.
    pub(super) fn start_postponed(&mut self, now: Time, id: WorkerId) {
        let hopeful = |stage: Stage| matches!(stage, Stage::Starting { .. } | Stage::Ready);
        if !self.seats.all().any(|other| other.id != id && hopeful(other.stage)) {
            return self.start_failed(now, id);
        }
        if self.worker(id).is_some() {
            self.shortages += 1;
            self.vacate_until(id, now + backoff(self.shortages));
        }
    }
}

impl Core {
    /// No process, or none that can be watched; `shortage` tells whether that may be different later.
    pub(super) fn start_prevented(&mut self, worker: WorkerId, why: String, shortage: bool) {
        if !shortage {
            return self.start_failed(worker, why);
        }
        // Once, not for each attempt.
        if !std::mem::replace(&mut self.short, true) {
            tracing::warn!(
                worker = worker.slot,
                why,
                "the gang is smaller than it should be: it goes on, and starts are tried again"
            );
        }
        self.cause = Some(why);
        self.drop_link(worker);
        self.handle(Event::StartPostponed(worker));
    }

    /// A worker got ready: maybe the last one that was missing.
    pub(super) fn check_shortage(&mut self) {
        if self.short && self.state.is_whole() {
            self.short = false;
            tracing::info!("the gang has all of its workers");
        }
    }
}
