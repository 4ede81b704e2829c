//! A lock for changing several words, held for less than a microsecond and never while anything of the user's runs.

use std::time::{Duration, Instant};

use super::futex::end_of;
use super::ground::Ground;
use super::held::{self, Taken};

/// Who waits for a latch for longer waits for a process that was stopped in the middle of a change.
const PATIENCE: Duration = Duration::from_secs(1);

/// When to give up waiting for latches on the way to something that is waited for until `end`. Also a wait that is over at
/// once has time for this: a holder that has only lost its processor is no reason to fail.
#[must_use]
pub fn latest(end: Option<Instant>) -> Option<Instant> {
    let patient = end_of(PATIENCE);
    end.map(|end| patient.map_or(end, |patient| end.max(patient)))
}

/// [`latest`] for what is not waited for at all.
#[must_use]
pub fn soon() -> Option<Instant> {
    end_of(PATIENCE)
}

/// The latch is held; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Latched<'a, G: Ground> {
    ground: &'a G,
    number: usize,
    own: u64,
}

/// Takes the latch in that word, waiting until `latest` at most. Without a limit: its holder gives it back or dies, or is
/// stopped, in which case whoever waits without a limit waits for that one.
pub(crate) fn enter<G: Ground>(ground: &G, number: usize, latest: Option<Instant>) -> Option<Latched<'_, G>> {
    let (word, own) = (ground.word(number), ground.own());
    match held::take(word, own, latest, |who| ground.is_dead(who))? {
        Taken::Clean => {}
        // See the module's rule: what its holder was about to do has happened, or has not.
        Taken::Abandoned | Taken::Inherited(_) => {
            held::mark_consistent(word, own);
        }
    }
    Some(Latched { ground, number, own })
}

impl<G: Ground> Drop for Latched<'_, G> {
    fn drop(&mut self) {
        let _held = held::give_back(self.ground.word(self.number), self.own);
    }
}
