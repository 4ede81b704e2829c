//! A dictionary in a manager.

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::addend::Addend;
use super::batch::{Batch, Replies, in_pieces};
use super::functions::{Method, altering};
use super::handle::handle;
use super::protocol::{Blob, DictOp, EntryOp, Op};
use crate::error::Error;

handle! {
    /// A dictionary in a [`Manager`](super::Manager), shared by all who have a copy of this proxy. Python's `Manager().dict()`.
    ///
    /// Each method is one operation, which nothing of anybody else's comes between: `add` is the `d[k] += x` that loses no
    /// update. Keys are equal when their bytes are; what has no fixed order, as the entries of a `HashMap`, is no good
    /// part of a key. Keys are listed in the order in which they came.
    ///
    /// ```
    /// use ganger::{Manager, Pool};
    /// use ganger::manager::Dict;
    ///
    /// fn count(totals: Dict<String, u64>, text: String) -> Result<(), ganger::Error> {
    ///     text.split_whitespace().try_for_each(|word| totals.add(word, 1).map(drop))
    /// }
    /// let manager = Manager::new()?;
    /// let totals: Dict<String, u64> = manager.dict()?;
    /// let pool = Pool::new(2)?;
    /// let _: Vec<()> = pool.map(ganger::partial(count, (totals.clone(),)), ["to be or".to_owned(), "not to be".to_owned()])?;
    /// assert_eq!(totals.get("be")?, Some(2));
    /// assert_eq!(totals.len()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Dict<K, V>
}

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// The value under `key`. Python's `d.get(k)`.
    ///
    /// # Errors
    /// As of every method: when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)), the dictionary was discarded
    /// ([`Closed`](crate::ErrorKind::Closed)), a value cannot be turned into bytes or back, or a message would be too large.
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        self.call(key, EntryOp::Get)
    }

    /// Puts `value` under `key`; returns what was there. Python's `d[k] = v`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn insert<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        let value = self.proxy.bytes(value)?;
        self.call(key, EntryOp::Insert(Blob(&value)))
    }

    /// Takes the value under `key` out. Python's `d.pop(k, None)`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        self.call(key, EntryOp::Remove)
    }

    /// Whether there is something under `key`. Python's `k in d`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn contains<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
    {
        self.call(key, EntryOp::Contains)
    }

    /// Adds `by` to the number under `key`, or puts it there when there is none; returns the sum. What Python writes
    /// `d[k] = d.get(k, 0) + x`, which loses the updates of others.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) when the sum is outside of the range of the type, and nothing is changed. See [`get`](Self::get).
    pub fn add<Q: Serialize + ?Sized>(&self, key: &Q, by: V) -> Result<V, Error>
    where
        K: Borrow<Q>,
        V: Addend,
    {
        let by = self.proxy.bytes(&by)?;
        self.call(key, EntryOp::Add(Blob(&[]), V::TAG, Blob(&by)))
    }

    /// Adds many numbers, each to that under its key, in few messages.
    ///
    /// Each message is carried out as a whole; others may see what is between two of them, which are of about 256 KiB.
    ///
    /// # Errors
    /// See [`add`](Self::add); what stood before the one that failed, and what was in the same message, has been added.
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let totals = manager.dict::<u32, u64>()?;
    /// totals.add_many((0..1000).map(|number| (number % 10, 1)))?;
    /// assert_eq!(totals.get(&7)?, Some(100));
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn add_many(&self, numbers: impl IntoIterator<Item = (K, V)>) -> Result<(), Error>
    where
        V: Addend,
    {
        in_pieces(&self.proxy, numbers, |batch: &mut Batch<'_, Self>, (key, by)| batch.add(&key, by))
    }

    /// Puts many values under their keys, in few messages: see [`add_many`](Self::add_many). Python's `d.update(other)`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        in_pieces(&self.proxy, entries, |batch: &mut Batch<'_, Self>, (key, value)| batch.put(&key, &value))
    }

    /// Changes the value under `key` by a function that runs in the manager; returns what that returns, or `None` when
    /// there is no such key.
    ///
    /// When the function panics, or returns an `Err`, the value stays as it was. It should be short, as nobody else is
    /// served meanwhile, and it cannot use the manager.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when the function failed. See [`get`](Self::get).
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let words = manager.dict::<String, Vec<String>>()?;
    /// words.insert("b", &vec!["be".to_owned()])?;
    /// let count = words.update("b", |list: &mut Vec<String>, word: String| { list.push(word); list.len() }, ("bee".to_owned(),))?;
    /// assert_eq!(count, Some(2));
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn update<Q, F, Args, R>(&self, key: &Q, function: F, args: Args) -> Result<Option<R>, Error>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
        V: 'static,
        F: Method<V, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.alter(key, None, function, &args)
    }

    /// As [`update`](Self::update), beginning with `default` when there is no such key. What Python does with a
    /// `defaultdict`, as in `d[k].append(x)`, which changes nothing in a manager's.
    ///
    /// # Errors
    /// See [`update`](Self::update).
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let seen = manager.dict::<String, Vec<u32>>()?;
    /// for line in [3, 8] {
    ///     seen.update_or_insert("be", &Vec::new(), |lines: &mut Vec<u32>, line: u32| lines.push(line), (line,))?;
    /// }
    /// assert_eq!(seen.get("be")?, Some(vec![3, 8]));
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn update_or_insert<Q, F, Args, R>(&self, key: &Q, default: &V, function: F, args: Args) -> Result<R, Error>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
        V: 'static,
        F: Method<V, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let default = self.proxy.bytes(default)?;
        let result = self.alter(key, Some(Blob(&default)), function, &args)?;
        Ok(result.expect("with a default there is always a value"))
    }

    /// Puts `new` under `key` if what is there is `expected` (`None`: nothing); whether it was.
    ///
    /// Values are equal when their bytes are.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let owners = manager.dict::<String, u32>()?;
    /// assert!(owners.compare_and_swap("file", None, Some(&1))?);
    /// assert!(!owners.compare_and_swap("file", None, Some(&2))?, "1 was first");
    /// assert!(owners.compare_and_swap("file", Some(&1), None)?);
    /// assert!(owners.is_empty()?);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn compare_and_swap<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool, Error>
    where
        K: Borrow<Q>,
    {
        let expected = expected.map(|expected| self.proxy.bytes(expected)).transpose()?;
        let new = new.map(|new| self.proxy.bytes(new)).transpose()?;
        self.call(key, EntryOp::Swap(expected.as_deref().map(Blob), new.as_deref().map(Blob)))
    }

    /// The place of `key`, for [`or_insert`](Entry::or_insert).
    pub fn entry<'a, Q: Serialize + ?Sized>(&'a self, key: &'a Q) -> Entry<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        Entry { dict: self, key }
    }

    /// How many keys there are. Python's `len(d)`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn len(&self) -> Result<usize, Error> {
        self.proxy.call(&Op::Dict(DictOp::Len))
    }

    /// Whether there is no key.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// A copy of all keys, in the order in which they came.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn keys(&self) -> Result<Vec<K>, Error> {
        self.proxy.call(&Op::Dict(DictOp::Keys))
    }

    /// A copy of all values, in the order of their keys.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn values(&self) -> Result<Vec<V>, Error> {
        self.proxy.call(&Op::Dict(DictOp::Values))
    }

    /// A copy of the dictionary at one moment. Python's `d.copy()` and `d.items()`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn items(&self) -> Result<Vec<(K, V)>, Error> {
        self.proxy.call(&Op::Dict(DictOp::Items))
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn clear(&self) -> Result<(), Error> {
        self.proxy.call(&Op::Dict(DictOp::Clear))
    }

    /// Carries out many operations in one round trip, with nothing of anybody else's between them.
    ///
    /// `fill` writes them down, and gets a [`Slot`](super::Slot) for each result. One that fails keeps none of the others
    /// from being carried out. Returns what `fill` returns, and the results.
    ///
    /// # Errors
    /// When one of the operations cannot be written down, and then none is carried out; or the message is too large; or
    /// the manager is gone.
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let stock = manager.dict::<String, i64>()?;
    /// let (left, results) = stock.batch(|batch| {
    ///     batch.insert("apples", &10);
    ///     batch.add("pears", 3);
    ///     batch.add("apples", -4)
    /// })?;
    /// assert_eq!(results.get(left)?, 6);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn batch<T>(&self, fill: impl FnOnce(&mut Batch<'_, Self>) -> T) -> Result<(T, Replies), Error> {
        Batch::carried_out(&self.proxy, fill)
    }

    fn call<Q: Serialize + ?Sized, R: DeserializeOwned>(&self, key: &Q, op: EntryOp<'_>) -> Result<R, Error> {
        let key = self.proxy.bytes(key)?;
        self.proxy.call(&Op::Entry(Blob(&key), op))
    }

    fn alter<Q, F, Args, R>(
        &self,
        key: &Q,
        default: Option<Blob<'_>>,
        function: F,
        args: &Args,
    ) -> Result<Option<R>, Error>
    where
        Q: Serialize + ?Sized,
        V: 'static,
        F: Method<V, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let function = self.proxy.function(altering::<V, V, Args, R, F>(function))?;
        let (key, args) = (self.proxy.bytes(key)?, self.proxy.bytes(args)?);
        self.proxy.call(&Op::Entry(Blob(&key), EntryOp::Alter(function, default, Blob(&args))))
    }
}

/// The place of a key in a [`Dict`], where there may be a value or none.
#[derive(Debug)]
pub struct Entry<'a, K, V, Q: ?Sized> {
    dict: &'a Dict<K, V>,
    key: &'a Q,
}

impl<K, V, Q> Entry<'_, K, V, Q>
where
    K: Serialize + DeserializeOwned + Borrow<Q>,
    V: Serialize + DeserializeOwned,
    Q: Serialize + ?Sized,
{
    /// Puts `value` there if there is none; returns what is there then. Python's `d.setdefault(k, v)`.
    ///
    /// # Errors
    /// See [`Dict::get`].
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let names = manager.dict::<u32, String>()?;
    /// assert_eq!(names.entry(&1).or_insert(&"one".to_owned())?, "one");
    /// assert_eq!(names.entry(&1).or_insert(&"uno".to_owned())?, "one");
    /// # Ok::<(), ganger::Error>(())
    /// ```
    pub fn or_insert(self, value: &V) -> Result<V, Error> {
        let value = self.dict.proxy.bytes(value)?;
        self.dict.call(self.key, EntryOp::OrInsert(Blob(&value)))
    }
}
