//! What all handles are: a mapping of shared memory, and the descriptor by which it travels.

use std::ffi::CStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ganger_os::lock::futex::end_of;
use ganger_os::lock::ground::{Ground, HEADER};
use ganger_os::lock::identity;
use ganger_os::memory::Memory;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::descriptor::Descriptor;
use crate::{Error, ErrorKind};

/// The header: what it is, where it means something, and which one it is: its maker, and that one's number for it.
const KIND: usize = 0;
const NAMESPACES: usize = 1;
const MAKER: usize = 2;
const NUMBER: usize = 3;

/// What the memory holds.
pub(super) trait Kind {
    /// As it shows in `/proc`, and in errors.
    const NAME: &'static CStr;
    /// The first word: which kind, and which layout of it.
    const TAG: u64;
    /// How many words there are at least.
    const LEAST: usize;
}

/// A kind's first word, from four letters; the last byte goes up when the layout changes.
pub(super) const fn tag(letters: [u8; 4]) -> u64 {
    u64::from_le_bytes([b'g', b'n', b'g', letters[0], letters[1], letters[2], letters[3], 1])
}

/// A handle of shared memory of that kind. Clones share the mapping.
pub(super) struct Handle<K>(Arc<Shared>, PhantomData<fn() -> K>);

struct Shared {
    memory: Arc<Memory>,
    descriptor: Descriptor,
}

impl<K: Kind> Handle<K> {
    /// Makes memory of so many words.
    pub(super) fn create(words: usize) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = K::NAME.to_string_lossy();
        let failed =
            |error| Error::new(ErrorKind::System, format!("{name}: no shared memory: {error}")).with_source(error);
        let (memory, descriptor) = Memory::create(K::NAME, words * 8).map_err(failed)?;
        let header = [
            (NAMESPACES, identity::namespaces()),
            (MAKER, identity::own()),
            (NUMBER, NEXT.fetch_add(1, Ordering::Relaxed)),
            (KIND, K::TAG),
        ];
        for (number, value) in header {
            memory.word(number).store(value, Ordering::Release);
        }
        Ok(Self(Arc::new(Shared { memory: Arc::new(memory), descriptor: descriptor.into() }), PhantomData))
    }

    fn open(descriptor: Descriptor) -> Result<Self, String> {
        let name = K::NAME.to_string_lossy();
        let memory = descriptor.made(map).map_err(|error| format!("{name}: {error}"))?;
        if memory.words() < K::LEAST || memory.word(KIND).load(Ordering::Acquire) != K::TAG {
            return Err(format!("{name}: the shared memory that came with the message holds something else"));
        }
        Ok(Self(Arc::new(Shared { memory, descriptor }), PhantomData))
    }

    #[inline]
    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Whether both are handles of the same memory, mapped twice perhaps.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let which = |handle: &Self| [MAKER, NUMBER].map(|number| handle.memory().word(number).load(Ordering::Relaxed));
        Arc::ptr_eq(&self.0, &other.0) || which(self) == which(other)
    }

    /// The text of an error about it.
    pub(super) fn error(&self, kind: ErrorKind, text: impl fmt::Display) -> Error {
        Error::new(kind, format!("{}: {text}", K::NAME.to_string_lossy()))
    }
}

/// Maps what came from another process, once for all handles that came with the same descriptor.
fn map(descriptor: BorrowedFd<'_>) -> Result<Memory, String> {
    let memory = Memory::open(descriptor, HEADER * 8).map_err(|error| error.to_string())?;
    let (there, here) = (memory.word(NAMESPACES).load(Ordering::Acquire), identity::namespaces());
    if there != 0 && here != 0 && there != here {
        return Err("it was made in another pid or time namespace, where process ids mean others".to_owned());
    }
    Ok(memory)
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("descriptor", &self.0.descriptor).finish_non_exhaustive()
    }
}

impl<K> Serialize for Handle<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.descriptor.serialize(serializer)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Handle<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::open(Descriptor::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The end of a wait: `None` waits without one, for as long as whoever is in the way lives.
pub(super) fn within(limit: Duration) -> Option<Instant> {
    end_of(limit)
}

/// The end of no wait at all.
pub(super) fn at_once() -> Option<Instant> {
    end_of(Duration::ZERO)
}
