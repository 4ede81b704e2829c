//! A pool's life, and what can be seen of its gang.

use super::Pool;
use super::status::WorkerStatus;
use crate::supervisor::core::Core;
use crate::supervisor::state::Phase;
use crate::{Containment, Error};

impl Pool {
    /// Takes no more work; what there is will be done, and then the workers leave. Python's `close`.
    pub fn close(&self) {
        self.gang().close();
    }

    /// Cancels every task that has not begun, of all calls so far, and reads no further in the inputs of lazy maps; those that
    /// run go on to their end. Later calls are not affected.
    ///
    /// ```
    /// let pool = ganger::Pool::new(1)?;
    /// let gate = std::env::temp_dir().join(format!("gate-{}", std::process::id()));
    /// let wait = |path: std::path::PathBuf| while !path.exists() { std::thread::yield_now() };
    /// let tasks = pool.map_async(wait, vec![gate.clone(); 10]);
    /// while pool.workers().iter().all(|worker| worker.running().is_none()) { std::thread::yield_now() }
    /// pool.cancel_queued();
    /// std::fs::write(&gate, "")?;
    /// assert_eq!(tasks.get().unwrap_err().kind(), ganger::TaskErrorKind::Cancelled);
    /// std::fs::remove_file(&gate)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_queued(&self) {
        self.gang().cancel_queued();
    }

    /// Kills the workers; every task that has not ended is [`Cancelled`](crate::TaskErrorKind::Cancelled). Python's `terminate`.
    pub fn terminate(&self) {
        self.gang().terminate();
    }

    /// Waits until all work is done, all callbacks have run, and no process of the gang is left. Python's `join`.
    ///
    /// # Errors
    /// [`StillRunning`](crate::ErrorKind::StillRunning) before `close` or `terminate`; [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) in a callback of this pool.
    pub fn join(&self) -> Result<(), Error> {
        self.gang().join()
    }

    /// The name that was given to the pool, or made up for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.gang().name
    }

    /// The process ids of the workers that live now, by their place in the gang.
    #[must_use]
    pub fn worker_pids(&self) -> Vec<u32> {
        if self.gang().foreign() { Vec::new() } else { self.gang().supervisor.with_core(|core| core.worker_pids()) }
    }

    /// Runs `stop`, which stops this process until somebody continues it (as SIGTSTP does by default), and takes the time as if it
    /// had not passed: no task's limits count it. The workers go on meanwhile, unless they are stopped as well: each is the
    /// leader of a process group of its own.
    ///
    /// `stop` must not use the pool.
    ///
    /// ```no_run
    /// let pool = ganger::Pool::new(2)?;
    /// pool.stand_still(|| {
    ///     let own = std::process::id().to_string();
    ///     std::process::Command::new("kill").args(["-STOP", &own]).status().unwrap();
    /// });
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn stand_still(&self, stop: impl FnOnce()) {
        if !self.gang().foreign() {
            self.gang().supervisor.stand_still(stop);
        }
    }

    /// What the workers that live are doing now, by their place in the gang.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.gang().workers()
    }

    /// Why the pool can run nothing any more, if that is so: tasks end as [`PoolBroken`](crate::TaskErrorKind::PoolBroken), for good. A
    /// program that has to go on working builds another pool, or ends. That workers are just being replaced is no such cause.
    ///
    /// ```
    /// let pool = ganger::Pool::new(1)?;
    /// assert_eq!(pool.broken(), None);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        if self.gang().foreign() {
            return None;
        }
        let cause = |core: &Core| core.cause.clone().unwrap_or_default();
        self.gang().supervisor.with_core(|core| (core.phase() == Phase::Broken).then(|| cause(core)))
    }

    /// What holds on this machine for the workers of this pool and for what they start, and what does not: found out by
    /// trying, which takes some milliseconds.
    ///
    /// ```
    /// let pool = ganger::Pool::new(1)?;
    /// assert!(pool.containment().holds("guardian"));
    /// # Ok::<(), ganger::Error>(())
    /// ```
    #[must_use]
    pub fn containment(&self) -> Containment {
        let group = self.gang().supervisor.with_core(|core| core.group_directory());
        Containment::of_gang(self.guardian_pid(), group)
    }

    /// The process id of the guardian, the parent of all workers, while it is there.
    #[must_use]
    pub fn guardian_pid(&self) -> Option<u32> {
        if self.gang().foreign() { None } else { self.gang().supervisor.with_core(|core| core.guardian_pid()) }
    }
}
