//! The atomic words by which two processes agree, as what they are here or as a model of it.
//!
//! The protocols of the claim word and of the ring are written for any [`Word`], so that a model checker can run the very
//! same code through every order in which two threads can take its steps.

use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic number of 64 bits; the operations are those of [`AtomicU64`].
pub trait Word {
    /// See [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> u64;

    /// See [`AtomicU64::store`].
    fn store(&self, value: u64, order: Ordering);

    /// See [`AtomicU64::fetch_add`].
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;

    /// See [`AtomicU64::fetch_update`].
    ///
    /// # Errors
    /// The value that is there, when `change` does not want to.
    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64>;
}

// Inlined: of a tiny task's time each call of these is a part.
impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline(always)]
    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.fetch_add(value, order)
    }

    #[inline(always)]
    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.fetch_update(set, fetch, change)
    }
}
