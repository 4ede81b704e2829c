//! A queue of values.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::handle::{Handle, Refusal};
use crate::wire::codec;
use crate::{Error, ErrorKind};

/// A queue of values of type `T`: any number of processes put values in, and any number take them out, each value by one of
/// them. Python's `multiprocessing.Queue`.
///
/// It lives in memory that the processes share, which has no name and is gone with the last of them. Clones are handles of
/// the same queue; it travels as an argument or a result of a task, as an argument of a process, through a pipe, and into
/// forked processes by capture. Give each thread that uses it a clone.
///
/// * **A value is turned into bytes by [`put`](Self::put)**, in the caller's thread, so an error is the caller's. There is no feeder
///   thread: what was put is in the queue, and a process can end at once after it, whether anybody reads or not.
/// * The values of one producer come out in the order in which it put them in.
/// * **Whoever dies, whenever, leaves the queue as it was before or after what it did**: a value is there, or it is not. One that was
///   taken by a process that died before it could do anything with it is lost.
/// * Who waits, while nobody else has the queue any more, gets [`Disconnected`](ErrorKind::Disconnected): all other handles, in
///   whatever process, are dropped, or dead with their process. Only if there ever were any, and not counting threads that
///   share one handle by reference: a queue that never left its process waits for them for ever.
/// * Its memory grows as needed, and is given back when the queue has run empty.
/// * Values hold no handles (pipes, locks, other queues): those are for pipes and for arguments.
///
/// ```
/// use ganger::Queue;
///
/// fn produce(queue: Queue<String>, name: String) -> Result<(), ganger::Error> {
///     (0..3).try_for_each(|number| queue.put(&format!("{name}{number}")))
/// }
///
/// let pool = ganger::Pool::new(2)?;
/// let queue = Queue::new()?;
/// for name in ["a", "b"] {
///     pool.apply::<_, _, ()>(produce, (queue.clone(), name.to_owned()))?;
/// }
/// queue.close()?;
/// let all: Vec<String> = queue.iter().collect::<Result<_, _>>()?;
/// assert_eq!(all, ["a0", "a1", "a2", "b0", "b1", "b2"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T> {
    handle: Handle,
    items: PhantomData<fn(T) -> T>,
}

impl<T> Queue<T> {
    /// Makes a queue that has room for any number of values. Python's `Queue()`.
    ///
    /// # Errors
    /// `System` when memory or descriptors are short, or there is no `/proc`.
    pub fn new() -> Result<Self, Error> {
        Handle::new(0, false).map(Self::of)
    }

    /// Makes a queue that has room for `most` values: who puts one more waits. Python's `Queue(maxsize)`.
    ///
    /// # Errors
    /// As [`new`](Self::new); `InvalidSetting` when `most` is 0 (which in Python means any number).
    pub fn bounded(most: usize) -> Result<Self, Error> {
        Handle::new(bound_of(most)?, false).map(Self::of)
    }

    /// As those two, for items of which it is counted who has taken them.
    pub(super) fn counted(most: Option<usize>) -> Result<Self, Error> {
        Handle::new(most.map_or(Ok(0), bound_of)?, true).map(Self::of)
    }

    fn of(handle: Handle) -> Self {
        Self { handle, items: PhantomData }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How many values are in it at this moment. Python's `qsize`.
    ///
    /// # Errors
    /// `TimedOut` when a process was stopped in the middle of a change for a second; `System` when the system refuses.
    pub fn len(&self) -> Result<usize, Error> {
        let looked = self.handle.with("count a queue's items", |view| view.look());
        looked.map(|(items, _)| usize::try_from(items).unwrap_or(usize::MAX)).map_err(stuck)
    }

    /// Whether nothing is in it at this moment. Python's `empty`.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.len().map(|items| items == 0)
    }

    /// Whether it has no room at this moment. Python's `full`.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_full(&self) -> Result<bool, Error> {
        let bound = self.handle.bound();
        self.len().map(|items| bound != 0 && items as u64 >= bound)
    }

    /// Closes it for all processes: nothing can be put in any more, and what is in it can still be taken out. (In Python it is
    /// the caller's process alone that puts nothing in any more; here it drops its handles for that.)
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn close(&self) -> Result<(), Error> {
        self.handle.with("close a queue", |view| view.close()).map_err(stuck)
    }

    /// Whether somebody has closed it.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_closed(&self) -> Result<bool, Error> {
        self.handle.with("look at a queue", |view| view.look()).map(|(_, closed)| closed).map_err(stuck)
    }
}

