//! A queue that knows what is done.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::typed::{Queue, stuck};
use crate::{Error, ErrorKind};

/// A [`Queue`] whose consumers say when they are done with a value, so that others can wait until all are. Python's `JoinableQueue`.
///
/// ```
/// use ganger::JoinableQueue;
///
/// fn consume(queue: JoinableQueue<u32>) -> usize {
///     queue.iter().map(|_value| queue.task_done().unwrap()).count()
/// }
///
/// let pool = ganger::Pool::new(2)?;
/// let queue = JoinableQueue::new()?;
/// let workers = [(); 2].map(|()| pool.apply_async::<_, _, usize>(consume, (queue.clone(),)));
/// (0..100).try_for_each(|number| queue.put(&number))?;
/// queue.join()?;
/// queue.close()?;
/// assert_eq!(workers[0].get()? + workers[1].get()?, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinableQueue<T>(Queue<T>);

impl<T> JoinableQueue<T> {
    /// Makes a queue that has room for any number of values.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn new() -> Result<Self, Error> {
        Queue::counted(None).map(Self)
    }

    /// Makes a queue that has room for `most` values.
    ///
    /// # Errors
    /// As [`Queue::bounded`].
    pub fn bounded(most: usize) -> Result<Self, Error> {
        Queue::counted(Some(most)).map(Self)
    }

    /// Says that a value which was taken out is done with.
    ///
    /// # Errors
    /// `NotOwner` when that was said of all values already (Python's `ValueError`); `TimedOut` when a process was stopped in the middle of a change
    /// for a second.
    pub fn task_done(&self) -> Result<(), Error> {
        self.0.handle().with("say that an item is done with", |view| view.finish()).map_err(stuck)
    }

    /// Waits until every value that was put in has been taken out and is done with.
    ///
    /// # Errors
    /// `Disconnected` when there are some, and nobody else has the queue any more who could say so; `Abandoned` when some were
    /// taken by processes that have died before they said so (in Python one waits for ever then). They count as done from
    /// then on, and one can wait for the others. Only the process that takes a value is known: one that hands it to another
    /// process, and ends before that one is done, counts as having died with it.
    pub fn join(&self) -> Result<(), Error> {
        self.join_until(None)
    }

    /// As [`join`](Self::join), waiting at most `timeout`.
    ///
    /// # Errors
    /// As `join`; `TimedOut` when they were not done in time.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.join_until(Instant::now().checked_add(timeout))
    }

    fn join_until(&self, end: Option<Instant>) -> Result<(), Error> {
        let joined = self.0.handle().with("wait for a queue's items", |view| view.wait_finished(end));
        joined.map_err(|refusal| refusal.into_error(ErrorKind::TimedOut, "some are not done with"))
    }
}

impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Serialize for JoinableQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Queue::deserialize(deserializer).map(Self)
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinableQueue").field(&self.0).finish()
    }
}
