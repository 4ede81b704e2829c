//! Ending tasks that run: limits of time, and cancelling. A part of the [state machine](super::state).
//!
//! A task is stopped in stages: the flag that it may look at, SIGTERM, SIGKILL. Before the first, what its worker has not
//! begun is taken back, which tells whether it has begun this task at all: a limit is measured from there.

use super::event::{Action, Cause, Ending, Span, Time, WorkerId};
use super::seat::{Stage, Stop, StopStage, Worker};
use super::state::State;

/// Takes back what a worker has not begun, unless that is being done.
pub(super) fn recall(worker: &mut Worker, out: &mut Vec<Action>) {
    if worker.stage == Stage::Ready && !worker.recalled {
        worker.recalled = true;
        out.push(Action::TakeBack(worker.id));
    }
}

/// A worker whose results are not all read, and that seems to run something which is overdue, is stopped after this time all
/// the same: it may have spoilt its claim word.
const UNREAD: Time = Time::from_secs(1);

impl State {
    /// When something has to be done about what this worker runs.
    pub(super) fn next_limit(&self, worker: &Worker) -> Option<Time> {
        if worker.stage != Stage::Ready {
            return None;
        }
        match (worker.stop, worker.overdue) {
            (Some(Stop { stage: StopStage::Killed, .. }), _) => None,
            (Some(stop), _) => Some(stop.begun.saturating_add(self.patience(stop.stage))),
            (None, Some((_, since))) => Some(since.saturating_add(UNREAD)),
            (None, None) => self.runs_out(worker),
        }
    }

    /// How long after its begin a stop goes beyond this stage.
    fn patience(&self, stage: StopStage) -> Time {
        match stage {
            StopStage::Asked => self.settings.grace / 2,
            StopStage::Terminated | StopStage::Killed => self.settings.grace,
        }
    }

    /// When what this worker runs has had its time.
    fn runs_out(&self, worker: &Worker) -> Option<Time> {
        let limit = self.jobs.get(&worker.first_job()?)?.terms.timeout?;
        worker.began.checked_add(limit)
    }

    /// Does what is due by now.
    pub(super) fn enforce_limits(&mut self, now: Time, out: &mut Vec<Action>) {
        let due: Vec<WorkerId> = self
            .seats
            .serving()
            .filter(|worker| self.next_limit(worker).is_some_and(|at| at <= now))
            .map(|w| w.id)
            .collect();
        for id in due {
            let grace = self.settings.grace;
            let Some(worker) = self.worker(id) else { continue };
            match &mut worker.stop {
                Some(stop) if now >= stop.begun.saturating_add(grace) => {
                    stop.stage = StopStage::Killed;
                    out.push(Action::Kill(id));
                }
                Some(stop) => {
                    stop.stage = StopStage::Terminated;
                    out.push(Action::Terminate(id));
                }
                None => match worker.overdue.take() {
                    None => {
                        worker.overdue = Some((Cause::Timeout, now));
                        recall(worker, out);
                    }
                    Some((cause, _)) => {
                        worker.stop = Some(Stop { cause, begun: now, stage: StopStage::Asked });
                        out.push(Action::Ask(id));
                    }
                },
            }
        }
        self.expire(now, out);
    }

    /// Ends what has waited for too long.
    fn expire(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some((_, chunk)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.pop_first();
            // What is tried again has begun once: it does not wait for that any more.
            let waiting = self.queue.remove(|span| span.chunk == chunk && !self.retries.has(*span));
            let holders = self.seats.serving_mut();
            let mut job = waiting.first().map(|span| span.job);
            for holder in holders.filter(|worker| worker.has_chunk(chunk)) {
                job = job.or_else(|| holder.job_of(chunk));
                recall(holder, out);
            }
            if let Some(job) = job.and_then(|job| self.jobs.get_mut(&job)) {
                job.expired.insert(chunk);
            }
            for span in waiting {
                self.complete(span, None, Ending::Expired, out);
            }
        }
    }

