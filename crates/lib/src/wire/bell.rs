//! The bell: how a worker says that results are in its ring. A supervisor that sleeps has to be woken by a frame; one that is awake
//! and looks needs no system call of either side, and finds them a fraction of a microsecond later.
//!
//! Two words in the page that both share. `watched` is the supervisor's: whether it looks. `bell` is the worker's: how often it
//! has rung. Their rules:
//!
//! 1. The worker puts its results into the ring, counts the bell up, passes a barrier, and looks whether it is watched. If it is not,
//!    it writes a frame.
//! 2. The supervisor sets `watched` whenever it likes. Before it sleeps it clears `watched`, passes a barrier, and looks at the bell once
//!    more: if that has been rung since the results were last read, it does not sleep. The same does who stops looking while another
//!    thread of the supervisor sleeps, and wakes it.
//!
//! Each side changes its own word and then looks at the other's, with a barrier between: at least one sees the other's change.
//! Every order in which they can do so is gone through in `bell_model.rs`.

use std::sync::atomic::{Ordering, fence};

use ganger_os::word::Word;

/// The barrier of both rules.
pub(crate) fn barrier() {
    fence(Ordering::SeqCst);
}

/// The worker rings; whether a frame has to follow.
pub(crate) fn ring(bell: &impl Word, watched: &impl Word, barrier: fn()) -> bool {
    // Nobody else counts. Release: who sees the bell sees the results.
    bell.store(bell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    barrier();
    watched.load(Ordering::Relaxed) == 0
}

/// How often the worker has rung.
pub(crate) fn count(bell: &impl Word) -> u64 {
    bell.load(Ordering::Acquire)
}

/// The supervisor begins to look.
pub(crate) fn watch(watched: &impl Word) {
    watched.store(1, Ordering::Relaxed);
}

/// The supervisor wants to sleep, and has read the results of `heard` rings; whether there are no others, so that it may.
pub(crate) fn unwatch(bell: &impl Word, watched: &impl Word, heard: u64, barrier: fn()) -> bool {
    watched.store(0, Ordering::Relaxed);
    barrier();
    count(bell) == heard
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn whoever_is_not_watched_writes_a_frame() {
        let (bell, watched) = (AtomicU64::new(0), AtomicU64::new(0));
        assert!(ring(&bell, &watched, barrier));
        watch(&watched);
        assert!(!ring(&bell, &watched, barrier));
        assert_eq!(count(&bell), 2);
        assert!(!unwatch(&bell, &watched, 1, barrier), "one ring was not heard");
        assert!(unwatch(&bell, &watched, 2, barrier));
        assert!(ring(&bell, &watched, barrier));
    }
}
