//! One holder at a time, among processes.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ganger_os::lock::futex::{Futex, is_time};
use ganger_os::lock::ground::{Ground, HEADER, LINE};
use ganger_os::lock::held::{self, ABANDONED, BARE, Taken};
use ganger_os::lock::identity;
use ganger_os::word::Word;
use serde::{Deserialize, Serialize};

use super::abandoned::{self, Abandoned};
use super::handle::{Handle, Kind, at_once, tag, within};
use crate::{Error, ErrorKind};

const WORD: usize = HEADER;
/// Which process has left it abandoned.
const DEAD: usize = HEADER + LINE;
/// When somebody last looked whether the holder lives.
const LOOKED: usize = DEAD + 1;
const WORDS: usize = HEADER + 2 * LINE;

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-lock";
    const TAG: u64 = tag(*b"lock");
    const LEAST: usize = WORDS;
}

/// A lock that one process holds at a time, and in it one thread. Python's `Lock`.
///
/// It is held by a process: another thread of it waits as anybody does, but may release what was
/// [acquired](Self::acquire). Another process may not, which Python allows: whose death is to be noticed must be the
/// holder. Where Python's lock is used as a signal from one process to another, a [`Semaphore`](super::Semaphore) of 1
/// does that. Whoever waits for what its own thread holds waits for ever, as in Python; see [`RLock`](super::RLock).
///
/// While nobody else wants it, taking and releasing it makes no system call.
///
/// ```
/// let lock = ganger::Lock::new()?;
/// {
///     let _guard = lock.lock()?;
///     assert!(lock.try_lock()?.is_none(), "it is held");
/// }
/// assert!(lock.try_lock()?.is_some());
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Lock(Handle<Layout>);

impl Lock {
    /// Makes a lock.
    ///
    /// # Errors
    /// [`ErrorKind::System`] when memory or descriptors are short.
    pub fn new() -> Result<Self, Error> {
        Handle::create(WORDS).map(Self)
    }

    /// Takes the lock, waiting for as long as its holder lives.
    ///
    /// # Errors
    /// [`Abandoned`], with the guard in it, when a process has died while it held the lock.
    #[inline]
    pub fn lock(&self) -> Result<LockGuard, Abandoned<LockGuard>> {
        match held::try_take(self.word(), self.0.memory().own()) {
            Ok(Taken::Clean) => Ok(LockGuard(self.clone())),
            Ok(taken) => self.guarded(taken),
            Err(_) => self.lock_until(None).transpose().expect("without a limit it comes to be held"),
        }
    }

    /// Takes the lock if nobody holds it; `None` when somebody does.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<LockGuard>, Abandoned<LockGuard>> {
        self.lock_until(at_once())
    }

    /// Takes the lock, waiting no longer than `limit`; `None` when that has passed.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(&self, limit: Duration) -> Result<Option<LockGuard>, Abandoned<LockGuard>> {
        self.lock_until(within(limit))
    }

    /// Takes the lock without a guard, to be [released](Self::release) by whatever thread of this process.
    ///
    /// # Errors
    /// [`ErrorKind::Abandoned`] when a process has died while it held the lock. Then it is *not* held: take it with
    /// [`lock`](Self::lock), and mark it as consistent.
    pub fn acquire(&self) -> Result<(), Error> {
        let holder = self.0.memory().own() | BARE;
        match held::try_take(self.word(), holder) {
            Ok(Taken::Clean) => Ok(()),
            Ok(_) => Err(self.refuse(holder)),
            Err(_) => self.acquire_until(None).map(|_acquired| ()),
        }
    }

    /// As [`acquire`](Self::acquire), if nobody holds it: whether nobody did. Python's `acquire(block=False)`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<bool, Error> {
        self.acquire_until(at_once())
    }

    /// As [`acquire`](Self::acquire), waiting no longer than `limit`: whether it was enough. Python's `acquire(timeout=...)`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.acquire_until(within(limit))
    }

    /// Releases what this process has [acquired](Self::acquire).
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] when it is not locked (Python's `ValueError`), when another process holds it, or a guard. Nothing
    /// has changed then.
    pub fn release(&self) -> Result<(), Error> {
        let released = held::give_back(self.word(), self.0.memory().own() | BARE);
        if released { Ok(()) } else { Err(self.not_owner()) }
    }

    /// Whether anybody holds it at this moment, dead or alive.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.word().load(Ordering::Relaxed) & !ABANDONED != 0
    }

    #[cold]
    fn not_owner(&self) -> Error {
        let seen = self.word().load(Ordering::Relaxed);
        let text = if seen & !ABANDONED == 0 {
            "release of what is not locked".to_owned()
        } else if self.is_held_here() {
            "release of what a guard holds: drop the guard".to_owned()
        } else {
            format!("release of what process {} holds", identity::pid_of(seen))
        };
        self.0.error(ErrorKind::NotOwner, text)
    }

    fn lock_until(&self, end: Option<Instant>) -> Result<Option<LockGuard>, Abandoned<LockGuard>> {
        self.take(self.0.memory().own(), end).map(|taken| self.guarded(taken)).transpose()
    }

    fn acquire_until(&self, end: Option<Instant>) -> Result<bool, Error> {
        let holder = self.0.memory().own() | BARE;
        match self.take(holder, end) {
            None => Ok(false),
            Some(Taken::Clean) => Ok(true),
            Some(_) => Err(self.refuse(holder)),
        }
    }

    /// Gives an abandoned lock back, which has no guard to be handed out in.
    fn refuse(&self, holder: u64) -> Error {
        let _held = held::give_back(self.word(), holder);
        abandoned::error(self.dead())
    }

    fn take(&self, holder: u64, end: Option<Instant>) -> Option<Taken> {
        let memory = self.0.memory();
        let taken = held::take(self.word(), holder, end, |who| {
            // One looks for all: it takes long, and whoever tries often would do nothing else.
            is_time(memory.word(LOOKED)) && memory.is_dead(who)
        })?;
        if let Taken::Inherited(dead) = taken {
            memory.word(DEAD).store(dead, Ordering::Relaxed);
        }
        Some(taken)
    }

    fn guarded(&self, taken: Taken) -> Result<LockGuard, Abandoned<LockGuard>> {
        let guard = LockGuard(self.clone());
        if taken == Taken::Clean { Ok(guard) } else { Err(Abandoned::new(guard, self.dead())) }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }

    /// Whether this process holds it, in whatever way.
    pub(super) fn is_held_here(&self) -> bool {
        let (seen, own) = (self.word().load(Ordering::Relaxed), self.0.memory().own());
        held::is_held_as(seen, own) || held::is_held_as(seen, own | BARE)
    }

    fn dead(&self) -> u64 {
        self.0.memory().word(DEAD).load(Ordering::Relaxed)
    }

    #[inline]
    fn word(&self) -> &impl Futex {
        self.0.memory().word(WORD)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("locked", &self.is_locked()).finish_non_exhaustive()
    }
}

