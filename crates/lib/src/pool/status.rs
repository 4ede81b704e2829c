//! What a pool's workers are doing.

use std::sync::Arc;
use std::time::Duration;

/// A worker as [`Pool::workers`](crate::Pool::workers) found it.
///
/// ```
/// let pool = ganger::Pool::new(2)?;
/// for worker in pool.workers() {
///     println!("worker {} is process {}", worker.slot(), worker.pid());
///     assert!(worker.running().is_none());
/// }
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    pub(crate) slot: u32,
    pub(crate) pid: u32,
    pub(crate) ready: bool,
    pub(crate) leaving: bool,
    pub(crate) running: Option<RunningTask>,
}

impl WorkerStatus {
    /// Its place in the gang.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Its process id, which is also that of its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has got ready for its first task.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether it gets no more tasks: it leaves when it has ended what it has begun. It was recycled, or the pool was
    /// [made smaller](crate::Pool::resize), or it had [nothing to do](crate::Builder::idle_timeout).
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The task that it has begun and not ended.
    #[must_use]
    pub fn running(&self) -> Option<&RunningTask> {
        self.running.as_ref()
    }
}

/// A task that a worker has begun; [`WorkerStatus::running`] tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    pub(crate) task: Arc<str>,
    pub(crate) index: u64,
    pub(crate) elapsed: Duration,
}

impl RunningTask {
    /// The name of its function.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Its index among the tasks of its call.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How long it can have been running at most.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
