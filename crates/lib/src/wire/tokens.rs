//! The word by which a worker's own pools share the budget of the pool that it belongs to.
//!
//! A token is the right to run one task. A worker that runs a task has one for it. Its page says how many more its own pools
//! want, and how many of these they hold:
//!
//! 1. Only the worker changes what it wants, and only the supervisor adds to what the worker holds, never above that.
//! 2. Who wants less than it holds gives back the difference in the same step. So nobody takes a token away that is in use, and
//!    none is in two hands.
//! 3. The supervisor keeps its own account of what it has lent, and believes the word only where it says less. With the
//!    worker's death all of that comes back.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) wanted: u32,
    pub(crate) held: u32,
}

impl Tokens {
    fn from_word(word: u64) -> Self {
        Self { wanted: (word >> 32) as u32, held: word as u32 }
    }

    fn to_word(self) -> u64 {
        (u64::from(self.wanted) << 32) | u64::from(self.held)
    }
}

pub(crate) fn read(word: &AtomicU64) -> Tokens {
    Tokens::from_word(word.load(Ordering::Acquire))
}

/// The worker's side: wants so many from now on, and gives back what is more. Returns the word before and after.
pub(crate) fn want(word: &AtomicU64, wanted: u32) -> (Tokens, Tokens) {
    let mut before = read(word);
    loop {
        let after = Tokens { wanted, held: before.held.min(wanted) };
        match word.compare_exchange(before.to_word(), after.to_word(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return (before, after),
            Err(changed) => before = Tokens::from_word(changed),
        }
    }
}

/// The supervisor's side: lends one more to who holds `lent`; `false` when it is not wanted any more.
pub(crate) fn lend(word: &AtomicU64, lent: u32) -> bool {
    let before = read(word);
    let after = Tokens { held: lent + 1, ..before };
    before.held == lent
        && before.wanted > lent
        && word.compare_exchange(before.to_word(), after.to_word(), Ordering::AcqRel, Ordering::Acquire).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_lent_and_what_is_not_is_given_back() {
        let word = AtomicU64::new(0);
        assert!(!lend(&word, 0), "nobody wants one");
        want(&word, 2);
        assert!(lend(&word, 0) && lend(&word, 1) && !lend(&word, 2));
        assert_eq!(read(&word), Tokens { wanted: 2, held: 2 });
        let (before, after) = want(&word, 1);
        assert_eq!((before.held, after), (2, Tokens { wanted: 1, held: 1 }));
        want(&word, 5);
        assert!(!lend(&word, 2), "one was given back since that was counted");
        assert!(lend(&word, 1));
    }
}
