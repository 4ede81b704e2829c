//! Errors of pools, processes and what they share: building them, and using them out of turn. How a *task* ended is a
//! [`TaskError`](crate::TaskError).

use std::error::Error as StdError;
use std::fmt;

/// What went wrong; [`kind`](Self::kind) tells what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting has a value that makes no sense.
    InvalidSetting,
    /// Start method `fork` beside threads that are not ganger's.
    Threads,
    /// The system, or the program itself, does not allow to start processes.
    CannotStart,
    /// The `preload` function panicked.
    Preload,
    /// Workers could be started but did not get ready; the message has the cause.
    Broken,
    /// `join` before `close` or `terminate`.
    StillRunning,
    /// `join` from a callback of the same pool, which would wait for itself.
    WouldDeadlock,
    /// The pool belongs to another process: this one is a forked child of it.
    ForeignProcess,
    /// The result is not there yet.
    NotReady,
    /// A process is asked for what only one that was started can do.
    NotStarted,
    /// A process is started a second time.
    AlreadyStarted,
    /// The time that the caller gave has passed. Python's `TimeoutError`.
    TimedOut,
    /// A queue has no room now. Python's `queue.Full`.
    Full,
    /// A queue has nothing now. Python's `queue.Empty`.
    Empty,
    /// It was closed here, or the pool was closed or terminated. Python's `ValueError` for the use of what is closed.
    Closed,
    /// Whoever was at the other end is gone. Python's `EOFError` and `BrokenPipeError`.
    Disconnected,
    /// A lock is released by somebody who does not hold it, or more often than it was taken.
    NotOwner,
    /// A barrier was broken: by a time limit, by `abort`, or by the death of one who waited. Python's `BrokenBarrierError`.
    BrokenBarrier,
    /// A process died while it held it, and may have left it half changed.
    Abandoned,
    /// A value cannot be turned into bytes, or cannot travel.
    NotSerializable,
    /// Bytes are not those of the value that was expected.
    NotDeserializable,
    /// A message is larger than the limit.
    TooLarge,
    /// A type or a shape is not the one that is there.
    Mismatch,
    /// An index or a range exceeds what is there. Python's `IndexError`.
    OutOfRange,
    /// Somebody else is using it at the moment.
    Claimed,
    /// Nobody can write to it any more.
    Sealed,
    /// The other side does not have the same key. Python's `AuthenticationError`.
    Authentication,
    /// An operation that a server carried out failed there; the message is its own.
    Remote,
    /// The system refused it; the source says why.
    System,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The time that a caller was willing to wait has passed; what was waited for goes on. Python's `TimeoutError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout;

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ready within the given time")
    }
}

impl StdError for Timeout {}
