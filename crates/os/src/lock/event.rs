//! A flag that many wait for. Its word counts changes: it is set while the count is odd, so a waiter that sees any change
//! knows that it was set meanwhile, even if it is not any more.

use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Instant;

use super::futex::{ALL, Futex, Vigil};
use super::ground::{Ground, HEADER, LINE};
use crate::word::Word;

const COUNT: usize = HEADER;

/// How many words it needs.
pub const WORDS: usize = HEADER + LINE;

/// An event on that ground.
#[derive(Debug)]
pub struct Event<'a, G: Ground>(pub &'a G);

impl<G: Ground> Event<'_, G> {
    /// Sets it and wakes all who wait.
    pub fn set(&self) {
        if self.change(false) {
            self.count().wake(ALL);
        }
    }

    /// Takes it back.
    pub fn clear(&self) {
        self.change(true);
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        is_odd(self.count().load(Acquire))
    }

    /// Waits until it is set, until `end` at most; whether it was.
    #[must_use]
    pub fn wait(&self, end: Option<Instant>) -> bool {
        let before = self.count().load(Acquire);
        let mut vigil = None;
        while !is_odd(before) && self.count().load(Acquire) == before {
            match vigil.get_or_insert_with(|| Vigil::on(self.count(), end)).nap() {
                Some(nap) => self.count().sleep(before, nap),
                None => return false,
            }
        }
        true
    }

    /// Goes on if it is set as given; whether it was.
    fn change(&self, set: bool) -> bool {
        let next = |count| (is_odd(count) == set).then_some(count.wrapping_add(1));
        self.count().fetch_update(AcqRel, Acquire, next).is_ok()
    }

    fn count(&self) -> &G::Word {
        self.0.word(COUNT)
    }
}

fn is_odd(count: u64) -> bool {
    count & 1 == 1
}
