//! Trying again. A part of the [state machine](super::state).
//!
//! A task that killed its worker is tried again alone: on a worker that has run nothing before and gets nothing beside it.
//! Then nobody else can have been guilty, and nobody else suffers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use ganger_os::mutant::{Protection, without};

use super::event::{Action, Cause, ChunkId, Ending, Failure, RetryTerms, Span, Time, WorkerId};
use super::seat::{Stage, Worker};
use super::state::State;

/// So many workers may die before a task is begun, as many as may fail to start. That somebody kills that many just in the
/// moment before they begin one and the same task does not happen.
pub(super) const MOST_DEATHS: u32 = 3;

/// A worker that is to leave, and has not for so long, is not waited for: another one is to, and after twice as long one more.
pub(super) const SLOW_TO_LEAVE: Duration = Duration::from_millis(100);

/// Tasks that failed and are not given up.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// How many attempts of a task have failed.
    failed: HashMap<(ChunkId, u32), u32>,
    /// How many workers have died while they took a task in.
    deaths: HashMap<(ChunkId, u32), u32>,
    /// What waits for its time, and whether it is to run alone. The second number keeps those of one time apart.
    delayed: BTreeMap<(Time, u64), (Span, bool)>,
    next: u64,
    /// What waits for a fresh worker.
    alone: VecDeque<Span>,
    /// When one more worker has to leave for that.
    room_due: Option<Time>,
    /// How long after the one before, if not the least.
    room_wait: Duration,
}

impl Retries {
    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.delayed.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out what `unwanted` says.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let mut removed = Vec::new();
        self.delayed.retain(|_, (span, _)| {
            let unwanted = unwanted(span);
            removed.extend(unwanted.then_some(*span));
            !unwanted
        });
        self.alone.retain(|span| {
            let unwanted = unwanted(span);
            removed.extend(unwanted.then_some(*span));
            !unwanted
        });
        removed
    }

    /// These tasks have ended.
    pub(super) fn forget(&mut self, span: Span) {
        let within = |place: u32| (span.first..span.first + span.count).contains(&place);
        for counts in [&mut self.failed, &mut self.deaths] {
            if !counts.is_empty() {
                counts.retain(|(chunk, place), _| *chunk != span.chunk || !within(*place));
            }
        }
    }

    /// A worker has died that had the first task of `span` first in line, and had not begun it. Whether that is to blame: what
    /// killed so many is most likely the taking in of its arguments, and without an end it would kill one after the other.
    fn is_deadly(&mut self, span: Span) -> bool {
        let deaths = self.deaths.entry((span.chunk, span.first)).or_default();
        *deaths += 1;
        *deaths >= MOST_DEATHS
    }

    /// Takes back what was sent to a fresh worker, which did not begin it.
    pub(super) fn put_back(&mut self, span: Span) {
        self.alone.push_front(span);
    }

    /// When one more worker has to leave for them, should none be fresh by then.
    pub(super) fn next_room(&self) -> Option<Time> {
        self.room_due.filter(|_| !self.alone.is_empty())
    }

    /// How many tasks wait for a fresh worker.
    pub(super) fn alone(&self) -> usize {
        self.alone.len()
    }

    /// Whether an attempt of the first task of `span` has failed.
    pub(super) fn has(&self, span: Span) -> bool {
        self.failed.contains_key(&(span.chunk, span.first))
    }

    fn delay(&mut self, until: Time, span: Span, alone: bool) {
        self.delayed.insert((until, self.next), (span, alone));
        self.next += 1;
    }
}

/// How long to wait after so many failures.
fn wait(terms: &RetryTerms, failed: u32, mix: u64) -> Duration {
    let [first, most] = terms.backoff;
    let wait = first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(most);
    // From a fixed mix of seed and task, so that a run can be repeated.
    let part = mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    let less = wait / 1024 * u32::try_from(part).unwrap_or(0) / 1000 * u32::from(terms.jitter);
    wait.saturating_sub(less)
}

impl State {
    /// The next task of a worker has failed.
    pub(super) fn failed(&mut self, now: Time, id: WorkerId, nanos: u64, failure: Failure, out: &mut Vec<Action>) {
        let stopped = self.stop_is_over(id, out);
        for span in self.take_finished(now, id, 1) {
            self.learn(span.job, 1, nanos);
            match stopped {
                Some(cause) => self.retry_or_complete(now, span, id, Ending::Late(cause), out),
                None if self.may_retry(span, failure) => self.retry(now, span, id, Ending::Delivered, out),
                None => self.complete(span, Some(id), Ending::Delivered, out),
            }
        }
        self.look_at_first(now, id, out);
    }

    /// Ends a task whose attempt failed for good, or has it tried again.
    pub(super) fn retry_or_complete(
        &mut self,
        now: Time,
        span: Span,
        id: WorkerId,
        ending: Ending,
        out: &mut Vec<Action>,
    ) {
        let failure = match ending {
            Ending::Lost | Ending::Deadly | Ending::Stopped(Cause::Memory) => Failure::Crash,
            Ending::Stopped(Cause::Timeout) | Ending::Late(Cause::Timeout) => Failure::Timeout,
            _ => Failure::Other,
        };
        if self.may_retry(span, failure) {
            self.retry(now, span, id, ending, out);
        } else {
            self.complete(span, Some(id), ending, out);
        }
    }

