//! Where a number of processes wait for each other, again and again.
//!
//! 1. `CONTROL` holds the number of the round, how it is being ended (nobody does, or it is passed, broken or reset), and
//!    whether the barrier is broken. It changes with the latch held.
//! 2. A waiter has a place with the round's number, and sleeps on its own word. How many have arrived is counted anew.
//! 3. The end of a round is announced in `CONTROL`, then told to each waiter, then the next round begins. Who takes the latch
//!    and finds an announcement carries it out again from the start: its author has died in the middle.
//! 4. Every waiter looks after the one behind it, by place: so each is looked after, at the cost of one look a waiter. The
//!    barrier is broken when one is found dead. One that dies in the instant in which the last one arrives has arrived.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use super::bell::{self, Look};
use super::futex::{ALL, Futex, Vigil, milliseconds};
use super::ground::{Ground, HEADER, LINE};
use super::latch::{Latched, enter, latest, soon};
use crate::word::Word;

const LATCH: usize = HEADER;
const CONTROL: usize = HEADER + LINE;
/// Rung when a round has ended, for those who did not find room in it.
const BELL: usize = HEADER + 2 * LINE;
const PARTIES: usize = HEADER + 3 * LINE;
const USED: usize = PARTIES + 1;
const PLACES: usize = HEADER + 4 * LINE;

/// What a place consists of, one word each.
const OWNER: usize = 0;
const ROUND: usize = 1;
const STATE: usize = 2;
const SINCE: usize = 3;
const PLACE: usize = 4;

/// The states of a place; `PASSED` and `BROKEN` until its owner has seen it.
const FREE: u64 = 0;
const WAITING: u64 = 1;
const PASSED: u64 = 2;
const BROKEN: u64 = 3;

/// The parts of the control word: how the round is being ended, whether the barrier is broken, and the round.
const ENDING: u64 = 0b11;
const IS_BROKEN: u64 = 0b100;
const ONE_ROUND: u64 = 0b1000;

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Pass = 1,
    Break = 2,
    Reset = 3,
}

/// The most parties.
pub const MOST: usize = 1 << 16;

/// How many words it needs: two rounds' waiters, as those of the last one may be slow to leave.
#[must_use]
pub fn words(parties: usize) -> usize {
    PLACES + PLACE * (2 * parties + 8)
}

/// A place in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    place: usize,
    /// How many were there before.
    pub index: usize,
}

/// What came of arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Others are still to come.
    Early(Seat),
    /// All are there: whoever gets this is to do what is to be done, and to [finish](Barrier::finish).
    Last(Seat),
    /// The barrier is broken.
    Broken,
}

/// How waiting has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All were there.
    Passed,
    /// The barrier was broken by somebody else.
    Broken,
    /// It was broken by this waiter, whose time had passed.
    TimedOut,
    /// It was broken as the process of this identity has died.
    Died(u64),
}

/// A barrier on that ground.
#[derive(Debug)]
pub struct Barrier<'a, G: Ground>(pub &'a G);

