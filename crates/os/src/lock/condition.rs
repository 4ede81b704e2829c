//! Who waits for a notification, and who has got one.
//!
//! Each waiter has a place with a number that tells how long it has waited, and sleeps on its own word. A notification is
//! given to particular waiters, the oldest first, so it wakes as many as were meant and nobody who came later. A place that
//! was notified stays taken until its waiter has the lock again: dies it before, then another one that waited at the time
//! gets its notification from any waiter that looks around.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use super::futex::{Futex, Vigil, is_time};
use super::ground::{Ground, HEADER, LINE};
use super::latch::{enter, soon};
use crate::word::Word;

const LATCH: usize = HEADER;
/// The number of the next waiter.
const NUMBERS: usize = HEADER + LINE;
/// How many places have ever been used.
const USED: usize = NUMBERS + 1;
/// When somebody last looked after the dead.
const LOOKED: usize = NUMBERS + 2;
const PLACES: usize = HEADER + 2 * LINE;

/// What a place consists of, one word each.
const OWNER: usize = 0;
const NUMBER: usize = 1;
const STATE: usize = 2;
/// Of a notified one: the number of the first waiter that came after the notification.
const BEFORE: usize = 3;
const PLACE: usize = 4;

const FREE: u64 = 0;
const WAITING: u64 = 1;
const NOTIFIED: u64 = 2;

/// How many wait at the same time at most.
pub const WAITERS: usize = 4096;

/// How many words it needs.
pub const WORDS: usize = PLACES + PLACE * WAITERS;

/// Why it did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A process was stopped in the middle of a change.
    Stuck,
    /// There is no place left.
    Crowded,
}

/// A condition on that ground.
#[derive(Debug)]
pub struct Condition<'a, G: Ground>(pub &'a G);

impl<G: Ground> Condition<'_, G> {
    /// Enters a waiter, who still holds the lock; its place.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn enter(&self) -> Result<usize, Refused> {
        let _latched = enter(self.0, LATCH, soon()).ok_or(Refused::Stuck)?;
        let place = self.free_place().ok_or(Refused::Crowded)?;
        let number = self.0.word(NUMBERS).fetch_add(1, Relaxed);
        self.at(place, OWNER).store(self.0.own(), Relaxed);
        self.at(place, NUMBER).store(number, Relaxed);
        self.at(place, STATE).store(WAITING, Release);
        Ok(place)
    }

    /// Waits there, without the lock, until notified, until `end` at most; whether it was.
    #[must_use]
    pub fn wait(&self, place: usize, end: Option<Instant>) -> bool {
        let state = self.at(place, STATE);
        let mut vigil = Vigil::on(state, end);
        while state.load(Acquire) == WAITING {
            if vigil.is_due() {
                self.pass_on();
            }
            let Some(nap) = vigil.nap() else {
                // Refused when a notification has come in this moment.
                let withdraw = |state| (state == WAITING).then_some(FREE);
                return state.fetch_update(AcqRel, Acquire, withdraw).is_err();
            };
            state.sleep(WAITING, nap);
        }
        true
    }

    /// Leaves the place of one who was notified, and has the lock again.
    pub fn leave(&self, place: usize) {
        self.at(place, STATE).store(FREE, Release);
    }

    /// Notifies the `most` who have waited longest; how many there were.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn notify(&self, most: usize) -> Result<usize, Refused> {
        let _latched = enter(self.0, LATCH, soon()).ok_or(Refused::Stuck)?;
        let mut waiting: Vec<(u64, usize)> = self.all(WAITING).map(|place| (self.number(place), place)).collect();
        waiting.sort_unstable();
        let before = self.0.word(NUMBERS).load(Relaxed);
        let notified = waiting.into_iter().filter(|(_, place)| self.tell(*place, before)).take(most);
        Ok(notified.count())
    }

    /// Gives the notifications of the dead to others, if nobody has done so for a while.
    fn pass_on(&self) {
        if !is_time(self.0.word(LOOKED)) {
            return;
        }
        // A latch that is not to be had is for the next look.
        let Some(_latched) = enter(self.0, LATCH, soon()) else { return };
        for dead in self.all(NOTIFIED).filter(|place| self.is_dead(*place)) {
            let before = self.at(dead, BEFORE).load(Relaxed);
            while let Some(oldest) = self.oldest_before(before) {
                if self.is_dead(oldest) {
                    self.leave(oldest);
                } else if self.tell(oldest, before) {
                    break;
                }
            }
            // Last: who dies before it makes somebody be notified twice, and not never.
            self.leave(dead);
        }
    }

    fn oldest_before(&self, before: u64) -> Option<usize> {
        self.all(WAITING).filter(|place| self.number(*place) < before).min_by_key(|place| self.number(*place))
    }

    /// Notifies the waiter at that place, unless it has just given up.
    fn tell(&self, place: usize, before: u64) -> bool {
        self.at(place, BEFORE).store(before, Relaxed);
        let state = self.at(place, STATE);
        let told = state.fetch_update(AcqRel, Relaxed, |state| (state == WAITING).then_some(NOTIFIED)).is_ok();
        if told {
            state.wake(1);
        }
        told
    }

    fn free_place(&self) -> Option<usize> {
        let used = self.used();
        if let Some(place) = self.all(FREE).next() {
            return Some(place);
        }
        if used < self.places() {
            self.0.word(USED).store(used as u64 + 1, Release);
            return Some(used);
        }
        // Only when it is full: asking for all takes long. What a dead one was told is passed on first.
        self.all(WAITING).find(|place| self.is_dead(*place))
    }

    fn all(&self, state: u64) -> impl Iterator<Item = usize> + '_ {
        (0..self.used()).filter(move |place| self.at(*place, STATE).load(Acquire) == state)
    }

    fn is_dead(&self, place: usize) -> bool {
        self.0.is_dead(self.at(place, OWNER).load(Relaxed))
    }

    fn number(&self, place: usize) -> u64 {
        self.at(place, NUMBER).load(Relaxed)
    }

    fn used(&self) -> usize {
        usize::try_from(self.0.word(USED).load(Acquire)).unwrap_or(0).min(self.places())
    }

    fn places(&self) -> usize {
        (self.0.words().saturating_sub(PLACES) / PLACE).min(WAITERS)
    }

    fn at(&self, place: usize, part: usize) -> &G::Word {
        self.0.word(PLACES + PLACE * place + part)
    }
}
