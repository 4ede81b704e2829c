//! A word that says who holds it: a lock that is not lost with its holder.
//!
//! 1. The word is 0, or the [identity](super::identity) of the holder and three flags. One compare-and-swap takes it, one
//!    gives it back, so it is never held by nobody known.
//! 2. Whoever finds it held marks that somebody sleeps and sleeps on the word; every [`LOOK`](super::futex::Futex::LOOK) it looks
//!    whether the holder lives. The word of a dead holder is inherited by compare-and-swap of the whole of it: one of those
//!    who look gets it, and no identity ever comes again.
//! 3. Who has slept takes the word with the mark, as others may sleep as well: else nobody would wake them.
//! 4. What was inherited stays *abandoned*, whoever holds it, until [`mark_consistent`] says that it has been looked after.
//!
//! Holders are processes, not threads: any thread of the process may give it back. A forked child is another process and
//! holds nothing.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use super::futex::{Futex, Vigil};
use super::identity::FLAGS;
use crate::word::Word;

/// Somebody may be asleep.
pub const SLEEPERS: u64 = 1;
/// Somebody died while holding it.
pub const ABANDONED: u64 = 2;
/// Held without a guard. A part of who holds it: what a guard holds is not given back by a bare `release`, nor the other
/// way round.
pub const BARE: u64 = 4;

/// How it came into somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Somebody has given it back.
    Clean,
    /// Somebody died with it, earlier, and nobody has looked after what that one left.
    Abandoned,
    /// The process of this identity has just been found dead with it.
    Inherited(u64),
}

/// Takes it if nobody holds it. `holder` is an identity, perhaps with [`BARE`].
///
/// # Errors
/// The word, when somebody does.
#[inline]
pub fn try_take(word: &impl Word, holder: u64) -> Result<Taken, u64> {
    let before = word.fetch_update(Acquire, Relaxed, |seen| (seen & !ABANDONED == 0).then_some(seen | holder))?;
    Ok(if before == 0 { Taken::Clean } else { Taken::Abandoned })
}

/// Takes it, waiting until `end` at most. `is_dead` says whether the process of an identity is dead; it is asked now
/// and then, and before giving up.
pub fn take<W: Futex>(word: &W, holder: u64, end: Option<Instant>, is_dead: impl Fn(u64) -> bool) -> Option<Taken> {
    for _ in 0..W::SPINS {
        match try_take(word, holder) {
            Ok(taken) => return Some(taken),
            // Others sleep: it will not be long before it is one more.
            Err(seen) if seen & SLEEPERS != 0 => break,
            Err(_) => std::hint::spin_loop(),
        }
    }
    let (mut holder, mut vigil) = (holder, Vigil::on(word, end));
    loop {
        let seen = match try_take(word, holder) {
            Ok(taken) => return Some(taken),
            Err(seen) => seen,
        };
        let (who, nap) = (seen & !FLAGS, vigil.nap());
        if (nap.is_none() || vigil.is_due()) && is_dead(who) {
            if inherit(word, seen, holder) {
                return Some(Taken::Inherited(who));
            }
            continue;
        }
        // Also by one who gives up: the wake-up that it may have used was meant for anybody who sleeps.
        let Some(marked) = mark(word, seen) else { continue };
        word.sleep(marked, nap?);
        holder |= SLEEPERS;
    }
}

/// Gives it back; whether `holder` held it.
#[must_use]
#[inline]
pub fn give_back(word: &impl Futex, holder: u64) -> bool {
    let left = |seen| is_held_as(seen, holder).then_some(seen & ABANDONED);
    match word.fetch_update(Release, Relaxed, left) {
        Ok(before) => {
            if before & SLEEPERS != 0 {
                word.wake(1);
            }
            true
        }
        Err(_) => false,
    }
}

/// Whether that value of the word says that `holder` holds it, in this way.
#[must_use]
#[inline]
pub fn is_held_as(seen: u64, holder: u64) -> bool {
    seen & !(SLEEPERS | ABANDONED) == holder
}

/// Forgets that it was abandoned; whether `holder` holds it and may say so.
pub fn mark_consistent(word: &impl Word, holder: u64) -> bool {
    word.fetch_update(AcqRel, Relaxed, |seen| is_held_as(seen, holder).then_some(seen & !ABANDONED)).is_ok()
}

/// Takes what a dead process held, `seen` as it was then; whether nobody else was faster.
fn inherit(word: &impl Word, seen: u64, holder: u64) -> bool {
    let ours = holder | seen & SLEEPERS | ABANDONED;
    word.fetch_update(AcqRel, Relaxed, |now| (now == seen).then_some(ours)).is_ok()
}

/// Says that somebody sleeps; the word as it is then, when nothing else has changed.
fn mark(word: &impl Word, seen: u64) -> Option<u64> {
    let marked = seen | SLEEPERS;
    let done = seen == marked || word.fetch_update(Relaxed, Relaxed, |now| (now == seen).then_some(marked)).is_ok();
    done.then_some(marked)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use super::super::futex::end_of;
    use super::*;

    const ME: u64 = 8;
    const OTHER: u64 = 16;

    #[test]
    fn taken_once_and_given_back_by_its_holder_only() {
        let word = AtomicU64::new(0);
        assert_eq!(try_take(&word, ME), Ok(Taken::Clean));
        assert_eq!(try_take(&word, OTHER), Err(ME));
        assert!(!give_back(&word, OTHER) && !give_back(&word, ME | BARE) && !mark_consistent(&word, OTHER));
        assert_eq!(take(&word, OTHER, end_of(Duration::from_millis(1)), |_| false), None);
        assert!(give_back(&word, ME) && !give_back(&word, ME));
        assert_eq!(try_take(&word, OTHER | BARE), Ok(Taken::Clean));
        assert!(!give_back(&word, OTHER) && give_back(&word, OTHER | BARE));
        assert_eq!(word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_the_dead_held_is_inherited_and_stays_abandoned_until_it_is_consistent() {
        let word = AtomicU64::new(ME);
        let dead = |who| who == ME;
        assert_eq!(take(&word, OTHER, end_of(Duration::ZERO), dead), Some(Taken::Inherited(ME)));
        assert!(give_back(&word, OTHER));
        assert_eq!(take(&word, OTHER, None, dead), Some(Taken::Abandoned));
        assert!(mark_consistent(&word, OTHER) && give_back(&word, OTHER));
        assert_eq!(take(&word, OTHER, None, dead), Some(Taken::Clean));
        // Without a limit it is noticed as well.
        word.store(ME | SLEEPERS, Ordering::Relaxed);
        assert_eq!(take(&word, OTHER, None, dead), Some(Taken::Inherited(ME)));
    }

    #[test]
    fn threads_exclude_each_other() {
        let (word, inside) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut count = 0;
        let counter = std::sync::Mutex::new(&mut count);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        take(&word, ME, None, |_| false).expect("no limit");
                        assert!(!inside.swap(true, Ordering::Relaxed), "two at once");
                        **counter.try_lock().expect("alone") += 1;
                        inside.store(false, Ordering::Relaxed);
                        assert!(give_back(&word, ME));
                    }
                });
            }
        });
        assert_eq!(count, 20_000);
    }

    #[test]
    fn a_limit_is_kept() {
        let word = AtomicU64::new(ME);
        let start = Instant::now();
        assert_eq!(take(&word, OTHER, end_of(Duration::from_millis(60)), |_| false), None);
        assert!(start.elapsed() >= Duration::from_millis(60));
    }
}
