//! A lock in a manager.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::Proxy;
use super::patience::{NOW, for_at_most};
use super::protocol::{LockOp, Op, Patience};
use crate::error::Error;

/// A lock in a [`Manager`](super::Manager). Python's `Manager().Lock()`, which a holder that dies keeps for ever.
///
/// It is held by a thread. When that ends without having released it, or its process dies, the next one gets it at once,
/// and is told that it was [abandoned](LockGuard::abandoned). Who waits is served in the order of coming. Within one
/// program a lock that needs no manager is far faster; this one can be reached from other programs too, and by name.
///
/// ```
/// let manager = ganger::Manager::new()?;
/// let lock = manager.lock()?;
/// let guard = lock.lock()?;
/// assert!(!guard.abandoned());
/// assert!(lock.is_locked()?);
/// drop(guard);
/// assert!(lock.try_lock()?.is_some());
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lock {
    proxy: Proxy,
    lease: Option<Duration>,
}

impl Lock {
    pub(super) fn new(proxy: Proxy) -> Self {
        Self { proxy, lease: None }
    }

    /// This lock, taken for at most `lease` at a time: who keeps it for longer loses it, as one that died does. That is for
    /// holders that may be stopped, or on a machine that may vanish.
    ///
    /// ```
    /// use std::time::Duration;
    /// let manager = ganger::Manager::new()?;
    /// let lock = manager.lock()?.leased(Duration::from_millis(10));
    /// let kept = lock.lock()?;
    /// let next = std::thread::scope(|scope| {
    ///     scope.spawn(|| lock.lock().map(|guard| guard.abandoned())).join().expect("it does not panic")
    /// })?;
    /// assert!(next, "it was taken back");
    /// assert_eq!(kept.release().expect_err("lost").kind(), ganger::ErrorKind::NotOwner);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    #[must_use]
    pub fn leased(&self, lease: Duration) -> Self {
        Self { proxy: self.proxy.clone(), lease: Some(lease) }
    }

    /// Takes the lock, when it is free.
    ///
    /// # Errors
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) when this thread holds it. As of every method: when the manager is gone
    /// ([`Disconnected`](crate::ErrorKind::Disconnected)) or the lock was discarded ([`Closed`](crate::ErrorKind::Closed)).
    pub fn lock(&self) -> Result<LockGuard, Error> {
        let guard = self.acquire(None)?;
        Ok(guard.expect("without a limit the answer is that it was taken"))
    }

    /// Takes the lock if it is free now.
    ///
    /// # Errors
    /// See [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<LockGuard>, Error> {
        self.acquire(NOW)
    }

    /// Takes the lock if it is free within `limit`, which the manager keeps.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) when it was not. See [`lock`](Self::lock).
    pub fn lock_timeout(&self, limit: Duration) -> Result<LockGuard, Error> {
        let guard = self.acquire(for_at_most(limit))?;
        Ok(guard.expect("with a limit the answer is that it was taken, or an error"))
    }

    /// Whether somebody holds it.
    ///
    /// # Errors
    /// See [`lock`](Self::lock).
    pub fn is_locked(&self) -> Result<bool, Error> {
        self.proxy.call(&Op::Lock(LockOp::IsLocked))
    }

    /// Ends the lock in the manager: from now on every proxy of it gives an error of the kind
    /// [`Closed`](crate::ErrorKind::Closed). Objects that nobody discards live as long as their manager.
    ///
    /// # Errors
    /// See [`lock`](Self::lock).
    pub fn discard(self) -> Result<(), Error> {
        self.proxy.call(&Op::Discard)
    }

    fn acquire(&self, patience: Patience) -> Result<Option<LockGuard>, Error> {
        // A lease of no time would be over before anybody knew of it.
        let lease = self.lease.and_then(for_at_most);
        let taken: Option<(bool, u64)> = self.proxy.call(&Op::Lock(LockOp::Acquire(patience, lease)))?;
        let proxy = || Some(self.proxy.clone());
        Ok(taken.map(|(abandoned, number)| LockGuard { proxy: proxy(), number, abandoned, thread: PhantomData }))
    }
}

/// A [`Lock`] that this thread holds; it is released when this is dropped, without waiting for the manager's answer.
///
/// ```
/// use std::time::Duration;
/// let manager = ganger::Manager::new()?;
/// let lock = manager.lock()?;
/// let guard = lock.lock_timeout(Duration::from_secs(1))?;
/// if guard.abandoned() {
///     // Whoever held it died: look after what it protects.
/// }
/// guard.release()?;
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct LockGuard {
    /// Until it is released.
    proxy: Option<Proxy>,
    /// Which taking of the lock this is.
    number: u64,
    abandoned: bool,
    /// The manager knows the holder as a connection, which is a thread's.
    thread: PhantomData<*const ()>,
}

impl LockGuard {
    /// Whether the last holder died with it, or kept it for longer than its lease: what the lock protects may be half
    /// changed.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.abandoned
    }

    /// Releases the lock and waits for the manager's answer.
    ///
    /// # Errors
    /// [`NotOwner`](crate::ErrorKind::NotOwner) when it was lost meanwhile. See [`Lock::lock`].
    pub fn release(mut self) -> Result<(), Error> {
        let proxy = self.proxy.take().expect("only this takes it, and it takes the guard");
        proxy.call(&Op::Lock(LockOp::Release(self.number)))
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.post(&Op::Lock(LockOp::Release(self.number)));
        }
    }
}
