//! How often this process has been forked by ganger: what it had then, another process may have a copy of.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(1);

/// A number that is another one after each fork, in both processes. It is never 0.
#[must_use]
#[inline]
pub fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts a fork that is about to happen.
pub(crate) fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
