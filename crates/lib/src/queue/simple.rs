//! A queue with the least.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::typed::Queue;
use crate::Error;

/// A [`Queue`] that is only put into and taken out of. Python's `SimpleQueue`, whose `put` waits when a pipe is full; this one's
/// does not wait.
///
/// ```
/// let queue = ganger::SimpleQueue::new()?;
/// queue.put(&"first".to_owned())?;
/// assert!(!queue.is_empty()?);
/// assert_eq!(queue.get()?, "first");
/// # Ok::<(), ganger::Error>(())
/// ```
pub struct SimpleQueue<T>(Queue<T>);

impl<T> SimpleQueue<T> {
    /// Makes a queue.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn new() -> Result<Self, Error> {
        Queue::new().map(Self)
    }

    /// Whether nothing is in it at this moment. Python's `empty`.
    ///
    /// # Errors
    /// As [`Queue::is_empty`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.0.is_empty()
    }

    /// Closes it for all processes.
    ///
    /// # Errors
    /// As [`Queue::close`].
    pub fn close(&self) -> Result<(), Error> {
        self.0.close()
    }
}

impl<T: Serialize> SimpleQueue<T> {
    /// Puts a value in.
    ///
    /// # Errors
    /// As [`Queue::put`].
    pub fn put(&self, value: &T) -> Result<(), Error> {
        self.0.put(value)
    }
}

impl<T: DeserializeOwned> SimpleQueue<T> {
    /// Takes the first value out, waiting for one for as long as somebody may put one in.
    ///
    /// # Errors
    /// As [`Queue::get`].
    pub fn get(&self) -> Result<T, Error> {
        self.0.get()
    }
}

impl<T> Clone for SimpleQueue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Serialize for SimpleQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for SimpleQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Queue::deserialize(deserializer).map(Self)
    }
}

impl<T> fmt::Debug for SimpleQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimpleQueue").field(&self.0).finish()
    }
}
