//! One handle of a queue of bytes.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use ganger_os::forks::generation;
use ganger_os::queue::presence;
use ganger_os::queue::store::{Refused, Store, View};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::descriptor::Descriptor;
use crate::{Error, ErrorKind};

/// A queue of bytes. Each handle has an open file description of its own, by which the others know that it is there.
pub(super) struct Handle {
    store: Arc<Store>,
    open: Mutex<Open>,
}

/// A descriptor, and the generation of forks in which it was opened: a forked process has a copy of it, and after that it is
/// the copy's, too.
#[derive(Debug)]
struct Open {
    own: Descriptor,
    since: u64,
}

impl Handle {
    pub(super) fn new(bound: u64, counted: bool) -> Result<Self, Error> {
        let create = || {
            let (store, file) = Store::create(bound, counted)?;
            Ok((Arc::new(store), presence::enter(file.as_fd())?))
        };
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::System, format!("cannot make a queue: {error}")).with_source(error)
        };
        let (store, own) = create().map_err(failed)?;
        Ok(Self::of(store, own.into()))
    }

    fn of(store: Arc<Store>, own: Descriptor) -> Self {
        Self { store, open: Mutex::new(Open { own, since: generation() }) }
    }

    pub(super) fn bound(&self) -> u64 {
        self.store.bound()
    }

    /// Has `act` do something with the queue.
    pub(super) fn with<R>(
        &self,
        what: &str,
        act: impl FnOnce(View<'_, &dyn Fn() -> bool>) -> Result<R, Refused>,
    ) -> Result<R, Refusal> {
        let own = self.own();
        let is_alone = || self.is_alone();
        let view = View { store: &self.store, file: own.as_fd(), is_alone: &is_alone as &dyn Fn() -> bool };
        act(view).map_err(|refused| Refusal::new(what, refused))
    }

    /// The descriptor of this handle. After a fork it is a new one, as the other process has a copy of the old one.
    fn own(&self) -> Descriptor {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.since != generation()
            && let Ok(own) = presence::enter(open.own.as_fd())
        {
            *open = Open { own: own.into(), since: generation() };
        }
        open.own.clone()
    }

    /// Whether the others have all gone. A queue that never had another handle is one that threads share by reference:
    /// then nobody can tell; nor can one whose descriptor a forked process may share.
    fn is_alone(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let can_tell = self.store.is_counted() && open.since == generation();
        can_tell && presence::is_alone(open.own.as_fd()).unwrap_or(false)
    }

    /// A descriptor for one more handle.
    fn another(&self) -> std::io::Result<Descriptor> {
        self.store.mark_shared();
        presence::enter(self.own().as_fd()).map(Descriptor::from)
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        let own = self.another().unwrap_or_else(|_| {
            // The table of descriptors is full, so both share one, and seem to be one handle. Nobody is to be told that he is
            // alone who is not: then he rather waits.
            self.store.mark_uncountable();
            self.own()
        });
        Self::of(self.store.clone(), own)
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let another = self.another().map_err(|error| S::Error::custom(format!("cannot pass on a queue: {error}")))?;
        another.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let own = Descriptor::deserialize(deserializer)?;
        let store = own.made(Store::open).map_err(|error| D::Error::custom(format!("no queue: {error}")))?;
        Ok(Self::of(store, own))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, open } = self;
        f.debug_struct("Handle").field("bound", &store.bound()).field("open", open).finish()
    }
}

/// What was refused, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    what: String,
    why: Refused,
}

impl Refusal {
    fn new(what: &str, why: Refused) -> Self {
        Self { what: what.to_owned(), why }
    }

    /// The error; `late` says what it means that it was not possible in time.
    pub(super) fn into_error(self, late: ErrorKind, because: &str) -> Error {
        let Self { what, why } = self;
        let (kind, text) = match why {
            Refused::Late => (late, because.to_owned()),
            Refused::Closed => (ErrorKind::Closed, "the queue is closed".to_owned()),
            Refused::Alone => {
                (ErrorKind::Disconnected, "no other process has the queue any more, so it would be in vain".to_owned())
            }
            Refused::NothingUnfinished => {
                (ErrorKind::NotOwner, "that was said as often as items were put in already".to_owned())
            }
            Refused::Lost(count) => (
                ErrorKind::Abandoned,
                format!("{count} of them were taken by processes that have died: they count as done now"),
            ),
            Refused::Corrupt => {
                (ErrorKind::System, "its memory holds what no queue can: somebody wrote to it".to_owned())
            }
            Refused::System(error) => {
                return Error::new(ErrorKind::System, format!("cannot {what}: {error}")).with_source(error);
            }
        };
        Error::new(kind, format!("cannot {what}: {text}"))
    }
}
