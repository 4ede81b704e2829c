//! Many readers or one writer, none of whom is missed when it dies.
//!
//! `WRITER` is a [`held`] word, taken and inherited with the latch held. Readers are in the table of
//! [`holders`]. A writer that has to wait leaves a number in `PENDING`: no reader comes in while it is there, so
//! writers do not wait for ever. `WAITER` says which process that is; a pending writer that dies is forgotten.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use super::bell::{self, Look};
use super::futex::ALL;
use super::ground::{Ground, HEADER, LINE};
use super::held::{self, ABANDONED, SLEEPERS, Taken};
use super::holders::{self, Holders};
use super::identity::FLAGS;
use super::latch::{enter, latest};
use crate::word::Word;

const LATCH: usize = HEADER;
/// Rung for those who want to read, and for those who want to write.
const READERS: usize = HEADER + LINE;
const WRITERS: usize = HEADER + 2 * LINE;
const WRITER: usize = HEADER + 3 * LINE;
const PENDING: usize = HEADER + 4 * LINE;
const WAITER: usize = PENDING + 1;
const NUMBERS: usize = PENDING + 2;
/// Which process has left it abandoned.
const DEAD: usize = PENDING + 3;
const HOLDERS: usize = HEADER + 5 * LINE;

/// How many words it needs.
pub const WORDS: usize = HOLDERS + holders::WORDS;

/// A readers-writer lock on that ground.
#[derive(Debug)]
pub struct RwLock<'a, G: Ground>(pub &'a G);

impl<G: Ground> RwLock<'_, G> {
    /// Takes it for reading, waiting until `end` at most; the place in the table, and whether it is abandoned. A full table,
    /// of [`holders::PLACES`] other processes that read, is as good as a writer.
    #[must_use]
    pub fn read(&self, end: Option<Instant>) -> Option<(usize, bool)> {
        let latest = latest(end);
        bell::wait(self.0.word(READERS), end, |look| {
            let _latched = enter(self.0, LATCH, latest)?;
            self.bury(look);
            let writer = self.writer().load(Acquire);
            if writer & !ABANDONED != 0 || self.0.word(PENDING).load(Acquire) != 0 {
                return None;
            }
            self.holders().add().map(|place| (place, writer & ABANDONED != 0))
        })
    }

    /// Gives back what was taken for reading; whether this process held it.
    pub fn give_back_read(&self, place: usize) -> bool {
        let left = self.holders().remove(place);
        if left == Some(0) {
            bell::ring(self.0.word(WRITERS), ALL);
        }
        left.is_some()
    }

    /// Takes it for writing, waiting until `end` at most; `None` when that time has passed.
    #[must_use]
    pub fn write(&self, end: Option<Instant>) -> Option<Taken> {
        let (latest, mut number) = (latest(end), 0);
        let taken = bell::wait(self.0.word(WRITERS), end, |look| {
            let _latched = enter(self.0, LATCH, latest)?;
            self.bury(look);
            let pending = self.0.word(PENDING).load(Acquire);
            if pending == 0 || pending == number {
                if self.holders().held() == 0
                    && let Ok(taken) = held::try_take(self.writer(), self.0.own())
                {
                    // Once it is taken: who dies in between is found in WAITER as well.
                    self.0.word(PENDING).store(0, Release);
                    return Some(taken);
                }
                // One who would not wait keeps nobody out.
                if pending == 0 && end.is_none_or(|end| Instant::now() < end) {
                    number = self.register();
                }
            }
            None
        });
        if taken.is_none() {
            self.withdraw(number);
        }
        taken
    }

    /// Gives back what was taken for writing; whether this process held it.
    pub fn give_back_write(&self) -> bool {
        let held = held::give_back(self.writer(), self.0.own());
        if held {
            bell::ring(self.0.word(WRITERS), ALL);
            bell::ring(self.0.word(READERS), ALL);
        }
        held
    }

    /// Forgets that it was abandoned; whether this process holds it for writing, and so may say that.
    pub fn mark_consistent(&self) -> bool {
        held::mark_consistent(self.writer(), self.0.own())
    }

    /// Which process has died while it held it for writing; 0 when none has.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.0.word(DEAD).load(Acquire)
    }

    /// Keeps readers out for a writer that waits; its number.
    fn register(&self) -> u64 {
        let number = self.0.word(NUMBERS).fetch_add(1, Relaxed).wrapping_add(1);
        // Who it is before that it is.
        self.0.word(WAITER).store(self.0.own(), Relaxed);
        self.0.word(PENDING).store(number, Release);
        number
    }

    /// Lets others go first again. Without the latch, which a stopped process may hold: the number is this waiter's alone.
    fn withdraw(&self, number: u64) {
        let ours = |pending| (pending == number && number != 0).then_some(0);
        if self.0.word(PENDING).fetch_update(AcqRel, Relaxed, ours).is_ok() {
            bell::ring(self.0.word(READERS), ALL);
            bell::ring(self.0.word(WRITERS), ALL);
        }
    }

    /// Takes the dead out of the way, with the latch held, when it is time for that.
    fn bury(&self, look: Look) {
        if look == Look::Quick || !self.holders().is_time() {
            return;
        }
        let writer = self.writer().load(Acquire);
        if writer & !(ABANDONED | SLEEPERS) != 0 && self.0.is_dead(writer & !FLAGS) {
            self.0.word(DEAD).store(writer & !FLAGS, Release);
            self.writer().store(ABANDONED, Release);
        }
        if self.0.word(PENDING).load(Acquire) != 0 && self.0.is_dead(self.0.word(WAITER).load(Relaxed)) {
            self.0.word(PENDING).store(0, Release);
        }
        self.holders().bury();
    }

    fn writer(&self) -> &G::Word {
        self.0.word(WRITER)
    }

    fn holders(&self) -> Holders<'_, G> {
        Holders::new(self.0, HOLDERS)
    }
}
