//! How a process reaches a manager.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::manager::address::Address;
use crate::wire::descriptor::{Descriptor, is_sending};

/// The way to one manager. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::manager) struct Route(Arc<Way>);

/// What every process can make connections of its own from.
#[derive(Debug)]
pub(super) enum Way {
    /// One end of a socket pair whose other end the server has: connections are passed through it.
    Door(u128, Descriptor),
    /// It listens, for those who have the key.
    Network(u128, Address, Key),
    /// This is the server itself.
    Inside,
}

/// A key, which is not shown.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::manager) struct Key(pub(in crate::manager) Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key of {} bytes", self.0.len())
    }
}

/// A route as it travels.
#[derive(Serialize, Deserialize)]
enum Travelling {
    /// It leads to the manager that it travels to, or has come from.
    Home,
    Door(u128, Descriptor),
    Network(u128, Address, Key),
}

thread_local! {
    /// The manager for which, or from which, this thread encodes or decodes values.
    static HOME: RefCell<Option<Route>> = const { RefCell::new(None) };
}

impl Route {
    pub(in crate::manager) fn door(number: u128, door: Descriptor) -> Self {
        Self(Arc::new(Way::Door(number, door)))
    }

    pub(in crate::manager) fn network(number: u128, address: Address, key: Key) -> Self {
        Self(Arc::new(Way::Network(number, address, key)))
    }

    pub(super) fn way(&self) -> &Way {
        &self.0
    }

    /// Equal for routes that are copies of each other; no other route has the same.
    pub(super) fn number(&self) -> Option<u128> {
        match &*self.0 {
            Way::Door(number, _) | Way::Network(number, ..) => Some(*number),
            Way::Inside => None,
        }
    }

    /// Has `action` encode or decode values of this manager: proxies of its objects in them are no more than numbers.
    pub(super) fn at_home<R>(&self, action: impl FnOnce() -> R) -> R {
        /// Puts back what was there, also when the code of others that ran meanwhile has panicked.
        struct Restored(Option<Route>);
        impl Drop for Restored {
            fn drop(&mut self) {
                HOME.set(self.0.take());
            }
        }
        let _before = Restored(HOME.replace(Some(self.clone())));
        action()
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let home = HOME.with_borrow(|home| home.as_ref().and_then(Self::number));
        let travelling = match &*self.0 {
            Way::Inside => Travelling::Home,
            _ if home.is_some() && home == self.number() => Travelling::Home,
            Way::Door(number, door) => Travelling::Door(*number, door.clone()),
            // The key goes to processes of this program only: not into files, nor to other managers.
            Way::Network(number, address, key) if is_sending() => {
                Travelling::Network(*number, address.clone(), key.clone())
            }
            Way::Network(..) => {
                return Err(S::Error::custom(
                    "it holds the key of a manager, and travels only as an argument or a result",
                ));
            }
        };
        travelling.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Travelling::deserialize(deserializer)? {
            Travelling::Home => HOME.with_borrow(Clone::clone).unwrap_or_else(|| Self(Arc::new(Way::Inside))),
            Travelling::Door(number, door) => Self::door(number, door),
            Travelling::Network(number, address, key) => Self::network(number, address, key),
        })
    }
}
