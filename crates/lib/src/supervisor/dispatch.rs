//! Who gets which tasks, and how many at once. A part of the [state machine](super::state).

use std::time::Duration;

use super::allowance::has_tasks;
use super::event::{Action, JobId, Time, WorkerId};
use super::policy::Pace;
use super::seat::{Stage, Worker};
use super::state::State;
use crate::wire::claim::POSITIONS;

/// A worker that got nowhere for so long gives what it has not begun to idle ones; for twice as long, each time that these
/// have given back all that they were sent: when all are stopped, tasks do not go round and round.
const STALL: Duration = Duration::from_millis(2);

/// It is not worth the while to sleep for so long: see [`awake`](super::awake).
pub(super) const SOON: Duration = Duration::from_micros(200);

/// The [appetite](State::appetite) of a queue that wants nothing.
pub(crate) const FULL: i64 = i64::MAX;

/// How often that is doubled at most.
const MOST_DOUBLINGS: u32 = 9;

impl State {
    /// Whether a worker could take more tasks than the queue has, one that would be started for them included.
    fn hungry(&self) -> bool {
        let takes_more = |worker: &Worker| worker.accepts() && self.pace_of(worker).takes_more(worker.ahead());
        let employs = self.may_employ();
        let fed = |worker: &Worker| (employs || has_tasks(worker)) && takes_more(worker);
        self.queue.tasks() == 0 && (self.seats.serving().any(fed) || (employs && self.has_dormant()))
    }

    /// The least priority that a lazy input's tasks must have for the queue to want them: any when a worker could take more
    /// than there is, else one above everything that waits, which would otherwise be sent before them; [`FULL`] for none.
    pub(crate) fn appetite(&self) -> i64 {
        match self.queue.top() {
            Some(top) => i64::from(top) + 1,
            None if self.hungry() => i64::MIN,
            None => FULL,
        }
    }

    /// Whether results may lie in a ring without an announcement.
    pub(crate) fn collects(&self) -> bool {
        // A single task needs none: a worker that comes to rest announces it.
        self.seats.serving().any(|worker| worker.ahead() > 1 && worker.silent)
    }

    /// Whether what workers have in flight ends within [`SOON`], as far as it is known how long such tasks take. If none got
    /// anywhere for so long, that is not believed. A single one that did not may only have lost its processor.
    pub(crate) fn ends_soon(&self, now: Time) -> bool {
        let mut busy = self.seats.serving().filter(|worker| worker.ahead() > 0).peekable();
        let brief = |worker: &Worker| self.pace_of(worker).takes(worker.ahead()).is_some_and(|time| time <= SOON);
        let moved = self.seats.serving().map(|worker| worker.moved).max();
        let moves = moved.is_some_and(|moved| now.saturating_sub(moved) <= SOON);
        moves && busy.peek().is_some() && busy.all(brief)
    }

    /// How far an input may be ahead of its reader, for a function.
    pub(crate) fn look_ahead(&self, function: u64) -> u32 {
        self.pace_of_function(function).look_ahead(self.settings.workers)
    }

    /// How many tasks of a function are worth a batch of their own.
    pub(crate) fn worth(&self, function: u64) -> u32 {
        self.pace_of_function(function).worth()
    }

    /// The pace of what the worker has in flight, or would get next.
    fn pace_of(&self, worker: &Worker) -> Pace {
        let job = worker.last_job().or_else(|| self.queue.front_job());
        job.map(|job| self.pace(job)).unwrap_or_default()
    }

    fn pace(&self, job: JobId) -> Pace {
        self.jobs.get(&job).map(|job| self.pace_of_function(job.terms.function)).unwrap_or_default()
    }

    fn pace_of_function(&self, function: u64) -> Pace {
        self.paces.get(&function).copied().unwrap_or_default()
    }

    /// Takes note of how long tasks took.
    pub(super) fn learn(&mut self, job: JobId, count: u32, nanos: u64) {
        if let Some(job) = self.jobs.get(&job) {
            self.paces.entry(job.terms.function).or_default().learn(count, nanos);
        }
    }

    pub(super) fn dispatch(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(job) = self.queue.front_job() {
            let pace = self.pace(job);
            let chunksize = self.jobs.get(&job).and_then(|job| job.terms.chunksize);
            let most = chunksize.unwrap_or_else(|| pace.batch(self.queue.front_tasks(), self.settings.workers));
            let employs = self.may_employ();
            let takes = |worker: &&mut Worker| {
                worker.accepts()
                    && (employs || has_tasks(worker))
                    && match chunksize {
                        Some(size) => worker.ahead() < size.saturating_mul(2) && pace.takes_more(worker.ahead().min(1)),
                        None => pace.takes_more(worker.ahead()),
                    }
            };
            let busy = self.enough_are_busy(pace);
            let order = |worker: &&mut Worker| (busy && worker.ahead() == 0, worker.ahead(), worker.shunned);
            let taker = self.seats.serving_mut().filter(takes).min_by_key(order);
            let Some(worker) = taker else { return };
            let most = most.min(worker.allowance).min(POSITIONS / 4);
            let Some(span) = self.queue.pop(most) else { return };
            let eager = pace.eager();
            let position = worker.give(span, eager, now);
            out.push(Action::Send { worker: worker.id, span, epoch: worker.epoch, position, eager });
        }
    }

    /// Whether one more worker would be of no use. Tiny tasks cost those who send them and read their results as much time as their
    /// workers: with a processor for whoever drives, and one for each worker that has some, a further one would be in their way.
    fn enough_are_busy(&self, pace: Pace) -> bool {
        // First what costs least to ask: nearly all tasks are longer.
        if !pace.is_tiny() {
            return false;
        }
        let busy = || self.seats.serving().filter(|worker| worker.ahead() > 0);
        let ahead = busy().map(|worker| u64::from(worker.ahead())).sum::<u64>() + self.queue.tasks();
        let soon = pace.takes(u32::try_from(ahead).unwrap_or(u32::MAX)).is_some_and(|time| time <= SOON);
        soon && busy().count() as u32 + 1 >= self.settings.processors
    }

    /// A worker whose waiting tasks an idle one could run, the one that got nowhere for longest, and when it has to give
    /// them back.
    pub(super) fn stalled(&self) -> Option<(WorkerId, Time)> {
        if self.queue.tasks() > 0 || !self.may_employ() {
            return None;
        }
        let idle = self.seats.serving().filter(|worker| worker.idle() && worker.accepts());
        let shunned = idle.map(|worker| worker.shunned).min().or_else(|| self.has_reserve().then_some(0))?;
        let patience = STALL * (1 << shunned.min(MOST_DOUBLINGS));
        let behind = |worker: &&Worker| {
            // A single task has most likely begun, and whether it has need be asked only once.
            let waiting = worker.ahead() > 1 || (worker.ahead() == 1 && !worker.begun);
            worker.stage == Stage::Ready && !worker.draining && !worker.recalled && waiting
        };
        let slowest = self.seats.serving().filter(behind).min_by_key(|worker| worker.moved)?;
        Some((slowest.id, slowest.moved + patience))
    }

    /// Has the stalled worker's tasks asked back, if it is time.
    pub(super) fn unstall(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Some((id, _)) = self.stalled().filter(|(_, until)| *until <= now) {
            out.push(Action::TakeBackGently(id));
            if let Some(worker) = self.worker(id) {
                worker.recalled = true;
            }
        }
    }
}
