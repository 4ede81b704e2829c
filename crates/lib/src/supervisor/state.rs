//! The state machine: `handle(now, event) -> actions`.
//!
//! It knows tasks as spans of chunks, workers as seats, and time as a number that it is given. Its promises, which the
//! simulation checks after every step:
//!
//! 1. Every task that was submitted is completed exactly once.
//! 2. A worker's death costs at most the one task that it had begun; what it had not begun goes back to the queue.
//! 3. No task is sent to a worker while another one may still run it.
//! 4. While there is work and the pool is not broken, some worker has it, or is being started, or a deadline is set.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::allowance::Allowance;
use super::event::{Action, Breakdown, Cause, ChunkId, Ending, Event, JobId, JobTerms, Span, Time, WorkerId};
use super::policy::Pace;
use super::queue::Queue;
use super::retries::Retries;
use super::seat::{Stage, Worker};
use super::seats::{Seat, Seats};
use super::staffing::{Intensity, RETIREMENT, Restarts};
use super::stops::recall;
use super::succession::Post;

/// What users ask of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How many are asked for now.
    pub(crate) workers: u32,
    /// How many processors there are for them and for whoever drives.
    pub(crate) processors: u32,
    /// How long a worker may have nothing to do before it is dismissed.
    pub(crate) idle_timeout: Option<Duration>,
    /// How many workers stay all the same.
    pub(crate) min_workers: u32,
    /// How many tasks a worker runs before it is replaced.
    pub(crate) max_tasks: Option<u32>,
    /// Each worker's limit is lowered by a number up to this, so that they are not all replaced at once.
    pub(crate) jitter: u32,
    /// Where the jitter comes from.
    pub(crate) seed: u64,
    /// How long a worker may take to get ready.
    pub(crate) start_timeout: Duration,
    /// How long a task that is asked to end may take for it.
    pub(crate) grace: Duration,
    /// How often workers may end for nothing; a number for each worker, if it is not given.
    pub(crate) intensity: Option<Intensity>,
}

/// Where the pool is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Nothing new; what there is will be done.
    Closed,
    /// It was terminated, or it is done.
    Finished,
    /// No worker can be had.
    Broken,
}

#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) terms: JobTerms,
    /// Tasks that are not completed.
    pending: u64,
    /// More will come.
    feeding: bool,
    /// What has not begun shall not.
    pub(super) cancelled: bool,
    /// What runs shall end.
    pub(super) stopped: bool,
    /// Its chunks whose tasks have waited for too long.
    pub(super) expired: HashSet<ChunkId>,
}

/// The supervisor's decisions.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) settings: Settings,
    pub(super) phase: Phase,
    pub(super) seats: Seats,
    pub(super) queue: Queue,
    pub(super) retries: Retries,
    pub(super) jobs: HashMap<JobId, Job>,
    /// When the tasks of a chunk will have waited for too long.
    pub(super) expiries: BTreeSet<(Time, ChunkId)>,
    /// The same of those chunks, by their name, with how many of their tasks are not completed.
    expiring: HashMap<ChunkId, (Time, u32)>,
    pub(super) paces: HashMap<u64, Pace>,
    /// Starts that failed since the last success.
    pub(super) failures: u32,
    /// Starts that were postponed since the last success.
    pub(super) shortages: u32,
    pub(super) restarts: Restarts,
    /// Workers have ended for nothing more often than the settings allow.
    pub(super) unstable: bool,
    pub(super) post: Post,
    /// How long a worker that was told to leave may take.
    pub(super) retirement: Duration,
    pub(super) allowance: Allowance,
}