/// The lock is held; dropped, it is released. In a forked child, which holds nothing, it does nothing.
#[must_use = "a guard that is dropped at once has guarded nothing"]
pub struct LockGuard(Lock);

impl LockGuard {
    /// Says that what the lock guards is in order again, after a process had died with it: see [`Abandoned`].
    pub fn mark_consistent(&self) {
        held::mark_consistent(self.0.word(), self.0.0.memory().own());
    }

    pub(super) fn lock(&self) -> &Lock {
        &self.0
    }

    /// Whether this process holds it: not in a forked child.
    pub(super) fn is_held(&self) -> bool {
        held::is_held_as(self.0.word().load(Ordering::Relaxed), self.0.0.memory().own())
    }

    /// Releases the lock for a while.
    pub(super) fn pause(&self) {
        let _held = held::give_back(self.0.word(), self.0.0.memory().own());
    }

    /// Takes it again.
    ///
    /// # Errors
    /// [`ErrorKind::Abandoned`], and it is held.
    pub(super) fn resume(&self) -> Result<(), Error> {
        match self.0.take(self.0.0.memory().own(), None) {
            Some(Taken::Clean) | None => Ok(()),
            Some(_) => Err(abandoned::error(self.0.dead())),
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").finish_non_exhaustive()
    }
}

impl Drop for LockGuard {
    #[inline]
    fn drop(&mut self) {
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{decode, encode};
    use crate::wire::descriptor::{Part, receiving, sending};

    #[test]
    fn misuse_is_an_error_and_changes_nothing() {
        let lock = Lock::new().expect("memory");
        assert_eq!(lock.release().expect_err("unlocked").kind(), ErrorKind::NotOwner);
        let guard = lock.lock().expect("free");
        let error = lock.release().expect_err("a guard holds it");
        assert!(error.to_string().contains("drop the guard"), "{error}");
        assert!(lock.is_locked() && !lock.try_acquire().expect("sound"));
        assert!(!lock.acquire_timeout(Duration::from_millis(5)).expect("sound"));
        drop(guard);
        lock.acquire().expect("free");
        std::thread::scope(|scope| scope.spawn(|| lock.release().expect("the same process")).join().expect("released"));
        assert!(!lock.is_locked());
        assert!(lock.lock_timeout(Duration::MAX).expect("sound").is_some());
    }

    #[test]
    fn what_has_travelled_is_the_same_lock() {
        let lock = Lock::new().expect("memory");
        let mut bytes = Vec::new();
        let (encoded, descriptors) = sending(Part::Own, || encode(&lock, &mut bytes));
        encoded.expect("encodes");
        let other: Lock = receiving(descriptors.clone(), || decode(&bytes)).expect("decodes");
        assert!(lock.is_same(&other) && !lock.is_same(&Lock::new().expect("memory")));
        let guard = lock.lock().expect("free");
        assert!(other.is_locked() && other.try_lock().expect("sound").is_none());
        drop(guard);
        assert!(other.try_lock().expect("sound").is_some());
        let wrong = receiving(descriptors, || decode::<super::super::Event>(&bytes)).expect_err("a lock");
        assert!(wrong.to_string().contains("holds something else"), "{wrong}");
    }
}
