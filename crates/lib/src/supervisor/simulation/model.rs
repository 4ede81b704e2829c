//! The reference: what is known of every task and worker, without any cleverness, and which actions fit that.

use std::collections::{BTreeSet, VecDeque};

use super::limits::Stop;
use super::ranks::Ranks;
use super::world::TaskId;
use crate::supervisor::event::{ChunkId, Ending, Failure, JobId, JobTerms, Span, Time, WorkerId};
use crate::supervisor::state::Settings;
use crate::wire::claim::{Claim, POSITIONS};

/// Where a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Waiting,
    With(WorkerId),
    Completed,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Task {
    pub(super) place: Place,
    /// A worker has begun it.
    pub(super) claimed: bool,
    /// It has a result.
    pub(super) published: bool,
    /// How its result says that it failed.
    pub(super) failure: Option<Failure>,
    /// It is counted as one that waits with its priority.
    pub(super) ranked: bool,
    /// How many attempts have failed.
    pub(super) failed: u32,
    /// It has killed a worker.
    pub(super) alone: bool,
    /// It kills whoever takes it in, before it is begun.
    pub(super) poisonous: bool,
    /// How many workers have died while they took it in.
    pub(super) deaths: u32,
    /// They were too many, and the last is being judged.
    pub(super) deadly: bool,
    /// When the next attempt may come at the earliest, and the wait be over at the latest.
    pub(super) due: [Time; 2],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) terms: JobTerms,
    pub(super) feeding: bool,
    pub(super) cancelled: bool,
    /// What runs shall end.
    pub(super) stopped: bool,
}

/// A worker that was asked for and is not buried.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: WorkerId,
    pub(super) ready: bool,
    pub(super) started: Time,
    /// When it was told to leave.
    pub(super) leaving: Option<Time>,
    pub(super) doomed: bool,
    /// What it was sent and has neither ended nor been taken back, in order.
    pub(super) inflight: VecDeque<TaskId>,
    /// How many tasks it was given in its life, without those taken back.
    pub(super) given: u32,
    /// Since when it has had nothing to do, if that is so.
    pub(super) rested: Time,
    /// When the first task in flight began, as far as the supervisor can know.
    pub(super) began: Time,
    pub(super) stop: Option<Stop>,
}

impl Known {
    /// Whether it may be sent tasks.
    pub(super) fn is_usable(&self) -> bool {
        self.ready && self.leaving.is_none() && !self.doomed
    }
}

/// What the supervisor is reading or judging, while it completes the tasks that follow from that.
#[derive(Debug, Default)]
pub(super) enum Context {
    #[default]
    Nothing,
    Results(WorkerId, VecDeque<TaskId>),
    /// A death, and how many tasks were lost by it.
    Death(WorkerId, u32),
}

/// Whether there is a guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guardian {
    /// One of its workers has got ready, or none.
    Serves {
        proven: bool,
    },
    Starting,
    Gone,
}

