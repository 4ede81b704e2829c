//! How a task ends when it does not return a value.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::output::{NOTHING, Written};

/// Why a task has no value. Every task ends in exactly one outcome: its value, or one of these.
///
/// The text says what happened, to which task, and where; the parts are there to act upon.
///
/// ```
/// # fn half(x: i64) -> Result<i64, String> { if x % 2 == 0 { Ok(x / 2) } else { Err(format!("{x} is odd")) } }
/// let pool = ganger::Pool::new(2)?;
/// let halves: Result<Vec<i64>, _> = pool.map(half, [4, 7, 8]);
/// let error = halves.unwrap_err();
/// assert_eq!(error.kind(), ganger::TaskErrorKind::Failed);
/// assert_eq!((error.index(), error.message()), (1, "7 is odd"));
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: TaskErrorKind,
    message: String,
    task: Arc<str>,
    index: u64,
    /// Which of the items that the task is made of, if it is and that is known.
    item: Option<u64>,
    attempt: u32,
    worker: Option<u32>,
    pid: Option<u32>,
    duration: Option<Duration>,
    peak_memory: Option<u64>,
    location: Option<String>,
    backtrace: Option<String>,
    /// The name of the process that was the task, if it was one of its own.
    process: Option<String>,
    /// What it has written, if that was captured and anything.
    output: Option<Box<[Written; 2]>>,
    /// It is no task but the exit hook of a worker.
    exit_hook: bool,
    /// The attempts before this one.
    before: Vec<TaskError>,
}

/// The kinds of [`TaskError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// It returned `Err`.
    Failed,
    /// It panicked.
    Panicked,
    /// Its process left with this code in the middle of it.
    Exited(i32),
    /// This signal ended its process.
    Killed(i32),
    /// Its process is gone, and how cannot be known.
    Lost,
    /// It was cancelled, or its pool was terminated, before it ended.
    Cancelled,
    /// It ran longer than its [timeout](crate::Builder::timeout), and was stopped.
    TimedOut,
    /// Its worker held more memory than its [limit](crate::Builder::memory_limit), and was killed.
    MemoryExceeded,
    /// It waited longer than its [limit](crate::Builder::queue_timeout), and was not run.
    QueueTimedOut,
    /// Its arguments or its result could not be turned into bytes.
    NotSerializable,
    /// Its arguments or its result could not be turned back into values.
    NotDeserializable,
    /// Its arguments or its result are larger than 2 GiB.
    TooLarge,
    /// Its worker sent bytes that make no sense, or closed its link, and was killed.
    ProtocolViolation,
    /// The pool has no workers and cannot start any.
    PoolBroken,
    /// The pool was closed or terminated before the task was submitted.
    NotRunning,
    /// The input iterator panicked in the place of this task.
    InputPanicked,
}

impl TaskErrorKind {
    /// A fixed word for the kind, for records and tables: `"failed"`, `"killed"`, and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Exited(_) => "exited",
            Self::Killed(_) => "killed",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
            Self::MemoryExceeded => "memory-exceeded",
            Self::QueueTimedOut => "queue-timed-out",
            Self::NotSerializable => "not-serializable",
            Self::NotDeserializable => "not-deserializable",
            Self::TooLarge => "too-large",
            Self::ProtocolViolation => "protocol-violation",
            Self::PoolBroken => "pool-broken",
            Self::NotRunning => "not-running",
            Self::InputPanicked => "input-panicked",
        }
    }
}

