//! Dismissing workers that have nothing to do, and starting others when tasks wait. A part of the
//! [state machine](super::state).
//!
//! 1. Idle is a worker without any task, since it got ready or its last result was read. A task that was sent counts until
//!    its result is there, however long it takes to arrive or to be decoded.
//! 2. Dismissing is a decision of the state machine, as sending is: a task is sent to a worker that stays, or finds its
//!    place empty and has a worker started there, beside the one that is leaving.
//! 3. While tasks wait, no place stays empty, but for those that would have nothing to do. Where one is empty, a worker
//!    that gets nowhere is asked for what it has not begun, as if somebody were idle.

use std::cmp::Reverse;

use super::event::{Action, Time};
use super::seat::{Stage, Worker};
use super::seats::{Need, Seat};
use super::staffing::retire;
use super::state::State;

impl State {
    /// When the next worker will have been idle for too long.
    pub(super) fn next_dismissal(&self) -> Option<Time> {
        let timeout = self.settings.idle_timeout.filter(|_| self.spares() > 0)?;
        // A limit beyond what a clock can say is none.
        self.seats.iter().filter_map(Seat::rests_since).min()?.checked_add(timeout)
    }

    /// Dismisses workers that have been idle for too long, the last places first, as tasks go to the first ones; before
    /// them those that have given back what they were sent.
    pub(super) fn dismiss_idle(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(timeout) = self.settings.idle_timeout else { return };
        let (spares, until) = (self.spares(), now.saturating_add(self.retirement));
        let due =
            |seat: &Seat| seat.rests_since().and_then(|since| since.checked_add(timeout)).is_some_and(|at| at <= now);
        let mut seats: Vec<&mut Seat> = self.seats.iter_mut().rev().filter(|seat| due(seat)).collect();
        seats.sort_by_key(|seat| Reverse(seat.worker.as_ref().map_or(0, |worker| worker.shunned)));
        for seat in seats.into_iter().take(spares) {
            let needless = match &mut seat.beside {
                Some(successor) => successor,
                None => {
                    seat.need = Need::Dormant;
                    let Some(worker) = &mut seat.worker else { continue };
                    worker
                }
            };
            retire(needless, until, out);
        }
    }

    /// How many workers may be dismissed.
    fn spares(&self) -> usize {
        if self.retries.alone() > 0 {
            return 0;
        }
        let stay = |worker: &&Worker| worker.stage == Stage::Ready && !worker.is_leaving();
        self.seats.serving().filter(stay).count().saturating_sub(self.least())
    }

    /// How many workers stay, however idle.
    fn least(&self) -> usize {
        self.settings.min_workers.min(self.settings.workers) as usize
    }

    /// Has places filled where there are fewer than have to be.
    pub(super) fn keep_least(&mut self) {
        let missing = self.least().saturating_sub(self.seats.staffed(self.places_allowed()).count());
        self.rouse(missing);
    }

    /// Has workers started for all tasks that wait, may be sent, and for which nobody is coming.
    pub(super) fn rouse_for_waiting(&mut self, now: Time) {
        if self.has_dormant() {
            let waiting = self.queue.tasks().saturating_add(self.retries.alone() as u64);
            self.rouse_for(now, waiting);
        }
    }

    /// Has as many workers started as so many tasks need, but for those that are coming.
    pub(super) fn rouse_for(&mut self, now: Time, tasks: u64) {
        let coming =
            self.seats.staffed(self.places_allowed()).filter(|seat| seat.is_about_to_serve(now)).count() as u64;
        // No more than may have tasks: others would be dismissed for idleness, and started again, for as long as tasks wait.
        let employable = self.allowance.busy.saturating_sub(self.busy()).into();
        self.rouse(usize::try_from(tasks.min(employable).saturating_sub(coming)).unwrap_or(usize::MAX));
    }

    fn rouse(&mut self, places: usize) {
        let allowed = self.places_allowed();
        self.seats.iter_mut().take(allowed).filter(|seat| seat.need == Need::Dormant).take(places).for_each(|seat| {
            seat.need = Need::Staffed;
        });
    }

    /// Whether there is an empty place, and nobody is coming to another.
    pub(super) fn has_reserve(&self) -> bool {
        self.has_dormant() && self.seats.staffed(self.places_allowed()).all(Seat::is_served)
    }

    /// Whether this place is empty until tasks wait.
    #[cfg(test)]
    pub(super) fn is_dormant(&self, slot: u32) -> bool {
        self.seats.iter().nth(slot as usize).is_some_and(|seat| seat.need == Need::Dormant)
    }

    pub(super) fn has_dormant(&self) -> bool {
        self.settings.idle_timeout.is_some() && self.seats.iter().any(|seat| seat.need == Need::Dormant)
    }
}

impl Seat {
    /// Since when its worker has had no task, if that may be dismissed. The one before must be gone, as there is room for
    /// two; a successor that was started too early goes first.
    fn rests_since(&self) -> Option<Time> {
        let worker = self.worker.as_ref().filter(|_| self.beside.as_ref().is_none_or(Worker::idle))?;
        (worker.idle() && !worker.recalled && !worker.is_leaving()).then_some(worker.moved)
    }

    /// Whether it has no worker yet that could be sent tasks, and will.
    fn is_about_to_serve(&self, now: Time) -> bool {
        match &self.worker {
            Some(worker) if matches!(worker.stage, Stage::Starting { .. }) => true,
            Some(worker) if worker.stage == Stage::Ready => false,
            _ => self.retry_at <= now,
        }
    }
}