/// The reference.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) chunks: Vec<(JobId, Vec<Task>)>,
    /// When the tasks of each chunk have waited for too long.
    pub(super) expiries: Vec<Option<Time>>,
    pub(super) jobs: Vec<Job>,
    pub(super) workers: Vec<Known>,
    pub(super) generations: Vec<u32>,
    /// Places without a worker, as there was nothing to do.
    pub(super) dormant: BTreeSet<u32>,
    /// Places whose workers have just left, and may have been idle for too long.
    pub(super) dismissed: Vec<u32>,
    /// Whose starts have failed.
    pub(super) refused: Vec<WorkerId>,
    pub(super) now: Time,
    pub(super) waiting: u64,
    /// How many of them wait to be tried again.
    pub(super) resting: u64,
    pub(super) ranks: Ranks,
    /// How many workers may still be replaced for tasks that are to run alone.
    pub(super) fresh_wanted: u32,
    /// When that may become one more.
    pub(super) room_due: Time,
    /// The stop of the worker whose death is judged.
    pub(super) dying: Option<(WorkerId, Stop)>,
    pub(super) uncompleted: u64,
    /// Starts that failed since one succeeded.
    pub(super) failures: u32,
    /// When processes ended with no task to blame, since a task was done.
    pub(super) restarts: Vec<Time>,
    /// They did so too often.
    pub(super) unstable: bool,
    pub(super) closed: bool,
    pub(super) terminated: bool,
    pub(super) guardian_lost: bool,
    pub(super) guardian: Guardian,
    pub(super) broken: bool,
    pub(super) finished: bool,
    pub(super) context: Context,
    /// The first thing that was wrong.
    pub(super) violation: Option<String>,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            generations: vec![0; super::schedule::MOST_WORKERS as usize],
            dormant: BTreeSet::new(),
            dismissed: Vec::new(),
            refused: Vec::new(),
            settings,
            chunks: Vec::new(),
            expiries: Vec::new(),
            jobs: Vec::new(),
            workers: Vec::new(),
            now: Time::ZERO,
            waiting: 0,
            resting: 0,
            ranks: Ranks::default(),
            fresh_wanted: 0,
            room_due: Time::ZERO,
            dying: None,
            uncompleted: 0,
            failures: 0,
            restarts: Vec::new(),
            unstable: false,
            closed: false,
            terminated: false,
            guardian_lost: false,
            guardian: Guardian::Serves { proven: false },
            broken: false,
            finished: false,
            context: Context::Nothing,
            violation: None,
        }
    }

    pub(super) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    /// Whether the pool was ended, by whatever.
    pub(super) fn given_up(&self) -> bool {
        self.terminated || self.guardian_lost || self.broken
    }

    /// Whether a closed pool has nothing left to do.
    pub(super) fn over(&self) -> bool {
        self.closed && self.uncompleted == 0 && !self.jobs.iter().any(|job| job.feeding)
    }

    pub(super) fn job_of(&self, id: TaskId) -> Job {
        self.jobs[self.chunks[id.0.0 as usize].0.0 as usize]
    }

    pub(super) fn task(&mut self, id: TaskId) -> &mut Task {
        &mut self.chunks[id.0.0 as usize].1[id.1 as usize]
    }

    pub(super) fn worker(&mut self, id: WorkerId) -> Option<&mut Known> {
        self.workers.iter_mut().find(|worker| worker.id == id)
    }

    // What happens in the world.

    pub(super) fn job_appears(&mut self, terms: JobTerms, feeding: bool) -> JobId {
        self.jobs.push(Job { terms, feeding, cancelled: false, stopped: false });
        JobId(self.jobs.len() as u32 - 1)
    }

    pub(super) fn submit(&mut self, job: JobId, count: u32) -> Span {
        let chunk = ChunkId(self.chunks.len() as u64);
        self.chunks.push((job, vec![Task::default(); count as usize]));
        let limit = self.jobs[job.0 as usize].terms.queue_timeout;
        self.expiries.push(limit.and_then(|limit| self.now.checked_add(limit)));
        self.waiting += u64::from(count);
        self.uncompleted += u64::from(count);
        let priority = self.jobs[job.0 as usize].terms.priority;
        (0..count).for_each(|first| self.rank((chunk, first)));
        Span { chunk, job, first: 0, count, priority }
    }

    pub(super) fn cancel(&mut self, job: JobId) {
        self.jobs[job.0 as usize].cancelled = true;
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn terminate(&mut self) {
        self.terminated = true;
    }

    pub(super) fn lose_guardian(&mut self) {
        self.guardian_lost = true;
    }

    /// A worker has begun a task.
    pub(super) fn claimed(&mut self, worker: WorkerId, id: TaskId) {
        let task = *self.task(id);
        self.require(!task.claimed, || format!("{id:?} runs twice, now in {worker:?}"));
        self.require(task.place == Place::With(worker), || format!("{worker:?} runs {id:?}, which is {task:?}"));
        self.task(id).claimed = true;
    }

    pub(super) fn published(&mut self, id: TaskId, failure: Option<Failure>) {
        self.task(id).published = true;
        self.task(id).failure = failure;
    }

    // What the supervisor is told.

    pub(super) fn wait_again(&mut self, tasks: &[TaskId]) {
        for id in tasks {
            self.task(*id).place = Place::Waiting;
            let task = *self.task(*id);
            self.resting += u64::from(task.failed > 0);
            self.fresh_wanted += u32::from(task.alone);
        }
        self.ranks.returned.extend(tasks);
        self.waiting += tasks.len() as u64;
    }

    // What the supervisor does.

    /// `claim` is the word before it is raised.
    pub(super) fn send(&mut self, id: WorkerId, span: Span, place: (u16, u32), claim: Claim) {
        let at_end = place == (claim.epoch, claim.limit) && claim.limit + span.count < POSITIONS;
        self.require(at_end, || format!("{id:?} is sent {span:?} at {place:?}, its word is {claim:?}"));
        let job = self.jobs[span.job.0 as usize];
        let most = job.terms.chunksize.unwrap_or(8192);
        self.require(span.count > 0 && span.count <= most, || format!("{span:?} exceeds a chunk size of {most}"));
        self.require(!job.cancelled, || format!("{span:?} is sent after its job was cancelled"));
        self.check_rank(span);
        for task in (span.first..span.first + span.count).map(|first| (span.chunk, first)) {
            let known = *self.task(task);
            self.require(known.place == Place::Waiting, || format!("{id:?} is sent {task:?}, which is {known:?}"));
            self.check_retry(id, task);
            self.unrank(task);
            self.resting = self.resting.saturating_sub(u64::from(known.failed > 0));
            self.task(task).place = Place::With(id);
        }
        self.waiting = self.waiting.saturating_sub(span.count.into());
        let (most, now) = (self.settings.max_tasks.unwrap_or(u32::MAX), self.now);
        let Some(worker) = self.worker(id) else { return self.require(false, || format!("{id:?} is not known")) };
        let asked = worker.stop.is_some_and(|stop| !stop.over);
        if worker.inflight.is_empty() {
            worker.began = now;
        }
        worker.inflight.extend((span.first..span.first + span.count).map(|first| (span.chunk, first)));
        worker.given += span.count;
        let (given, fit) = (worker.given, worker.ready && worker.leaving.is_none() && !worker.doomed);
        self.require(fit, || format!("{id:?} is sent {span:?}, but it is not ready or leaves"));
        let wanted = id.slot < self.settings.workers;
        self.require(wanted, || format!("{id:?} is sent {span:?}, but its place was given up"));
        self.require(!asked, || format!("{id:?} is sent {span:?} behind a task that is to end"));
        self.require(given <= most, || format!("{id:?} is given {given} tasks in its life, of {most}"));
    }

    /// A worker was told to stop at its first unclaimed task.
    pub(super) fn take_back(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.worker(id) else { return self.require(false, || format!("{id:?} is not known")) };
        let inflight = std::mem::take(&mut worker.inflight);
        let (begun, unbegun): (Vec<_>, Vec<_>) = inflight.into_iter().partition(|task| self.task(*task).claimed);
        if let Some(worker) = self.worker(id) {
            worker.inflight = begun.into();
            worker.given -= unbegun.len() as u32;
            worker.rested = now;
        }
        self.wait_again(&unbegun);
    }

    pub(super) fn begin_epoch(&mut self, id: WorkerId, epoch: u16, claim: Claim) {
        let rests = self.worker(id).is_some_and(|worker| worker.inflight.is_empty());
        self.require(rests, || format!("{id:?} begins an epoch while it has tasks"));
        self.require(claim.next == claim.limit || claim.limit == 0, || {
            format!("{id:?} begins an epoch while {claim:?} can be claimed")
        });
        self.require(epoch == claim.epoch.wrapping_add(1), || format!("{id:?} begins {epoch} after {claim:?}"));
    }

    pub(super) fn complete(&mut self, span: Span, worker: Option<WorkerId>, ending: Ending) {
        let job = self.chunks[span.chunk.0 as usize].0;
        self.require(job == span.job && span.count > 0, || format!("{span:?} is of {job:?}"));
        for id in (span.first..span.first + span.count).map(|first| (span.chunk, first)) {
            self.complete_one(id, job, worker, ending);
        }
    }

    fn complete_one(&mut self, id: TaskId, job: JobId, worker: Option<WorkerId>, ending: Ending) {
        let task = *self.task(id);
        self.require(task.place != Place::Completed, || format!("{id:?} is completed twice, now {ending:?}"));
        if task.place == Place::Completed {
            return;
        }
        let again = self.may_retry(id, ending);
        self.require(!again, || format!("{id:?} ends as {ending:?} with attempts left: {task:?}"));
        let fits = self.fits(id, job, worker, ending);
        let context = &self.context;
        let text = (!fits).then(|| format!("{id:?} ends as {ending:?} of {worker:?}: {task:?}, {context:?}"));
        self.require(fits, || text.unwrap_or_default());
        self.leave(id);
        self.task(id).place = Place::Completed;
        self.uncompleted -= 1;
    }

    /// A task is not any more where it was.
    pub(super) fn leave(&mut self, id: TaskId) {
        let task = *self.task(id);
        self.unrank(id);
        self.waiting -= u64::from(task.place == Place::Waiting);
        self.resting -= u64::from(task.place == Place::Waiting && task.failed > 0);
        if let Place::With(holder) = task.place
            && let Some(holder) = self.worker(holder)
        {
            let place = holder.inflight.iter().position(|held| *held == id);
            place.and_then(|place| holder.inflight.remove(place));
            // A signal may still hit it, so it does no more.
            holder.doomed |= holder.stop.is_some_and(|stop| stop.ends_its_worker(id));
        }
    }

    /// Whether an attempt can have ended like this.
    pub(super) fn fits(&mut self, id: TaskId, job: JobId, worker: Option<WorkerId>, ending: Ending) -> bool {
        let task = *self.task(id);
        match ending {
            Ending::Delivered => self.has_result(id, worker) && !self.is_stopped(id, worker, None),
            Ending::Late(cause) => self.has_result(id, worker) && self.is_stopped(id, worker, Some(cause)),
            Ending::Lost => {
                let innocent = self.is_stopped(id, worker, None);
                task.claimed && !task.published && self.counts_as_lost(worker) && !innocent
            }
            Ending::Deadly => task.deadly && self.counts_as_lost(worker) && !self.is_stopped(id, worker, None),
            Ending::Stopped(cause) => {
                let stopped = self.is_stopped(id, worker, Some(cause));
                task.claimed && !task.published && self.counts_as_lost(worker) && stopped
            }
            Ending::Expired => self.may_expire(id),
            Ending::Cancelled => {
                (self.jobs[job.0 as usize].cancelled && !task.claimed) || self.terminated || self.finished
            }
            Ending::Broken => self.broken,
        }
    }

    /// Whether the next result that was read is this task's.
    fn has_result(&mut self, id: TaskId, by: Option<WorkerId>) -> bool {
        match &mut self.context {
            Context::Results(worker, results) => by == Some(*worker) && results.pop_front() == Some(id),
            Context::Nothing | Context::Death(..) => false,
        }
    }

    /// Whether this is the one task that the death being judged may cost.
    fn counts_as_lost(&mut self, by: Option<WorkerId>) -> bool {
        match &mut self.context {
            Context::Death(worker, lost) => {
                *lost += 1;
                by == Some(*worker) && *lost == 1
            }
            Context::Nothing | Context::Results(..) => false,
        }
    }

    pub(super) fn finish(&mut self) {
        let (uncompleted, workers) = (self.uncompleted, self.workers.len());
        let done = uncompleted == 0 && (self.given_up() || (self.over() && workers == 0));
        self.require(done, || format!("the pool finishes with {uncompleted} tasks and {workers} workers"));
        self.require(!self.finished, || "the pool finishes twice".to_owned());
        self.finished = true;
    }
}
