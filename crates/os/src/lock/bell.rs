//! A word on which many wait for something to change, and which is rung by whoever has changed it.
//!
//! 1. The lowest bit says that somebody may listen; the rest is a count. Listening and ringing both change it.
//! 2. A listener listens, looks, and sleeps while the word is as it was when it listened. Whoever changes something changes
//!    it first and rings afterwards. So either the listener sees the change, or the ringer sees the listener.
//! 3. The bit is taken away only when fewer slept than were to be woken, and nobody has listened since the ring. A listener
//!    that dies leaves nothing behind but the bit, which costs the next ringer a system call.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Instant;

use super::futex::{Futex, Vigil};
use crate::word::Word;

const LISTENERS: u64 = 1;
const ONE: u64 = 2;

/// Announces that something has changed to at most `most` of those who listen.
pub fn ring(word: &impl Futex, most: u32) {
    let before = word.fetch_add(ONE, AcqRel);
    if before & LISTENERS == 0 || word.wake(most) >= most {
        return;
    }
    let unchanged = before.wrapping_add(ONE);
    // Refused when somebody listens anew, or has rung: then the bit is theirs to take away.
    let _ = word.fetch_update(AcqRel, Relaxed, |now| (now == unchanged).then_some(now & !LISTENERS));
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At what is in memory.
    Quick,
    /// Also whether those live who are in the way: nothing has happened for a while, or this is the last look.
    Thorough,
}

/// Has `attempt` look until it returns something, after each ring of the bell and at least every
/// [`LOOK`](super::futex::Futex::LOOK), until `end`; `None` when that has come.
pub fn wait<T>(word: &impl Futex, end: Option<Instant>, mut attempt: impl FnMut(Look) -> Option<T>) -> Option<T> {
    if let Some(found) = attempt(Look::Quick) {
        return Some(found);
    }
    let mut vigil = Vigil::on(word, end);
    loop {
        let heard = listen(word);
        let look = if vigil.is_due() { Look::Thorough } else { Look::Quick };
        if let Some(found) = attempt(look) {
            return Some(found);
        }
        match vigil.nap() {
            Some(nap) => word.sleep(heard, nap),
            // The end may have come after the look.
            None if look == Look::Quick => return attempt(Look::Thorough),
            None => return None,
        }
    }
}

fn listen(word: &impl Word) -> u64 {
    let changed = |now: u64| now.wrapping_add(ONE) | LISTENERS;
    let before = word.fetch_update(AcqRel, Relaxed, |now| Some(changed(now)));
    changed(before.unwrap_or_else(|now| now))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::super::futex::{ALL, end_of};
    use super::*;

    #[test]
    fn the_last_look_is_a_thorough_one() {
        let bell = AtomicU64::new(0);
        let mut looks = Vec::new();
        let nothing: Option<()> = wait(&bell, end_of(Duration::ZERO), |look| {
            looks.push(look);
            None
        });
        assert_eq!((nothing, looks), (None, vec![Look::Quick, Look::Thorough]));
        assert_eq!(wait(&bell, end_of(Duration::ZERO), |look| (look == Look::Thorough).then_some(1)), Some(1));
        assert_eq!(wait(&bell, None, |look| (look == Look::Thorough).then_some(2)), Some(2), "after a while");
    }

    #[test]
    fn the_mark_of_listeners_goes_with_them() {
        let bell = AtomicU64::new(0);
        let _ = listen(&bell);
        assert_eq!(bell.load(Ordering::Relaxed) & LISTENERS, LISTENERS);
        ring(&bell, ALL);
        assert_eq!(bell.load(Ordering::Relaxed) & LISTENERS, 0);
        let _ = listen(&bell);
        ring(&bell, 1);
        assert_eq!(bell.load(Ordering::Relaxed) & LISTENERS, 0, "nobody slept");
    }

    #[test]
    fn what_was_changed_is_seen() {
        let (bell, value) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..1_000 {
                        wait(&bell, None, |_| (value.load(Ordering::Acquire) >= round).then_some(()));
                    }
                });
            }
            for round in 1..1_000 {
                value.store(round, Ordering::Release);
                ring(&bell, ALL);
            }
        });
    }
}
