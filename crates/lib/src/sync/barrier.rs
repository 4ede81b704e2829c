//! Where processes wait for each other.

use std::fmt;
use std::time::{Duration, Instant};

use ganger_os::lock::barrier::{self as words, Arrival, MOST, Outcome, Seat};
use ganger_os::lock::identity::pid_of;
use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::handle::{Handle, Kind, tag, within};
use crate::{Error, ErrorKind};

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-barrier";
    const TAG: u64 = tag(*b"barr");
    const LEAST: usize = 64;
}

/// A number of processes, or threads of them, wait here until all are there; then all go on. Python's `Barrier`.
///
/// When one of them does not come in time, gives up, or dies while it waits, the barrier is broken for all of them and
/// stays so until it is [reset](Self::reset). What is to be done once all are there is given with
/// [`wait_with`](Self::wait_with) (Python's `action` is given to the constructor).
///
/// ```
/// let barrier = ganger::Barrier::new(2)?;
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let ours = barrier.wait().expect("the other one comes");
///     assert_eq!(ours + other.join().unwrap().expect("so do we"), 1);
/// });
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Barrier(Handle<Layout>);

impl Barrier {
    /// Makes a barrier for so many.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for 0 and for more than 65,536; [`ErrorKind::System`] when memory or descriptors are
    /// short.
    pub fn new(parties: usize) -> Result<Self, Error> {
        if !(1..=MOST).contains(&parties) {
            let text = format!("barrier of {parties} parties: there may be 1 to {MOST}");
            return Err(Error::new(ErrorKind::InvalidSetting, text));
        }
        let barrier = Self(Handle::create(words::words(parties))?);
        barrier.words().set_up(parties);
        Ok(barrier)
    }

    /// Waits until all are there; how many were there before, which each of them has another of.
    ///
    /// # Errors
    /// [`ErrorKind::BrokenBarrier`] when it is broken, or comes to be while this one waits.
    pub fn wait(&self) -> Result<usize, Error> {
        self.wait_until(None, || ())
    }

    /// As [`wait`](Self::wait), no longer than `limit`: then the barrier is broken, for all.
    ///
    /// # Errors
    /// As [`wait`](Self::wait). [`ErrorKind::TimedOut`] when there was no room: all were there, and what one of them does before
    /// they go on took too long. This breaks nothing.
    pub fn wait_timeout(&self, limit: Duration) -> Result<usize, Error> {
        self.wait_until(within(limit), || ())
    }

    /// As [`wait`](Self::wait); whoever comes last does `action` before any of them goes on. A panic in it breaks the barrier.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<usize, Error> {
        self.wait_until(None, action)
    }

    /// As [`wait_with`](Self::wait_with), no longer than `limit`, which does not limit the action.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_timeout_with(&self, limit: Duration, action: impl FnOnce()) -> Result<usize, Error> {
        self.wait_until(within(limit), action)
    }

    /// Breaks it: whoever waits, and whoever comes until it is reset, gets an error.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when a process was stopped in the middle of a change of it.
    pub fn abort(&self) -> Result<(), Error> {
        self.changed(self.words().abort())
    }

    /// Makes it as new; whoever waits gets an error.
    ///
    /// # Errors
    /// As [`abort`](Self::abort).
    pub fn reset(&self) -> Result<(), Error> {
        self.changed(self.words().reset())
    }

    /// How many have to come.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.words().parties()
    }

    /// How many wait at this moment.
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.words().waiting()
    }

    /// Whether it is broken. Python's `broken`.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.words().is_broken()
    }

    fn wait_until(&self, end: Option<Instant>, action: impl FnOnce()) -> Result<usize, Error> {
        let words = self.words();
        let (seat, outcome) = match words.arrive(end) {
            None => return Err(self.0.error(ErrorKind::TimedOut, "no room came free in time")),
            Some(Arrival::Broken) => return Err(self.broken("it is broken, until it is reset")),
            Some(Arrival::Early(seat)) => (seat, words.wait(seat, end)),
            Some(Arrival::Last(seat)) => {
                let last = Last { words: &words, seat };
                action();
                (seat, last.finish())
            }
        };
        match outcome {
            Outcome::Passed => Ok(seat.index),
            Outcome::TimedOut => Err(self.broken("not all came in time")),
            Outcome::Died(who) => Err(self.broken(&format!("process {} died while it waited", pid_of(who)))),
            Outcome::Broken => Err(self.broken("it was broken, or reset, by another one")),
        }
    }

    fn broken(&self, text: &str) -> Error {
        self.0.error(ErrorKind::BrokenBarrier, text)
    }

    fn changed(&self, changed: bool) -> Result<(), Error> {
        let stuck = || self.0.error(ErrorKind::TimedOut, "a process is stopped in the middle of a change of it");
        changed.then_some(()).ok_or_else(stuck)
    }

    fn words(&self) -> words::Barrier<'_, Memory> {
        words::Barrier(self.0.memory())
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Barrier");
        debug.field("parties", &self.parties()).field("waiting", &self.n_waiting()).field("broken", &self.is_broken());
        debug.finish_non_exhaustive()
    }
}

