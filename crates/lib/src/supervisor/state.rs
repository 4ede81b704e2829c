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

use super::event::{Action, Cause, ChunkId, Ending, Event, JobId, JobTerms, Span, Time, WorkerId};
use super::policy::Pace;
use super::queue::Queue;
use super::retries::Retries;
use super::seat::{Seat, Stage, Worker};
use super::stops::recall;
use super::succession::Post;
use crate::wire::claim::POSITIONS;

/// When so many starts have failed without a success between them, and no worker is left, the pool is broken.
const MOST_FAILURES: u32 = 3;

/// The first wait after a failed start; it doubles with each further one, up to the second value.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// How long a worker that was told to leave may take.
const RETIREMENT: Duration = Duration::from_secs(1);

/// A worker that got nowhere for so long gives what it has not begun to idle ones.
const STALL: Duration = Duration::from_millis(2);

/// What does not change in a pool's life.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) workers: u32,
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
    pub(super) seats: Vec<Seat>,
    pub(super) queue: Queue,
    pub(super) retries: Retries,
    pub(super) jobs: HashMap<JobId, Job>,
    /// When the tasks of a chunk will have waited for too long.
    pub(super) expiries: BTreeSet<(Time, ChunkId)>,
    paces: HashMap<u64, Pace>,
    /// Starts that failed since the last success.
    pub(super) failures: u32,
    /// Starts that were postponed since the last success.
    pub(super) shortages: u32,
    pub(super) post: Post,
}

impl State {
    /// A pool without any worker yet; the first `DeadlinePassed` starts them.
    pub(crate) fn new(settings: Settings) -> Self {
        let seat = || Seat { generation: 0, worker: None, retry_at: Time::ZERO };
        let seats = (0..settings.workers).map(|_| seat()).collect();
        Self {
            settings,
            phase: Phase::Running,
            seats,
            queue: Queue::default(),
            retries: Retries::default(),
            jobs: HashMap::new(),
            expiries: BTreeSet::new(),
            paces: HashMap::new(),
            failures: 0,
            shortages: 0,
            post: Post::Filled { proven: false },
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
            Event::Closed => self.closed(),
            Event::Terminated => self.give_up(Phase::Finished, Ending::Cancelled, out),
            Event::GuardianLost => self.give_up(Phase::Broken, Ending::Broken, out),
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
            Event::WorkerExited { worker, claimed } => self.worker_exited(now, worker, claimed, out),
            Event::DeadlinePassed => self.deadline_passed(now, out),
        }
        self.settle(now, out);
    }

