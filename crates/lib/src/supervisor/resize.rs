//! Another number of workers for a pool that runs. A part of the [state machine](super::state).
//!
//! 1. The places of a gang are numbered, and a gang of `n` has those below `n`: a smaller one gives up the last ones.
//! 2. A worker at a place that was given up gets nothing more, ends what it has begun, and is told to leave when it rests. What
//!    it has not begun goes back to the queue at once. One that is being started gets ready first: its initializer is
//!    code of the user's that began in good faith.
//! 3. A place that is wanted again before its worker was told to leave keeps it. One that was told so has a successor at
//!    once.

use super::event::{Action, WorkerId};
use super::seat::Stage;
use super::seats::{Need, Seat};
use super::state::{Phase, State};
use super::stops::recall;

impl State {
    /// How many workers were asked for last.
    pub(crate) fn size(&self) -> u32 {
        self.settings.workers
    }

    pub(super) fn resized(&mut self, workers: u32, out: &mut Vec<Action>) {
        if self.phase != Phase::Running || workers == self.settings.workers {
            return;
        }
        self.settings.workers = workers;
        self.seats.extend_to(workers);
        for (slot, seat) in self.seats.iter_mut().enumerate() {
            if slot < workers as usize {
                seat.restore();
            } else {
                seat.dissolve(out);
            }
        }
        self.keep_least();
    }

    /// Whether a worker gets no more tasks.
    pub(super) fn is_leaving(&self, id: WorkerId) -> bool {
        self.seats
            .get(id)
            .is_none_or(|worker| worker.is_leaving() || matches!(worker.stage, Stage::Retiring { .. } | Stage::Doomed))
    }
}

impl Seat {
    /// A worker is wanted here again, if that had changed.
    fn restore(&mut self) {
        if self.need == Need::Surplus {
            self.need = Need::Staffed;
            self.both_mut().for_each(|worker| worker.surplus = false);
        }
    }

    /// No worker is wanted here any more.
    fn dissolve(&mut self, out: &mut Vec<Action>) {
        self.need = Need::Surplus;
        for worker in self.both_mut() {
            worker.surplus = true;
            if worker.ahead() > 0 {
                recall(worker, out);
            }
        }
    }
}
