//! One holder at a time, which may take it again.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ganger_os::lock::futex::{Futex, is_time};
use ganger_os::lock::ground::{Ground, HEADER, LINE};
use ganger_os::lock::held::{self, ABANDONED, Taken};
use ganger_os::lock::identity;
use ganger_os::word::Word;
use serde::{Deserialize, Serialize};

use super::abandoned::{self, Abandoned};
use super::handle::{Handle, Kind, at_once, tag, within};
use crate::{Error, ErrorKind};

const WORD: usize = HEADER;
/// Which thread of the holder has it, and how often. Only the holder writes them.
const THREAD: usize = HEADER + 1;
const COUNT: usize = HEADER + 2;
/// Which process has left it abandoned.
const DEAD: usize = HEADER + LINE;
/// When somebody last looked whether the holder lives.
const LOOKED: usize = DEAD + 1;
const WORDS: usize = HEADER + 2 * LINE;

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-rlock";
    const TAG: u64 = tag(*b"rlck");
    const LEAST: usize = WORDS;
}

/// A lock that one thread of one process holds at a time, as often as it wants to. Python's `RLock`.
///
/// ```
/// let lock = ganger::RLock::new()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?;
/// drop((outer, inner));
/// assert_eq!(lock.release().unwrap_err().kind(), ganger::ErrorKind::NotOwner);
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct RLock(Handle<Layout>);

impl RLock {
    /// Makes a lock.
    ///
    /// # Errors
    /// [`ErrorKind::System`] when memory or descriptors are short.
    pub fn new() -> Result<Self, Error> {
        Handle::create(WORDS).map(Self)
    }

    /// Takes the lock, once more if this thread holds it, waiting for as long as another holder lives.
    ///
    /// # Errors
    /// [`Abandoned`], with the guard in it, when a process has died while it held the lock.
    pub fn lock(&self) -> Result<RLockGuard, Abandoned<RLockGuard>> {
        self.lock_until(None).transpose().expect("without a limit it comes to be held")
    }

