//! A list in a manager.

use std::ops::{Bound, RangeBounds};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::addend::Addend;
use super::batch::{Batch, Replies, in_pieces};
use super::functions::{Method, Stored, altering};
use super::handle::handle;
use super::protocol::{Blob, ListOp, Op};
use crate::error::Error;
use crate::wire::codec::{decode, encode};

handle! {
    /// A list in a [`Manager`](super::Manager), shared by all who have a copy of this proxy. Python's `Manager().list()`.
    ///
    /// Each method is one operation, which nothing of anybody else's comes between. Indices count from 0; where there is
    /// no such element the result is `None`.
    ///
    /// ```
    /// use ganger::{Manager, Pool};
    /// use ganger::manager::List;
    ///
    /// fn keep_square(squares: List<u64>, number: u64) -> Result<(), ganger::Error> {
    ///     squares.push(&(number * number))
    /// }
    /// let manager = Manager::new()?;
    /// let squares: List<u64> = manager.list()?;
    /// let _: Vec<()> = Pool::new(2)?.map(ganger::partial(keep_square, (squares.clone(),)), 0..10)?;
    /// squares.update_all(|squares: &mut Vec<u64>| squares.sort(), ())?;
    /// assert_eq!(squares.slice(7..)?, [49, 64, 81]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    List<T>
}

impl<T: Serialize + DeserializeOwned> List<T> {
    /// Puts `value` behind the last element. Python's `append`.
    ///
    /// # Errors
    /// As of every method: when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)), the list was discarded
    /// ([`Closed`](crate::ErrorKind::Closed)), a value cannot be turned into bytes or back, or a message would be too large.
    pub fn push(&self, value: &T) -> Result<(), Error> {
        self.call(ListOp::Push(Blob(&self.proxy.bytes(value)?)))
    }

    /// Takes the last element out. Python's `pop()`.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn pop(&self) -> Result<Option<T>, Error> {
        self.call(ListOp::Pop)
    }

    /// Puts `value` before the element at `index`, or behind the last, as Python does.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn insert(&self, index: usize, value: &T) -> Result<(), Error> {
        self.call(ListOp::Insert(index as u64, Blob(&self.proxy.bytes(value)?)))
    }

    /// Takes the element at `index` out. Python's `pop(index)`; cheap at both ends.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn remove(&self, index: usize) -> Result<Option<T>, Error> {
        self.call(ListOp::Remove(index as u64))
    }

    /// A copy of the element at `index`.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn get(&self, index: usize) -> Result<Option<T>, Error> {
        self.call(ListOp::Get(index as u64))
    }

    /// Replaces the element at `index`; returns what was there, or `None` when nothing was, nor is now.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn set(&self, index: usize, value: &T) -> Result<Option<T>, Error> {
        self.call(ListOp::Set(index as u64, Blob(&self.proxy.bytes(value)?)))
    }

    /// Adds `by` to the number at `index`; returns the sum.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) when the sum is outside of the range of the type, and nothing is changed. See [`push`](Self::push).
    pub fn add(&self, index: usize, by: T) -> Result<Option<T>, Error>
    where
        T: Addend,
    {
        self.call(ListOp::Add(index as u64, T::TAG, Blob(&self.proxy.bytes(&by)?)))
    }

    /// Changes the element at `index` by a function that runs in the manager; see [`Dict::update`](super::Dict::update).
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when the function failed. See [`push`](Self::push).
    pub fn update<F, Args, R>(&self, index: usize, function: F, args: Args) -> Result<Option<R>, Error>
    where
        T: 'static,
        F: Method<T, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let function = self.proxy.function(altering::<T, T, Args, R, F>(function))?;
        self.call(ListOp::Alter(index as u64, function, Blob(&self.proxy.bytes(&args)?)))
    }

    /// Changes the whole list by a function that runs in the manager: for `sort`, `reverse`, `retain` and their like. All
    /// elements are decoded and encoded there.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when the function failed. See [`push`](Self::push).
    pub fn update_all<F, Args, R>(&self, function: F, args: Args) -> Result<R, Error>
    where
        T: 'static,
        F: Method<Vec<T>, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let function = self.proxy.function(altering::<Elements<T>, Vec<T>, Args, R, F>(function))?;
        self.call(ListOp::AlterAll(function, Blob(&self.proxy.bytes(&args)?)))
    }

    /// Puts many values behind the last element, in few messages of about 256 KiB, between which others may come. Python's `extend`.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        in_pieces(&self.proxy, values, |batch: &mut Batch<'_, Self>, value| batch.push(&value))
    }

    /// A copy of the elements in `range`, as far as there are any. Python's `l[a:b]`.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start as u64,
            Bound::Excluded(start) => (*start as u64).saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => (*end as u64).saturating_add(1),
            Bound::Excluded(end) => *end as u64,
            Bound::Unbounded => u64::MAX,
        };
        self.call(ListOp::Slice(start, end))
    }

    /// How many elements there are. Python's `len(l)`.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn len(&self) -> Result<usize, Error> {
        self.call(ListOp::Len)
    }

    /// Whether there is no element.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn clear(&self) -> Result<(), Error> {
        self.call(ListOp::Clear)
    }

    /// Carries out many operations in one round trip, with nothing of anybody else's between them; see
    /// [`Dict::batch`](super::Dict::batch).
    ///
    /// # Errors
    /// When one of the operations cannot be written down, and then none is carried out; or the message is too large; or
    /// the manager is gone.
    pub fn batch<U>(&self, fill: impl FnOnce(&mut Batch<'_, Self>) -> U) -> Result<(U, Replies), Error> {
        Batch::carried_out(&self.proxy, fill)
    }

    fn call<R: DeserializeOwned>(&self, op: ListOp<'_>) -> Result<R, Error> {
        self.proxy.call(&Op::List(op))
    }
}

/// All elements, as the server gives and takes them: each as bytes of its own, since it does not know their type.
struct Elements<T>(Vec<T>);

impl<T> Stored<Vec<T>> for Elements<T>
where
    T: Serialize + DeserializeOwned + 'static,
{
    fn value(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Serialize> Serialize for Elements<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = |element| {
            let mut bytes = Vec::new();
            encode(element, &mut bytes).map(|()| bytes)
        };
        let elements: Result<Vec<_>, _> = self.0.iter().map(bytes).collect();
        let elements = elements.map_err(serde::ser::Error::custom)?;
        elements.iter().map(|element| Blob(element)).collect::<Vec<_>>().serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Elements<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Vec::<Vec<u8>>::deserialize(deserializer)?;
        let elements: Result<Vec<T>, _> = elements.iter().map(|element| decode(element)).collect();
        elements.map(Self).map_err(serde::de::Error::custom)
    }
}
