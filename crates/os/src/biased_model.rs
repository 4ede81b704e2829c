//! The [biased](crate::biased) value, gone through in every order in which its owner and a visitor can take their steps.
//!
//! The same doors as there, over words of loom's. The barrier is the one that each passes for itself: what `membarrier(2)` does to
//! another thread, loom has no words for. It puts the same barrier between the same two steps of the owner.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::biased::Doors;
use crate::word::Word;

impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_add(value, order)
    }

    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.fetch_update(set, fetch, change)
    }
}

struct House {
    doors: Doors<AtomicU64>,
    visit: Mutex<()>,
    value: UnsafeCell<u64>,
}

impl House {
    fn add(&self) {
        // SAFETY: loom ends the run when another thread may be at it, and the pointer is that of a live cell.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }

    fn visit(&self, barrier: fn()) {
        let _visit = self.visit.lock().expect("nobody panics");
        self.doors.knock(barrier);
        while self.doors.is_inside() {
            thread::yield_now();
        }
        self.add();
        self.doors.leave();
    }

    fn own(&self, barrier: fn()) {
        if self.doors.step_in(barrier) {
            self.add();
            self.doors.step_out();
        } else {
            let _visit = self.visit.lock().expect("nobody panics");
            self.add();
        }
    }
}

/// The owner steps in twice while a visitor comes; each passes `barrier`.
fn go_through(barrier: fn()) {
    loom::model(move || {
        let doors = Doors { inside: AtomicU64::new(0), knocked: AtomicU64::new(0) };
        let house = Arc::new(House { doors, visit: Mutex::new(()), value: UnsafeCell::new(0) });
        let visitor = {
            let house = house.clone();
            thread::spawn(move || house.visit(barrier))
        };
        house.own(barrier);
        house.own(barrier);
        visitor.join().expect("it only visits");
        // SAFETY: the other thread has ended.
        assert_eq!(house.value.with(|value| unsafe { *value }), 3);
    });
}

#[test]
fn owner_and_visitor_never_meet_in_any_order_of_steps() {
    go_through(|| fence(Ordering::SeqCst));
}

#[test]
fn a_missing_barrier_is_found_out() {
    assert!(catch_unwind(AssertUnwindSafe(|| go_through(|| ()))).is_err(), "nobody notices that they meet");
}