impl State {
    /// A pool without any worker yet; the first `DeadlinePassed` starts them.
    pub(crate) fn new(settings: Settings) -> Self {
        let seats = Seats::new(settings.workers);
        Self {
            settings,
            phase: Phase::Running,
            seats,
            queue: Queue::default(),
            retries: Retries::default(),
            jobs: HashMap::new(),
            expiries: BTreeSet::new(),
            expiring: HashMap::new(),
            paces: HashMap::new(),
            failures: 0,
            shortages: 0,
            restarts: Restarts::default(),
            unstable: false,
            post: Post::Filled { proven: false },
            retirement: RETIREMENT,
            allowance: Allowance::ALL,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes note of what happened and says what to do.
    pub(crate) fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Submitted { span, terms } => self.submitted(now, span, terms, out),
            Event::FeedOpened(job) => self.feed_opened(job),
            Event::FeedClosed(job) => self.feed_closed(job),
            Event::Cancelled(job) => self.cancelled(now, job, false, out),
            Event::Stopped(job) => self.cancelled(now, job, true, out),
            Event::Resized(workers) => self.resized(workers, out),
            Event::Closed => self.closed(),
            Event::Terminated => self.give_up(None, out),
            Event::GuardianLost => self.give_up(Some(Breakdown::Guardian), out),
            Event::GuardianDied => self.guardian_died(now, out),
            Event::GuardianReady => self.guardian_ready(),
            Event::WorkerReady(worker) => self.worker_ready(now, worker),
            Event::StartFailed(worker) => self.start_failed(now, worker),
            Event::StartPostponed(worker) => self.start_postponed(now, worker),
            Event::Finished { worker, count, nanos } => self.finished(now, worker, count, nanos, out),
            Event::Failed { worker, nanos, failure } => self.failed(now, worker, nanos, failure, out),
            Event::MemoryExceeded { worker, hard } => self.memory_exceeded(now, worker, hard, out),
            Event::Asked { worker, listens } => self.asked(worker, listens, out),
            Event::TakenBack { worker, limit } => self.taken_back(now, worker, limit, out),
            Event::KeptBack(worker) => self.kept_back(now, worker),
            Event::WorkerExited { worker, claimed, taking } => self.worker_exited(now, worker, (claimed, taking), out),
            Event::Allowed(allowance) => self.allowed(allowance, out),
            Event::DeadlinePassed => self.deadline_passed(now, out),
        }
        self.settle(now, out);
    }

