//! Many readers or one writer.

use std::fmt;
use std::time::{Duration, Instant};

use ganger_os::lock::held::Taken;
use ganger_os::lock::rwlock::{self as words, WORDS};
use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::abandoned::Abandoned;
use super::handle::{Handle, Kind, at_once, tag, within};
use crate::Error;

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-rwlock";
    const TAG: u64 = tag(*b"rwlk");
    const LEAST: usize = WORDS;
}

/// A lock for many readers or one writer. Python's `multiprocessing` has none.
///
/// A writer that waits keeps new readers out, so it does not wait for ever; who holds it for reading must therefore not
/// take it for reading once more. Writers without a pause between them keep readers out. A reader that dies is gone; a
/// writer that dies leaves the lock [`Abandoned`], for readers and writers, until a writer marks it as consistent.
///
/// ```
/// let lock = ganger::RwLock::new()?;
/// let (one, other) = (lock.read()?, lock.read()?);
/// assert!(lock.try_write()?.is_none());
/// drop((one, other));
/// let _guard = lock.write()?;
/// assert!(lock.try_read()?.is_none());
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RwLock(Handle<Layout>);

impl RwLock {
    /// Makes a lock.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) when memory or descriptors are short.
    pub fn new() -> Result<Self, Error> {
        Handle::create(WORDS).map(Self)
    }

    /// Takes the lock for reading, waiting for as long as a writer lives.
    ///
    /// # Errors
    /// [`Abandoned`], with the guard in it, when a process has died while it held the lock for writing.
    pub fn read(&self) -> Result<ReadGuard, Abandoned<ReadGuard>> {
        self.read_until(None).transpose().expect("without a limit it comes to be held")
    }

    /// Takes the lock for reading if no writer has it or waits for it; `None` when one does.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn try_read(&self) -> Result<Option<ReadGuard>, Abandoned<ReadGuard>> {
        self.read_until(at_once())
    }

    /// Takes the lock for reading, waiting no longer than `limit`; `None` when that has passed.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_timeout(&self, limit: Duration) -> Result<Option<ReadGuard>, Abandoned<ReadGuard>> {
        self.read_until(within(limit))
    }

    /// Takes the lock for writing, waiting for as long as any holder lives.
    ///
    /// # Errors
    /// [`Abandoned`], with the guard in it, when a process has died while it held the lock for writing.
    pub fn write(&self) -> Result<WriteGuard, Abandoned<WriteGuard>> {
        self.write_until(None).transpose().expect("without a limit it comes to be held")
    }

    /// Takes the lock for writing if nobody has it; `None` when somebody does.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn try_write(&self) -> Result<Option<WriteGuard>, Abandoned<WriteGuard>> {
        self.write_until(at_once())
    }

    /// Takes the lock for writing, waiting no longer than `limit`; `None` when that has passed.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_timeout(&self, limit: Duration) -> Result<Option<WriteGuard>, Abandoned<WriteGuard>> {
        self.write_until(within(limit))
    }

    fn read_until(&self, end: Option<Instant>) -> Result<Option<ReadGuard>, Abandoned<ReadGuard>> {
        let Some((place, abandoned)) = self.words().read(end) else { return Ok(None) };
        let guard = ReadGuard { lock: self.clone(), place };
        if abandoned { Err(Abandoned::new(guard, self.words().dead())) } else { Ok(Some(guard)) }
    }

    fn write_until(&self, end: Option<Instant>) -> Result<Option<WriteGuard>, Abandoned<WriteGuard>> {
        let Some(taken) = self.words().write(end) else { return Ok(None) };
        let guard = WriteGuard(self.clone());
        if taken == Taken::Clean { Ok(Some(guard)) } else { Err(Abandoned::new(guard, self.words().dead())) }
    }

    fn words(&self) -> words::RwLock<'_, Memory> {
        words::RwLock(self.0.memory())
    }
}

/// The lock is held for reading; dropped, it is released. In a forked child, which holds nothing, it does nothing.
#[must_use = "a guard that is dropped at once has guarded nothing"]
pub struct ReadGuard {
    lock: RwLock,
    place: usize,
}

impl fmt::Debug for ReadGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadGuard").finish_non_exhaustive()
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.lock.words().give_back_read(self.place);
    }
}

/// The lock is held for writing; dropped, it is released. In a forked child, which holds nothing, it does nothing.
#[must_use = "a guard that is dropped at once has guarded nothing"]
pub struct WriteGuard(RwLock);

impl WriteGuard {
    /// Says that what the lock guards is in order again, after a process had died with it: see [`Abandoned`].
    pub fn mark_consistent(&self) {
        self.0.words().mark_consistent();
    }
}

impl fmt::Debug for WriteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGuard").finish_non_exhaustive()
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        self.0.words().give_back_write();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    #[test]
    fn readers_are_together_and_a_writer_is_alone() {
        let (lock, inside) = (RwLock::new().expect("memory"), AtomicI32::new(0));
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (lock, inside) = (&lock, &inside);
                scope.spawn(move || {
                    for _ in 0..500 {
                        if number == 0 {
                            let _guard = lock.write().expect("sound");
                            assert_eq!(inside.swap(-1, Ordering::SeqCst), 0);
                            inside.store(0, Ordering::SeqCst);
                        } else {
                            let _guard = lock.read().expect("sound");
                            assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(lock.try_write().expect("sound").is_some());
    }

    #[test]
    fn a_waiting_writer_keeps_readers_out_until_it_gives_up() {
        let lock = RwLock::new().expect("memory");
        let reader = lock.read().expect("free");
        std::thread::scope(|scope| {
            // Long enough for any machine: it gets the lock as soon as the reader lets go.
            let writer = scope.spawn(|| lock.write_timeout(Duration::from_secs(60)).expect("sound").is_some());
            while lock.try_read().expect("sound").is_some() {
                assert!(!writer.is_finished(), "nobody was kept out");
                std::thread::yield_now();
            }
            drop(reader);
            assert!(writer.join().expect("it only waits"));
        });
        let reader = lock.read().expect("free");
        assert!(lock.write_timeout(Duration::from_millis(1)).expect("sound").is_none());
        assert!(lock.try_read().expect("sound").is_some(), "it has given up");
        drop(reader);
    }
}
