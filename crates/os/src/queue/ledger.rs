//! Which processes have taken items and not said yet that they are done with them.
//!
//! A process has one place while it has any. All of it is changed with the queue's latch held: a place counts an item before
//! it is taken, and until after it is done with. So those of the living are never fewer than they have, and what they do not
//! have the dead had.

use std::sync::atomic::Ordering::Relaxed;

use crate::lock::ground::{Ground, LINE};
use crate::word::Word;

/// How many processes have items at the same time at the most; of more, nobody knows who has died with some.
const PLACES: usize = 1024;

pub(super) const WORDS: usize = LINE + 2 * PLACES;

/// The ledger that begins at that word: how many places were ever used, whether there were too few, and the places.
#[derive(Debug)]
pub(super) struct Ledger<'a, G: Ground> {
    ground: &'a G,
    first: usize,
}

impl<'a, G: Ground> Ledger<'a, G> {
    pub(super) fn new(ground: &'a G, first: usize) -> Self {
        Self { ground, first }
    }

    /// Notes that this process takes an item.
    pub(super) fn add(&self) {
        match self.place() {
            Some(place) => {
                self.owner(place).store(self.ground.own(), Relaxed);
                self.count(place).fetch_add(1, Relaxed);
            }
            None => self.ground.word(self.first + 1).store(1, Relaxed),
        }
    }

    /// Notes that it is done with one. One that another process has taken stays with that one.
    pub(super) fn remove(&self) {
        if let Some(place) = self.used().find(|place| self.is_own(*place)) {
            // Refused when it has none.
            let _ = self.count(place).fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
        }
    }

    /// How many items of `unfinished` ones nobody has who is alive.
    pub(super) fn lost(&self, unfinished: u64) -> u64 {
        if self.ground.word(self.first + 1).load(Relaxed) != 0 {
            return 0;
        }
        let living = self.used().filter(|place| self.items(*place) > 0 && !self.is_dead(*place));
        unfinished.saturating_sub(living.map(|place| self.items(place)).fold(0, u64::saturating_add))
    }

    fn place(&self) -> Option<usize> {
        if let Some(own) = self.used().find(|place| self.is_own(*place)) {
            return Some(own);
        }
        let used = self.used().end;
        // What the dead had is known by what the living do not have: their places are free.
        let free = self.used().find(|place| self.items(*place) == 0);
        let free = free.or_else(|| if used < PLACES { None } else { self.used().find(|place| self.is_dead(*place)) });
        let place = free.or_else(|| (used < PLACES).then_some(used))?;
        if place == used {
            self.ground.word(self.first).store(used as u64 + 1, Relaxed);
        }
        self.count(place).store(0, Relaxed);
        Some(place)
    }

    fn used(&self) -> std::ops::Range<usize> {
        0..usize::try_from(self.ground.word(self.first).load(Relaxed)).unwrap_or(PLACES).min(PLACES)
    }

    fn is_own(&self, place: usize) -> bool {
        self.owner(place).load(Relaxed) == self.ground.own()
    }

    fn is_dead(&self, place: usize) -> bool {
        self.ground.is_dead(self.owner(place).load(Relaxed))
    }

    fn items(&self, place: usize) -> u64 {
        self.count(place).load(Relaxed)
    }

    fn owner(&self, place: usize) -> &G::Word {
        self.ground.word(self.first + LINE + 2 * place)
    }

    fn count(&self, place: usize) -> &G::Word {
        self.ground.word(self.first + LINE + 2 * place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    /// A process that is no more.
    fn dead() -> u64 {
        let mut child = std::process::Command::new("true").spawn().expect("starts");
        child.wait().expect("it is ours");
        1 << 25 | u64::from(child.id()) << 3
    }

    #[test]
    fn what_the_living_do_not_have_is_lost() {
        let (memory, _fd) = Memory::create(c"test", 8 * WORDS).expect("memory");
        let ledger = Ledger::new(&memory, 0);
        assert_eq!((ledger.lost(0), ledger.lost(2)), (0, 2));
        ledger.add();
        ledger.add();
        assert_eq!((ledger.lost(2), ledger.lost(3)), (0, 1));
        ledger.remove();
        assert_eq!((ledger.lost(1), ledger.lost(2)), (0, 1));
        ledger.owner(0).store(dead(), Relaxed);
        ledger.remove();
        assert_eq!(ledger.lost(1), 1, "it is another's");
        ledger.add();
        assert_eq!((ledger.lost(2), ledger.used()), (1, 0..2));
    }

    #[test]
    fn a_full_ledger_takes_places_from_the_dead_or_says_nothing_any_more() {
        let (memory, _fd) = Memory::create(c"test", 8 * WORDS).expect("memory");
        let ledger = Ledger::new(&memory, 0);
        memory.word(0).store(PLACES as u64, Relaxed);
        let other = u64::from(std::os::unix::process::parent_id()) << 3;
        (0..PLACES).for_each(|place| {
            ledger.owner(place).store(other, Relaxed);
            ledger.count(place).store(1, Relaxed);
        });
        ledger.owner(700).store(dead(), Relaxed);
        ledger.add();
        assert!(ledger.is_own(700) && ledger.items(700) == 1);
        ledger.owner(700).store(other, Relaxed);
        ledger.add();
        assert_eq!(ledger.lost(5000), 0);
    }
}