fn bound_of(most: usize) -> Result<u64, Error> {
    let none = || Error::new(ErrorKind::InvalidSetting, "a queue with room for 0 items: use `new` for any number");
    if most == 0 { Err(none()) } else { Ok(most as u64) }
}

/// The error of what does not wait for anything but others' short changes.
pub(super) fn stuck(refusal: Refusal) -> Error {
    refusal.into_error(ErrorKind::TimedOut, "a process was stopped in the middle of a change")
}

impl<T: Serialize> Queue<T> {
    /// Puts a value in, waiting for room for as long as somebody may make some.
    ///
    /// # Errors
    /// `NotSerializable` when it cannot be turned into bytes, or holds a handle; `Closed` when the queue is; `Disconnected` when it is full and
    /// nobody else has it any more; `System` when memory is short. The value is not in the queue then.
    pub fn put(&self, value: &T) -> Result<(), Error> {
        self.put_until(value, None)
    }

    /// As [`put`](Self::put), waiting at most `timeout`. Python's `put(item, timeout=..)`.
    ///
    /// # Errors
    /// As `put`; `Full` when there was no room in time.
    pub fn put_timeout(&self, value: &T, timeout: Duration) -> Result<(), Error> {
        self.put_until(value, Instant::now().checked_add(timeout))
    }

    /// As [`put`](Self::put), without waiting. Python's `put_nowait`.
    ///
    /// # Errors
    /// As `put`; `Full` when there is no room now.
    pub fn try_put(&self, value: &T) -> Result<(), Error> {
        self.put_until(value, Some(Instant::now()))
    }

    fn put_until(&self, value: &T, end: Option<Instant>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).map_err(|error| {
            let text = format!("a {} cannot be put into a queue: {error}", type_name::<T>());
            Error::new(ErrorKind::NotSerializable, text).with_source(error)
        })?;
        let put = self.handle.with("put an item into a queue", |view| view.put(&bytes, end));
        put.map_err(|refusal| refusal.into_error(ErrorKind::Full, "it is full, or a stopped process holds it"))
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the first value out, waiting for one for as long as somebody may put one in.
    ///
    /// # Errors
    /// `Closed` when it is closed and empty; `Disconnected` when it is empty and nobody else has it any more;
    /// `NotDeserializable` when what was there is no `T`: it is taken out all the same; `System` when memory is short.
    pub fn get(&self) -> Result<T, Error> {
        self.get_until(None)
    }

    /// As [`get`](Self::get), waiting at most `timeout`. Python's `get(timeout=..)`.
    ///
    /// # Errors
    /// As `get`; `Empty` when nothing came in time.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Error> {
        self.get_until(Instant::now().checked_add(timeout))
    }

    /// As [`get`](Self::get), without waiting. Python's `get_nowait`.
    ///
    /// # Errors
    /// As `get`; `Empty` when there is nothing now.
    pub fn try_get(&self) -> Result<T, Error> {
        self.get_until(Some(Instant::now()))
    }

    fn get_until(&self, end: Option<Instant>) -> Result<T, Error> {
        let mut bytes = Vec::new();
        let taken = self.handle.with("take an item out of a queue", |view| view.take(&mut bytes, end));
        taken.map_err(|refusal| refusal.into_error(ErrorKind::Empty, "it is empty, or a stopped process holds it"))?;
        codec::decode(&bytes).map_err(|error| {
            let text = format!("an item of {} byte(s) is no {}: {error}", bytes.len(), type_name::<T>());
            Error::new(ErrorKind::NotDeserializable, text).with_source(error)
        })
    }

    /// Takes values out until the queue is closed and empty, or empty and nobody else has it any more.
    pub fn iter(&self) -> QueueIter<'_, T> {
        QueueIter { queue: self }
    }
}

/// What is taken out of a [`Queue`], one after the other: see [`Queue::iter`]. After an error it goes on with the next value.
#[derive(Debug)]
pub struct QueueIter<'a, T> {
    queue: &'a Queue<T>,
}

impl<T: DeserializeOwned> Iterator for QueueIter<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.queue.get() {
            Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Disconnected) => None,
            taken => Some(taken),
        }
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = Result<T, Error>;
    type IntoIter = QueueIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self::of(self.handle.clone())
    }
}

impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.handle.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Handle::deserialize(deserializer).map(Self::of)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handle, items: PhantomData } = self;
        f.debug_struct("Queue").field("items", &type_name::<T>()).field("handle", handle).finish()
    }
}
