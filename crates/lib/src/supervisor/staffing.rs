//! Starting workers, replacing them, and giving up where that does not help. A part of the [state machine](super::state).
//!
//! A worker that has been given its last task gets its successor at once: when it has ended that task, the next one is
//! ready, or nearly so.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::{Action, Breakdown, Time, WorkerId};
use super::seat::{Stage, Worker};
use super::state::{Phase, Settings, State};
use super::succession::Post;
use crate::wire::claim::POSITIONS;

/// When so many starts have failed without a success between them, and no worker is left, the pool is broken.
const MOST_FAILURES: u32 = 3;

/// The first wait after a failed start; it doubles with each further one, up to the second value.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// How long a worker that was told to leave may take, if it has no exit hook.
pub(super) const RETIREMENT: Duration = Duration::from_secs(1);

/// How often workers may end for nothing before that breaks the pool: OTP's intensity and period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intensity {
    pub(crate) most: u32,
    pub(crate) period: Duration,
}

impl Intensity {
    /// That of a gang of so many workers for which none was asked for.
    fn usual(workers: u32) -> Self {
        Self { most: workers.saturating_mul(3).max(10), period: Duration::from_secs(5) }
    }
}

/// Ends of workers that no task is to blame for, since a task was last done.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    times: VecDeque<Time>,
}

impl Restarts {
    /// Takes note of one; whether they are too many now.
    fn are_too_many(&mut self, now: Time, intensity: Intensity) -> bool {
        self.times.push_back(now);
        while self.times.front().is_some_and(|at| now.saturating_sub(*at) > intensity.period) {
            self.times.pop_front();
        }
        self.times.len() as u64 > u64::from(intensity.most)
    }
}

impl State {
    pub(super) fn worker_ready(&mut self, now: Time, id: WorkerId) {
        if let Some(worker) = self.worker(id)
            && matches!(worker.stage, Stage::Starting { .. })
        {
            worker.stage = Stage::Ready;
            worker.moved = now;
            (self.failures, self.shortages) = (0, 0);
            self.post = Post::Filled { proven: true };
        }
    }

    pub(super) fn start_failed(&mut self, now: Time, id: WorkerId) {
        if self.worker(id).is_none() {
            return;
        }
        self.failures += 1;
        self.vacate_until(id, now + backoff(self.failures));
        self.ended_for_nothing(now);
    }

    /// Takes a process away that did not come to be; the next one is started there at that time.
    pub(super) fn vacate_until(&mut self, id: WorkerId, retry_at: Time) {
        if let Some(seat) = self.seats.of(id) {
            seat.vacate(id);
            seat.retry_at = retry_at;
        }
    }

    /// No task is to blame for a worker's death.
    pub(super) fn died_at_rest(&mut self, now: Time, id: WorkerId, worked: bool) {
        if let Some(seat) = self.seats.of(id)
            && !worked
        {
            // It died of itself: a replacement may do the same, and must not do so as fast as processes start.
            seat.retry_at = now + BACKOFF[0];
        }
        self.ended_for_nothing(now);
    }

    pub(crate) fn intensity(&self) -> Intensity {
        self.settings.intensity.unwrap_or_else(|| Intensity::usual(self.settings.workers))
    }

    pub(super) fn ended_for_nothing(&mut self, now: Time) {
        self.unstable |= self.restarts.are_too_many(now, self.intensity());
    }

    /// A task was done: as long as that happens, ends of workers are no reason to give up.
    pub(super) fn got_somewhere(&mut self) {
        self.restarts.times.clear();
    }

    /// Why the pool has to be given up, if it has.
    pub(super) fn breakdown(&self) -> Option<Breakdown> {
        if !self.wants_workers() {
            return None;
        }
        if self.unstable {
            return Some(Breakdown::Unstable);
        }
        let hopeful = |worker: &Worker| matches!(worker.stage, Stage::Starting { .. } | Stage::Ready);
        let hope = self.post == Post::Starting || self.seats.all().any(hopeful);
        (self.failures >= MOST_FAILURES && !hope).then_some(Breakdown::Starts)
    }

