//! Simulated workers: each with a real claim word, the frames that it has not read, and the results that nobody has read.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;

use super::Fault;
use crate::supervisor::event::{ChunkId, Failure, Span, WorkerId};
use crate::wire::claim;

/// One task: its chunk, and its place there.
pub(super) type TaskId = (ChunkId, u32);

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The guardian was asked for it.
    Asked,
    Ready,
    Dead,
}

#[derive(Debug)]
struct Frame {
    epoch: u16,
    position: u32,
    span: Span,
}

/// A result that the supervisor has not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    pub(super) task: TaskId,
    pub(super) nanos: u64,
    pub(super) failure: Option<Failure>,
}

/// A worker and its link, seen from both ends.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) life: Life,
    pub(super) word: AtomicU64,
    frames: VecDeque<Frame>,
    /// What it has claimed, and has no result yet.
    pub(super) running: Option<TaskId>,
    pub(super) published: VecDeque<Published>,
    /// It has said that it is ready, and the supervisor has not read that.
    pub(super) ready_unread: bool,
    /// A goodbye lies behind the frames.
    goodbye: bool,
    /// It was killed, and will die before long.
    pub(super) killed: bool,
    pub(super) eager: bool,
    /// Results were published without an announcement.
    unannounced: bool,
    /// What it runs does not end for now.
    pub(super) hung: bool,
    /// The flag is set that its tasks may look at.
    pub(super) asked: bool,
    /// Whether its tasks do look.
    pub(super) listens: bool,
    /// It died while it took in what it would have claimed next.
    pub(super) taking: bool,
    /// After so many steps it dies of SIGTERM; never, if it ignores that.
    pub(super) dies_in: Option<u64>,
}

impl Worker {
    pub(super) fn new(id: WorkerId) -> Self {
        Self {
            id,
            life: Life::Asked,
            word: AtomicU64::new(0),
            frames: VecDeque::new(),
            running: None,
            published: VecDeque::new(),
            ready_unread: false,
            goodbye: false,
            killed: false,
            eager: false,
            unannounced: false,
            hung: false,
            asked: false,
            listens: false,
            taking: false,
            dies_in: None,
        }
    }

    /// The supervisor's end: allows the tasks, then sends them.
    pub(super) fn send(&mut self, span: Span, epoch: u16, position: u32, eager: bool) {
        self.eager = eager;
        claim::raise(&self.word, span.count);
        self.frames.push_back(Frame { epoch, position, span });
    }

    pub(super) fn say_goodbye(&mut self) {
        self.goodbye = true;
    }

    pub(super) fn get_ready(&mut self) {
        self.life = Life::Ready;
        self.ready_unread = true;
    }

    /// The first task that it may claim.
    pub(super) fn next_task(&self) -> Option<TaskId> {
        let claim = claim::read(&self.word);
        let frames = self.frames.iter().filter(|frame| frame.epoch == claim.epoch && claim.next < claim.limit);
        frames.filter(|frame| frame.position <= claim.next).find_map(|frame| {
            let place = claim.next - frame.position;
            (place < frame.span.count).then_some((frame.span.chunk, frame.span.first + place))
        })
    }

    /// Reads frames up to the first task that it may claim, and claims that.
    pub(super) fn claim_next(&mut self, fault: Fault) -> Option<TaskId> {
        while let Some(frame) = self.frames.front_mut() {
            let (epoch, position) = (frame.epoch, frame.position);
            let task = frame.span.split_off_front(1);
            frame.position += 1;
            if frame.span.count == 0 {
                self.frames.pop_front();
            }
            if claim::claim(&self.word, epoch, position) || fault == Fault::IgnoresTheWord {
                self.running = Some((task.chunk, task.first));
                return self.running;
            }
        }
        // At rest: the real one rings before it waits.
        self.unannounced = false;
        None
    }

    /// Publishes the result of what it runs.
    pub(super) fn publish(&mut self, nanos: u64, failure: Option<Failure>) -> Option<TaskId> {
        let task = self.running.take()?;
        self.hung = false;
        self.published.push_back(Published { task, nanos, failure });
        self.unannounced = !self.eager;
        Some(task)
    }

    /// Everything is done, and it was told to leave.
    pub(super) fn may_leave(&self) -> bool {
        self.goodbye && self.frames.is_empty() && self.running.is_none()
    }

    /// It dies: what it has not read and not published is gone, what it has published is not.
    pub(super) fn die(&mut self) {
        self.life = Life::Dead;
        self.frames.clear();
        self.running = None;
    }

    /// Whether it has results of which the supervisor learns only by looking.
    pub(super) fn keeps_results(&self) -> bool {
        self.life == Life::Ready && self.unannounced && self.running.is_some() && !self.published.is_empty()
    }

    /// The supervisor has read everything there was.
    pub(super) fn was_read(&mut self) {
        if self.published.is_empty() {
            self.unannounced = false;
        }
    }

    /// Whether it runs a task of `span`, or may still.
    pub(super) fn may_run(&self, span: Span) -> bool {
        let claim = claim::read(&self.word);
        let runs = self
            .running
            .is_some_and(|(chunk, first)| chunk == span.chunk && first.wrapping_sub(span.first) < span.count);
        runs || self.frames.iter().filter(|frame| frame.epoch == claim.epoch).any(|frame| {
            let allowed = claim.limit.saturating_sub(frame.position).min(frame.span.count);
            let (first, end) = (frame.span.first, frame.span.first + allowed);
            frame.span.chunk == span.chunk && first < span.first + span.count && span.first < end
        })
    }
}
