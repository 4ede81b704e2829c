//! The claim word, gone through in every order in which worker and supervisor can take their steps: no task is both run and
//! taken back, none is lost, and none of an old epoch is run in a new one.
//!
//! The same code as in a pool runs here over a word of loom's. A word whose changes are not atomic is tried as well, and
//! must be found out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use ganger_os::word::Word;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::thread;

use super::claim::{begin, claim, raise, read, take_back};

/// How many tasks are sent in each epoch.
const SENT: [u32; 2] = [2, 1];

/// A word of loom's.
#[derive(Default)]
pub(super) struct Whole(AtomicU64);

/// One that reads, and then writes, instead of doing both at once.
#[derive(Default)]
struct Torn(AtomicU64);

impl Word for Whole {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.0.fetch_update(set, fetch, change)
    }
}

impl Word for Torn {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn fetch_update(
        &self,
        _: Ordering,
        fetch: Ordering,
        mut change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let before = self.0.load(fetch);
        let after = change(before).ok_or(before)?;
        self.0.store(after, Ordering::Release);
        Ok(before)
    }
}

/// What a supervisor and a worker share.
#[derive(Default)]
struct Shared<W> {
    word: W,
    /// The epoch of which frames have been written.
    written: AtomicU32,
    /// How many results of an epoch have been published.
    results: [AtomicU32; 2],
    /// How often a task has been run.
    runs: [[AtomicU32; 2]; 2],
}

/// The worker: it has frames for all tasks of the first epoch, and later for those of the second.
fn work(shared: &Shared<impl Word>) {
    for (epoch, sent) in SENT.into_iter().enumerate() {
        while (shared.written.load(Ordering::Acquire) as usize) < epoch {
            thread::yield_now();
        }
        for position in 0..sent {
            if claim(&shared.word, epoch as u16, position) {
                shared.runs[epoch][position as usize].fetch_add(1, Ordering::Relaxed);
                shared.results[epoch].fetch_add(1, Ordering::Release);
            }
        }
    }
}

/// The supervisor: it takes back what it can, waits for the results of the rest, and begins another epoch.
fn supervise(shared: &Shared<impl Word>) -> u32 {
    let kept = take_back(&shared.word);
    while shared.results[0].load(Ordering::Acquire) < kept {
        thread::yield_now();
    }
    begin(&shared.word, 1);
    raise(&shared.word, SENT[1]);
    shared.written.store(1, Ordering::Release);
    kept
}

fn go_through<W: Word + Default + Send + Sync + 'static>() {
    loom::model(|| {
        let shared = Arc::new(Shared::<W>::default());
        raise(&shared.word, SENT[0]);
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || work(&shared))
        };
        let kept = supervise(&shared);
        worker.join().expect("it only claims");
        for position in 0..SENT[0] {
            let runs = shared.runs[0][position as usize].load(Ordering::Relaxed);
            assert_eq!(runs, u32::from(position < kept), "task {position}, of which {kept} were kept");
        }
        assert_eq!(shared.runs[1][0].load(Ordering::Relaxed), 1, "the task of the second epoch");
        assert_eq!(read(&shared.word).next, SENT[1]);
    });
}

#[test]
fn no_task_is_both_run_and_taken_back_and_none_is_lost() {
    go_through::<Whole>();
}

#[test]
fn a_word_that_is_not_changed_at_once_is_found_out() {
    let outcome = catch_unwind(AssertUnwindSafe(go_through::<Torn>));
    assert!(outcome.is_err(), "nobody notices that the word is torn");
}