    /// Takes the lock unless somebody else holds it; `None` when somebody does.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<RLockGuard>, Abandoned<RLockGuard>> {
        self.lock_until(at_once())
    }

    /// Takes the lock, waiting no longer than `limit`; `None` when that has passed.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(&self, limit: Duration) -> Result<Option<RLockGuard>, Abandoned<RLockGuard>> {
        self.lock_until(within(limit))
    }

    /// Takes the lock without a guard, to be [released](Self::release) by this thread.
    ///
    /// # Errors
    /// [`ErrorKind::Abandoned`] when a process has died while it held the lock. Then it has *not* been taken: take it with
    /// [`lock`](Self::lock), and mark it as consistent.
    pub fn acquire(&self) -> Result<(), Error> {
        self.acquire_until(None).map(|_acquired| ())
    }

    /// As [`acquire`](Self::acquire), unless somebody else holds it: whether nobody did.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<bool, Error> {
        self.acquire_until(at_once())
    }

    /// As [`acquire`](Self::acquire), waiting no longer than `limit`: whether it was enough.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.acquire_until(within(limit))
    }

    /// Releases it once.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] when this thread does not hold it: Python's `AssertionError`. Nothing has changed then.
    pub fn release(&self) -> Result<(), Error> {
        if self.release_once() {
            return Ok(());
        }
        let seen = self.word().load(Relaxed);
        Err(self.0.error(
            ErrorKind::NotOwner,
            match identity::pid_of(seen) {
                0 => "release of what is not locked".to_owned(),
                pid if pid == std::process::id() => "release of what another thread holds".to_owned(),
                pid => format!("release of what process {pid} holds"),
            },
        ))
    }

    fn lock_until(&self, end: Option<Instant>) -> Result<Option<RLockGuard>, Abandoned<RLockGuard>> {
        let Some(taken) = self.take(end) else { return Ok(None) };
        let guard = RLockGuard { lock: self.clone(), of_one_thread: PhantomData };
        if taken == Taken::Clean { Ok(Some(guard)) } else { Err(Abandoned::new(guard, self.part(DEAD).load(Relaxed))) }
    }

    fn acquire_until(&self, end: Option<Instant>) -> Result<bool, Error> {
        match self.take(end) {
            None => Ok(false),
            Some(Taken::Clean) => Ok(true),
            Some(_) => {
                self.release_once();
                Err(abandoned::error(self.part(DEAD).load(Relaxed)))
            }
        }
    }

    fn take(&self, end: Option<Instant>) -> Option<Taken> {
        if self.is_held_here() {
            self.part(COUNT).fetch_add(1, Relaxed);
            let abandoned = self.word().load(Relaxed) & ABANDONED != 0;
            return Some(if abandoned { Taken::Abandoned } else { Taken::Clean });
        }
        let memory = self.0.memory();
        let taken =
            held::take(self.word(), memory.own(), end, |who| is_time(memory.word(LOOKED)) && memory.is_dead(who))?;
        if let Taken::Inherited(dead) = taken {
            self.part(DEAD).store(dead, Relaxed);
        }
        self.part(COUNT).store(1, Relaxed);
        self.part(THREAD).store(identity::own_thread(), Relaxed);
        Some(taken)
    }

    /// Whether this thread holds it. No thread ever reads its own identity there but after it has written it: another one
    /// has another identity, and a thread that gives the lock back takes its own away first.
    fn is_held_here(&self) -> bool {
        held::is_held_as(self.word().load(Relaxed), self.0.memory().own())
            && self.part(THREAD).load(Relaxed) == identity::own_thread()
    }

    fn release_once(&self) -> bool {
        if !self.is_held_here() {
            return false;
        }
        if self.part(COUNT).fetch_add(u64::MAX, Relaxed) == 1 {
            self.part(THREAD).store(0, Relaxed);
            return held::give_back(self.word(), self.0.memory().own());
        }
        true
    }

    fn word(&self) -> &impl Futex {
        self.part(WORD)
    }

    fn part(&self, number: usize) -> &impl Futex {
        self.0.memory().word(number)
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock").field("held_by", &identity::pid_of(self.word().load(Relaxed))).finish_non_exhaustive()
    }
}

/// The lock is held by this thread; dropped, it is released once. In a forked child, which holds nothing, it does nothing.
#[must_use = "a guard that is dropped at once has guarded nothing"]
pub struct RLockGuard {
    lock: RLock,
    of_one_thread: PhantomData<*const ()>,
}

impl RLockGuard {
    /// Says that what the lock guards is in order again, after a process had died with it: see [`Abandoned`].
    pub fn mark_consistent(&self) {
        if self.lock.is_held_here() {
            held::mark_consistent(self.lock.word(), self.lock.0.memory().own());
        }
    }
}

impl fmt::Debug for RLockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").field("of_one_thread", &self.of_one_thread).finish_non_exhaustive()
    }
}

impl Drop for RLockGuard {
    fn drop(&mut self) {
        self.lock.release_once();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_neither_takes_nor_releases_it() {
        let lock = RLock::new().expect("memory");
        lock.acquire().expect("free");
        let guard = lock.lock().expect("ours");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(lock.try_lock().expect("sound").is_none());
                let error = lock.release().expect_err("another's");
                assert_eq!(error.kind(), ErrorKind::NotOwner);
                assert!(error.to_string().contains("another thread"), "{error}");
            });
        });
        drop(guard);
        assert!(std::thread::scope(|scope| scope.spawn(|| !lock.try_acquire().expect("sound")).join().expect("asks")));
        lock.release().expect("held once");
        assert!(lock.release().expect_err("not held").to_string().contains("not locked"));
        assert!(std::thread::scope(|scope| scope.spawn(|| lock.try_acquire().expect("sound")).join().expect("asks")));
    }
}