    /// Begins epochs and ends lives, where a worker has come to rest.
    pub(super) fn renew(&mut self, now: Time, out: &mut Vec<Action>) {
        let over = self.phase == Phase::Closed && self.jobs.is_empty();
        let until = now.saturating_add(self.retirement);
        for worker in self.seats.all_mut() {
            if over && matches!(worker.stage, Stage::Starting { .. }) {
                worker.stage = Stage::Doomed;
                out.push(Action::Kill(worker.id));
            }
            if (over || worker.surplus) && worker.idle() {
                retire(worker, until, out);
            }
        }
        self.seats.trim();
        let places = self.places_allowed();
        for (slot, seat) in self.seats.iter_mut().enumerate() {
            if seat.worker.as_ref().is_some_and(|it| matches!(it.stage, Stage::Doomed | Stage::Retiring { .. })) {
                seat.succeed();
            }
            let Some(worker) = seat.worker.as_mut().filter(|worker| worker.idle()) else { continue };
            if worker.is_leaving() || slot >= places {
                retire(worker, until, out);
                seat.succeed();
            } else if worker.draining || worker.sent > POSITIONS / 2 {
                worker.epoch = worker.epoch.wrapping_add(1);
                (worker.sent, worker.done, worker.draining) = (0, 0, false);
                out.push(Action::BeginEpoch { worker: worker.id, epoch: worker.epoch });
            }
        }
    }

    /// Ends the starts in places that are to have no worker any more.
    pub(super) fn dismiss_starting(&mut self, out: &mut Vec<Action>) {
        let places = self.places_allowed();
        for seat in self.seats.iter_mut().skip(places) {
            for worker in seat.worker.iter_mut().chain(&mut seat.beside) {
                if matches!(worker.stage, Stage::Starting { .. }) {
                    worker.stage = Stage::Doomed;
                    out.push(Action::Kill(worker.id));
                }
            }
        }
    }

    pub(super) fn wants_workers(&self) -> bool {
        self.phase == Phase::Running || (self.phase == Phase::Closed && !self.jobs.is_empty())
    }

    /// When the next process is to be started.
    pub(super) fn next_start(&self) -> Option<Time> {
        let seats = self.seats.iter().take(self.places_allowed()).filter(|seat| seat.wants_start());
        self.can_start_workers().then(|| seats.map(|seat| seat.retry_at).min()).flatten()
    }

    fn can_start_workers(&self) -> bool {
        self.wants_workers() && matches!(self.post, Post::Filled { .. })
    }

    pub(super) fn start_workers(&mut self, now: Time, out: &mut Vec<Action>) {
        if !self.can_start_workers() {
            return;
        }
        let places = self.places_allowed();
        let settings = &self.settings;
        for (slot, seat) in self.seats.iter_mut().enumerate().take(places) {
            if seat.wants_start() && seat.retry_at <= now {
                seat.generation += 1;
                let id = WorkerId { slot: slot as u32, generation: seat.generation };
                seat.seat(Worker::new(id, allowance(settings, id), now, now.saturating_add(settings.start_timeout)));
                out.push(Action::Start(id));
            }
        }
    }
}

pub(super) fn retire(worker: &mut Worker, until: Time, out: &mut Vec<Action>) {
    worker.stage = Stage::Retiring { until: Some(until) };
    out.push(Action::Retire(worker.id));
}

/// How long to wait after so many failed starts.
pub(super) fn backoff(failures: u32) -> Duration {
    BACKOFF[0].saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF[1])
}

/// How many tasks a worker may be given. The jitter is a fixed mix of seed, place and generation: a run can be repeated.
fn allowance(settings: &Settings, id: WorkerId) -> u32 {
    let Some(most) = settings.max_tasks else { return u32::MAX };
    let place = (u64::from(id.slot) << 32) | u64::from(id.generation);
    let mixed = (settings.seed ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let less = mixed % (u64::from(settings.jitter) + 1);
    most.saturating_sub(less as u32).max(1)
}
