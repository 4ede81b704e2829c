//! Waiting, within a lock, for what others do within it.

use std::time::{Duration, Instant};

use ganger_os::lock::condition::{self as words, Refused, WAITERS, WORDS};
use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::abandoned::Abandoned;
use super::handle::{Handle, Kind, tag, within};
use super::lock::{Lock, LockGuard};
use crate::{Error, ErrorKind};

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-condition";
    const TAG: u64 = tag(*b"cond");
    const LEAST: usize = WORDS;
}

/// Processes that hold a [`Lock`] wait, without it, until others notify them. Python's `Condition`.
///
/// Its lock is a [`Lock`], not an `RLock` as in Python by default. Several conditions can have the
/// [same lock](Self::with_lock). A notification goes to those who have waited longest; a waiter that dies before it has
/// the lock again has its notification passed on, within 100 ms, to another one that waited when it came. Whoever has
/// returned from `wait` and dies has taken its notification along: the lock is [`Abandoned`] then.
///
/// ```
/// let condition = ganger::Condition::new()?;
/// let ready = std::sync::atomic::AtomicBool::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _held = condition.lock().expect("nobody has died");
///         ready.store(true, std::sync::atomic::Ordering::Relaxed);
///         condition.notify_one().expect("it is held")
///     });
///     let mut held = condition.lock()?;
///     condition.wait_while(&mut held, || !ready.load(std::sync::atomic::Ordering::Relaxed))
/// })?;
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    lock: Lock,
    waiters: Handle<Layout>,
}

impl Condition {
    /// Makes a condition with a lock of its own.
    ///
    /// # Errors
    /// [`ErrorKind::System`] when memory or descriptors are short.
    pub fn new() -> Result<Self, Error> {
        Self::with_lock(&Lock::new()?)
    }

    /// Makes a condition with that lock.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lock(lock: &Lock) -> Result<Self, Error> {
        Ok(Self { lock: lock.clone(), waiters: Handle::create(WORDS)? })
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// As [`Lock::lock`].
    pub fn lock(&self) -> Result<LockGuard, Abandoned<LockGuard>> {
        self.lock.lock()
    }

    /// Waits until notified, for ever if nobody does that, and holds the lock again.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when the guard is another lock's, [`ErrorKind::NotOwner`] when this process is a forked child
    /// of the one that has it, [`ErrorKind::System`] when 4,096 wait already: then it has not waited. [`ErrorKind::Abandoned`]
    /// when it has, and a process has died while it held the lock. The lock is held in any case.
    pub fn wait(&self, held: &mut LockGuard) -> Result<(), Error> {
        self.wait_until(held, None).map(|_notified| ())
    }

    /// As [`wait`](Self::wait), no longer than `limit`: whether it was notified. Getting the lock again may take longer.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, held: &mut LockGuard, limit: Duration) -> Result<bool, Error> {
        self.wait_until(held, within(limit))
    }

    /// Waits for as long as `pending` says so; it is asked with the lock held, now and after each notification.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_while(&self, held: &mut LockGuard, mut pending: impl FnMut() -> bool) -> Result<(), Error> {
        while pending() {
            self.wait(held)?;
        }
        Ok(())
    }

    /// Waits until `done` says so, no longer than `limit`: what it said last. Python's `wait_for(predicate, timeout)`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(
        &self,
        held: &mut LockGuard,
        limit: Duration,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, Error> {
        let end = within(limit);
        loop {
            if done() {
                return Ok(true);
            }
            if !self.wait_until(held, end)? {
                return Ok(done());
            }
        }
    }

    /// Notifies the one that has waited longest.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] when this process does not hold the lock; [`ErrorKind::TimedOut`] when a process was
    /// stopped in the middle of a change of this condition.
    pub fn notify_one(&self) -> Result<(), Error> {
        self.notify(1).map(|_count| ())
    }

    /// Notifies all who wait.
    ///
    /// # Errors
    /// As [`notify_one`](Self::notify_one).
    pub fn notify_all(&self) -> Result<(), Error> {
        self.notify(usize::MAX).map(|_count| ())
    }

    /// Notifies the `count` who have waited longest; how many there were. Python's `notify(n)`.
    ///
    /// # Errors
    /// As [`notify_one`](Self::notify_one).
    pub fn notify(&self, count: usize) -> Result<usize, Error> {
        if !self.lock.is_held_here() {
            return Err(self.waiters.error(ErrorKind::NotOwner, "notify without its lock"));
        }
        self.words().notify(count).map_err(|refused| self.refused(refused))
    }

    fn wait_until(&self, held: &mut LockGuard, end: Option<Instant>) -> Result<bool, Error> {
        if !held.lock().is_same(&self.lock) {
            return Err(self.waiters.error(ErrorKind::Mismatch, "wait with the guard of another lock"));
        }
        if !held.is_held() {
            return Err(self
                .waiters
                .error(ErrorKind::NotOwner, "wait with a guard of the process that forked this one"));
        }
        let words = self.words();
        let place = words.enter().map_err(|refused| self.refused(refused))?;
        held.pause();
        let notified = words.wait(place, end);
        let again = held.resume();
        if notified {
            words.leave(place);
        }
        again.map(|()| notified)
    }

    fn refused(&self, refused: Refused) -> Error {
        match refused {
            Refused::Stuck => {
                self.waiters.error(ErrorKind::TimedOut, "a process is stopped in the middle of a change of it")
            }
            Refused::Crowded => {
                self.waiters.error(ErrorKind::System, format!("{WAITERS} wait already, and no more can"))
            }
        }
    }

    fn words(&self) -> words::Condition<'_, Memory> {
        words::Condition(self.waiters.memory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misuse_is_an_error_and_changes_nothing() {
        let (condition, other) = (Condition::new().expect("memory"), Lock::new().expect("memory"));
        assert_eq!(condition.notify_one().expect_err("not held").kind(), ErrorKind::NotOwner);
        let mut wrong = other.lock().expect("free");
        assert_eq!(condition.wait(&mut wrong).expect_err("another's").kind(), ErrorKind::Mismatch);
        assert!(other.is_locked());
        let mut held = condition.lock().expect("free");
        assert_eq!(condition.notify(5).expect("held"), 0);
        assert!(!condition.wait_timeout(&mut held, Duration::from_millis(5)).expect("sound"));
        let mut asked = 0;
        let never = || {
            asked += 1;
            false
        };
        assert!(!condition.wait_for(&mut held, Duration::from_millis(5), never).expect("sound"));
        assert!(asked >= 2 && condition.lock.is_locked());
    }

    #[test]
    fn so_many_are_notified_as_were_meant() {
        let condition = Condition::new().expect("memory");
        let woken = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut held = condition.lock().expect("sound");
                    condition.wait(&mut held).expect("sound");
                    woken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                });
            }
            let (mut notified, mut rounds) = (0, 0);
            while notified < 4 {
                let held = condition.lock().expect("sound");
                let count = condition.notify(3).expect("held");
                assert!(count <= 3);
                (notified, rounds) = (notified + count, rounds + 1);
                drop(held);
                std::thread::yield_now();
            }
            assert!(rounds >= 2);
        });
        assert_eq!(woken.into_inner(), 4);
    }
}