impl<G: Ground> Barrier<'_, G> {
    /// Sets it up, before anybody else has it.
    pub fn set_up(&self, parties: usize) {
        self.0.word(PARTIES).store(parties as u64, Release);
    }

    /// How many have to arrive.
    #[must_use]
    pub fn parties(&self) -> usize {
        usize::try_from(self.0.word(PARTIES).load(Acquire)).unwrap_or(usize::MAX)
    }

    /// How many wait at this moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.members().count()
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.control() & IS_BROKEN != 0
    }

    /// Arrives, waiting for room until `end` at most: while the last of a full round is still at work. `None` when that
    /// time has passed.
    #[must_use]
    pub fn arrive(&self, end: Option<Instant>) -> Option<Arrival> {
        let latest = latest(end);
        bell::wait(self.0.word(BELL), end, |look| {
            let _latched = self.enter(latest)?;
            if self.is_broken() {
                return Some(Arrival::Broken);
            }
            let (index, parties) = (self.waiting(), self.parties());
            if index >= parties {
                let dead = look == Look::Thorough && self.members().any(|place| self.is_dead(place));
                return dead.then(|| self.end(End::Break)).map(|()| Arrival::Broken);
            }
            let seat = Seat { place: self.take_place()?, index };
            if index + 1 < parties {
                return Some(Arrival::Early(seat));
            }
            // Those who arrived a moment ago count as alive: a fast round is not to pay for looking.
            let long_ago = milliseconds().saturating_sub(G::Word::LOOK.as_millis() as u64);
            let old = |place: &usize| self.at(*place, SINCE).load(Relaxed) < long_ago;
            if self.members().filter(old).any(|place| self.is_dead(place)) {
                self.end(End::Break);
                self.leave(seat);
                return Some(Arrival::Broken);
            }
            Some(Arrival::Last(seat))
        })
    }

    /// Waits in that seat until the round has ended, until `end` at most, and leaves it.
    #[must_use]
    pub fn wait(&self, seat: Seat, end: Option<Instant>) -> Outcome {
        let state = self.at(seat.place, STATE);
        let mut vigil = Vigil::on(state, end);
        let mut cause = Outcome::Broken;
        while state.load(Acquire) == WAITING {
            if vigil.is_due()
                && let Some(dead) = self.look_after_next(seat)
            {
                cause = Outcome::Died(dead);
                continue;
            }
            match vigil.nap() {
                Some(nap) => state.sleep(WAITING, nap),
                None if self.give_up(seat) => cause = Outcome::TimedOut,
                None => {}
            }
        }
        let passed = state.load(Acquire) == PASSED;
        self.leave(seat);
        if passed { Outcome::Passed } else { cause }
    }

    /// Lets all go on, who have arrived, unless the barrier was broken meanwhile.
    #[must_use]
    pub fn finish(&self, seat: Seat) -> Outcome {
        self.end_from(seat, End::Pass);
        let passed = self.at(seat.place, STATE).load(Acquire) == PASSED;
        self.leave(seat);
        if passed { Outcome::Passed } else { Outcome::Broken }
    }

    /// Breaks the round of the one who was to finish it, and leaves.
    pub fn fail(&self, seat: Seat) {
        self.end_from(seat, End::Break);
        self.leave(seat);
    }

    /// Breaks it, until it is reset; `false` when a process is stopped in the middle of a change.
    #[must_use]
    pub fn abort(&self) -> bool {
        self.end_now(End::Break)
    }

    /// Breaks the round of those who wait, and makes the barrier as new; `false` as in [`abort`](Self::abort).
    #[must_use]
    pub fn reset(&self) -> bool {
        self.end_now(End::Reset)
    }

    fn end_now(&self, how: End) -> bool {
        self.enter(soon()).map(|_latched| self.end(how)).is_some()
    }

    /// Ends the round of that seat, if it has not ended.
    fn end_from(&self, seat: Seat, how: End) {
        // Without a limit: the others wait for this, and without it they would be told that somebody has died.
        let _latched = self.enter(None);
        if self.at(seat.place, STATE).load(Acquire) == WAITING {
            self.end(how);
        }
    }

    /// Takes the latch, and carries out what its last holder has announced and not done.
    fn enter(&self, latest: Option<Instant>) -> Option<Latched<'_, G>> {
        let latched = enter(self.0, LATCH, latest)?;
        self.carry_out();
        Some(latched)
    }

    fn end(&self, how: End) {
        self.0.word(CONTROL).store(self.control() & !ENDING | how as u64, Release);
        self.carry_out();
    }

    fn carry_out(&self) {
        let control = self.control();
        let (told, broken) = match control & ENDING {
            0 => return,
            ending if ending == End::Pass as u64 => (PASSED, 0),
            ending if ending == End::Break as u64 => (BROKEN, IS_BROKEN),
            _reset => (BROKEN, 0),
        };
        for place in self.members() {
            let state = self.at(place, STATE);
            // Refused to one who has left without the latch.
            if state.fetch_update(AcqRel, Relaxed, |now| (now == WAITING).then_some(told)).is_ok() {
                state.wake(1);
            }
        }
        let round = (control & !(ENDING | IS_BROKEN)).wrapping_add(ONE_ROUND);
        self.0.word(CONTROL).store(round | broken, Release);
        bell::ring(self.0.word(BELL), ALL);
    }

    /// Looks whether the waiter behind this one lives, and breaks the round if not; who has died.
    fn look_after_next(&self, seat: Seat) -> Option<u64> {
        let next = self.members().find(|place| *place > seat.place).or_else(|| self.members().next())?;
        let owner = self.at(next, OWNER).load(Relaxed);
        // A latch that is not to be had is for the next look. Its last holder may have been about to end the round.
        let _latched = self.0.is_dead(owner).then(|| self.enter(soon()))??;
        let still = self.at(seat.place, STATE).load(Acquire) == WAITING
            && self.at(next, STATE).load(Acquire) == WAITING
            && self.at(next, OWNER).load(Relaxed) == owner;
        still.then(|| self.end(End::Break)).map(|()| owner)
    }

    /// Breaks the round of one whose time has passed; whether it had not ended by then.
    fn give_up(&self, seat: Seat) -> bool {
        let state = self.at(seat.place, STATE);
        let Some(_latched) = self.enter(soon()) else {
            // Somebody is stopped in the middle of a change: this one leaves, and the others will run out of time.
            return state.fetch_update(AcqRel, Acquire, |now| (now == WAITING).then_some(BROKEN)).is_ok();
        };
        let waits = state.load(Acquire) == WAITING;
        if waits {
            self.end(End::Break);
        }
        waits
    }

    fn leave(&self, seat: Seat) {
        self.at(seat.place, STATE).store(FREE, Release);
    }

    fn take_place(&self) -> Option<usize> {
        let place = self.free_place()?;
        self.at(place, OWNER).store(self.0.own(), Relaxed);
        self.at(place, ROUND).store(self.round(), Relaxed);
        self.at(place, SINCE).store(milliseconds(), Relaxed);
        self.at(place, STATE).store(WAITING, Release);
        Some(place)
    }

    fn free_place(&self) -> Option<usize> {
        let used = self.used();
        let is = |place: &usize, state| self.at(*place, STATE).load(Acquire) == state;
        if let Some(place) = (0..used).find(|place| is(place, FREE)) {
            return Some(place);
        }
        if used < self.places() {
            self.0.word(USED).store(used as u64 + 1, Release);
            return Some(used);
        }
        // Told how their round ended, and dead before they saw it.
        (0..used).find(|place| !is(place, WAITING) && self.is_dead(*place))
    }

    /// The places of those who wait in this round.
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        let round = self.round();
        (0..self.used()).filter(move |place| {
            self.at(*place, STATE).load(Acquire) == WAITING && self.at(*place, ROUND).load(Relaxed) == round
        })
    }

    fn is_dead(&self, place: usize) -> bool {
        self.0.is_dead(self.at(place, OWNER).load(Relaxed))
    }

    fn control(&self) -> u64 {
        self.0.word(CONTROL).load(Acquire)
    }

    fn round(&self) -> u64 {
        self.control() / ONE_ROUND
    }

    fn used(&self) -> usize {
        usize::try_from(self.0.word(USED).load(Acquire)).unwrap_or(0).min(self.places())
    }

    fn places(&self) -> usize {
        self.0.words().saturating_sub(PLACES) / PLACE
    }

    fn at(&self, place: usize, part: usize) -> &G::Word {
        self.0.word(PLACES + PLACE * place + part)
    }
}
