//! The words on which locks are built, and who builds on them: shared memory and real processes, or a model of both.

use std::sync::atomic::AtomicU64;

use super::futex::Futex;
use super::identity;
use crate::memory::Memory;

/// The first words are the owner's of the memory: they say what it is.
pub const HEADER: usize = 8;

/// How many words a cache line has: words that different processes change at the same time are kept that far apart.
pub const LINE: usize = 8;

/// Words that processes share.
pub trait Ground {
    /// One of them.
    type Word: Futex;

    /// The word of that number.
    fn word(&self, number: usize) -> &Self::Word;

    /// How many there are.
    fn words(&self) -> usize;

    /// Who this process is.
    fn own(&self) -> u64;

    /// Whether the process of that identity is dead.
    fn is_dead(&self, who: u64) -> bool;
}

impl Ground for Memory {
    type Word = AtomicU64;

    #[inline]
    fn word(&self, number: usize) -> &AtomicU64 {
        self.word64(number * 8)
    }

    fn words(&self) -> usize {
        self.len() / 8
    }

    #[inline]
    fn own(&self) -> u64 {
        identity::own()
    }

    fn is_dead(&self, who: u64) -> bool {
        identity::is_dead(who)
    }
}