    fn may_retry(&self, span: Span, failure: Failure) -> bool {
        let Some(job) = self.jobs.get(&span.job).filter(|job| !job.cancelled) else { return false };
        let failed = self.retries.failed.get(&(span.chunk, span.first)).copied().unwrap_or(0);
        job.terms.retry.is_some_and(|retry| retry.on.contains(failure) && failed + 1 < retry.attempts)
    }

    fn retry(&mut self, now: Time, span: Span, worker: WorkerId, ending: Ending, out: &mut Vec<Action>) {
        let Some(terms) = self.jobs.get(&span.job).and_then(|job| job.terms.retry) else { return };
        let failed = self.retries.failed.entry((span.chunk, span.first)).or_insert(0);
        *failed += u32::from(!without(Protection::CountAttempts));
        let mix = self.settings.seed ^ (span.chunk.0 << 32) ^ (u64::from(span.first) << 8) ^ u64::from(*failed);
        let until = now.saturating_add(wait(&terms, *failed, mix));
        let alone = matches!(ending, Ending::Lost | Ending::Deadly | Ending::Stopped(Cause::Memory));
        self.retries.delay(until, span, alone);
        out.push(Action::Retry { span, worker, ending });
    }

    /// Whether a worker that died while it was taking in a task has died of that. One that was to end anyway, as when its
    /// guardian has died, has not; one that was killed for its memory may have it from the arguments.
    pub(super) fn died_of_taking(&mut self, worker: &Worker, claimed: u32) -> bool {
        let served = worker.stage == Stage::Ready;
        let unbegun = worker.current().filter(|_| served && claimed <= worker.done);
        unbegun.is_some_and(|span| self.retries.is_deadly(span))
    }

    /// Puts what has waited long enough where it can be sent from.
    pub(super) fn retries_due(&mut self, now: Time) {
        while let Some(entry) = self.retries.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let (span, alone) = entry.remove();
            if alone {
                self.retries.alone.push_back(span);
            } else {
                self.queue.push_front(span);
            }
        }
    }

    /// Gives each task that is to run alone to a worker that has run nothing; has workers replaced, if there is none.
    pub(super) fn dispatch_alone(&mut self, now: Time, out: &mut Vec<Action>) {
        let fresh = |worker: &&mut Worker| worker.accepts() && !worker.worked && worker.ahead() == 0;
        while !self.retries.alone.is_empty() && self.may_employ() {
            let workers = self.seats.serving_mut().filter(fresh);
            let Some(worker) = workers.min_by_key(|worker| worker.shunned) else { break };
            let Some(span) = self.retries.alone.pop_front() else { break };
            let position = worker.give(span, true, now);
            worker.alone = true;
            out.push(Action::Send { worker: worker.id, span, epoch: worker.epoch, position, eager: true });
        }
        self.make_room(now, out);
    }

    /// Has as many workers replaced as there are tasks that want a fresh one, but for those that will be fresh anyway. Those that
    /// are to leave may hold on to what does not end: when none has left for a while, another one is to, each time after a longer while.
    fn make_room(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.retries.alone.is_empty() || !self.may_employ() {
            (self.retries.room_due, self.retries.room_wait) = (None, Duration::ZERO);
            return;
        }
        self.rouse_for(now, self.retries.alone.len() as u64);
        let places = self.places_allowed();
        let wanted = self.retries.alone.len().min(self.settings.workers as usize).min(places);
        let count = |holds: fn(&Worker) -> bool, vacant: bool| {
            self.seats.staffed(places).filter(|seat| seat.worker.as_ref().map_or(vacant, holds)).count()
        };
        let soon = count(|worker| worker.stage != Stage::Ready, true);
        let leaving = count(|worker| worker.stage == Stage::Ready && worker.is_leaving(), false);
        let overdue = soon < wanted && self.retries.room_due.is_some_and(|due| due <= now);
        for _ in 0..wanted.saturating_sub(leaving + soon).max(overdue.into()) {
            let Some(worker) = self.seats.serving_mut().filter(may_go).min_by_key(|worker| worker.ahead()) else {
                break;
            };
            worker.spent = true;
            super::stops::recall(worker, out);
        }
        if overdue {
            self.retries.room_due = None;
            self.retries.room_wait = self.retries.room_wait.max(SLOW_TO_LEAVE).saturating_mul(2);
        }
        let more = soon < wanted && self.seats.serving_mut().any(|worker| may_go(&worker));
        let due = now.saturating_add(self.retries.room_wait.max(SLOW_TO_LEAVE));
        self.retries.room_due = more.then(|| self.retries.room_due.unwrap_or(due));
    }
}

/// Whether a worker can be replaced by a fresh one, and is not yet about to be.
fn may_go(worker: &&mut Worker) -> bool {
    worker.stage == Stage::Ready && !worker.spent && !worker.surplus && !worker.alone
}
