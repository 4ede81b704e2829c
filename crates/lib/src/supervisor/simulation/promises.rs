//! What must hold between events: nothing is forgotten, and what waits, waits for something that will come.

use super::model::{Context, Guardian, Known, Model, Place};
use crate::supervisor::dispatch::FULL;
use crate::supervisor::event::{JobId, Time};
use crate::supervisor::state::State;

impl Model {
    /// When a cancellation returns, everything of that job that had not begun is completed.
    pub(super) fn check_cancelled(&mut self, id: JobId) {
        let chunks = self.chunks.iter().filter(|(job, _)| *job == id);
        let left = chunks.flat_map(|(_, tasks)| tasks).find(|task| !task.claimed && task.place != Place::Completed);
        let text = left.map(|task| format!("{id:?} was cancelled, yet has {task:?}"));
        self.require(text.is_none(), || text.unwrap_or_default());
    }

    /// Whenever an event, and all that follows from it, is dealt with.
    pub(super) fn check(&mut self, state: &State) {
        let (deadline, ready) = (state.next_deadline(), state.ready_workers());
        if self.finished {
            let uncompleted = self.uncompleted;
            self.require(uncompleted == 0, || format!("{uncompleted} tasks are left after the end"));
            return self.require(deadline.is_none(), || "a deadline is set after the end".to_owned());
        }
        let due = self.guardian_lost || self.terminated || self.should_break();
        self.require(!due, || "the pool goes on, although it is terminated or broken".to_owned());
        self.end_stops();
        let known = self.ready_workers();
        self.require(known == ready, || format!("{ready} workers are ready, but really {known}"));
        if let Context::Results(worker, results) = &self.context
            && !results.is_empty()
        {
            let text = format!("results of {worker:?} were read and ignored: {results:?}");
            self.require(false, || text);
        }
        self.context = Context::Nothing;
        self.rank_returned();
        self.note_dormant(state);
        self.check_limits(deadline);
        self.check_progress(deadline, state.appetite() < FULL);
    }

    /// No silent hang: what waits, waits for something that will come.
    fn check_progress(&mut self, deadline: Option<Time>, hungry: bool) {
        let takes = |worker: &Known| worker.is_usable() && worker.inflight.is_empty() && !self.waits(worker.id);
        let idle = self.workers.iter().find(|worker| takes(worker)).map(|worker| worker.id);
        // What is tried again may have to wait for its time, or for a fresh worker.
        let waiting = self.waiting - self.resting;
        self.require(waiting == 0 || idle.is_none(), || format!("{waiting} tasks wait while {idle:?} is idle"));
        self.require(hungry || waiting > 0 || idle.is_none(), || format!("{idle:?} is idle, and nobody is told"));
        self.check_dormant(waiting);
        let mut staffed = (0..self.settings.workers).filter(|slot| !self.dormant.contains(slot));
        let vacant = staffed.any(|slot| !self.workers.iter().any(|it| it.id.slot == slot));
        let wanted = !self.closed || !self.over();
        let coming = deadline.is_some() || self.guardian == Guardian::Starting;
        self.require(!vacant || !wanted || coming, || "a seat is empty and no deadline is set".to_owned());
        let stuck = self.over() && self.workers.is_empty();
        self.require(!stuck, || "everything is done, and the pool does not finish".to_owned());
    }
}