    /// When `DeadlinePassed` has to come, if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.next_duty().into_iter().chain(self.next_dismissal()).min()
    }

    /// The same, without the dismissal of workers that are idle: that may be late.
    fn next_duty(&self) -> Option<Time> {
        let patience = self.seats.all().filter_map(|worker| match worker.stage {
            Stage::Starting { until } | Stage::Retiring { until } => until,
            Stage::Ready | Stage::Doomed => None,
        });
        let limits = self.seats.serving().filter_map(|worker| self.next_limit(worker));
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let waits = [self.retries.next(), self.retries.next_room(), expiry, self.next_guardian(), self.next_start()];
        patience.chain(self.stalled().map(|(_, until)| until)).chain(limits).chain(waits.into_iter().flatten()).min()
    }

    /// Whether a job is not over, or a worker not where it should be.
    pub(crate) fn has_work(&self) -> bool {
        let places = self.places_allowed();
        !self.jobs.is_empty() || !self.seats.iter().take(places).all(Seat::is_settled) || self.next_duty().is_some()
    }

    /// Whether all workers are there, ready or nearly so.
    pub(super) fn is_whole(&self) -> bool {
        self.seats.staffed(self.places_allowed()).all(|seat| seat.worker.is_some())
    }

    /// The jobs that are not over, the oldest first.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        jobs.sort_unstable();
        jobs
    }

    /// The first task that this worker was sent and has not ended, if it is no further than before `claimed`.
    pub(super) fn begun(&self, id: WorkerId, claimed: u32) -> Option<Span> {
        self.seats.get(id).filter(|worker| worker.done < claimed)?.current()
    }

    /// How many workers are ready.
    #[cfg(test)]
    pub(crate) fn ready_workers(&self) -> usize {
        self.seats.serving().filter(|worker| worker.stage == Stage::Ready).count()
    }

    /// Whether this one only waits for its place, or has left it to another.
    pub(crate) fn is_beside(&self, id: WorkerId) -> bool {
        self.seats.iter().filter_map(|seat| seat.beside.as_ref()).any(|worker| worker.id == id)
    }

    pub(super) fn worker(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.seats.get_mut(id)
    }

    /// The tasks of which a worker has begun the first, or will begin it next.
    pub(super) fn current(&self, id: WorkerId) -> Option<Span> {
        self.seats.get(id)?.current()
    }

    // What happened.

    fn submitted(&mut self, now: Time, span: Span, terms: JobTerms, out: &mut Vec<Action>) {
        if self.phase == Phase::Broken || self.phase == Phase::Finished {
            let ending = if self.phase == Phase::Broken { Ending::Broken } else { Ending::Cancelled };
            out.push(Action::Complete { span, worker: None, ending });
            return;
        }
        let job = self.jobs.entry(span.job).or_default();
        job.terms = terms;
        job.pending += u64::from(span.count);
        if job.cancelled {
            return self.complete(span, None, Ending::Cancelled, out);
        }
        self.queue.push_back(span);
        // A limit beyond what a clock can say is none.
        if let Some(until) = terms.queue_timeout.and_then(|limit| now.checked_add(limit)) {
            self.expiries.insert((until, span.chunk));
            self.expiring.insert(span.chunk, (until, span.count));
        }
    }

    fn feed_opened(&mut self, job: JobId) {
        self.jobs.entry(job).or_default().feeding = true;
    }

    fn feed_closed(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.feeding = false;
            self.forget_if_over(id);
        }
    }

    fn cancelled(&mut self, now: Time, id: JobId, stopped: bool, out: &mut Vec<Action>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.cancelled = true;
        job.stopped |= stopped;
        let mut unwanted = self.queue.remove(|span| span.job == id);
        unwanted.extend(self.retries.remove(|span| span.job == id));
        for span in unwanted {
            self.complete(span, None, Ending::Cancelled, out);
        }
        for holder in self.seats.serving_mut().filter(|worker| worker.has(id)) {
            if stopped && holder.stop.is_none() && holder.first_job() == Some(id) {
                holder.overdue = Some((Cause::Cancelled, now));
            }
            recall(holder, out);
        }
    }

    fn closed(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Closed;
        }
    }

    /// Ends everything that is not completed, and the gang: because it is wanted, or for a reason.
    fn give_up(&mut self, why: Option<Breakdown>, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Finished | Phase::Broken) {
            return;
        }
        let (phase, ending) = match why {
            None => (Phase::Finished, Ending::Cancelled),
            Some(_) => (Phase::Broken, Ending::Broken),
        };
        self.phase = phase;
        self.expiries.clear();
        out.extend(why.map(Action::Break));
        // What is completed now must not begin in the moment before its worker is killed.
        let ready = self.seats.serving().filter(|worker| worker.stage == Stage::Ready && !worker.recalled);
        out.extend(ready.map(|worker| Action::TakeBack(worker.id)));
        for mut worker in self.seats.clear() {
            for span in worker.finish(u32::MAX) {
                self.complete(span, Some(worker.id), ending, out);
            }
        }
        let mut waiting = self.queue.drain();
        waiting.extend(self.retries.remove(|_| true));
        for span in waiting {
            self.complete(span, None, ending, out);
        }
        out.push(Action::Finish);
    }

    fn finished(&mut self, now: Time, id: WorkerId, count: u32, nanos: u64, out: &mut Vec<Action>) {
        let each = nanos / u64::from(count.max(1));
        let mut stopped = self.stop_is_over(id, out);
        for mut span in self.take_finished(now, id, count) {
            self.learn(span.job, span.count, each.saturating_mul(span.count.into()));
            if let Some(cause) = stopped.take() {
                // Only the very first can have been asked to end.
                let first = span.split_off_front(1);
                self.complete(first, Some(id), Ending::Late(cause), out);
            }
            if span.count > 0 {
                self.complete(span, Some(id), Ending::Delivered, out);
            }
        }
        self.look_at_first(now, id, out);
    }

    /// Takes tasks off that have ended.
    pub(super) fn take_finished(&mut self, now: Time, id: WorkerId, count: u32) -> Vec<Span> {
        let Some(worker) = self.worker(id) else { return Vec::new() };
        (worker.moved, worker.began, worker.alone) = (now, now, false);
        let ended = worker.finish(count);
        if !ended.is_empty() {
            self.got_somewhere();
        }
        self.waits_anew(now, id);
        ended
    }

    fn taken_back(&mut self, now: Time, id: WorkerId, limit: u32, out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id) else { return };
        worker.moved = now;
        worker.recalled = false;
        let revoked = worker.revoke(limit);
        worker.begun = revoked.is_empty();
        worker.draining |= !revoked.is_empty();
        let shunned = worker.ahead() == 0 && !revoked.is_empty();
        worker.shunned = worker.shunned.saturating_add(shunned.into());
        let alone = worker.alone && worker.ahead() == 0;
        worker.alone &= !alone;
        if shunned {
            // It may be stopped, and there may be nobody else.
            self.rouse_for(now, 1);
        }
        self.look_at_first(now, id, out);
        // In pieces for all: whoever got the whole would soon have to give it back as well.
        let tasks: u32 = revoked.iter().map(|span| span.count).sum();
        let share = tasks.div_ceil(self.settings.workers).max(1);
        self.requeue(revoked.into_iter().flat_map(|span| in_pieces(span, share)), alone, out);
    }

    fn kept_back(&mut self, now: Time, id: WorkerId) {
        if let Some(worker) = self.worker(id) {
            worker.moved = now;
            worker.recalled = false;
        }
    }

    /// Puts spans back to the front of the queue; the last one comes first.
    fn requeue(&mut self, spans: impl IntoIterator<Item = Span>, alone: bool, out: &mut Vec<Action>) {
        for span in spans {
            let ending = match self.jobs.get(&span.job) {
                Some(job) if job.cancelled => Some(Ending::Cancelled),
                Some(job) if job.expired.contains(&span.chunk) && !self.retries.has(span) => Some(Ending::Expired),
                _ => None,
            };
            match ending {
                Some(ending) => self.complete(span, None, ending, out),
                None if alone => self.retries.put_back(span),
                None => self.queue.push_front(span),
            }
        }
    }

    fn worker_exited(&mut self, now: Time, id: WorkerId, (claimed, taking): (u32, bool), out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id) else { return };
        if matches!(worker.stage, Stage::Starting { .. }) {
            self.start_failed(now, id);
            return;
        }
        let Some(mut worker) = self.seats.of(id).and_then(|seat| seat.vacate(id)) else { return };
        let deadly = taking && self.died_of_taking(&worker, claimed);
        let unbegun = worker.revoke(if deadly { worker.done + 1 } else { claimed });
        if worker.stage == Stage::Ready && worker.ahead() == 0 {
            self.died_at_rest(now, id, worker.worked || !unbegun.is_empty());
        }
        let (stopped, alone) = (worker.stop.map(|stop| stop.cause), worker.alone);
        let ending = stopped.map_or(if deadly { Ending::Deadly } else { Ending::Lost }, Ending::Stopped);
        for span in worker.finish(u32::MAX) {
            self.lost(now, span, id, ending, out);
        }
        self.requeue(unbegun, alone, out);
    }

    fn deadline_passed(&mut self, now: Time, out: &mut Vec<Action>) {
        for worker in self.seats.all_mut() {
            match &mut worker.stage {
                // It stays what it is: its death will be a start that failed.
                Stage::Starting { until } if until.is_some_and(|until| until <= now) => *until = None,
                Stage::Retiring { until } if until.is_some_and(|until| until <= now) => worker.stage = Stage::Doomed,
                _ => continue,
            }
            out.push(Action::Kill(worker.id));
        }
        self.enforce_limits(now, out);
        self.retries_due(now);
        self.unstall(now, out);
        self.dismiss_idle(now, out);
    }

    // What follows from it.

    fn settle(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Finished | Phase::Broken) {
            return;
        }
        self.renew(now, out);
        self.fill_post(now, out);
        self.start_workers(now, out);
        if let Some(why) = self.breakdown() {
            self.give_up(Some(why), out);
            return;
        }
        self.dispatch_alone(now, out);
        self.dispatch(now, out);
        self.rouse_for_waiting(now);
        // Once more: for tasks that found nobody, and successors of those that have just got their last one.
        self.start_workers(now, out);
        if self.phase == Phase::Closed && self.jobs.is_empty() && self.seats.all().next().is_none() {
            self.phase = Phase::Finished;
            self.expiries.clear();
            out.push(Action::Finish);
        }
    }

    pub(super) fn complete(&mut self, span: Span, worker: Option<WorkerId>, ending: Ending, out: &mut Vec<Action>) {
        self.retries.forget(span);
        self.forget_expiry(span);
        if let Some(job) = self.jobs.get_mut(&span.job) {
            job.pending -= u64::from(span.count);
            self.forget_if_over(span.job);
        }
        out.push(Action::Complete { span, worker, ending });
    }

    /// A limit on the waiting of tasks that have all ended is none.
    fn forget_expiry(&mut self, span: Span) {
        let Some((until, left)) = self.expiring.get_mut(&span.chunk) else { return };
        *left -= span.count;
        if *left == 0 {
            self.expiries.remove(&(*until, span.chunk));
            self.expiring.remove(&span.chunk);
        }
    }

    fn forget_if_over(&mut self, id: JobId) {
        if self.jobs.get(&id).is_some_and(|job| job.pending == 0 && !job.feeding) {
            self.jobs.remove(&id);
        }
    }
}

/// Cuts a span into pieces of at most `most` tasks; the last piece comes first.
fn in_pieces(mut span: Span, most: u32) -> Vec<Span> {
    let mut pieces = Vec::new();
    while span.count > most {
        pieces.push(span.split_off_front(most));
    }
    pieces.push(span);
    pieces.reverse();
    pieces
}
