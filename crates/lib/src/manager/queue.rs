//! A queue in a manager.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::handle;
use super::patience::{NOW, for_at_most};
use super::protocol::{Blob, Op, Patience, QueueOp};
use crate::error::Error;

handle! {
    /// A queue in a [`Manager`](super::Manager), for many producers and consumers. Python's `Manager().Queue()`.
    ///
    /// Its values are in the manager, so that those of a producer that dies stay; what a consumer has taken that dies is
    /// gone with it. Who waits is served in the order of coming. Within one program, a queue that needs no manager is
    /// faster; this one can be reached from other programs too, and by name.
    ///
    /// ```
    /// use ganger::{AsyncResult, Manager, Pool};
    /// use ganger::manager::Queue;
    ///
    /// let manager = Manager::new()?;
    /// let queue: Queue<String> = manager.queue(10)?;
    /// let pool = Pool::new(1)?;
    /// let got: AsyncResult<String> = pool.apply_async(|queue: Queue<String>| queue.get(), (queue.clone(),));
    /// queue.put(&"a job".to_owned())?;
    /// assert_eq!(got.get()?, "a job");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Queue<T>
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts `value` behind the others, when there is room for it.
    ///
    /// # Errors
    /// As of every method: when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)), the queue was discarded
    /// ([`Closed`](crate::ErrorKind::Closed)), a value cannot be turned into bytes or back, or a message would be too large.
    pub fn put(&self, value: &T) -> Result<(), Error> {
        self.put_within(value, None)
    }

    /// Puts `value` behind the others if there is room now. Python's `put_nowait`.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full) when there is none. See [`put`](Self::put).
    pub fn try_put(&self, value: &T) -> Result<(), Error> {
        self.put_within(value, NOW)
    }

    /// Puts `value` behind the others if there is room within `limit`, which the manager keeps.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) when there was none. See [`put`](Self::put).
    pub fn put_timeout(&self, value: &T, limit: Duration) -> Result<(), Error> {
        self.put_within(value, for_at_most(limit))
    }

    /// Takes the first value out, when there is one.
    ///
    /// # Errors
    /// See [`put`](Self::put).
    pub fn get(&self) -> Result<T, Error> {
        self.get_within(None)
    }

    /// Takes the first value out if there is one now. Python's `get_nowait`.
    ///
    /// # Errors
    /// [`Empty`](crate::ErrorKind::Empty) when there is none. See [`put`](Self::put).
    pub fn try_get(&self) -> Result<T, Error> {
        self.get_within(NOW)
    }

    /// Takes the first value out if there is one within `limit`, which the manager keeps.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) when there was none. See [`put`](Self::put).
    pub fn get_timeout(&self, limit: Duration) -> Result<T, Error> {
        self.get_within(for_at_most(limit))
    }

    /// How many values there are. Python's `qsize`.
    ///
    /// # Errors
    /// See [`put`](Self::put).
    pub fn len(&self) -> Result<usize, Error> {
        self.proxy.call(&Op::Queue(QueueOp::Len))
    }

    /// Whether there is no value.
    ///
    /// # Errors
    /// See [`put`](Self::put).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    fn put_within(&self, value: &T, patience: Patience) -> Result<(), Error> {
        self.proxy.call(&Op::Queue(QueueOp::Put(Blob(&self.proxy.bytes(value)?), patience)))
    }

    fn get_within(&self, patience: Patience) -> Result<T, Error> {
        self.proxy.call(&Op::Queue(QueueOp::Get(patience)))
    }
}
