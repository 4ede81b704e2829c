//! Who holds how many of something: a table of processes and counts.
//!
//! A process has one place while it holds any. Its count is changed by the process alone, or set to 0 by others once it is
//! dead. Taking needs a latch, as it depends on the counts of all; giving back does not, as it only makes room.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::futex::is_time;
use super::ground::{Ground, LINE};
use crate::word::Word;

/// How many processes hold something at the same time at most.
pub const PLACES: usize = 4096;

/// How many words the table needs.
pub const WORDS: usize = LINE + 2 * PLACES;

/// The table that begins at that word.
#[derive(Debug)]
pub(crate) struct Holders<'a, G: Ground> {
    ground: &'a G,
    first: usize,
}

impl<'a, G: Ground> Holders<'a, G> {
    pub(crate) fn new(ground: &'a G, first: usize) -> Self {
        Self { ground, first }
    }

    /// How many are held by all together.
    pub(crate) fn held(&self) -> u64 {
        (0..self.used()).map(|place| self.count(place).load(Acquire)).fold(0, u64::saturating_add)
    }

    /// Takes one more for this process, with the latch held; where, unless there is no place left.
    pub(crate) fn add(&self) -> Option<usize> {
        let own = self.ground.own();
        let place = self.place_of(own)?;
        // The owner first: with a count of 0 the place is still nobody's.
        self.owner(place).store(own, Relaxed);
        self.count(place).fetch_add(1, AcqRel);
        Some(place)
    }

    /// Gives one back, without the latch; how many this process has left there, or `None` when it held none.
    pub(crate) fn remove(&self, place: usize) -> Option<u64> {
        if place >= self.used() || self.owner(place).load(Relaxed) != self.ground.own() {
            return None;
        }
        let before = self.count(place).fetch_update(AcqRel, Relaxed, |count| count.checked_sub(1)).ok()?;
        Some(before - 1)
    }

    /// Whether it is time to look for dead holders: nobody has for a while.
    pub(crate) fn is_time(&self) -> bool {
        is_time(self.ground.word(self.first + 1))
    }

    /// Gives back what dead processes held, with the latch held; whether there was any.
    pub(crate) fn bury(&self) -> bool {
        let mut found = false;
        for place in 0..self.used() {
            if self.count(place).load(Acquire) > 0 && self.ground.is_dead(self.owner(place).load(Relaxed)) {
                self.count(place).store(0, Release);
                found = true;
            }
        }
        found
    }

    fn place_of(&self, own: u64) -> Option<usize> {
        let used = self.used();
        let mut empty = None;
        for place in 0..used {
            if self.owner(place).load(Relaxed) == own {
                return Some(place);
            }
            if empty.is_none() && self.count(place).load(Acquire) == 0 {
                empty = Some(place);
            }
        }
        if empty.is_none() && used < self.places() {
            self.ground.word(self.first).store(used as u64 + 1, Release);
            return Some(used);
        }
        empty
    }

    /// How many places have ever been used; never more than there are, whatever the word says.
    fn used(&self) -> usize {
        usize::try_from(self.ground.word(self.first).load(Acquire)).unwrap_or(0).min(self.places())
    }

    fn places(&self) -> usize {
        (self.ground.words().saturating_sub(self.first + LINE) / 2).min(PLACES)
    }

    fn owner(&self, place: usize) -> &G::Word {
        self.ground.word(self.first + LINE + 2 * place)
    }

    fn count(&self, place: usize) -> &G::Word {
        self.ground.word(self.first + LINE + 2 * place + 1)
    }
}
