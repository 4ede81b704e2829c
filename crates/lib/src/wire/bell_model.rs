//! The bell, gone through in every order in which worker and supervisor can take their steps: no supervisor sleeps beside a
//! result that nobody tells it of.
//!
//! The same code as in a pool runs here over words of loom's. Without the barrier somebody must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;

use super::bell::{count, ring, unwatch, watch};
use super::claim_model::Whole;

/// What a supervisor and a worker share.
#[derive(Default)]
struct Shared {
    bell: Whole,
    watched: Whole,
    /// How many results are in the ring.
    results: AtomicU32,
    frames: AtomicU32,
}

/// The worker publishes twice, and rings each time.
fn work(shared: &Shared, barrier: fn()) {
    for result in 1..=2 {
        shared.results.store(result, Ordering::Relaxed);
        if ring(&shared.bell, &shared.watched, barrier) {
            shared.frames.fetch_add(1, Ordering::Release);
        }
    }
}

/// The supervisor looks once, reads, and goes to sleep unless it has to read once more; how many results it knows of then.
fn supervise(shared: &Shared, barrier: fn()) -> u32 {
    watch(&shared.watched);
    let mut heard = count(&shared.bell);
    let mut known = shared.results.load(Ordering::Relaxed);
    if !unwatch(&shared.bell, &shared.watched, heard, barrier) {
        heard = count(&shared.bell);
        known = shared.results.load(Ordering::Relaxed);
    }
    assert!(u64::from(known) >= heard, "{heard} rings were heard, and {known} results seen");
    known
}

fn go_through(barrier: fn()) {
    loom::model(move || {
        let shared = Arc::new(Shared::default());
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || work(&shared, barrier))
        };
        let known = supervise(&shared, barrier);
        worker.join().expect("it only rings");
        let woken = shared.frames.load(Ordering::Acquire) > 0;
        assert!(known == 2 || woken, "it sleeps, knows of {known} results, and nobody wakes it");
    });
}

#[test]
fn no_supervisor_sleeps_beside_a_result_that_nobody_tells_it_of() {
    go_through(|| fence(Ordering::SeqCst));
}

#[test]
fn a_missing_barrier_is_found_out() {
    assert!(catch_unwind(AssertUnwindSafe(|| go_through(|| ()))).is_err(), "nobody notices that it is missing");
}
