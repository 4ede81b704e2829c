//! Who makes objects in a manager: its owner, and everybody who has this.

use std::any::type_name;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::client::{Key, Proxy, Route};
use super::counter::Counter;
use super::dict::Dict;
use super::event::Event;
use super::functions::{Maker, making};
use super::handshake::fresh_nonce;
use super::list::List;
use super::lock::Lock;
use super::managed::Managed;
use super::namespace::Namespace;
use super::protocol::{Blob, Kind, Make};
use super::queue::Queue;
use crate::error::Error;

/// A way to a [`Manager`](super::Manager) that makes objects in it: small, cloneable, and an argument like any other.
///
/// A manager has one, and its methods; [`Manager::connect`](super::Manager::connect) gives one to other programs.
///
/// ```
/// use ganger::{Manager, Pool};
/// use ganger::manager::Client;
///
/// fn keep(client: Client, number: u32) -> Result<(), ganger::Error> {
///     client.named("numbers").list::<u32>()?.push(&number)
/// }
/// let manager = Manager::new()?;
/// let _: Vec<()> = Pool::new(2)?.map(ganger::partial(keep, (manager.client(),)), 0..10)?;
/// assert_eq!(manager.named("numbers").list::<u32>()?.len()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Client {
    route: Route,
    name: Option<String>,
}

impl Client {
    pub(super) fn new(route: Route) -> Self {
        Self { route, name: None }
    }

    /// Finds the manager at `address`, and makes sure that both sides have the key.
    pub(super) fn connect(address: Address, key: &[u8]) -> Result<Self, Error> {
        let route = Route::network(fresh_number()?, address, Key(key.to_vec()));
        let client = Self::new(route);
        client.reach()?;
        Ok(client)
    }

    /// Makes sure that somebody is there.
    pub(super) fn reach(&self) -> Result<(), Error> {
        Proxy::none(&self.route).reach()
    }

    /// Closes this thread's connection.
    pub(super) fn hang_up(&self) {
        Proxy::none(&self.route).hang_up();
    }

    /// This client, making objects under a name: the first one under it is made, and all others find that.
    ///
    /// A name under which there is an object of another type is an error of the kind [`Mismatch`](crate::ErrorKind::Mismatch).
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { route: self.route.clone(), name: Some(name.to_owned()) }
    }

    /// Makes a dictionary.
    ///
    /// # Errors
    /// As of every method: when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)), cannot be reached, or lets
    /// nobody in with this key ([`Authentication`](crate::ErrorKind::Authentication)); of a name see [`named`](Self::named).
    pub fn dict<K, V>(&self) -> Result<Dict<K, V>, Error> {
        let types = format!("dictionary of {} to {}", type_name::<K>(), type_name::<V>());
        self.make(Kind::Dict, &types).map(Dict::new)
    }

    /// Makes a list.
    ///
    /// # Errors
    /// See [`dict`](Self::dict).
    pub fn list<T>(&self) -> Result<List<T>, Error> {
        self.make(Kind::List, &format!("list of {}", type_name::<T>())).map(List::new)
    }

    /// Makes a counter, which begins with 0.
    ///
    /// # Errors
    /// See [`dict`](Self::dict).
    pub fn counter(&self) -> Result<Counter, Error> {
        self.make(Kind::Counter, "counter").map(Counter::new)
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// See [`dict`](Self::dict).
    pub fn namespace(&self) -> Result<Namespace, Error> {
        self.make(Kind::Dict, "namespace").map(Namespace::new)
    }

    /// Makes a queue with room for `capacity` values; `usize::MAX` for as many as the memory holds.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::ErrorKind::InvalidSetting) when `capacity` is 0. See [`dict`](Self::dict).
    pub fn queue<T>(&self, capacity: usize) -> Result<Queue<T>, Error> {
        let kind = Kind::Queue { capacity: capacity as u64 };
        self.make(kind, &format!("queue of {}", type_name::<T>())).map(Queue::new)
    }

    /// Makes a lock.
    ///
    /// # Errors
    /// See [`dict`](Self::dict).
    pub fn lock(&self) -> Result<Lock, Error> {
        self.make(Kind::Lock, "lock").map(Lock::new)
    }

    /// Makes an event.
    ///
    /// # Errors
    /// See [`dict`](Self::dict).
    pub fn event(&self) -> Result<Event, Error> {
        self.make(Kind::Event, "event").map(Event::new)
    }

    /// Makes an object of a type of the program's own: `maker` runs in the manager. See [`Managed`].
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when `maker` failed, [`Mismatch`](crate::ErrorKind::Mismatch) in a program that is not
    /// the manager's. See [`dict`](Self::dict).
    pub fn object<F, Args, T>(&self, maker: F, args: Args) -> Result<Managed<T>, Error>
    where
        F: Maker<Args, T>,
        Args: Serialize,
        T: 'static,
    {
        let proxy = Proxy::none(&self.route);
        let (function, args) = (proxy.function(making::<T, Args, F>(maker))?, proxy.bytes(&args)?);
        self.make(Kind::User(function, Blob(&args)), type_name::<T>()).map(Managed::new)
    }

    fn make(&self, kind: Kind<'_>, types: &str) -> Result<Proxy, Error> {
        Proxy::make(&self.route, Make { kind, types, name: self.name.as_deref() })
    }
}

/// A number that no other route has.
pub(super) fn fresh_number() -> Result<u128, Error> {
    let nonce = fresh_nonce()?;
    let (number, _) = nonce.split_first_chunk().expect("a nonce is longer");
    Ok(u128::from_le_bytes(*number))
}
