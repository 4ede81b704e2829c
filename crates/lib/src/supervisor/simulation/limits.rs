//! The reference for what has limits: which stops, retries and expiries fit what is known.

use super::model::{Context, Guardian, Known, Model, Place, Task};
use super::world::TaskId;
use crate::supervisor::event::{Cause, Ending, Failure, JobId, Span, Time, WorkerId};
use crate::supervisor::retries::SLOW_TO_LEAVE;

/// The stopping of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    task: TaskId,
    asked: Time,
    /// Which reasons there were.
    unwanted: bool,
    late: bool,
    /// It does not look whether it is to end.
    deaf: bool,
    terminated: bool,
    killed: bool,
    /// It ended by itself, and its worker goes on.
    pub(super) over: bool,
}

impl Stop {
    /// Whether a signal was sent while this task ran.
    pub(super) fn ends_its_worker(&self, task: TaskId) -> bool {
        self.task == task && (self.terminated || self.killed)
    }

    fn fits(&self, cause: Cause) -> bool {
        match cause {
            Cause::Timeout => self.late,
            Cause::Cancelled => self.unwanted,
            Cause::Memory => false,
        }
    }
}

impl Model {
    /// Whether the limit of what a worker has first is over, by what the supervisor can know: it began when it was sent
    /// to a worker at rest, or when the result before it was read.
    fn late(&self, worker: &Known) -> bool {
        let timeout = worker.inflight.front().and_then(|task| self.job_of(*task).terms.timeout);
        timeout.and_then(|limit| worker.began.checked_add(limit)).is_some_and(|at| at <= self.now)
    }

    fn stop_of(&mut self, id: WorkerId) -> Option<&mut Stop> {
        self.worker(id)?.stop.as_mut()
    }

    pub(super) fn ask(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.iter().find(|worker| worker.id == id) else {
            return self.require(false, || format!("{id:?} is asked, and not known"));
        };
        let Some(&task) = worker.inflight.front() else {
            return self.require(false, || format!("{id:?} is asked to end nothing"));
        };
        let (late, again) = (self.late(worker), worker.doomed || worker.stop.is_some_and(|stop| !stop.over));
        let unwanted = self.job_of(task).stopped;
        let stop =
            Stop { task, asked: self.now, unwanted, late, deaf: false, terminated: false, killed: false, over: false };
        let claimed = self.task(task).claimed;
        self.require(claimed, || format!("{id:?} is asked to end {task:?}, which it has not begun"));
        self.require(late || unwanted, || format!("{id:?} is asked to end {task:?} without need"));
        self.require(!again, || format!("{id:?} is asked to end {task:?} twice"));
        if let Some(worker) = self.worker(id) {
            worker.stop = Some(stop);
        }
    }

    pub(super) fn answered(&mut self, id: WorkerId, listens: bool) {
        if let Some(stop) = self.stop_of(id) {
            stop.deaf = !listens;
        }
    }

    pub(super) fn unask(&mut self, id: WorkerId) {
        let only_asked = self.stop_of(id).is_some_and(|stop| {
            let before = std::mem::replace(&mut stop.over, true);
            !before && !stop.terminated && !stop.killed
        });
        self.require(only_asked, || format!("{id:?} is not asked any more, and never was, or was sent a signal"));
    }

    pub(super) fn terminate_worker(&mut self, id: WorkerId) {
        let (now, grace) = (self.now, self.settings.grace);
        let Some(stop) = self.stop_of(id) else {
            return self.require(false, || format!("{id:?} is sent SIGTERM without being asked"));
        };
        let due = stop.deaf || now >= stop.asked + grace / 2;
        let again = std::mem::replace(&mut stop.terminated, true) || stop.killed;
        self.require(due && !again, || format!("{id:?} is sent SIGTERM before its time, or twice"));
    }

    /// Whether a worker may be killed for what it runs; it is doomed only when that has ended.
    pub(super) fn kills_for_stop(&mut self, id: WorkerId) -> bool {
        let (now, grace) = (self.now, self.settings.grace);
        let reads = matches!(&self.context, Context::Results(worker, _) if *worker == id);
        let Some(stop) = self.stop_of(id).filter(|stop| !stop.killed) else { return false };
        let ended = reads && stop.terminated;
        stop.killed = now >= stop.asked + grace || ended;
        stop.killed
    }

    /// A result was read: what comes next in this worker begins now, as far as anybody knows.
    pub(super) fn read(&mut self, id: WorkerId) {
        let now = self.now;
        self.restarts.clear();
        if let Some(worker) = self.worker(id) {
            worker.began = now;
            worker.rested = now;
        }
    }

