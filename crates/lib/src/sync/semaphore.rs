//! A number of permits.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use ganger_os::lock::semaphore::{self as words, MOST, WORDS};
use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::handle::{Handle, Kind, at_once, tag, within};
use crate::{Error, ErrorKind};

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-semaphore";
    const TAG: u64 = tag(*b"sema");
    const LEAST: usize = WORDS;
}

/// A number of permits, of which each process takes some and gives them back. Python's `Semaphore`.
///
/// There are two ways of taking one. A [`Permit`] is a guard: it belongs to this process, and comes back when that dies
/// (or is forked: the child has none). What is [acquired](Self::acquire) belongs to nobody, as in Python: any process may
/// [release](Self::release) it, and so it is lost when the one that was to release it dies.
///
/// ```
/// let places = ganger::Semaphore::new(2)?;
/// let (one, other) = (places.permit(), places.permit());
/// assert!(places.try_permit().is_none());
/// drop(one);
/// assert_eq!(places.value(), 1);
/// # drop(other);
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Semaphore(Handle<Layout>);

impl Semaphore {
    /// Makes a semaphore of `value` permits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for more than 2,147,483,647; [`ErrorKind::System`] when memory or descriptors are short.
    pub fn new(value: u32) -> Result<Self, Error> {
        Self::bounded(value, MOST)
    }

    fn bounded(value: u32, bound: u64) -> Result<Self, Error> {
        if u64::from(value) > MOST {
            let text = format!("semaphore of {value} permits: the value may be 0 to {MOST}");
            return Err(Error::new(ErrorKind::InvalidSetting, text));
        }
        let semaphore = Self(Handle::create(WORDS)?);
        semaphore.words().set_up(value.into(), bound);
        Ok(semaphore)
    }

    /// Takes a permit, waiting for one.
    pub fn permit(&self) -> Permit {
        self.permit_until(None).expect("without a limit there comes one")
    }

    /// Takes a permit if there is one.
    #[must_use]
    pub fn try_permit(&self) -> Option<Permit> {
        self.permit_until(at_once())
    }

    /// Takes a permit, waiting for one no longer than `limit`.
    #[must_use]
    pub fn permit_timeout(&self, limit: Duration) -> Option<Permit> {
        self.permit_until(within(limit))
    }

    /// Takes a permit that belongs to nobody, waiting for one.
    pub fn acquire(&self) {
        let acquired = self.words().take_bare(None);
        debug_assert!(acquired, "without a limit there comes one");
    }

    /// As [`acquire`](Self::acquire), if there is one: whether there was. Python's `acquire(block=False)`.
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.words().take_bare(at_once())
    }

    /// As [`acquire`](Self::acquire), waiting no longer than `limit`: whether one came. Python's `acquire(timeout=...)`.
    #[must_use]
    pub fn acquire_timeout(&self, limit: Duration) -> bool {
        self.words().take_bare(within(limit))
    }

    /// Adds a permit: gives back what was [acquired](Self::acquire), here or elsewhere. Permits that are guards are not
    /// given back by this.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] when there would be more than 2,147,483,647; of a [`BoundedSemaphore`]
    /// [`ErrorKind::NotOwner`] when there would be more than at first. Nothing has changed then.
    pub fn release(&self) -> Result<(), Error> {
        self.release_many(1)
    }

    /// Adds `count` permits at once.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn release_many(&self, count: u32) -> Result<(), Error> {
        let words = self.words();
        words.release(count).map_err(|sum| {
            let bound = words.bound();
            let kind = if bound < MOST { ErrorKind::NotOwner } else { ErrorKind::InvalidSetting };
            self.0
                .error(kind, format!("release of {count}: there would be {sum} permits, of {bound} that there may be"))
        })
    }

    /// How many permits are free at this moment. Python's `get_value`.
    #[must_use]
    pub fn value(&self) -> u32 {
        u32::try_from(self.words().free()).unwrap_or(u32::MAX)
    }

    fn permit_until(&self, end: Option<Instant>) -> Option<Permit> {
        let place = self.words().take(end)?;
        Some(Permit { semaphore: self.clone(), place })
    }

    fn words(&self) -> words::Semaphore<'_, Memory> {
        words::Semaphore(self.0.memory())
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.value()).finish_non_exhaustive()
    }
}

/// A [`Semaphore`] that never has more permits than at first. Python's `BoundedSemaphore`.
///
/// ```
/// let places = ganger::BoundedSemaphore::new(1)?;
/// places.acquire();
/// places.release()?;
/// assert_eq!(places.release().unwrap_err().kind(), ganger::ErrorKind::NotOwner);
/// assert_eq!(places.value(), 1);
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// Makes a semaphore of `value` permits, and never more.
    ///
    /// # Errors
    /// As [`Semaphore::new`].
    pub fn new(value: u32) -> Result<Self, Error> {
        Semaphore::bounded(value, value.into()).map(Self)
    }
}

/// As in Python, where it is a subclass: it does all that a [`Semaphore`] does.
impl Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

/// A permit of a semaphore, which this process holds; dropped, or when the process dies, it comes back.
#[must_use = "a permit that is dropped at once has permitted nothing"]
pub struct Permit {
    semaphore: Semaphore,
    place: usize,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("semaphore", &self.semaphore).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Not held in a forked child: it is the parent's to give back.
        self.semaphore.words().give_back(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_limits() {
        assert_eq!(Semaphore::new(1 << 31).expect_err("too many").kind(), ErrorKind::InvalidSetting);
        let full = Semaphore::new(i32::MAX as u32).expect("as many as may be");
        assert_eq!(full.release().expect_err("one too many").kind(), ErrorKind::InvalidSetting);
        assert_eq!(full.value(), i32::MAX as u32);
        let none = Semaphore::new(0).expect("none is a number");
        assert!(none.try_permit().is_none() && !none.acquire_timeout(Duration::from_millis(5)));
        none.release_many(3).expect("there is room");
        assert!(none.try_acquire());
        assert_eq!(none.value(), 2);
        assert_eq!(
            BoundedSemaphore::new(0).expect("it is of no use").release().expect_err("one").kind(),
            ErrorKind::NotOwner
        );
    }

    #[test]
    fn permits_and_what_is_acquired_add_up() {
        let places = BoundedSemaphore::new(3).expect("memory");
        let permit = places.permit();
        places.acquire();
        assert_eq!(places.value(), 1);
        assert_eq!(places.release_many(2).expect_err("one is a permit").kind(), ErrorKind::NotOwner);
        places.release().expect("it was acquired");
        drop(permit);
        assert_eq!(places.value(), 3);
    }

    #[test]
    fn threads_never_hold_more_than_there_are() {
        let (places, inside) = (Semaphore::new(2).expect("memory"), std::sync::atomic::AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let _permit = places.permit();
                        assert!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(places.value(), 2);
    }
}
