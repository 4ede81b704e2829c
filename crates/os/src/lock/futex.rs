//! Sleeping until a word in shared memory changes.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::word::Word;

/// A word on which processes sleep, as what it is here or as a model of it.
pub trait Futex: Word {
    /// How often to look again before sleeping: what others hold they hold shortly, as a rule, and the standard library's
    /// mutex looks as often.
    const SPINS: u32 = 100;

    /// How long nobody sleeps without looking around: that is how the death of a holder is noticed, and how a wake-up is
    /// made good that went to a process which died before it could act, or never came because its sender had died.
    const LOOK: Duration = Duration::from_millis(25);

    /// Sleeps until somebody [wakes](Self::wake) this one, at most `limit`, and not at all when the word's lower half is
    /// no longer that of `seen`. May return for no reason: whoever sleeps looks again.
    fn sleep(&self, seen: u64, limit: Duration);

    /// Wakes at most `most` of those who sleep; returns how many there were.
    fn wake(&self, most: u32) -> u32;
}

/// More than can ever sleep.
pub const ALL: u32 = i32::MAX as u32;

impl Futex for AtomicU64 {
    fn sleep(&self, seen: u64, limit: Duration) {
        let limit = libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        // Not FUTEX_PRIVATE: the others are other processes. A relative limit is measured by the monotonic clock.
        // SAFETY: the word lives as long as `self`, the limit is a valid local variable, and the kernel only reads both.
        unsafe { libc::syscall(libc::SYS_futex, lower_half(self), libc::FUTEX_WAIT, seen as u32, &raw const limit) };
        // Changed (EAGAIN), interrupted (EINTR), out of time (ETIMEDOUT) or woken: the caller looks what is the case.
    }

    fn wake(&self, most: u32) -> u32 {
        // SAFETY: the word lives as long as `self`, and the kernel only takes its address.
        let woken = unsafe { libc::syscall(libc::SYS_futex, lower_half(self), libc::FUTEX_WAKE, most) };
        u32::try_from(woken).unwrap_or(0)
    }
}

/// Where the half is that the kernel compares. The address only: this process reads and writes the whole word.
fn lower_half(word: &AtomicU64) -> *const u32 {
    word.as_ptr().cast_const().cast::<u32>().wrapping_add(usize::from(cfg!(target_endian = "big")))
}

/// When `limit` from now is over; never, when that is further away than the clock reaches.
#[must_use]
pub fn end_of(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// Milliseconds of the clock that all processes of the machine share, and that only goes forward.
#[must_use]
pub fn milliseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock's reading is written to a valid local variable. The monotonic clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// Whether nobody has looked around since [`Futex::LOOK`], as that word says; it says then that somebody does now. Where
/// many wait for the same, one of them looks for all.
pub fn is_time<W: Futex>(looked: &W) -> bool {
    let now = milliseconds();
    // In either direction: in another time namespace the clock may be behind.
    let long_ago = |then: u64| (u128::from(now.abs_diff(then)) >= W::LOOK.as_millis()).then_some(now);
    looked.fetch_update(Relaxed, Relaxed, long_ago).is_ok()
}

/// The course of one wait: when it is over, and when to look around.
#[derive(Debug)]
pub struct Vigil {
    end: Option<Instant>,
    every: Duration,
    looked: Instant,
}

impl Vigil {
    /// A wait on that word until `end`. Without an end, what ends it is what is waited for, or the death of whoever is in
    /// its way.
    #[must_use]
    pub fn on<W: Futex>(_word: &W, end: Option<Instant>) -> Self {
        Self { end, every: W::LOOK, looked: Instant::now() }
    }

    /// How long to sleep now; `None` when the end has come.
    #[must_use]
    pub fn nap(&self) -> Option<Duration> {
        let left = self.end.map_or(self.every, |end| end.saturating_duration_since(Instant::now()));
        (!left.is_zero()).then_some(left.min(self.every))
    }

    /// Whether to look who lives: because [`Futex::LOOK`] has passed since the last time (by the clock, not by full naps,
    /// which signals cut short), or because the end has come. Not at once: nearly everybody lives, and asking has its price.
    pub fn is_due(&mut self) -> bool {
        let due = self.looked.elapsed() >= self.every;
        if due {
            self.looked = Instant::now();
        }
        due || self.nap().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn who_sleeps_is_woken_and_a_changed_word_lets_nobody_sleep() {
        let word = AtomicU64::new(0xFFFF_FFFF_0000_0001);
        let start = Instant::now();
        word.sleep(2, Duration::from_secs(100));
        word.sleep(1, Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5) && start.elapsed() < Duration::from_secs(50));
        assert_eq!(word.wake(ALL), 0, "nobody sleeps");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::Acquire) == 0xFFFF_FFFF_0000_0001 {
                    word.sleep(1, Duration::from_secs(100));
                }
            });
            while word.wake(1) == 0 {
                std::thread::yield_now();
            }
            word.store(0, Ordering::Release);
            word.wake(1);
        });
    }

    #[test]
    fn naps_are_short_and_end_in_time() {
        let word = AtomicU64::new(0);
        let nap = |end| Vigil::on(&word, end).nap();
        assert_eq!(nap(None), Some(AtomicU64::LOOK));
        assert_eq!(nap(end_of(Duration::MAX)), Some(AtomicU64::LOOK));
        assert_eq!(nap(end_of(Duration::ZERO)), None);
        assert!(nap(end_of(Duration::from_millis(3))).expect("not yet") <= Duration::from_millis(3));
    }

    #[test]
    fn a_look_is_due_after_a_while_and_at_the_end() {
        let word = AtomicU64::new(0);
        let mut vigil = Vigil::on(&word, None);
        assert!(!vigil.is_due() || vigil.looked.elapsed() < AtomicU64::LOOK, "not at once");
        while !vigil.is_due() {
            std::thread::yield_now();
        }
        assert!(Vigil::on(&word, end_of(Duration::ZERO)).is_due());
        let before = milliseconds();
        assert!(before > 0 && milliseconds() >= before);
        assert!(is_time(&word) && (!is_time(&word) || milliseconds() - before >= 25), "once in a while");
    }
}