    /// Whether a task is being stopped, and for this cause; no cause stands for any.
    pub(super) fn is_stopped(&self, id: TaskId, by: Option<WorkerId>, cause: Option<Cause>) -> bool {
        let stop = self.dying.filter(|(worker, _)| Some(*worker) == by).map(|(_, stop)| stop);
        let alive = self.workers.iter().find(|worker| Some(worker.id) == by).and_then(|worker| worker.stop);
        stop.or(alive).is_some_and(|stop| stop.task == id && cause.is_none_or(|cause| stop.fits(cause)))
    }

    /// Forgets the stops of tasks that have ended.
    pub(super) fn end_stops(&mut self) {
        for worker in &mut self.workers {
            if worker.stop.is_some_and(|stop| !worker.inflight.contains(&stop.task)) {
                worker.stop = None;
            }
        }
        self.dying = None;
    }

    // Retries.

    fn failure(&self, id: TaskId, ending: Ending) -> Failure {
        match ending {
            Ending::Delivered => self.chunks[id.0.0 as usize].1[id.1 as usize].failure.unwrap_or(Failure::Other),
            Ending::Lost | Ending::Deadly => Failure::Crash,
            Ending::Stopped(Cause::Timeout) | Ending::Late(Cause::Timeout) => Failure::Timeout,
            _ => Failure::Other,
        }
    }

    /// Whether the terms give this task another attempt.
    pub(super) fn may_retry(&self, id: TaskId, ending: Ending) -> bool {
        let (job, task) = (self.job_of(id), self.chunks[id.0.0 as usize].1[id.1 as usize]);
        // A value is none the worse for a second attempt: it came too late, and that is said.
        let value = matches!(ending, Ending::Late(_)) && task.failure.is_none();
        let terms = job.terms.retry.filter(|_| !job.cancelled && !value);
        terms.is_some_and(|terms| terms.on.contains(self.failure(id, ending)) && task.failed + 1 < terms.attempts)
    }

    pub(super) fn retry(&mut self, span: Span, worker: WorkerId, ending: Ending) {
        let id = (span.chunk, span.first);
        let allowed = span.count == 1 && self.may_retry(id, ending);
        self.require(allowed, || format!("{span:?} is tried again after {ending:?}"));
        let task = *self.task(id);
        let fits = self.fits(id, span.job, Some(worker), ending);
        self.require(fits, || format!("{id:?} is tried again after {ending:?} of {worker:?}, but is {task:?}"));
        self.leave(id);
        let Some(terms) = self.job_of(id).terms.retry else { return };
        let wait = terms.backoff[0].saturating_mul(1 << task.failed).min(terms.backoff[1]);
        let least = wait.mul_f64(1.0 - f64::from(terms.jitter) / 1000.0);
        let alone = matches!(ending, Ending::Lost | Ending::Deadly);
        self.fresh_wanted += u32::from(alone);
        let (earliest, latest) = (self.now + least, self.now + wait);
        let task = self.task(id);
        *task = Task {
            place: Place::Waiting,
            failed: task.failed + 1,
            alone,
            due: [earliest, latest],
            poisonous: task.poisonous,
            deaths: task.deaths,
            ..Task::default()
        };
        self.waiting += 1;
        self.resting += 1;
    }

    /// One more worker may be replaced while a task waits for a fresh one, as those that are to leave may not get to their end.
    pub(super) fn make_room(&mut self) {
        if self.resting == 0 || self.now < self.room_due {
            return;
        }
        let waits = |task: &Task| task.place == Place::Waiting && task.alone && task.due[0] + SLOW_TO_LEAVE <= self.now;
        if self.chunks.iter().flat_map(|(_, tasks)| tasks).any(waits) {
            self.fresh_wanted += 1;
            self.room_due = self.now + SLOW_TO_LEAVE;
        }
    }

    /// What is tried again comes late enough, and alone where it must.
    pub(super) fn check_retry(&mut self, id: WorkerId, task: TaskId) {
        let known = *self.task(task);
        let now = self.now;
        self.require(now >= known.due[0], || format!("{task:?} is tried again before its time: {known:?}"));
        let Some(worker) = self.workers.iter().find(|worker| worker.id == id) else { return };
        let company = worker.inflight.iter().any(|other| self.chunks[other.0.0 as usize].1[other.1 as usize].alone);
        let fresh = worker.given == 0 && worker.inflight.is_empty();
        self.require(!company, || format!("{id:?} is sent {task:?} beside a task that is to be alone"));
        self.require(!known.alone || fresh, || format!("{task:?} is to be alone, not in {id:?}"));
    }

