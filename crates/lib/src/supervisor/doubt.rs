//! Workers that behave as only a dying process may: without their link, or with a claim word that is corrupt. A dying one
//! closes its files a moment before it is dead, and may leave anything in its memory; one that lives on is killed.

use std::time::{Duration, Instant};

use ganger_os::child::Exit;
use ganger_os::mutant::{Protection, without};
use ganger_os::process::vitals;
use ganger_os::signal;

use super::link::Link;
use crate::wire::claim::{self, Claim};

/// How long it may sleep in that state.
const ASLEEP: Duration = Duration::from_millis(100);

/// How long it may move. It may be on its way out and wait for a processor, or become another program that ends at once.
const AWAKE: Duration = Duration::from_millis(750);

/// How often one that moves is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Link {
    /// Whether the rules of the claim word lead to it.
    pub(super) fn is_sound(&self, claim: Claim) -> bool {
        let positions = self.expected..=self.limit;
        claim.epoch == self.epoch && claim.limit == self.limit && positions.contains(&claim.next)
    }

    /// Notes since when the word has been scribbled over: its worker claims nothing by it any more, and would drop all that
    /// it is sent without a word.
    pub(super) fn check_word(&mut self) {
        if self.is_sound(claim::read(self.results.page().claim())) || without(Protection::ClaimCheck) {
            self.scribbled_since = None;
        } else {
            self.scribbled_since.get_or_insert_with(Instant::now);
        }
    }

    /// Since when it has been behaving as only a dying process may.
    fn doubted_since(&self) -> Option<Instant> {
        self.ended_since.into_iter().chain(self.scribbled_since).min()
    }

    /// When it has to be looked at whether it lives on all the same.
    pub(super) fn next_doubt(&self, now: Instant) -> Option<Instant> {
        let first = self.doubted_since()? + ASLEEP;
        Some(if first > now { first } else { now + LOOK })
    }

    /// Whether it does.
    pub(super) fn lives_on(&self) -> bool {
        let doubted = self.doubted_since().map_or(Duration::ZERO, |since| since.elapsed());
        let moves = |pid| vitals(pid).is_none_or(|vitals| matches!(vitals.state, 'R' | 'D'));
        // One that the guardian has not reported yet is bounded by how long that may take.
        self.pid.is_some_and(|pid| doubted >= ASLEEP && (doubted >= AWAKE || !moves(pid)))
    }

    /// Whether it ended by itself: it was found to live on, and ended before it was killed for that.
    pub(super) fn forestalled(&self) -> bool {
        const KILLED: Exit = Exit::Signal(signal::KILL);
        self.lived_on && self.exit.is_some_and(|(exit, _)| exit != KILLED)
    }

    /// What it is accused of when it lives on.
    pub(super) fn doubt(&self) -> &'static str {
        if self.ended_since.is_some() { "it closed its link" } else { "its claim word is corrupt" }
    }
}
