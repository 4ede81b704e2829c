//! The claim word: who owns which task, known without a system call, even when a worker has just died.
//!
//! One 64-bit atomic in the page that supervisor and worker share: `epoch:16 | next:24 | limit:24`. Tasks on a link have
//! positions 0, 1, 2, and so on within an epoch. Its rules:
//!
//! 1. The supervisor raises `limit`, *then* writes the frames: a worker that has a frame never finds its position above
//!    `limit` unless it was taken back.
//! 2. The worker claims position `next` by compare-and-swap, runs it, publishes the result, and only then claims again.
//!    So of the positions below `next` at most the last has no result when the worker dies: that one is charged.
//! 3. The supervisor takes tasks back by lowering `limit` to `next`. What was taken back is never run by this worker:
//!    the supervisor sends nothing more until the results below `limit` have arrived, and then begins a new epoch at
//!    position 0. The worker drops what it still receives of the old one.
//!
//! Every order in which the two can take their steps is gone through in `claim_model.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use ganger_os::mutant::{Protection, without};
use ganger_os::word::Word;

/// Positions end here; the supervisor begins a new epoch before it gets there.
pub(crate) const POSITIONS: u32 = 1 << 24;

const FIELD: u64 = (POSITIONS - 1) as u64;

/// The three parts of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) epoch: u16,
    /// The first position that is not claimed.
    pub(crate) next: u32,
    /// The first position that may not be claimed.
    pub(crate) limit: u32,
}

impl Claim {
    fn pack(self) -> u64 {
        (u64::from(self.epoch) << 48) | (u64::from(self.next) << 24) | u64::from(self.limit)
    }

    fn unpack(word: u64) -> Self {
        Self { epoch: (word >> 48) as u16, next: ((word >> 24) & FIELD) as u32, limit: (word & FIELD) as u32 }
    }
}

/// Reads the word.
pub(crate) fn read(word: &impl Word) -> Claim {
    Claim::unpack(word.load(Ordering::Acquire))
}

/// The supervisor allows `count` more positions.
pub(crate) fn raise(word: &impl Word, count: u32) {
    // `limit` is the lowest field, and stays below POSITIONS: an addition cannot reach the others.
    word.fetch_add(count.into(), Ordering::AcqRel);
}

/// The supervisor takes back everything that is not claimed, and learns where that begins.
pub(crate) fn take_back(word: &impl Word) -> u32 {
    let lowered = |word| {
        let claim = Claim::unpack(word);
        Some(Claim { limit: claim.next, ..claim }.pack())
    };
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, lowered).unwrap_or_else(|word| word);
    Claim::unpack(before).next
}

/// The supervisor begins an epoch; only when nothing of the last one can be claimed any more.
pub(crate) fn begin(word: &impl Word, epoch: u16) {
    word.store(Claim { epoch, next: 0, limit: 0 }.pack(), Ordering::Release);
}

/// The worker claims `position` of `epoch`; `false` when that was taken back.
pub(crate) fn claim(word: &impl Word, epoch: u16, position: u32) -> bool {
    let claimed = |word| {
        let claim = Claim::unpack(word);
        let ours = claim.epoch == epoch && claim.next == position && position < claim.limit;
        let ours = ours || without(Protection::ClaimWord);
        ours.then(|| Claim { next: position + 1, ..claim }.pack())
    };
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, claimed).is_ok()
}

/// The worker begins to take in the task at `position`, which it will claim next: its arguments may be what it dies of.
#[inline]
pub(crate) fn begin_to_take(word: &AtomicU64, epoch: u16, position: u32) {
    // Read only when the worker is dead.
    word.store(taken(epoch, position), Ordering::Relaxed);
}

/// Whether a dead worker had begun to take in the task at `position`.
pub(crate) fn has_begun_to_take(word: &AtomicU64, epoch: u16, position: u32) -> bool {
    word.load(Ordering::Acquire) == taken(epoch, position)
}

/// Never zero, which the word is at first.
fn taken(epoch: u16, position: u32) -> u64 {
    (u64::from(epoch) << 32) | (u64::from(position) + 1)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn claims_end_at_the_limit() {
        let word = AtomicU64::new(0);
        raise(&word, 2);
        assert!(claim(&word, 0, 0));
        assert!(claim(&word, 0, 1));
        assert!(!claim(&word, 0, 2));
        assert_eq!(read(&word), Claim { epoch: 0, next: 2, limit: 2 });
    }

    #[test]
    fn what_was_taken_back_is_not_claimed_even_after_a_new_epoch() {
        let word = AtomicU64::new(0);
        raise(&word, 5);
        assert!(claim(&word, 0, 0));
        assert_eq!(take_back(&word), 1);
        assert!(!claim(&word, 0, 1));
        begin(&word, 1);
        raise(&word, 1);
        assert!(!claim(&word, 0, 0), "a frame of the old epoch");
        assert!(claim(&word, 1, 0));
    }

    #[test]
    fn the_fields_do_not_touch_at_their_ends() {
        let word = AtomicU64::new(0);
        begin(&word, u16::MAX);
        raise(&word, POSITIONS - 1);
        assert_eq!(read(&word), Claim { epoch: u16::MAX, next: 0, limit: POSITIONS - 1 });
    }

    #[test]
    fn a_position_is_taken_in_its_own_epoch_only() {
        let word = AtomicU64::new(0);
        assert!(!has_begun_to_take(&word, 0, 0));
        begin_to_take(&word, 0, 0);
        assert!(has_begun_to_take(&word, 0, 0));
        assert!(!has_begun_to_take(&word, 0, 1) && !has_begun_to_take(&word, 1, 0));
    }

    #[test]
    fn racing_sides_agree_on_every_position() {
        let word = AtomicU64::new(0);
        raise(&word, 100_000);
        let (claimed, kept) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| (0..100_000).take_while(|position| claim(&word, 0, *position)).count());
            let supervisor = scope.spawn(|| take_back(&word));
            (worker.join().expect("no panic"), supervisor.join().expect("no panic"))
        });
        assert_eq!(claimed, kept as usize);
    }
}
