//! The handle of an asynchronous call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::callbacks::PanicNote;
use super::gang::Gang;
use super::job::Job;
use super::sink::{Batch, SinkState, deadline};
use crate::{Error, ErrorKind, TaskError, TaskErrorKind, Timeout};

/// Reads a job's value from its outcomes.
pub(crate) type Read<V> = Arc<dyn Fn(&Job, &SinkState) -> Result<V, TaskError> + Send + Sync>;

/// The result of an asynchronous call that may not have ended yet; also a [`Future`] for any executor.
///
/// Dropping it detaches: the task runs, and its callbacks are called. [`get`](Self::get) may be called many times, and
/// gives the same each time. Python's `AsyncResult`.
///
/// ```
/// let pool = ganger::Pool::new(2)?;
/// let answer = pool.apply_async(|a: i64, b: i64| a * b, (6, 7));
/// assert_eq!(answer.get()?, 42);
/// assert!(answer.ready() && answer.successful()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncResult<V> {
    gang: Arc<Gang>,
    pub(super) job: Arc<Job>,
    read: Read<V>,
    panic: PanicNote,
}

impl<V> std::fmt::Debug for AsyncResult<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncResult")
            .field("task", &self.job.name)
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}

impl<V> AsyncResult<V> {
    pub(crate) fn new(gang: Arc<Gang>, job: Arc<Job>, read: Read<V>, panic: PanicNote) -> Self {
        Self { gang, job, read, panic }
    }

    /// Waits for the end and returns the value.
    ///
    /// # Errors
    /// How the task ended without one; of several tasks, the first by index, after all have ended.
    pub fn get(&self) -> Result<V, TaskError> {
        let state = self.job.sink.wait(None, |state| state.done());
        (self.read)(&self.job, &state)
    }

    /// As [`get`](Self::get), waiting at most `limit`.
    ///
    /// # Errors
    /// [`Timeout`] when it has not ended by then; it goes on, and may be asked for again.
    pub fn get_timeout(&self, limit: Duration) -> Result<Result<V, TaskError>, Timeout> {
        let state = self.job.sink.wait(deadline(limit), |state| state.done());
        if state.done() { Ok((self.read)(&self.job, &state)) } else { Err(Timeout) }
    }

    /// Waits for the end.
    pub fn wait(&self) {
        drop(self.job.sink.wait(None, |state| state.done()));
    }

    /// Waits for the end, at most `limit`, and tells whether it has come.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.job.sink.wait(deadline(limit), |state| state.done()).done()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.job.sink.lock().done()
    }

    /// Whether it has ended with a value.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] when it has not ended yet, as in Python.
    pub fn successful(&self) -> Result<bool, Error> {
        let state = self.job.sink.lock();
        if state.done() {
            Ok(first_error(&state).is_none())
        } else {
            Err(Error::new(ErrorKind::NotReady, format!("{} has not ended yet: wait for it first", self.job.name)))
        }
    }

    /// Cancels it. What has not begun never will, and what runs is stopped in the stages of
    /// [`Builder::timeout`](crate::Builder::timeout), and its worker replaced; the outcome of both is
    /// [`Cancelled`](TaskErrorKind::Cancelled). What has ended, has ended. Does not wait: the outcome tells when it is over.
    ///
    /// Returns whether anything was, or is being, cancelled. (Python's `AsyncResult` cannot be cancelled; a
    /// `concurrent.futures` one only before it runs.)
    ///
    /// ```
    /// use std::time::Duration;
    /// fn nap(millis: u64) { std::thread::sleep(Duration::from_millis(millis)) }
    /// let pool = ganger::Pool::new(1)?;
    /// let nap = pool.apply_async(nap, (600_000,));
    /// assert!(nap.cancel());
    /// assert_eq!(nap.get().unwrap_err().kind(), ganger::TaskErrorKind::Cancelled);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.gang.stop(&self.job);
        let state = self.job.sink.lock();
        if !state.done() {
            return true;
        }
        state.batches.iter().flat_map(Batch::all_errors).any(|error| error.kind() == TaskErrorKind::Cancelled)
    }

    /// The message of a panic in the callback of this call, if it has run and panicked.
    #[must_use]
    pub fn callback_panic(&self) -> Option<&str> {
        self.panic.get().map(String::as_str)
    }
}

impl<V> Future for AsyncResult<V> {
    type Output = Result<V, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.job.sink.lock();
        if state.done() {
            return Poll::Ready((self.read)(&self.job, &state));
        }
        state.wake_later(context.waker());
        Poll::Pending
    }
}

/// The error with the lowest index.
pub(crate) fn first_error(state: &SinkState) -> Option<&TaskError> {
    state.batches.iter().filter_map(|batch| batch.all_errors().first()).min_by_key(|error| error.index())
}
