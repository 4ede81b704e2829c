//! The locks, gone through in every order in which two or three can take their steps: nobody is in where somebody else is, no
//! wake-up is lost, and what a dead one held comes to exactly one of those who want it.
//!
//! The same code as on shared memory runs here over words of loom's. Who sleeps sleeps until it is woken, without the looks
//! that would make a lost wake-up good: a lost one is a deadlock, which loom reports. Weaker orders, and rules that are left
//! out, are tried as well and must be found out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64;
use loom::sync::{Arc as Followed, Condvar, Mutex};
use loom::thread;

use super::barrier::{Arrival, Barrier, Outcome};
use super::bell::{self, Look};
use super::event::Event;
use super::futex::{ALL, Futex};
use super::ground::Ground;
use super::held::{self, Taken};
use super::rwlock::RwLock;
use super::semaphore::Semaphore;
use crate::word::Word;

/// Nobody has this identity and lives.
const DEAD: u64 = 8;

/// A word and those who sleep on it.
#[derive(Default)]
struct Slept<const ORDERED: bool> {
    word: AtomicU64,
    sleepers: Mutex<u32>,
    woken: Condvar,
}

impl<const ORDERED: bool> Slept<ORDERED> {
    fn order(order: Ordering) -> Ordering {
        if ORDERED { order } else { Ordering::Relaxed }
    }
}

impl<const ORDERED: bool> Word for Slept<ORDERED> {
    fn load(&self, order: Ordering) -> u64 {
        self.word.load(Self::order(order))
    }

    fn store(&self, value: u64, order: Ordering) {
        self.word.store(value, Self::order(order));
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.word.fetch_add(value, Self::order(order))
    }

    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word.fetch_update(Self::order(set), Self::order(fetch), change)
    }
}

impl<const ORDERED: bool> Futex for Slept<ORDERED> {
    const SPINS: u32 = 0;
    const LOOK: Duration = Duration::MAX;

    fn sleep(&self, seen: u64, _limit: Duration) {
        let mut sleepers = self.sleepers.lock().expect("nobody panics with it");
        // The kernel compares and goes to sleep in one step, as far as others can see.
        if self.word.load(Ordering::SeqCst) as u32 == seen as u32 {
            *sleepers += 1;
            drop(self.woken.wait(sleepers));
        }
    }

    fn wake(&self, most: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().expect("nobody panics with it");
        let count = most.min(*sleepers);
        *sleepers -= count;
        (0..count).for_each(|_| self.woken.notify_one());
        count
    }
}

/// Some words, and one who uses them.
struct Place<const ORDERED: bool> {
    words: Arc<Vec<Slept<ORDERED>>>,
    own: u64,
}

impl<const ORDERED: bool> Place<ORDERED> {
    fn new(words: usize) -> Self {
        Self { words: Arc::new((0..words).map(|_| Slept::default()).collect()), own: 2 * DEAD }
    }

    /// The same words in the hands of another process.
    fn other(&self, number: u64) -> Self {
        Self { words: self.words.clone(), own: (2 + number) * DEAD }
    }
}

impl<const ORDERED: bool> Ground for Place<ORDERED> {
    type Word = Slept<ORDERED>;

    fn word(&self, number: usize) -> &Slept<ORDERED> {
        &self.words[number]
    }

    fn words(&self) -> usize {
        self.words.len()
    }

    fn own(&self) -> u64 {
        self.own
    }

    fn is_dead(&self, who: u64) -> bool {
        who == DEAD
    }
}

/// Every order of steps with so many switches at any instant; all of them, where that takes seconds.
fn model(switches: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = switches;
    builder.check(run);
}

fn found_out(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_err()
}

/// Two processes count, each within the lock.
fn count_in_turns<const ORDERED: bool>() {
    model(Some(2), || {
        let place = Place::<ORDERED>::new(1);
        let count = Followed::new(UnsafeCell::new(0_u32));
        let run = |place: Place<ORDERED>, count: Followed<UnsafeCell<u32>>| {
            held::take(place.word(0), place.own, None, |_| false).expect("no limit");
            // SAFETY: loom ends the run when another thread may be reading or writing.
            let seen = count.with(|count| unsafe { count.read() });
            // SAFETY: as above.
            count.with_mut(|count| unsafe { count.write(seen + 1) });
            assert!(held::give_back(place.word(0), place.own));
        };
        let others: Vec<_> = (1..3)
            .map(|number| {
                let (place, count) = (place.other(number), count.clone());
                thread::spawn(move || run(place, count))
            })
            .collect();
        run(place, count.clone());
        others.into_iter().for_each(|other| other.join().expect("it only counts"));
        // SAFETY: all others have ended.
        assert_eq!(count.with(|count| unsafe { count.read() }), 3);
    });
}

#[test]
fn who_holds_it_holds_it_alone_and_nobody_sleeps_for_ever() {
    count_in_turns::<true>();
}

#[test]
fn weaker_orders_are_found_out() {
    assert!(found_out(count_in_turns::<false>));
}

#[test]
fn what_a_dead_one_held_comes_to_one() {
    model(None, || {
        let place = Place::<true>::new(1);
        place.word(0).store(DEAD | held::SLEEPERS, Ordering::Relaxed);
        // Time has passed, so both look at once.
        let take = |place: &Place<true>| {
            let end = Some(Instant::now());
            let taken = held::take(place.word(0), place.own, end, |who| place.is_dead(who));
            taken.inspect(|_| assert!(held::give_back(place.word(0), place.own)))
        };
        let other = place.other(1);
        let theirs = thread::spawn(move || take(&other));
        let (ours, theirs) = (take(&place), theirs.join().expect("it only takes"));
        let inherited = [ours, theirs].into_iter().filter(|taken| *taken == Some(Taken::Inherited(DEAD)));
        assert_eq!(inherited.count(), 1, "{ours:?} {theirs:?}");
        assert_ne!((ours, theirs), (Some(Taken::Clean), Some(Taken::Clean)));
    });
}

