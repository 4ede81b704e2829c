//! The vocabulary between the state machine and the world.

use std::time::Duration;

use super::allowance::Allowance;

/// Time since the pool was built; the state machine has no other clock.
pub(crate) type Time = Duration;

/// One call of a pool's method: `map`, `apply`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobId(pub(crate) u32);

/// Tasks of one job whose arguments lie in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChunkId(pub(crate) u64);

/// Some tasks of a chunk that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) chunk: ChunkId,
    pub(crate) job: JobId,
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// That of its job.
    pub(crate) priority: i32,
}

impl Span {
    /// Cuts the first `count` tasks off.
    pub(crate) fn split_off_front(&mut self, count: u32) -> Self {
        let front = Self { count, ..*self };
        self.first += count;
        self.count -= count;
        front
    }

    /// Cuts the last `count` tasks off.
    pub(crate) fn split_off_back(&mut self, count: u32) -> Self {
        self.count -= count;
        Self { first: self.first + self.count, count, ..*self }
    }
}

/// A worker: its place in the gang, and the how-many-th there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What a job asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobTerms {
    /// What it calls: jobs that call the same function take about the same time per task.
    pub(crate) function: u64,
    /// How many tasks to send at once; measured when it is not given.
    pub(crate) chunksize: Option<u32>,
    /// What waits with a higher one is sent first.
    pub(crate) priority: i32,
    /// How long a task may run.
    pub(crate) timeout: Option<Duration>,
    /// How long a task may wait until it begins.
    pub(crate) queue_timeout: Option<Duration>,
    /// Which failures are tried again.
    pub(crate) retry: Option<RetryTerms>,
}

/// When a task that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryTerms {
    /// How many attempts there are in all.
    pub(crate) attempts: u32,
    /// How long to wait before the second attempt; twice as long before each further one, up to the second value.
    pub(crate) backoff: [Duration; 2],
    /// By how many thousandths of itself a wait is varied, at most.
    pub(crate) jitter: u16,
    /// Which failures.
    pub(crate) on: Failures,
}

/// A set of ways to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) error: bool,
    pub(crate) panic: bool,
    pub(crate) crash: bool,
    pub(crate) timeout: bool,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The task returned `Err`.
    Error,
    Panic,
    /// Its worker died of it.
    Crash,
    Timeout,
    /// In a way that would be the same the next time.
    Other,
}

impl Failures {
    pub(crate) fn contains(self, failure: Failure) -> bool {
        match failure {
            Failure::Error => self.error,
            Failure::Panic => self.panic,
            Failure::Crash => self.crash,
            Failure::Timeout => self.timeout,
            Failure::Other => false,
        }
    }
}

/// Why a task that runs is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Timeout,
    Cancelled,
    /// Its worker holds too much memory.
    Memory,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Submitted {
        span: Span,
        terms: JobTerms,
    },
    /// More tasks of this job will be submitted later.
    FeedOpened(JobId),
    FeedClosed(JobId),
    /// The job is not wanted any more: what has not begun shall not.
    Cancelled(JobId),
    /// The same, and what runs shall end.
    Stopped(JobId),
    /// So many workers are wanted from now on.
    Resized(u32),
    Closed,
    Terminated,
    /// The guardian is gone, and there cannot be another.
    GuardianLost,
    /// The guardian is gone, or its successor did not start; all workers die with it.
    GuardianDied,
    /// A successor can start workers.
    GuardianReady,
    WorkerReady(WorkerId),
    /// No process came to be.
    StartFailed(WorkerId),
    /// As [`Self::StartFailed`], for want of something that others use now.
    StartPostponed(WorkerId),
    /// The next `count` tasks of this worker have their results; their calls took `nanos` together.
    Finished {
        worker: WorkerId,
        count: u32,
        nanos: u64,
    },
    /// The next task of this worker has ended with a failure; its call took `nanos`.
    Failed {
        worker: WorkerId,
        nanos: u64,
        failure: Failure,
    },
    /// The worker holds more memory than its limit; above the hard one it has to go at once.
    MemoryExceeded {
        worker: WorkerId,
        hard: bool,
    },
    /// The answer to [`Action::Ask`]: whether the task has ever looked whether it is asked to end.
    Asked {
        worker: WorkerId,
        listens: bool,
    },
    /// The answer to [`Action::TakeBack`]: positions from `limit` on will not be run by this worker.
    TakenBack {
        worker: WorkerId,
        limit: u32,
    },
    /// The other answer: not now, as its tasks are still on their way to it.
    KeptBack(WorkerId),
    /// It is dead and everything that it left was read; positions below `claimed` were begun, and the one at `claimed`, if it was
    /// `taking` that in, may be what it died of.
    WorkerExited {
        worker: WorkerId,
        claimed: u32,
        taking: bool,
    },
    /// From now on this is allowed.
    Allowed(Allowance),
    DeadlinePassed,
}

/// How tasks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the results that the driver has just received.
    Delivered,
    /// The worker died while it ran them.
    Lost,
    /// The worker died before it had begun them, as others had before.
    Deadly,
    /// The worker died, or was killed, while it was being stopped.
    Stopped(Cause),
    /// With the result that the driver has just received, after it was asked to end.
    Late(Cause),
    /// It has waited for too long.
    Expired,
    Cancelled,
    /// The pool cannot run anything any more.
    Broken,
}

/// Why a pool is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakdown {
    /// The guardian is gone, and there cannot be another.
    Guardian,
    /// No worker can be started: why is known to the driver.
    Starts,
    /// Workers end again and again, and no task is to blame.
    Unstable,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The answer is [`Event::GuardianReady`] or [`Event::GuardianDied`].
    StartGuardian,
    Start(WorkerId),
    Send {
        worker: WorkerId,
        span: Span,
        epoch: u16,
        position: u32,
        /// Whether every result shall be announced at once.
        eager: bool,
    },
    /// Lower the claim word's limit; the answer is [`Event::TakenBack`].
    TakeBack(WorkerId),
    /// The same, unless the worker is still receiving what it was sent; then the answer is [`Event::KeptBack`]. Large
    /// arguments would otherwise travel to one idle worker after the other, and never be there.
    TakeBackGently(WorkerId),
    BeginEpoch {
        worker: WorkerId,
        epoch: u16,
    },
    /// Let it leave when it is done.
    Retire(WorkerId),
    Kill(WorkerId),
    /// Say that its task shall end; the answer is [`Event::Asked`].
    Ask(WorkerId),
    /// Say no such thing any more: the task has ended.
    Unask(WorkerId),
    /// Send it SIGTERM.
    Terminate(WorkerId),
    /// An attempt has failed as `ending` says, and another one will be made.
    Retry {
        /// One task.
        span: Span,
        worker: WorkerId,
        ending: Ending,
    },
    Complete {
        span: Span,
        worker: Option<WorkerId>,
        ending: Ending,
    },
    /// Nothing can be run any more; what is completed after this is completed for that.
    Break(Breakdown),
    /// Nothing is left to be done: the gang may be dismissed.
    Finish,
}