impl TaskError {
    pub(crate) fn new(kind: TaskErrorKind, message: impl Into<String>, task: Arc<str>, index: u64) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            task,
            index,
            item: None,
            attempt: 1,
            worker: None,
            pid: None,
            duration: None,
            peak_memory: None,
            location: None,
            backtrace: None,
            process: None,
            output: None,
            exit_hook: false,
            before: Vec::new(),
        }))
    }

    /// Says how the attempts before have ended.
    pub(crate) fn after(mut self, before: Vec<Self>) -> Self {
        self.0.attempt = u32::try_from(before.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.0.before = before;
        self
    }

    pub(crate) fn by_worker(mut self, worker: u32, pid: Option<i32>, duration: Option<Duration>) -> Self {
        self.0.worker = Some(worker);
        self.0.pid = pid.map(i32::cast_unsigned);
        self.0.duration = duration;
        self
    }

    /// Of a process that was started to make one call.
    pub(crate) fn of_process(mut self, name: &str, pid: Option<i32>, lasted: Option<Duration>) -> Self {
        self.0.process = Some(name.to_owned());
        self.0.pid = pid.map(i32::cast_unsigned);
        self.0.duration = lasted;
        self
    }

    /// Says that it was the exit hook of a worker.
    pub(crate) fn of_exit_hook(mut self) -> Self {
        self.0.exit_hook = true;
        self
    }

    /// Says of which item.
    pub(crate) fn of_item(mut self, item: Option<u64>) -> Self {
        self.0.item = item;
        self
    }

    /// The error of a task that is made of these items, as that of the one which it is about.
    pub(crate) fn of_one_in(mut self, items: &Range<u64>) -> Self {
        let known = self.0.item.filter(|item| items.contains(item));
        if known.is_none() && items.end - items.start > 1 {
            let last = items.end - 1;
            self.0.message = format!("{} (it was one of the items {} to {last})", self.0.message, items.start);
        }
        self.0.index = known.unwrap_or(items.start);
        self.0.before = std::mem::take(&mut self.0.before).into_iter().map(|error| error.of_one_in(items)).collect();
        self
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.0.task.clone()
    }

    pub(crate) fn with_peak_memory(mut self, bytes: u64) -> Self {
        self.0.peak_memory = (bytes > 0).then_some(bytes);
        self
    }

    pub(crate) fn with_trace(mut self, location: Option<String>, backtrace: Option<String>) -> Self {
        self.0.location = location;
        self.0.backtrace = backtrace;
        self
    }

    pub(crate) fn with_output(mut self, output: &[Written; 2]) -> Self {
        self.0.output = Some(Box::new(output.clone()));
        self
    }

    /// What kind of ending it was.
    #[must_use]
    pub fn kind(&self) -> TaskErrorKind {
        self.0.kind
    }

    /// What the task said (its `Err`, its panic's message), or what was found instead of a result.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The name of the task's function.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// Which item of the input it was, counted from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// The how-many-th attempt it was, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// How the attempts before this one have failed, from the first on; empty without [`Retry`](crate::Retry).
    #[must_use]
    pub fn attempts_before(&self) -> &[TaskError] {
        &self.0.before
    }

    /// The worker's place in the gang, if one had begun the task.
    #[must_use]
    pub fn worker(&self) -> Option<u32> {
        self.0.worker
    }

    /// The worker's process id, if one had begun the task.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// How long the call ran; for a worker that died, how long it had been since its last sign of life at most.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.0.duration
    }

    /// The largest resident size that the worker had had, in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.0.peak_memory
    }

    /// Where it panicked: file, line and column.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The stack at the panic, as text.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_deref()
    }

    /// What it had written to its standard output, by whatever means; nothing when that is not
    /// [captured](crate::Builder::capture_output).
    #[must_use]
    pub fn stdout(&self) -> &Written {
        self.0.output.as_ref().map_or(&NOTHING, |output| &output[0])
    }

    /// What it had written to its standard error, as [`stdout`](Self::stdout).
    #[must_use]
    pub fn stderr(&self) -> &Written {
        self.0.output.as_ref().map_or(&NOTHING, |output| &output[1])
    }

    /// The last line on standard error of a task that ended without being able to say why.
    fn last_words(&self) -> Option<Cow<'_, str>> {
        if !matches!(self.kind(), TaskErrorKind::Exited(_) | TaskErrorKind::Killed(_)) {
            return None;
        }
        let stderr = self.stderr();
        let end = if stderr.end().is_empty() { stderr.begin() } else { stderr.end() };
        let line = end.split(|byte| *byte == b'\n').rev().map(<[u8]>::trim_ascii).find(|line| !line.is_empty())?;
        Some(String::from_utf8_lossy(&line[..line.len().min(LAST_WORDS)]))
    }

    /// What happened, without saying to whom.
    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        match self.kind() {
            TaskErrorKind::Failed => write!(f, "failed: {message}"),
            TaskErrorKind::Panicked => match self.location() {
                Some(location) => write!(f, "panicked at {location}: {message}"),
                None => write!(f, "panicked: {message}"),
            },
            _ => f.write_str(message),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.0.process {
            write!(f, "process {name} ({}) ", self.task())?;
        } else if self.0.exit_hook {
            write!(f, "exit hook {} ", self.task())?;
        } else {
            write!(f, "task {} ({}) ", self.index(), self.task())?;
        }
        self.cause(f)?;
        if self.attempt() > 1 {
            write!(f, ", in attempt {}", self.attempt())?;
        }
        if let Some(words) = self.last_words() {
            write!(f, ", with the last words {words:?}")?;
        }
        let worker = self.worker().map(|worker| format!("worker {worker}"));
        let pid = self.pid().map(|pid| format!("pid {pid}"));
        let duration = self.duration().map(|duration| format!("after {:.3} s", duration.as_secs_f64()));
        let place: Vec<String> = [worker, pid, duration].into_iter().flatten().collect();
        if place.is_empty() { Ok(()) } else { write!(f, " [{}]", place.join(", ")) }
    }
}

impl std::error::Error for TaskError {}

/// How many bytes of a last line are told.
const LAST_WORDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_to_whom_and_where() {
        let error = TaskError::new(TaskErrorKind::Killed(9), "was killed by SIGKILL", "app::work".into(), 17);
        assert_eq!(error.to_string(), "task 17 (app::work) was killed by SIGKILL");
        let error = error.by_worker(2, Some(4711), Some(Duration::from_millis(1500)));
        assert_eq!(error.to_string(), "task 17 (app::work) was killed by SIGKILL [worker 2, pid 4711, after 1.500 s]");
    }
}
