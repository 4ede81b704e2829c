//! A namespace in a manager.

use std::any::type_name;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::addend::Addend;
use super::functions::{Method, Stored, altering};
use super::handle::handle;
use super::protocol::{Blob, DictOp, EntryOp, Op};
use crate::error::Error;

handle! {
    /// Values of different types by name, in a [`Manager`](super::Manager). Python's `Manager().Namespace()`.
    ///
    /// Each value remembers its type, and is not read as another.
    ///
    /// ```
    /// let manager = ganger::Manager::new()?;
    /// let settings = manager.namespace()?;
    /// settings.set("name", &"ganger".to_owned())?;
    /// settings.set("rounds", &3_u32)?;
    /// settings.add("rounds", 1_u32)?;
    /// assert_eq!(settings.get::<u32>("rounds")?, Some(4));
    /// assert_eq!(settings.get::<String>("rounds").expect_err("a number").kind(), ganger::ErrorKind::NotDeserializable);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    Namespace
}

impl Namespace {
    /// The value of that name.
    ///
    /// # Errors
    /// [`NotDeserializable`](crate::ErrorKind::NotDeserializable) when it is no `V`. As of every method: when the manager is gone
    /// ([`Disconnected`](crate::ErrorKind::Disconnected)), the namespace was discarded ([`Closed`](crate::ErrorKind::Closed)), a value cannot
    /// be turned into bytes, or a message would be too large.
    pub fn get<V: Serialize + DeserializeOwned>(&self, name: &str) -> Result<Option<V>, Error> {
        let there: Option<Attribute<V>> = self.call(name, EntryOp::Get)?;
        Ok(there.map(|attribute| attribute.1))
    }

    /// Gives a name to a value, whatever had it before.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn set<V: Serialize + DeserializeOwned>(&self, name: &str, value: &V) -> Result<(), Error> {
        let value = self.proxy.bytes(&(Mark::<V>::NEW, value))?;
        self.call(name, EntryOp::Put(Blob(&value)))
    }

    /// Adds `by` to the number of that name, or gives the name to it when there is none; returns the sum.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) when the sum is outside of the range of the type, [`Mismatch`](crate::ErrorKind::Mismatch) when what is
    /// there is no `N`; nothing is changed then. See [`get`](Self::get).
    pub fn add<N: Addend>(&self, name: &str, by: N) -> Result<N, Error> {
        let (mark, by) = (self.proxy.bytes(&Mark::<N>::NEW)?, self.proxy.bytes(&by)?);
        self.call(name, EntryOp::Add(Blob(&mark), N::TAG, Blob(&by)))
    }

    /// Changes the value of that name by a function that runs in the manager; see [`Dict::update`](super::Dict::update).
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when the function failed, or what is there is no `V`. See [`get`](Self::get).
    pub fn update<V, F, Args, R>(&self, name: &str, function: F, args: Args) -> Result<Option<R>, Error>
    where
        V: Serialize + DeserializeOwned + 'static,
        F: Method<V, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let function = self.proxy.function(altering::<Attribute<V>, V, Args, R, F>(function))?;
        let args = self.proxy.bytes(&args)?;
        self.call(name, EntryOp::Alter(function, None, Blob(&args)))
    }

    /// Gives the name to `new` if its value is `expected` (`None`: there is none); whether it was.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn compare_and_swap<V: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool, Error> {
        let bytes = |value| self.proxy.bytes(&(Mark::<V>::NEW, value));
        let (expected, new) = (expected.map(bytes).transpose()?, new.map(bytes).transpose()?);
        self.call(name, EntryOp::Swap(expected.as_deref().map(Blob), new.as_deref().map(Blob)))
    }

    /// Takes a name away; whether there was a value of that name. Python's `del`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        self.call(name, EntryOp::Delete)
    }

    /// Whether there is a value of that name.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn contains(&self, name: &str) -> Result<bool, Error> {
        self.call(name, EntryOp::Contains)
    }

    /// All names, in the order in which they came.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn names(&self) -> Result<Vec<String>, Error> {
        self.proxy.call(&Op::Dict(DictOp::Keys))
    }

    fn call<R: DeserializeOwned>(&self, name: &str, op: EntryOp<'_>) -> Result<R, Error> {
        let name = self.proxy.bytes(name)?;
        self.proxy.call(&Op::Entry(Blob(&name), op))
    }
}

/// A value as it is kept.
#[derive(Serialize, Deserialize)]
struct Attribute<V>(Mark<V>, V);

impl<V: Serialize + DeserializeOwned + 'static> Stored<V> for Attribute<V> {
    fn value(&mut self) -> &mut V {
        &mut self.1
    }
}

/// Stands before a value for its type, and is read before the value is.
struct Mark<V>(PhantomData<fn(V)>);

impl<V> Mark<V> {
    const NEW: Self = Self(PhantomData);

    fn number() -> u64 {
        let mut hasher = DefaultHasher::new();
        type_name::<V>().hash(&mut hasher);
        hasher.finish()
    }
}

impl<V> Serialize for Mark<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::number().serialize(serializer)
    }
}

impl<'de, V> Deserialize<'de> for Mark<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if u64::deserialize(deserializer)? == Self::number() {
            return Ok(Self::NEW);
        }
        Err(D::Error::custom(format!("the value of that name is no {}", type_name::<V>())))
    }
}
