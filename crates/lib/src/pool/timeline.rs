//! Which worker ran what when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Pool;
use crate::supervisor::core::Core;

/// Which worker ran what when, as [`Pool::timeline`] tells it: what a picture of the gang is drawn from.
///
/// ```
/// fn work(millis: u64) -> u64 { std::thread::sleep(std::time::Duration::from_millis(millis)); millis }
/// let pool = ganger::Pool::new(2)?;
/// pool.record_timeline(1_000);
/// let begun = std::time::Instant::now();
/// pool.map(work, [1, 30, 2])?;
/// for span in pool.timeline().spans() {
///     let from = span.start().duration_since(begun);
///     println!("worker {} ran {} of {} from {from:?} on", span.worker(), span.tasks(), span.task());
/// }
/// # assert_eq!(pool.timeline().spans().iter().map(|span| span.tasks()).sum::<u64>(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    pub(crate) spans: Vec<TaskSpan>,
    pub(crate) missed: u64,
}

/// A task that a worker ran, or several that it ran one after the other; one of a [`Timeline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpan {
    pub(crate) worker: u32,
    pub(crate) task: Arc<str>,
    pub(crate) index: u64,
    pub(crate) tasks: u64,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) work: Duration,
}

impl Pool {
    /// Begins to record which worker runs what when, and forgets what was recorded before.
    ///
    /// At most `most` spans are kept, of about 100 bytes each, however long the pool works: when there are more, neighbours
    /// that ran the same function become one, the shortest first. Tasks below 20 us are recorded by the batch. So recording costs next
    /// to nothing, and a picture of it has a size that is known.
    ///
    /// How long tasks took is what workers say; when, is what the supervisor sees, which hears of a result up to about a
    /// millisecond after it was there.
    pub fn record_timeline(&self, most: usize) {
        if !self.gang().foreign() {
            self.gang().supervisor.with_core(|core| core.record_timeline(most));
        }
    }

    /// What has been recorded until now of tasks that have ended, each attempt being one; nothing if nobody has asked for it by
    /// [`record_timeline`](Self::record_timeline).
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        if self.gang().foreign() {
            return Timeline { spans: Vec::new(), missed: 0 };
        }
        self.gang().supervisor.with_core(Core::timeline)
    }
}

impl Timeline {
    /// By worker, and by time: those of one worker do not overlap.
    #[must_use]
    pub fn spans(&self) -> &[TaskSpan] {
        &self.spans
    }

    /// How many tasks are in none of them, because there was no room, and nothing to be put together: the pool has called
    /// more functions by turns than it may keep spans.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl TaskSpan {
    /// The place of the worker in its gang; see [`worker_id`](crate::worker_id).
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The name of the function.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The index of the first of these tasks among those of its call.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many tasks these are.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// When the first of them began.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When the last of them ended.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.end
    }

    /// How long they ran together; what it is less than the time from start to end, the worker had nothing to do in between.
    #[must_use]
    pub fn work(&self) -> Duration {
        self.work
    }
}