    // Time.

    /// What expires has waited too long, and was never begun.
    pub(super) fn may_expire(&self, id: TaskId) -> bool {
        let task = self.chunks[id.0.0 as usize].1[id.1 as usize];
        !task.claimed && task.failed == 0 && self.expiries[id.0.0 as usize].is_some_and(|at| at <= self.now)
    }

    fn left_over(&self) -> Option<TaskId> {
        let over = self.expiries.iter().enumerate().filter(|(_, at)| at.is_some_and(|at| at <= self.now));
        over.flat_map(|(chunk, _)| {
            let chunk = crate::supervisor::event::ChunkId(chunk as u64);
            (0..self.chunks[chunk.0 as usize].1.len() as u32).map(move |place| (chunk, place))
        })
        .find(|id| {
            let doomed = |holder| self.workers.iter().any(|worker| worker.id == holder && worker.doomed);
            self.may_expire(*id)
                && match self.chunks[id.0.0 as usize].1[id.1 as usize].place {
                    Place::Waiting => true,
                    Place::With(holder) => !doomed(holder),
                    Place::Completed => false,
                }
        })
    }

    /// After a deadline has passed, everything that was due is done.
    pub(super) fn check_deadlines(&mut self) {
        if self.finished {
            return;
        }
        let left = self.left_over();
        self.require(left.is_none(), || format!("{left:?} waits for longer than it may"));
        let (now, grace) = (self.now, self.settings.grace);
        let slow = |stop: &Stop| {
            (now >= stop.asked + grace && !stop.killed)
                || (now >= stop.asked + grace / 2 && !stop.killed && !stop.terminated)
        };
        let overdue = self.workers.iter().find(|worker| {
            let able = worker.ready && !worker.doomed && worker.leaving.is_none();
            able && match &worker.stop {
                Some(stop) => slow(stop),
                // With more than one, results are unread.
                None => {
                    worker.inflight.len() == 1
                        && self.chunks[worker.inflight[0].0.0 as usize].1[worker.inflight[0].1 as usize].claimed
                        && (self.late(worker) || self.job_of(worker.inflight[0]).stopped)
                }
            }
        });
        let text = overdue.map(|worker| format!("nothing is done about what {worker:?} runs"));
        self.require(text.is_none(), || text.unwrap_or_default());
        self.check_waiting_retries();
        self.check_idle();
    }

    fn check_waiting_retries(&mut self) {
        if self.resting == 0 {
            return;
        }
        let idle = |fresh: bool| {
            let fits = move |worker: &&Known| {
                let able = worker.ready && !worker.doomed && worker.leaving.is_none() && worker.inflight.is_empty();
                able && (!fresh || worker.given == 0)
            };
            self.workers.iter().filter(|worker| !self.waits(worker.id)).find(fits).map(|worker| worker.id)
        };
        let due = |alone: bool| {
            let waits = |task: &&Task| task.place == Place::Waiting && task.failed > 0;
            let tasks = self.chunks.iter().flat_map(|(_, tasks)| tasks).filter(waits);
            tasks.copied().find(|task| task.alone == alone && task.due[1] <= self.now)
        };
        let left = [false, true].into_iter().find_map(|alone| due(alone).zip(idle(alone)));
        self.require(left.is_none(), || format!("a retry waits beside an idle worker: {left:?}"));
    }

    /// Whatever runs out, or waits to be tried again, has a deadline or a worker that will do something.
    pub(super) fn check_limits(&mut self, deadline: Option<Time>) {
        let limited = self.workers.iter().find(|worker| {
            let first = worker.inflight.front().map(|task| self.job_of(*task).terms.timeout);
            let runs = worker.ready && !worker.doomed && first.flatten().is_some();
            runs && worker.stop.is_none_or(|stop| !stop.killed)
        });
        let text = limited.filter(|_| deadline.is_none()).map(|worker| format!("no deadline for {worker:?}"));
        self.require(text.is_none(), || text.unwrap_or_default());
        let moving = |worker: &Known| !worker.ready || worker.doomed || !worker.inflight.is_empty();
        // A guardian that is being started says how that went, one way or the other.
        let coming = deadline.is_some() || self.guardian == Guardian::Starting;
        let hope = coming || self.workers.iter().any(moving);
        let resting = self.resting;
        self.require(resting == 0 || hope, || format!("{resting} retries wait for nothing"));
    }

    /// A job's tasks are unwanted: those that run shall end.
    pub(super) fn stop_job(&mut self, job: JobId) {
        self.jobs[job.0 as usize].cancelled = true;
        self.jobs[job.0 as usize].stopped = true;
    }
}
