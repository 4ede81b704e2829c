//! Whoever waits for a single result drives: it saves the way through the driver's thread, which is most of a round trip.
//!
//! A thread in `apply`, or in a short `map`, becomes the pool's *guest*: it waits on the poller itself, and takes the turns, until its
//! result is there, or some of its results, which it goes to read. There is at most one; others wait as always. Its rules:
//!
//! 1. While there is a guest the driver's thread naps instead of waiting on the poller, so that an event wakes one of
//!    them. It naps for short times only, as it does not know when the guest goes.
//! 2. Whoever else changes the core while there is a guest wakes it, as the change may be what the guest waits for.
//!    What only the driver may do, it is recalled for.
//! 3. A guest that stayed for long, or that leaves work behind, wakes the driver when it goes. One that does not may
//!    leave the poller alone for a nap's length: a thread that calls `apply` in a loop is back before, and so is one that reads
//!    what has come of many results.
//! 4. While there is neither, whoever has tasks to offer hands them over itself, and the driver looks after each nap whether
//!    somebody had too few for that to be worth the while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::driver::Supervisor;
use crate::pool::sink::wake_all;

/// The driver's first nap while guests come and go; it naps longer while one stays.
const NAP: Duration = Duration::from_millis(1);

/// Its longest nap.
const LONGEST_NAP: Duration = Duration::from_millis(100);

/// The guest's place.
#[derive(Debug, Default)]
pub(super) struct GuestRoom {
    taken: AtomicBool,
    /// For how many nanoseconds the driver naps, or has just napped; zero while it does not.
    nap: AtomicU64,
    /// How many guests there were.
    visits: AtomicU64,
    /// The driver was told to come back.
    recalled: Mutex<bool>,
    changed: Condvar,
}

/// The proof of being the guest.
#[derive(Debug)]
pub(super) struct Guest<'a> {
    room: &'a GuestRoom,
    came: Instant,
    /// Work is left that the guest will not see to.
    pub(super) leaves_work: bool,
}

/// What the driver knows of guests.
#[derive(Debug, Default)]
pub(super) struct Watch {
    visits: u64,
    nap: Duration,
}

/// How a guest goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It has got all that it waited for.
    ForGood,
    /// It has to run code of the user, and will be back at once; if that takes long, the driver does not wait for it.
    ForAWhile,
}

impl Supervisor {
    /// Does the driver's work in the calling thread until `done` says how to leave. It returns at once when another thread does
    /// it already, or when nothing will come any more: who calls it looks for itself whether what it waits for is there.
    pub(crate) fn drive_until(&self, done: impl Fn() -> Option<Leave>) {
        while let Some(guest) = self.guests.enter() {
            let wakers = self.drive_as(guest, &done);
            if wakers.is_empty() {
                return;
            }
            // They run code of others, which may call the pool in turn: nobody may be the guest then.
            wake_all(wakers);
        }
    }

    /// Drives until it is done, or until somebody has to be woken.
    fn drive_as(&self, mut guest: Guest<'_>, done: impl Fn() -> Option<Leave>) -> Vec<Waker> {
        let (mut tokens, mut wakers) = (Vec::new(), Vec::new());
        // Asked after the place was taken: whoever completes it from now on wakes the guest.
        let mut leave = done();
        while leave.is_none() && wakers.is_empty() && !self.over() {
            if self.wait(&mut tokens).is_err() {
                break;
            }
            wakers = self.take_turn(&tokens);
            leave = done();
        }
        let mut core = self.lock();
        guest.leaves_work = leave != Some(Leave::ForAWhile) && core.has_work();
        // A driver that went to sleep beside this guest would not hear who rings for those that are awake.
        let unheard = self.sleeps() && !core.may_sleep();
        drop(core);
        if unheard {
            self.waker.wake();
        }
        wakers
    }
}

impl GuestRoom {
    /// Becomes the guest, unless there is one.
    pub(super) fn enter(&self) -> Option<Guest<'_>> {
        let free = !self.taken.swap(true, Ordering::SeqCst);
        free.then(|| {
            self.visits.fetch_add(1, Ordering::SeqCst);
            Guest { room: self, came: Instant::now(), leaves_work: true }
        })
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::SeqCst)
    }

    /// Whether nobody is here who could be woken by what happens: the driver naps, and there is no guest. That is for a nap's
    /// length at most.
    pub(super) fn is_deserted(&self) -> bool {
        self.nap.load(Ordering::SeqCst) != 0 && !self.is_taken()
    }

    /// How long the driver shall nap before it looks again; `None` when no guest has been here since it last looked.
    pub(super) fn nap(&self, watch: &mut Watch) -> Option<Duration> {
        let visits = self.visits.load(Ordering::SeqCst);
        let new = visits != std::mem::replace(&mut watch.visits, visits);
        if !new && !self.is_taken() {
            watch.nap = Duration::ZERO;
            return None;
        }
        watch.nap = if new { NAP } else { (watch.nap * 2).clamp(NAP, LONGEST_NAP) };
        Some(watch.nap)
    }

    /// Sleeps for `limit`, or until the driver is recalled; returns whether it was.
    pub(super) fn sleep(&self, limit: Duration) -> bool {
        let recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        self.nap.store(limit.as_nanos() as u64, Ordering::SeqCst);
        let waited = self.changed.wait_timeout_while(recalled, limit, |recalled| !*recalled);
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The driver has napped, and wakes up for good; whether it has. Until then offers that are not worth a hand-over wait for it.
    pub(super) fn end_nap(&self) -> bool {
        self.nap.swap(0, Ordering::SeqCst) != 0
    }

    /// Has the driver come back.
    pub(super) fn recall_driver(&self) {
        *self.recalled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.room.taken.store(false, Ordering::SeqCst);
        // The driver may have taken this guest for one that had been here for long.
        let long_nap = self.room.nap.load(Ordering::SeqCst) > NAP.as_nanos() as u64;
        if self.leaves_work || long_nap || self.came.elapsed() > NAP {
            self.room.recall_driver();
        }
    }
}
