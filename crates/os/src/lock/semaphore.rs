//! Permits of which those that a process holds come back when it dies.
//!
//! `CREDIT` is how many there are in all, held with a name or free; a bare acquire lowers it and a bare release raises it,
//! whoever calls them. Permits that are held with a name are in the table of [`holders`]. What is free is always
//! computed: the credit less all that is held.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use super::bell::{self, Look};
use super::ground::{Ground, HEADER, LINE};
use super::holders::{self, Holders};
use super::latch::{enter, latest};
use crate::word::Word;

const LATCH: usize = HEADER;
const BELL: usize = HEADER + LINE;
const CREDIT: usize = HEADER + 2 * LINE;
const BOUND: usize = CREDIT + 1;
const HOLDERS: usize = HEADER + 3 * LINE;

/// How many words it needs.
pub const WORDS: usize = HOLDERS + holders::WORDS;

/// The largest value: `SEM_VALUE_MAX`, as in Python.
pub const MOST: u64 = i32::MAX as u64;

/// A semaphore on that ground.
#[derive(Debug)]
pub struct Semaphore<'a, G: Ground>(pub &'a G);

impl<G: Ground> Semaphore<'_, G> {
    /// Sets it up, before anybody else has it.
    pub fn set_up(&self, value: u64, bound: u64) {
        self.0.word(CREDIT).store(value, Relaxed);
        self.0.word(BOUND).store(bound, Release);
    }

    /// Takes a permit in the name of this process; its place in the table, or `None` when none came free until `end`. A full
    /// table, of [`holders::PLACES`] other processes, is as good as no free permit.
    #[must_use]
    pub fn take(&self, end: Option<Instant>) -> Option<usize> {
        self.when_free(end, || self.holders().add())
    }

    /// Takes a permit in nobody's name; whether one came free until `end`.
    #[must_use]
    pub fn take_bare(&self, end: Option<Instant>) -> bool {
        let lower = || self.credit().fetch_update(AcqRel, Relaxed, |credit| credit.checked_sub(1)).ok();
        self.when_free(end, lower).is_some()
    }

    /// Gives the permit at that place back; whether this process held one there.
    pub fn give_back(&self, place: usize) -> bool {
        let held = self.holders().remove(place).is_some();
        if held {
            bell::ring(self.0.word(BELL), 1);
        }
        held
    }

    /// Adds `count` permits, in nobody's name.
    ///
    /// # Errors
    /// How many there would be, when that is more than there may.
    pub fn release(&self, count: u32) -> Result<(), u64> {
        let bound = self.bound();
        let raise = |credit: u64| Some(credit.saturating_add(count.into())).filter(|credit| *credit <= bound);
        let refused = |credit: u64| credit.saturating_add(count.into());
        self.credit().fetch_update(AcqRel, Acquire, raise).map_err(refused)?;
        bell::ring(self.0.word(BELL), count.min(super::futex::ALL));
        Ok(())
    }

    /// How many are free at this moment.
    #[must_use]
    pub fn free(&self) -> u64 {
        // Held ones first: a permit that is given back meanwhile is missed, and not counted twice.
        let held = self.holders().held();
        self.credit().load(Acquire).saturating_sub(held)
    }

    /// How many there may be.
    #[must_use]
    pub fn bound(&self) -> u64 {
        self.0.word(BOUND).load(Acquire)
    }

    /// Does `take`, which takes one, with the latch held and one free.
    fn when_free<T>(&self, end: Option<Instant>, take: impl Fn() -> Option<T>) -> Option<T> {
        let latest = latest(end);
        bell::wait(self.0.word(BELL), end, |look| {
            let _latched = enter(self.0, LATCH, latest)?;
            if self.free() == 0 && !(look == Look::Thorough && self.bury()) {
                return None;
            }
            take()
        })
    }

    /// Has what dead processes held come back; whether that makes one free.
    fn bury(&self) -> bool {
        let found = self.holders().is_time() && self.holders().bury();
        if found {
            // There may be more than the one that this process takes.
            bell::ring(self.0.word(BELL), super::futex::ALL);
        }
        found && self.free() > 0
    }

    fn credit(&self) -> &G::Word {
        self.0.word(CREDIT)
    }

    fn holders(&self) -> Holders<'_, G> {
        Holders::new(self.0, HOLDERS)
    }
}