/// Somebody changes something and rings for one; that one passes it on.
fn hear<const BEFORE: bool>(listeners: u64, switches: Option<usize>) {
    model(switches, move || {
        let place = Place::<true>::new(2);
        let listeners: Vec<_> = (0..listeners)
            .map(|number| {
                let place = place.other(number);
                thread::spawn(move || {
                    let look = |_: Look| {
                        place.word(1).fetch_update(Ordering::AcqRel, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
                    };
                    bell::wait(place.word(0), None, look).expect("no limit");
                })
            })
            .collect();
        for _ in 0..listeners.len() {
            if BEFORE {
                bell::ring(place.word(0), 1);
            }
            place.word(1).fetch_add(1, Ordering::AcqRel);
            if !BEFORE {
                bell::ring(place.word(0), 1);
            }
        }
        listeners.into_iter().for_each(|listener| listener.join().expect("it only listens"));
    });
}

#[test]
fn every_ring_is_heard() {
    hear::<false>(1, None);
    hear::<false>(2, Some(1));
}

#[test]
fn ringing_before_the_change_is_found_out() {
    assert!(found_out(|| hear::<true>(1, None)));
}

#[test]
fn an_event_is_seen_however_short_it_is_set() {
    model(None, || {
        let place = Place::<true>::new(super::event::WORDS);
        let other = place.other(1);
        let before = place.word(8).load(Ordering::Relaxed);
        let waiter = thread::spawn(move || assert!(Event(&other).wait(None)));
        Event(&place).set();
        // As soon as it has been seen, or has been missed: it must not be missed by one who was there.
        Event(&place).clear();
        Event(&place).set();
        waiter.join().expect("it only waits");
        assert_eq!(place.word(8).load(Ordering::Relaxed), before + 3);
    });
}

/// So many words are enough for three holders.
const SMALL: usize = 80;

#[test]
fn permits_are_never_more_than_there_are_and_all_come_back() {
    model(Some(2), || {
        let place = Place::<true>::new(SMALL);
        Semaphore(&place).set_up(1, 1);
        let inside = Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let run = |place: Place<true>, inside: Arc<loom::sync::atomic::AtomicU32>, bare: bool| {
            let semaphore = Semaphore(&place);
            let taken = if bare { semaphore.take_bare(None).then_some(0) } else { semaphore.take(None) };
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two at once");
            inside.fetch_sub(1, Ordering::Relaxed);
            let taken = taken.expect("no limit");
            if bare {
                semaphore.release(1).expect("it was taken");
            } else {
                assert!(semaphore.give_back(taken));
            }
        };
        let (other, theirs) = (place.other(1), inside.clone());
        let thread = thread::spawn(move || run(other, theirs, true));
        run(place.other(0), inside, false);
        thread.join().expect("it only takes and gives");
        assert_eq!((Semaphore(&place).free(), Semaphore(&place).release(1)), (1, Err(2)));
    });
}

#[test]
fn a_writer_is_alone_and_gets_in() {
    model(Some(2), || {
        let place = Place::<true>::new(SMALL);
        let value = Followed::new(UnsafeCell::new(0_u32));
        let (other, theirs) = (place.other(1), value.clone());
        let writer = thread::spawn(move || {
            assert_eq!(RwLock(&other).write(None), Some(Taken::Clean));
            // SAFETY: loom ends the run when another thread may be reading or writing.
            theirs.with_mut(|value| unsafe { value.write(1) });
            assert!(RwLock(&other).give_back_write());
        });
        let (seat, abandoned) = RwLock(&place).read(None).expect("no limit");
        // SAFETY: loom ends the run when another thread may be writing.
        let seen = value.with(|value| unsafe { value.read() });
        assert!(seen <= 1 && !abandoned);
        assert!(RwLock(&place).give_back_read(seat));
        writer.join().expect("it only writes");
    });
}

#[test]
fn all_pass_a_barrier_and_each_has_its_own_index() {
    model(Some(2), || {
        let place = Place::<true>::new(SMALL);
        Barrier(&place).set_up(2);
        let pass = |place: Place<true>| {
            let barrier = Barrier(&place);
            match barrier.arrive(None).expect("no limit") {
                Arrival::Early(seat) => (seat.index, barrier.wait(seat, None)),
                Arrival::Last(seat) => (seat.index, barrier.finish(seat)),
                Arrival::Broken => panic!("nobody breaks it"),
            }
        };
        let other = place.other(1);
        let theirs = thread::spawn(move || pass(other));
        let (ours, theirs) = (pass(place), theirs.join().expect("it only passes"));
        assert_eq!((ours.1, theirs.1), (Outcome::Passed, Outcome::Passed));
        assert_eq!(ours.0 + theirs.0, 1);
    });
}

#[test]
fn all_who_were_told_sleep_no_more() {
    model(None, || {
        let place = Place::<true>::new(1);
        let other = place.other(1);
        let sleeper = thread::spawn(move || {
            while other.word(0).load(Ordering::Acquire) == 0 {
                other.word(0).sleep(0, Duration::MAX);
            }
        });
        place.word(0).store(1, Ordering::Release);
        place.word(0).wake(ALL);
        sleeper.join().expect("it only sleeps");
    });
}
