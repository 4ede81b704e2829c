//! Workers that get nowhere, as the pool reports them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker that gets nowhere with its task. The pool reports it and leaves it alone: only a limit ends it.
///
/// [`Pool::troubles`](crate::Pool::troubles) lists those that there are. The text says it all: `worker 3 (pid 1234)
/// stopped for 6 s in task 17`.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub(crate) worker: u32,
    pub(crate) pid: u32,
    pub(crate) what: TroubleKind,
    pub(crate) since: Instant,
    pub(crate) task: Option<(Arc<str>, u64)>,
}

/// The kinds of [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TroubleKind {
    /// Its process is stopped, by SIGSTOP or its like. SIGCONT lets it go on.
    Stopped,
    /// Another process, such as a debugger, traces it.
    Traced,
    /// Its task has been running for 4 s or more and uses no processor: it sleeps, is locked up, or waits for something
    /// outside of it.
    Stuck,
    /// Its task has been running for 60 s or more.
    Slow,
}

impl TroubleKind {
    /// A fixed word for the kind, for records and tables: `"stopped"`, `"traced"`, `"stuck"`, `"slow"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Traced => "traced",
            Self::Stuck => "stuck",
            Self::Slow => "slow",
        }
    }
}

impl Trouble {
    /// The worker's place in the gang.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What is the matter with it.
    #[must_use]
    pub fn what(&self) -> TroubleKind {
        self.what
    }

    /// When it began: for a task that gets nowhere, when the task did; for a stopped or traced process, when it was last
    /// seen to be neither, which is up to a second earlier.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How long it has lasted by now.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The function of the task that the worker has, if it has one.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        self.task.as_ref().map(|(name, _)| &**name)
    }

    /// The place of that task in its call's input.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.task.as_ref().map(|(_, index)| *index)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, pid, what, .. } = self;
        write!(f, "worker {worker} (pid {pid}) {} for {} s", what.as_str(), self.elapsed().as_secs())?;
        self.index().map_or(Ok(()), |index| write!(f, " in task {index}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_worker_process_and_task() {
        let since = Instant::now().checked_sub(Duration::from_millis(6_100)).expect("the machine has been up for 6 s");
        let task = Some((Arc::from("count"), 17));
        let trouble = Trouble { worker: 3, pid: 1234, what: TroubleKind::Stopped, since, task };
        assert_eq!(trouble.to_string(), "worker 3 (pid 1234) stopped for 6 s in task 17");
        let idle = Trouble { task: None, what: TroubleKind::Traced, ..trouble };
        assert_eq!(idle.to_string(), "worker 3 (pid 1234) traced for 6 s");
    }
}