    /// A worker got somewhere: what it runs now has its whole time, unless it is not wanted.
    pub(super) fn waits_anew(&mut self, now: Time, id: WorkerId) {
        let job = self.current(id).and_then(|span| self.jobs.get(&span.job));
        let unwanted = job.is_some_and(|job| job.stopped);
        if let Some(worker) = self.worker(id) {
            worker.overdue = unwanted.then_some((Cause::Cancelled, now));
        }
    }

    /// Looks, when it is known what a worker has begun, whether that is to be stopped.
    pub(super) fn look_at_first(&mut self, now: Time, id: WorkerId, out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id) else { return };
        // With more than one it has results that nobody has read yet: they come first.
        if worker.stage != Stage::Ready || worker.recalled || worker.stop.is_some() || worker.ahead() > 1 {
            return;
        }
        let (ahead, overdue, job) = (worker.ahead(), worker.overdue.take(), worker.first_job());
        let job = job.and_then(|job| self.jobs.get(&job));
        let unwanted = job.is_some_and(|job| job.stopped);
        if ahead == 0 || (overdue.is_none() && !unwanted) {
            return;
        }
        let limit = job.and_then(|job| job.terms.timeout);
        let Some(worker) = self.worker(id) else { return };
        let late = limit.is_some_and(|limit| worker.began.checked_add(limit).is_some_and(|at| at <= now));
        let cause = match (unwanted, late) {
            (true, _) => Cause::Cancelled,
            (false, true) => Cause::Timeout,
            // What ran then has ended meanwhile.
            (false, false) => return,
        };
        worker.stop = Some(Stop { cause, begun: now, stage: StopStage::Asked });
        out.push(Action::Ask(id));
    }

    /// A worker that holds too much is replaced: after its task, or at once. What it has not begun runs elsewhere.
    pub(super) fn memory_exceeded(&mut self, now: Time, id: WorkerId, hard: bool, out: &mut Vec<Action>) {
        let Some(worker) = self.worker(id).filter(|worker| worker.stage == Stage::Ready) else { return };
        worker.spent = true;
        recall(worker, out);
        if !hard || worker.stop.is_some_and(|stop| stop.stage == StopStage::Killed) {
            return;
        }
        // Its next measurement may come too late: no grace. What it has begun, its claim word tells when it is dead.
        let cause = worker.stop.map_or(Cause::Memory, |stop| stop.cause);
        worker.stop = Some(Stop { cause, begun: now, stage: StopStage::Killed });
        out.push(Action::Kill(id));
    }

    /// A task that never looks whether it is asked to end need not be waited for.
    pub(super) fn asked(&mut self, id: WorkerId, listens: bool, out: &mut Vec<Action>) {
        let kill = self.settings.grace.is_zero();
        let Some(worker) = self.worker(id) else { return };
        let Some(stop) = worker.stop.as_mut().filter(|stop| stop.stage == StopStage::Asked) else { return };
        if kill {
            stop.stage = StopStage::Killed;
            out.push(Action::Kill(id));
        } else if !listens {
            stop.stage = StopStage::Terminated;
            out.push(Action::Terminate(id));
        }
    }

    /// A task that was to be stopped has ended by itself. Its worker goes on, unless it was sent a signal: that may still
    /// be on its way, and would hit the next task.
    pub(super) fn stop_is_over(&mut self, id: WorkerId, out: &mut Vec<Action>) -> Option<Cause> {
        let worker = self.worker(id)?;
        let stop = worker.stop.take()?;
        if stop.stage == StopStage::Asked {
            out.push(Action::Unask(id));
        } else {
            if stop.stage == StopStage::Terminated {
                out.push(Action::Kill(id));
            }
            worker.stage = Stage::Doomed;
        }
        Some(stop.cause)
    }

    /// A task whose worker died of it, or was made to.
    pub(super) fn lost(&mut self, now: Time, mut span: Span, id: WorkerId, ending: Ending, out: &mut Vec<Action>) {
        // More than one it can only have begun by spoiling its claim word.
        if ending != Ending::Lost || span.count == 1 {
            let first = span.split_off_front(1);
            self.retry_or_complete(now, first, id, ending, out);
        }
        if span.count > 0 {
            self.complete(span, Some(id), Ending::Lost, out);
        }
    }
}
