//! The limits of tasks: time, tries, memory.

use std::time::Duration;

use ganger_os::process::Meter;

use super::builder::{Builder, invalid};
use super::terms::{Retry, Terms};
use crate::Error;

/// The least limit of memory that makes sense.
const LEAST_MEMORY: u64 = 1 << 20;

impl Builder {
    /// How long each task may run, from its begin; without it, for ever. [`Pool::with_timeout`](crate::Pool::with_timeout) sets it for single calls.
    ///
    /// A task whose time is over is stopped in stages: the flag is set that it may
    /// [look at](crate::cancel_requested); half of the [grace](Self::grace) later its worker is sent SIGTERM, and at the end
    /// of the grace it is killed. A task that never looks at the flag is sent SIGTERM at once. Its outcome is
    /// [`TimedOut`](crate::TaskErrorKind::TimedOut), and the text says what ended it; a value that it returned because it was
    /// asked to end is its value. The worker is replaced; no other task suffers.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long each task may wait from its submission until a worker begins it; without it, for ever. What has waited for
    /// longer is not run: its outcome is [`QueueTimedOut`](crate::TaskErrorKind::QueueTimedOut). Items that `imap` has not yet
    /// pulled from its input do not wait.
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.queue_timeout = Some(limit);
        self
    }

    /// How long a task that is to end (its time is over, or it was cancelled) has for it before its worker is killed; 1 s
    /// without it. With 0 it is killed at once.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Which tasks are tried again after a failure; without it, none.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How many bytes a worker may hold for itself, beyond what it held when it got ready; without it, as many as there are. One
    /// that holds more is killed at once, and the task that it had begun ends as
    /// [`MemoryExceeded`](crate::TaskErrorKind::MemoryExceeded), with the worker's peak.
    ///
    /// It is measured about 20 times a second, less often where that takes long, and what is shared with the guardian
    /// (preloaded data that nobody has written to) does not count: a task may hold more for a moment. A hard limit is a matter of the kernel: a
    /// control group around the whole program.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory.hard = Some(bytes);
        self
    }

    /// As [`memory_limit`](Self::memory_limit), but the worker may end its task first, and is then replaced: against leaks.
    pub fn memory_soft_limit(mut self, bytes: u64) -> Self {
        self.memory.soft = Some(bytes);
        self
    }

    pub(super) fn check_memory(&self) -> Result<(), Error> {
        for (name, limit) in [("memory_limit", self.memory.hard), ("memory_soft_limit", self.memory.soft)] {
            if let Some(bytes) = limit.filter(|bytes| *bytes < LEAST_MEMORY) {
                let text =
                    format!("{name} is {bytes}: no worker can do anything with less than {LEAST_MEMORY} bytes (1 MiB)");
                return Err(invalid(text));
            }
        }
        if let (Some(soft), Some(hard)) = (self.memory.soft, self.memory.hard)
            && soft > hard
        {
            return Err(invalid(format!("memory_soft_limit is {soft}, above memory_limit, which is {hard}")));
        }
        if self.memory.any() {
            let own = std::process::id().cast_signed();
            let measured = Meter::open(own).and_then(|meter| meter.private());
            measured.map_err(|error| {
                invalid(format!(
                    "limits of memory cannot be kept here: /proc/{own}/smaps_rollup cannot be read: {error}"
                ))
            })?;
        }
        Ok(())
    }

    /// What calls ask for, if they do not say otherwise.
    pub(super) fn terms(&self) -> Result<Terms, Error> {
        let mut terms = Terms::default();
        self.chunksize.map_or(Ok(()), |tasks| terms.set_chunksize(tasks))?;
        self.timeout.map_or(Ok(()), |limit| terms.set_timeout(limit))?;
        self.queue_timeout.map_or(Ok(()), |limit| terms.set_queue_timeout(limit))?;
        self.retry.as_ref().map_or(Ok(()), |retry| terms.set_retry(retry))?;
        Ok(terms)
    }
}
