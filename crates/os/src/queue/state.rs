//! The numbers that describe a queue.
//!
//! There are two sets of them. One is current, as the lowest bit of a word says; a change writes the other set and then
//! that word. So whoever dies in between has changed nothing, and what a reader finds, with the latch held, belongs together.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::lock::ground::{Ground, LINE};
use crate::word::Word;

/// One set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// How many bytes of records were ever taken out, and put in.
    pub(super) head: u64,
    pub(super) tail: u64,
    /// How many items there are, and how many were put in and not yet said to be done with.
    pub(super) items: u64,
    pub(super) unfinished: u64,
    /// How many bytes the ring has: a power of two.
    pub(super) capacity: u64,
    pub(super) closed: bool,
}

/// How many words the two sets and the word between them take.
pub(super) const WORDS: usize = 3 * LINE;

impl State {
    /// Reads the current set.
    pub(super) fn read(ground: &impl Ground, first: usize) -> Self {
        let current = ground.word(first).load(Acquire);
        let word = |number: usize| ground.word(set(first, current) + number).load(Relaxed);
        let [head, tail, items, unfinished, capacity, closed] = [0, 1, 2, 3, 4, 5].map(word);
        Self { head, tail, items, unfinished, capacity, closed: closed != 0 }
    }

    /// Makes this the current set, with the latch held.
    pub(super) fn commit(self, ground: &impl Ground, first: usize) {
        let Self { head, tail, items, unfinished, capacity, closed } = self;
        let next = ground.word(first).load(Relaxed).wrapping_add(1);
        for (number, value) in [head, tail, items, unfinished, capacity, closed.into()].into_iter().enumerate() {
            ground.word(set(first, next) + number).store(value, Relaxed);
        }
        ground.word(first).store(next, Release);
    }

    /// How many bytes are in use.
    pub(super) fn used(&self) -> u64 {
        self.tail.wrapping_sub(self.head)
    }

    /// Whether it can be that of a queue whose ring has `room` bytes at the most. What another process has written may be
    /// anything.
    pub(super) fn is_sound(&self, room: u64) -> bool {
        let Self { head, tail, items, unfinished: _, capacity, closed: _ } = self;
        capacity.is_power_of_two()
            && *capacity >= 8
            && *capacity <= room
            && (head | tail) % 8 == 0
            && self.used() <= *capacity
            && (*items == 0) == (self.used() == 0)
    }
}

fn set(first: usize, current: u64) -> usize {
    first + LINE * (1 + (current & 1) as usize)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::memory::Memory;

    #[test]
    fn a_change_counts_once_its_last_word_is_written() {
        let (memory, _fd) = Memory::create(c"test", 8 * WORDS).expect("memory");
        let one = State { head: 8, tail: 24, items: 1, unfinished: 3, capacity: 64, closed: true };
        one.commit(&memory, 0);
        assert_eq!(State::read(&memory, 0), one);
        let other = State { head: 24, items: 0, ..one };
        other.commit(&memory, 0);
        assert_eq!(State::read(&memory, 0), other);
        // As if its author had died before that word.
        memory.word64(0).fetch_sub(1, Ordering::Relaxed);
        assert_eq!(State::read(&memory, 0), one);
    }

    #[test]
    fn what_cannot_be_is_not_sound() {
        let sound = State { head: 1 << 40, tail: (1 << 40) + 16, items: 1, unfinished: 0, capacity: 64, closed: false };
        assert!(sound.is_sound(64) && State { items: 0, tail: 1 << 40, ..sound }.is_sound(64));
        for state in [
            State { capacity: 0, ..sound },
            State { capacity: 4, ..sound },
            State { capacity: 96, ..sound },
            State { capacity: 128, ..sound },
            State { head: sound.head + 1, ..sound },
            State { tail: sound.head + 72, ..sound },
            State { tail: sound.head - 8, ..sound },
            State { items: 0, ..sound },
            State { tail: sound.head, ..sound },
        ] {
            assert!(!state.is_sound(64), "{state:?}");
        }
    }
}