/// Whoever came last, at work; dropped before it has finished, by a panic, it breaks the barrier.
struct Last<'a> {
    words: &'a words::Barrier<'a, Memory>,
    seat: Seat,
}

impl Last<'_> {
    fn finish(self) -> Outcome {
        let outcome = self.words.finish(self.seat);
        std::mem::forget(self);
        outcome
    }
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.words.fail(self.seat);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn parties_have_limits() {
        for parties in [0, MOST + 1, usize::MAX] {
            assert_eq!(Barrier::new(parties).expect_err("no such number").kind(), ErrorKind::InvalidSetting);
        }
        let alone = Barrier::new(1).expect("one is a number");
        assert_eq!((alone.wait().expect("it is there"), alone.wait().expect("again"), alone.parties()), (0, 0, 1));
    }

    #[test]
    fn one_does_what_is_to_be_done_before_any_goes_on() {
        let (barrier, done) = (Barrier::new(3).expect("memory"), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=200 {
                        barrier
                            .wait_with(|| {
                                let _before = done.fetch_add(1, Ordering::SeqCst);
                            })
                            .expect("sound");
                        let seen = done.load(Ordering::SeqCst);
                        assert!(seen == round || seen == round + 1, "{seen} in round {round}");
                    }
                });
            }
        });
        assert_eq!((done.into_inner(), barrier.n_waiting()), (200, 0));
    }

    #[test]
    fn time_abort_and_panics_break_it_until_it_is_reset() {
        let barrier = Barrier::new(2).expect("memory");
        let late = barrier.wait_timeout(Duration::from_millis(5)).expect_err("alone");
        assert!(late.kind() == ErrorKind::BrokenBarrier && late.to_string().contains("in time"), "{late}");
        assert!(barrier.is_broken() && barrier.wait().is_err());
        for end in [Barrier::abort, Barrier::reset] {
            barrier.reset().expect("nobody is stopped");
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| barrier.wait());
                while barrier.n_waiting() == 0 {
                    std::thread::yield_now();
                }
                end(&barrier).expect("nobody is stopped");
                assert_eq!(waiter.join().expect("no panic").expect_err("broken").kind(), ErrorKind::BrokenBarrier);
            });
        }
        assert!(!barrier.is_broken(), "it was reset last");
        std::thread::scope(|scope| {
            let waits = || barrier.wait_with(|| panic!("in the action"));
            let both = [scope.spawn(waits), scope.spawn(waits)].map(std::thread::ScopedJoinHandle::join);
            assert_eq!(both.iter().filter(|end| end.is_err()).count(), 1, "one has panicked");
            assert!(both.into_iter().flatten().all(|end| end.is_err()), "and the other one knows");
        });
        assert!(barrier.is_broken());
    }
}
