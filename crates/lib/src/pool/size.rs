//! How many workers a pool has: asked for anew, or fewer while there is nothing to do.

use std::time::Duration;

use super::Pool;
use super::builder::{Builder, invalid};
use crate::supervisor::core::Core;
use crate::supervisor::event::Event;
use crate::supervisor::state::Phase;
use crate::{Error, ErrorKind};

/// The largest gang.
const MOST_WORKERS: usize = 1 << 20;

impl Pool {
    /// Has the pool go on with `workers` workers; what is under way is not disturbed, and nothing is waited for. Python's pools
    /// keep the size that they were made with.
    ///
    /// A pool that grows starts the workers that are missing as it did when it was built. One that shrinks gives up the last places: what their
    /// workers have not begun goes back to the queue and runs elsewhere, what they have begun they end, however
    /// long that takes; then they are told to leave, and killed if they have not a second later. So at most `workers` workers
    /// get tasks from now on, while [`workers`](Self::workers) and [`worker_pids`](Self::worker_pids) list all that
    /// live, those that are on their way out ([`is_leaving`](crate::WorkerStatus::is_leaving)) included, until another one has their place.
    ///
    /// It may be called again before an earlier call has taken effect, from any thread: what was asked for last
    /// holds, and workers that are wanted again before they were told to leave stay. Asking for what there is changes nothing.
    /// Thread variables in the workers' environment are those of the size at [`build`](Builder::build).
    ///
    /// # Errors
    /// [`InvalidSetting`](ErrorKind::InvalidSetting) when it is 0 or more than a million (2<sup>20</sup>),
    /// [`Closed`](ErrorKind::Closed) or [`Broken`](ErrorKind::Broken) when the pool is that.
    ///
    /// ```
    /// let pool = ganger::Pool::new(1)?;
    /// let squares = pool.map_async(|x: u64| x * x, 0..1000);
    /// pool.resize(3)?;
    /// pool.resize(2)?;
    /// assert_eq!(pool.size(), 2);
    /// assert_eq!(squares.get()?[999], 998_001);
    /// assert!(pool.resize(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        check_size(workers)?;
        self.gang().check_process()?;
        let name = self.name();
        self.gang().supervisor.with_core(|core| {
            check_running(core, name)?;
            tracing::debug!(pool = name, workers, "the gang is to have another size");
            core.handle(Event::Resized(workers as u32));
            Ok(())
        })
    }

    /// How many workers the pool is to have at most: what it was built with, or was [asked](Self::resize) for last. How many
    /// live, [`workers`](Self::workers) tells. In a forked copy of the process that built it, 0.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.gang().foreign() { 0 } else { self.gang().supervisor.with_core(|core| core.size()) as usize }
    }
}

impl Builder {
    /// Dismisses workers that have had nothing to do for so long, down to [`min_workers`](Self::min_workers), and starts others when
    /// tasks wait; without it, all stay. A worker has something to do from the moment when a task is sent to it until its result has
    /// arrived: taking in large arguments is not idleness.
    ///
    /// A task never waits for a worker to be gone: the one that starts for it is started beside the one that leaves. But it
    /// may wait for the start of its worker, some milliseconds and the [initializer](Self::initializer).
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = ganger::Pool::builder().workers(2).idle_timeout(Duration::from_millis(1)).min_workers(0).build()?;
    /// while pool.worker_pids().len() > 0 { std::thread::yield_now() }
    /// assert_eq!(pool.apply(|x: i64| x + 1, (1,))?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// How many workers stay, however long they have had nothing to do; 1 without it, so that a single task finds one. With
    /// 0, only the guardian is left of a pool that has nothing to do. After [`Pool::resize`] to fewer it means
    /// all of them. It needs [`idle_timeout`](Self::idle_timeout).
    pub fn min_workers(mut self, count: usize) -> Self {
        self.min_workers = Some(count);
        self
    }

    /// How many of `workers` stay.
    pub(super) fn least_workers(&self, workers: usize) -> Result<u32, Error> {
        if self.idle_timeout.is_some_and(|limit| limit.is_zero()) {
            return Err(invalid("idle_timeout is 0: it must be longer, or not be set at all".to_owned()));
        }
        let least = self.min_workers.unwrap_or(1);
        if self.min_workers.is_some() && self.idle_timeout.is_none() {
            let text = format!("min_workers is {least}, but all workers stay: set idle_timeout as well");
            return Err(invalid(text));
        }
        if least > workers {
            return Err(invalid(format!("min_workers is {least}: the pool has only {workers}")));
        }
        Ok(u32::try_from(least).unwrap_or(u32::MAX))
    }
}

/// Whether a gang can have so many workers.
pub(super) fn check_size(workers: usize) -> Result<(), Error> {
    if workers == 0 || workers > MOST_WORKERS {
        return Err(invalid(format!("workers is {workers}: a pool needs at least 1, and at most {MOST_WORKERS}")));
    }
    Ok(())
}

fn check_running(core: &Core, name: &str) -> Result<(), Error> {
    match core.phase() {
        Phase::Running => Ok(()),
        Phase::Broken => {
            let cause = core.cause.as_deref().unwrap_or_default();
            Err(Error::new(ErrorKind::Broken, format!("cannot resize: pool {name:?} is broken: {cause}")))
        }
        Phase::Closed | Phase::Finished => {
            let text = format!("cannot resize: pool {name:?} was closed or terminated");
            Err(Error::new(ErrorKind::Closed, text))
        }
    }
}
