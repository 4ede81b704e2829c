//! Waiting for a condition: the only sleep of the suite is in here.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long between two looks: no single descriptor announces what tests wait for.
const LOOK: Duration = Duration::from_micros(500);

/// Looks at `state` until `condition` holds for it, and returns it.
///
/// # Panics
/// When that takes longer than `limit`; the message has the last state.
#[track_caller]
pub fn wait_until<S: Debug>(
    what: &str,
    limit: Duration,
    mut state: impl FnMut() -> S,
    condition: impl Fn(&S) -> bool,
) -> S {
    let end = Instant::now() + limit;
    loop {
        let seen = state();
        if condition(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain until {what}; last seen: {seen:?}");
        std::thread::sleep(LOOK);
    }
}

/// Runs `action`, which must take less than `limit`.
///
/// # Panics
/// When it took longer.
#[track_caller]
pub fn within<T>(what: &str, limit: Duration, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    let took = start.elapsed();
    assert!(took < limit, "{what} took {took:?}, more than {limit:?}");
    result
}

/// Looks until `condition` holds, at most for `limit`; whether it came to hold.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}