    /// When `DeadlinePassed` has to come, if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let seats = self.seats.iter().filter_map(|seat| match &seat.worker {
            None => self.can_start_workers().then_some(seat.retry_at),
            Some(Worker { stage: Stage::Starting { until } | Stage::Retiring { until }, .. }) => *until,
            Some(_) => None,
        });
        let limits = self.workers().filter_map(|worker| self.next_limit(worker));
        let waits = [self.retries.next(), self.expiries.first().map(|(at, _)| *at), self.next_guardian()];
        seats
            .chain(self.stalled().map(|worker| worker.moved + STALL))
            .chain(limits)
            .chain(waits.into_iter().flatten())
            .min()
    }

    /// Whether a worker could take more tasks than the queue has.
    pub(crate) fn hungry(&self) -> bool {
        let takes_more = |worker: &Worker| worker.accepts() && self.pace_of(worker).takes_more(worker.ahead());
        self.queue.tasks() == 0 && self.workers().any(takes_more)
    }

    /// Whether results may lie in a ring without an announcement.
    pub(crate) fn collects(&self) -> bool {
        // A single task needs none: a worker that comes to rest announces it.
        self.workers().any(|worker| worker.ahead() > 1 && worker.silent)
    }

    /// How far an input may be ahead of its reader, for a function.
    pub(crate) fn look_ahead(&self, function: u64) -> u32 {
        self.paces.get(&function).copied().unwrap_or_default().look_ahead(self.settings.workers)
    }

    /// Whether a job is not over, or a worker not where it should be.
    pub(crate) fn has_work(&self) -> bool {
        !self.jobs.is_empty() || self.ready_workers() < self.seats.len() || self.next_deadline().is_some()
    }

    /// Whether all workers are there, ready or nearly so.
    pub(super) fn is_whole(&self) -> bool {
        self.seats.iter().all(|seat| seat.worker.is_some())
    }

    /// The jobs that are not over, the oldest first.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        jobs.sort_unstable();
        jobs
    }

    /// The first task that this worker was sent and has not ended, if it is no further than before `claimed`.
    pub(super) fn begun(&self, id: WorkerId, claimed: u32) -> Option<Span> {
        let worker = self.seats.get(id.slot as usize)?.worker.as_ref()?;
        (worker.id == id && worker.done < claimed).then(|| worker.current()).flatten()
    }

    /// How many workers are ready.
    pub(crate) fn ready_workers(&self) -> usize {
        self.workers().filter(|worker| worker.stage == Stage::Ready).count()
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.seats.iter().filter_map(|seat| seat.worker.as_ref())
    }

    pub(super) fn worker(&mut self, id: WorkerId) -> Option<&mut Worker> {
        let worker = self.seats.get_mut(id.slot as usize)?.worker.as_mut()?;
        (worker.id == id).then_some(worker)
    }

    /// The tasks of which a worker has begun the first, or will begin it next.
    pub(super) fn current(&self, id: WorkerId) -> Option<Span> {
        self.seats.get(id.slot as usize)?.worker.as_ref().filter(|worker| worker.id == id)?.current()
    }

    /// The pace of what the worker has in flight, or would get next.
    fn pace_of(&self, worker: &Worker) -> Pace {
        let job = worker.last_job().or_else(|| self.queue.front_job());
        job.map(|job| self.pace(job)).unwrap_or_default()
    }

    fn pace(&self, job: JobId) -> Pace {
        let function = self.jobs.get(&job).map(|job| job.terms.function);
        function.and_then(|function| self.paces.get(&function)).copied().unwrap_or_default()
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
        for holder in self.seats.iter_mut().filter_map(|seat| seat.worker.as_mut()).filter(|worker| worker.has(id)) {
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

    /// Ends everything that is not completed, and the gang.
    fn give_up(&mut self, phase: Phase, ending: Ending, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Finished | Phase::Broken) {
            return;
        }
        self.phase = phase;
        self.expiries.clear();
        // What is completed now must not begin in the moment before its worker is killed.
        let ready = self.workers().filter(|worker| worker.stage == Stage::Ready && !worker.recalled);
        out.extend(ready.map(|worker| Action::TakeBack(worker.id)));
        let mut workers: Vec<Worker> = self.seats.iter_mut().filter_map(|seat| seat.worker.take()).collect();
        for worker in &mut workers {
            for span in worker.finish(u32::MAX) {
                self.complete(span, Some(worker.id), ending, out);
            }
        }
        let mut waiting = self.queue.drain();
        waiting.extend(self.retries.remove(|_| true));
        for span in waiting {
            self.complete(span, None, ending, out);
        }
        if phase == Phase::Broken {
            out.push(Action::Break);
        }
        out.push(Action::Finish);
    }

    fn worker_ready(&mut self, now: Time, id: WorkerId) {
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
        let seat = &mut self.seats[id.slot as usize];
        seat.worker = None;
        seat.retry_at = now + backoff(self.failures);
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
        self.waits_anew(now, id);
        ended
    }

    pub(super) fn learn(&mut self, job: JobId, count: u32, nanos: u64) {
        if let Some(job) = self.jobs.get(&job) {
            self.paces.entry(job.terms.function).or_default().learn(count, nanos);
        }
    }

    fn taken_back(&mut self, now: Time, id: WorkerId, limit: u32, out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id) else { return };
        worker.moved = now;
        worker.recalled = false;
        let revoked = worker.revoke(limit);
        worker.begun = revoked.is_empty();
        worker.draining |= !revoked.is_empty();
        let alone = worker.alone && worker.ahead() == 0;
        worker.alone &= !alone;
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

    fn worker_exited(&mut self, now: Time, id: WorkerId, claimed: u32, out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id) else { return };
        if matches!(worker.stage, Stage::Starting { .. }) {
            self.start_failed(now, id);
            return;
        }
        let seat = &mut self.seats[id.slot as usize];
        let Some(mut worker) = seat.worker.take() else { return };
        if !worker.worked && worker.ahead() == 0 {
            // It died of itself: a replacement may do the same, and must not do so as fast as processes start.
            seat.retry_at = now + BACKOFF[0];
        }
        let unbegun = worker.revoke(claimed);
        let (stopped, alone) = (worker.stop.map(|stop| stop.cause), worker.alone);
        for span in worker.finish(u32::MAX) {
            self.lost(now, span, id, stopped, out);
        }
        self.requeue(unbegun, alone, out);
    }

    fn deadline_passed(&mut self, now: Time, out: &mut Vec<Action>) {
        for worker in self.seats.iter_mut().filter_map(|seat| seat.worker.as_mut()) {
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
        if let Some(worker) = self.stalled().filter(|worker| worker.moved + STALL <= now) {
            let id = worker.id;
            out.push(Action::TakeBackGently(id));
            if let Some(worker) = self.worker(id) {
                worker.recalled = true;
            }
        }
    }

    /// A worker whose waiting tasks an idle one could run: the one that got nowhere for longest.
    fn stalled(&self) -> Option<&Worker> {
        let idle = self.queue.tasks() == 0 && self.workers().any(|worker| worker.idle() && worker.accepts());
        if !idle {
            return None;
        }
        let behind = |worker: &&Worker| {
            // A single task has most likely begun, and whether it has need be asked only once.
            let waiting = worker.ahead() > 1 || (worker.ahead() == 1 && !worker.begun);
            worker.stage == Stage::Ready && !worker.draining && !worker.recalled && waiting
        };
        self.workers().filter(behind).min_by_key(|worker| worker.moved)
    }

    // What follows from it.

    fn settle(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Finished | Phase::Broken) {
            return;
        }
        self.renew(now, out);
        self.fill_post(now, out);
        self.start_workers(now, out);
        let hopeful = |worker: &Worker| matches!(worker.stage, Stage::Starting { .. } | Stage::Ready);
        let hope = self.post == Post::Starting || self.workers().any(hopeful);
        if self.failures >= MOST_FAILURES && self.wants_workers() && !hope {
            self.give_up(Phase::Broken, Ending::Broken, out);
            return;
        }
        self.dispatch_alone(now, out);
        self.dispatch(now, out);
        if self.phase == Phase::Closed && self.jobs.is_empty() && self.workers().next().is_none() {
            self.phase = Phase::Finished;
            self.expiries.clear();
            out.push(Action::Finish);
        }
    }

    /// Begins epochs and ends lives, where a worker has come to rest.
    fn renew(&mut self, now: Time, out: &mut Vec<Action>) {
        let over = self.phase == Phase::Closed && self.jobs.is_empty();
        for worker in self.seats.iter_mut().filter_map(|seat| seat.worker.as_mut()) {
            if over && matches!(worker.stage, Stage::Starting { .. }) {
                worker.stage = Stage::Doomed;
                out.push(Action::Kill(worker.id));
            }
            if !worker.idle() {
                continue;
            }
            if worker.allowance == 0 || worker.spent || over {
                worker.stage = Stage::Retiring { until: Some(now + RETIREMENT) };
                out.push(Action::Retire(worker.id));
            } else if worker.draining || worker.sent > POSITIONS / 2 {
                worker.epoch = worker.epoch.wrapping_add(1);
                (worker.sent, worker.done, worker.draining) = (0, 0, false);
                out.push(Action::BeginEpoch { worker: worker.id, epoch: worker.epoch });
            }
        }
    }

    pub(super) fn wants_workers(&self) -> bool {
        self.phase == Phase::Running || (self.phase == Phase::Closed && !self.jobs.is_empty())
    }

    fn can_start_workers(&self) -> bool {
        self.wants_workers() && matches!(self.post, Post::Filled { .. })
    }

    fn start_workers(&mut self, now: Time, out: &mut Vec<Action>) {
        if !self.can_start_workers() {
            return;
        }
        let settings = &self.settings;
        for (slot, seat) in self.seats.iter_mut().enumerate() {
            if seat.worker.is_none() && seat.retry_at <= now {
                seat.generation += 1;
                let id = WorkerId { slot: slot as u32, generation: seat.generation };
                seat.worker =
                    Some(Worker::new(id, allowance(settings, id), now, now.saturating_add(settings.start_timeout)));
                out.push(Action::Start(id));
            }
        }
    }

    fn dispatch(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(job) = self.queue.front_job() {
            let pace = self.pace(job);
            let chunksize = self.jobs.get(&job).and_then(|job| job.terms.chunksize);
            let most = chunksize.unwrap_or_else(|| pace.batch(self.queue.tasks(), self.settings.workers));
            let takes = |worker: &&Worker| {
                worker.accepts()
                    && match chunksize {
                        Some(size) => worker.ahead() < size.saturating_mul(2) && pace.takes_more(worker.ahead().min(1)),
                        None => pace.takes_more(worker.ahead()),
                    }
            };
            let Some(slot) = self.workers().filter(takes).min_by_key(|worker| worker.ahead()).map(|w| w.id.slot) else {
                return;
            };
            let Some(worker) = self.seats[slot as usize].worker.as_mut() else { return };
            let most = most.min(worker.allowance).min(POSITIONS / 4);
            let Some(span) = self.queue.pop(most) else { return };
            let eager = pace.eager();
            let position = worker.give(span, eager, now);
            out.push(Action::Send { worker: worker.id, span, epoch: worker.epoch, position, eager });
        }
    }

    pub(super) fn complete(&mut self, span: Span, worker: Option<WorkerId>, ending: Ending, out: &mut Vec<Action>) {
        self.retries.forget(span);
        if let Some(job) = self.jobs.get_mut(&span.job) {
            job.pending -= u64::from(span.count);
            self.forget_if_over(span.job);
        }
        out.push(Action::Complete { span, worker, ending });
    }

    fn forget_if_over(&mut self, id: JobId) {
        if self.jobs.get(&id).is_some_and(|job| job.pending == 0 && !job.feeding) {
            self.jobs.remove(&id);
        }
    }
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
