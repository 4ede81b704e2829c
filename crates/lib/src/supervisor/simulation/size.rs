//! How many workers there are to be: what was asked for, and who may be dismissed for having nothing to do. A part of the
//! [reference](super::model).

use super::model::{Known, Model, Place, Task};
use crate::supervisor::event::WorkerId;
use crate::supervisor::state::State;

impl Model {
    pub(super) fn resize(&mut self, workers: u32) {
        self.settings.workers = workers;
        // The place that was to have a fresh worker may be given up: then another one is replaced.
        let waits = |task: &&Task| task.place == Place::Waiting && task.alone;
        self.fresh_wanted += self.chunks.iter().flat_map(|(_, tasks)| tasks).filter(waits).count() as u32;
        self.dormant.retain(|slot| *slot < workers);
        let staffed = |model: &Self| workers - model.dormant.len() as u32;
        while staffed(self) < self.least() as u32 {
            self.dormant.pop_first();
        }
    }

    fn least(&self) -> usize {
        self.settings.min_workers.min(self.settings.workers) as usize
    }

    /// Whether a worker has had nothing to do for so long that it may be dismissed, and others stay; or its predecessor, so
    /// that it is not needed itself.
    pub(super) fn may_dismiss(&self, id: WorkerId) -> bool {
        let mut both = self.workers.iter().filter(|worker| worker.id.slot == id.slot);
        both.any(|worker| self.is_idle(worker.id) && worker.id.generation <= id.generation)
    }

    fn is_idle(&self, id: WorkerId) -> bool {
        let Some(timeout) = self.settings.idle_timeout else { return false };
        let rests = |worker: &&Known| worker.id == id && worker.is_usable() && worker.inflight.is_empty();
        let worker = self.workers.iter().find(rests);
        let due = worker.is_some_and(|worker| self.now >= worker.rested + timeout);
        due && self.ready_workers() > self.least()
    }

    /// Notes which places are empty on purpose. Some workers could have left for two reasons, and a place that is to be filled
    /// waits for a guardian: the state knows. Whether it is right, is seen by who is started.
    pub(super) fn note_dormant(&mut self, state: &State) {
        self.dormant.retain(|slot| state.is_dormant(*slot));
        for slot in std::mem::take(&mut self.dismissed) {
            if state.is_dormant(slot) {
                self.dormant.insert(slot);
            }
        }
    }

    /// After a deadline has passed, nobody is left that has been idle for too long. Not where some workers may be about to
    /// leave for another reason: those do not count as staying.
    pub(super) fn check_idle(&mut self) {
        if self.settings.max_tasks.is_some() || self.resting > 0 || self.fresh_wanted > 0 || self.over() {
            return;
        }
        let alone = |id: WorkerId| self.workers.iter().filter(|worker| worker.id.slot == id.slot).count() == 1;
        let ids = self.workers.iter().map(|worker| worker.id);
        let idle = ids.filter(|id| id.slot < self.settings.workers && alone(*id)).find(|id| self.may_dismiss(*id));
        let surplus = self.workers.iter().any(|worker| worker.id.slot >= self.settings.workers);
        self.require(idle.is_none() || surplus, || format!("{idle:?} has been idle for too long"));
    }

    /// A place stays empty only while nobody could use it.
    pub(super) fn check_dormant(&mut self, waiting: u64) {
        let serves = |slot: u32| {
            let mut workers = self.workers.iter().filter(|worker| worker.id.slot == slot && !self.waits(worker.id));
            workers.any(Known::is_usable)
        };
        let staffed = (0..self.settings.workers).filter(|slot| !self.dormant.contains(slot));
        let coming = staffed.filter(|slot| !serves(*slot)).count() as u64;
        let dormant = self.dormant.len();
        self.require(dormant == 0 || waiting <= coming, || {
            format!("{waiting} tasks wait, {coming} workers are coming, and {dormant} places stay empty")
        });
    }

    /// When everything has come to rest, there are as many workers as there should be, and no others but successors that were
    /// started too early: their predecessors gave tasks back.
    pub(super) fn check_size(&mut self) {
        let expected = if self.settings.idle_timeout.is_some() { self.least() } else { self.settings.workers as usize };
        let ready = self.ready_workers();
        let all = self.workers.iter().filter(|worker| !self.waits(worker.id)).count();
        self.require((ready, all) == (expected, expected), || {
            format!("of {all} workers {ready} are ready, and there should be {expected}")
        });
    }
}
