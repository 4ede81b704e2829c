//! How many workers may have tasks at a time, and how many there may be. A part of the [state machine](super::state).
//!
//! Without another word all may. A pool that shares a budget is told again and again what its share is: tasks that run go
//! on to their end, and what is above the share gets no more.

use super::event::Action;
use super::seat::Worker;
use super::state::State;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// So many workers may have tasks.
    pub(crate) busy: u32,
    /// So many places may have a worker; the others are empty as soon as theirs have ended what they had.
    pub(crate) staff: u32,
}

impl Allowance {
    /// No limit but the number of places.
    pub(crate) const ALL: Self = Self { busy: u32::MAX, staff: u32::MAX };
}

impl State {
    pub(super) fn allowed(&mut self, allowance: Allowance, out: &mut Vec<Action>) {
        let fewer = allowance.staff < self.allowance.staff;
        self.allowance = allowance;
        if fewer {
            // Those that are being started there would otherwise be ready first, and leave then.
            self.dismiss_starting(out);
        }
    }

    /// How many workers have tasks.
    pub(crate) fn busy(&self) -> u32 {
        self.seats.serving().filter(|worker| worker.ahead() > 0).count() as u32
    }

    /// Whether a worker without tasks may get some.
    pub(super) fn may_employ(&self) -> bool {
        // Usually all may, and nobody need be counted.
        self.allowance.busy as usize >= self.seats.len() || self.busy() < self.allowance.busy
    }

    /// How many places may have a worker.
    pub(super) fn staffed(&self) -> usize {
        self.seats.len().min(self.allowance.staff as usize)
    }

    pub(crate) fn places(&self) -> u32 {
        self.seats.len() as u32
    }

    /// How many more workers could have tasks, if they were allowed to.
    pub(crate) fn demand(&self) -> u32 {
        let waiting = self.queue.tasks() + self.retries.alone() as u64;
        u32::try_from(waiting).unwrap_or(u32::MAX).min(self.places() - self.busy().min(self.places()))
    }
}

/// Whether it has a task already.
pub(super) fn has_tasks(worker: &Worker) -> bool {
    worker.ahead() > 0
}
