//! A worker as the [state machine](super::state) sees it.

use std::collections::VecDeque;

use super::event::{Cause, ChunkId, JobId, Span, Time, WorkerId};
use crate::wire::claim::POSITIONS;

/// What a worker is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// If it is not ready by then, it is killed; once that has happened there is no time.
    Starting {
        until: Option<Time>,
    },
    Ready,
    /// It was told to leave; if it has not by then, it is killed.
    Retiring {
        until: Option<Time>,
    },
    /// It was killed, and its death is awaited.
    Doomed,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) stage: Stage,
    /// What was sent and has no result yet, in order.
    inflight: VecDeque<Span>,
    pub(super) epoch: u16,
    /// Positions of this epoch that were sent, and that have results.
    pub(super) sent: u32,
    pub(super) done: u32,
    /// Nothing could be taken back when that was last tried: the task that it has, it has begun.
    pub(super) begun: bool,
    /// It has ended at least one task.
    pub(super) worked: bool,
    /// The answer to a taking back is awaited.
    pub(super) recalled: bool,
    /// After a taking back nothing is sent until what is left has ended.
    pub(super) draining: bool,
    /// How often all that it had was taken back since it last ended a task: it may be stopped.
    pub(super) shunned: u32,
    /// It may have results that it did not announce. What it was told counts, not what is known of its tasks by now.
    pub(super) silent: bool,
    /// How many more tasks it may be given in its life.
    pub(super) allowance: u32,
    /// When it was last seen to get somewhere.
    pub(super) moved: Time,
    /// When the first task in flight can have begun at the earliest.
    pub(super) began: Time,
    /// What it runs has no time left or is not wanted; whether it has begun it is being asked.
    pub(super) overdue: Option<(Cause, Time)>,
    /// How far the stopping of what it runs has come.
    pub(super) stop: Option<Stop>,
    /// It has a task all to itself: one that has killed another worker.
    pub(super) alone: bool,
    /// It is to leave as soon as it rests: a fresh one is wanted in its place.
    pub(super) spent: bool,
    /// The same, but nobody is wanted in its place.
    pub(super) surplus: bool,
}

/// The stopping of a running task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) cause: Cause,
    pub(super) begun: Time,
    pub(super) stage: StopStage,
}

/// What has been done to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopStage {
    /// The flag is set that tasks may look at.
    Asked,
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
}

impl Worker {
    pub(super) fn new(id: WorkerId, allowance: u32, now: Time, until: Time) -> Self {
        Self {
            id,
            stage: Stage::Starting { until: Some(until) },
            inflight: VecDeque::new(),
            epoch: 0,
            sent: 0,
            done: 0,
            begun: false,
            worked: false,
            recalled: false,
            draining: false,
            shunned: 0,
            silent: false,
            allowance,
            moved: now,
            began: now,
            overdue: None,
            stop: None,
            alone: false,
            spent: false,
            surplus: false,
        }
    }

    /// How many tasks it has that have no result.
    pub(super) fn ahead(&self) -> u32 {
        self.sent - self.done
    }

    /// Whether tasks may be sent to it at all.
    pub(super) fn accepts(&self) -> bool {
        // Positions are few enough to end, many enough to let the worker come to rest before.
        let sendable = self.stage == Stage::Ready && !self.recalled && !self.draining && !self.alone;
        // Behind a task that is to end, others would end with its worker.
        let ending = self.stop.is_some() || self.overdue.is_some();
        sendable && !ending && !self.is_leaving() && self.sent <= POSITIONS / 2
    }

    /// Whether it gets no more tasks, and is told to leave when it has ended those that it has.
    pub(super) fn is_leaving(&self) -> bool {
        self.spent || self.surplus || self.allowance == 0
    }

    pub(super) fn idle(&self) -> bool {
        self.stage == Stage::Ready && self.ahead() == 0
    }

    /// What it runs, or would run next.
    pub(super) fn first_job(&self) -> Option<JobId> {
        self.inflight.front().map(|span| span.job)
    }

    pub(super) fn has_chunk(&self, chunk: ChunkId) -> bool {
        self.inflight.iter().any(|span| span.chunk == chunk)
    }

    /// The job of a chunk of which it has something.
    pub(super) fn job_of(&self, chunk: ChunkId) -> Option<JobId> {
        self.inflight.iter().find(|span| span.chunk == chunk).map(|span| span.job)
    }

    /// The job of what it was sent last and has not ended.
    pub(super) fn last_job(&self) -> Option<JobId> {
        self.inflight.back().map(|span| span.job)
    }

    /// The first tasks that have not ended.
    pub(super) fn current(&self) -> Option<Span> {
        self.inflight.front().copied()
    }

    pub(super) fn has(&self, job: JobId) -> bool {
        self.inflight.iter().any(|span| span.job == job)
    }

    /// Records that `span` was sent, with its results announced or not, and returns its first position.
    pub(super) fn give(&mut self, span: Span, eager: bool, now: Time) -> u32 {
        let position = self.sent;
        if self.ahead() == 0 {
            self.moved = now;
            self.began = now;
            self.silent = false;
        }
        // Until it rests: what it did not announce before, it announces only with the next result.
        self.silent |= !eager;
        self.sent += span.count;
        self.allowance -= span.count;
        self.inflight.push_back(span);
        position
    }

    /// Takes the first `count` tasks in flight off, as they have ended.
    pub(super) fn finish(&mut self, count: u32) -> Vec<Span> {
        let mut left = count.min(self.ahead());
        self.done += left;
        if left > 0 {
            self.worked = true;
            self.shunned = 0;
        }
        self.begun = false;
        let mut ended = Vec::new();
        while left > 0
            && let Some(front) = self.inflight.front_mut()
        {
            let piece = if front.count <= left {
                self.inflight.pop_front().expect("it has a front")
            } else {
                front.split_off_front(left)
            };
            left -= piece.count;
            ended.push(piece);
        }
        ended
    }

    /// Takes the last tasks in flight off, down to position `limit`; the last comes first.
    pub(super) fn revoke(&mut self, limit: u32) -> Vec<Span> {
        let mut left = self.sent - limit.clamp(self.done, self.sent);
        self.sent -= left;
        self.allowance += left;
        let mut revoked = Vec::new();
        while left > 0
            && let Some(back) = self.inflight.back_mut()
        {
            let piece = if back.count <= left {
                self.inflight.pop_back().expect("it has a back")
            } else {
                back.split_off_back(left)
            };
            left -= piece.count;
            revoked.push(piece);
        }
        revoked
    }
}
