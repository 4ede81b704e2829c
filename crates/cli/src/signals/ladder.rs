//! What a signal leads to, as a function of what came before. No clock, no process.

use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// So long after the workers were killed the run may take to write what is finished. Killing them takes milliseconds; what
/// takes longer is an output that nobody reads.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Is what has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Let nothing more begin, for this signal; what runs may end, within this time if there is one.
    Stop(Signal, Option<Duration>),
    /// Kill what runs, for this signal.
    Kill(Signal),
    /// Leave at once, by this signal.
    Leave(Signal),
    /// Stop all processes of the run until somebody continues this one.
    Pause,
    /// Say how things are.
    Dump,
    /// Say so and leave at once, by this signal.
    DumpAndLeave(Signal),
}

/// Remembers how far the end of a run has come.
#[derive(Debug)]
pub(super) struct Ladder {
    grace: Duration,
    /// The signal that ends the run.
    ending: Option<Signal>,
    killed: bool,
    /// When the next rung is reached without a signal.
    until: Option<Instant>,
}

impl Ladder {
    /// Starts on the ground; what SIGTERM and SIGHUP find running has `grace` to end.
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, ending: None, killed: false, until: None }
    }

    /// Returns the time until the next rung is reached without a signal.
    pub(super) fn limit(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now))
    }

    /// Takes a signal.
    pub(super) fn signal(&mut self, signal: Signal, now: Instant) -> Step {
        match (signal, self.ending) {
            (Signal::SIGUSR1, _) => Step::Dump,
            (Signal::SIGQUIT, _) => Step::DumpAndLeave(signal),
            (Signal::SIGTSTP, _) => Step::Pause,
            (_, _) if self.killed => Step::Nothing,
            (Signal::SIGINT, None) => {
                self.ending = Some(signal);
                Step::Stop(signal, None)
            }
            (Signal::SIGINT, Some(ending)) => self.kill(ending, now),
            // They ask for an end within a time, which an earlier Ctrl-C did not.
            (Signal::SIGTERM | Signal::SIGHUP, None | Some(Signal::SIGINT)) => {
                self.ending = Some(signal);
                self.until = now.checked_add(self.grace);
                Step::Stop(signal, Some(self.grace))
            }
            // Asked again, the time does not start again.
            (_, _) => Step::Nothing,
        }
    }

    /// Looks at the clock.
    pub(super) fn tick(&mut self, now: Instant) -> Step {
        match (self.until, self.ending) {
            (Some(until), Some(ending)) if until <= now && self.killed => {
                self.until = None;
                Step::Leave(ending)
            }
            (Some(until), Some(ending)) if until <= now => self.kill(ending, now),
            _ => Step::Nothing,
        }
    }

    /// Moves what is to come by the time that the run stood still.
    pub(super) fn stood_still(&mut self, time: Duration) {
        self.until = self.until.and_then(|until| until.checked_add(time));
    }

    fn kill(&mut self, ending: Signal, now: Instant) -> Step {
        self.killed = true;
        self.until = now.checked_add(LAST_WORDS);
        Step::Kill(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1};

    const GRACE: Duration = Duration::from_secs(10);

    fn ladder() -> (Ladder, Instant) {
        (Ladder::new(GRACE), Instant::now())
    }

    #[test]
    fn signals_climb() {
        let gently = |signal| Step::Stop(signal, Some(GRACE));
        for (signals, steps) in [
            (&[SIGINT, SIGINT, SIGINT][..], &[Step::Stop(SIGINT, None), Step::Kill(SIGINT), Step::Nothing][..]),
            (&[SIGTERM, SIGTERM, SIGHUP], &[gently(SIGTERM), Step::Nothing, Step::Nothing]),
            (&[SIGHUP, SIGINT], &[gently(SIGHUP), Step::Kill(SIGHUP)]),
            (&[SIGINT, SIGTERM, SIGINT], &[Step::Stop(SIGINT, None), gently(SIGTERM), Step::Kill(SIGTERM)]),
            (&[SIGUSR1, SIGTSTP, SIGINT, SIGUSR1], &[Step::Dump, Step::Pause, Step::Stop(SIGINT, None), Step::Dump]),
            (&[SIGINT, SIGQUIT], &[Step::Stop(SIGINT, None), Step::DumpAndLeave(SIGQUIT)]),
            (&[SIGINT, SIGINT, SIGTSTP], &[Step::Stop(SIGINT, None), Step::Kill(SIGINT), Step::Pause]),
        ] {
            let (mut ladder, now) = ladder();
            let taken: Vec<Step> = signals.iter().map(|signal| ladder.signal(*signal, now)).collect();
            assert_eq!(taken, steps, "{signals:?}");
        }
    }

    #[test]
    fn time_climbs_too() {
        let (mut ladder, now) = ladder();
        assert_eq!((ladder.tick(now), ladder.limit(now)), (Step::Nothing, None));
        ladder.signal(SIGTERM, now);
        assert_eq!((ladder.tick(now), ladder.limit(now)), (Step::Nothing, Some(GRACE)));
        assert_eq!(ladder.tick(now + GRACE), Step::Kill(SIGTERM));
        assert_eq!(ladder.tick(now + GRACE), Step::Nothing);
        assert_eq!(ladder.tick(now + GRACE + LAST_WORDS), Step::Leave(SIGTERM));
        assert_eq!(ladder.limit(now), None);
    }

    #[test]
    fn a_first_interrupt_has_no_time_limit_and_a_second_has() {
        let (mut ladder, now) = ladder();
        ladder.signal(SIGINT, now);
        assert_eq!(ladder.limit(now), None);
        ladder.signal(SIGINT, now);
        assert_eq!(ladder.limit(now), Some(LAST_WORDS));
    }

    #[test]
    fn standing_still_is_no_time() {
        let (mut ladder, now) = ladder();
        ladder.signal(SIGTERM, now);
        ladder.stood_still(GRACE);
        assert_eq!(ladder.tick(now + GRACE), Step::Nothing);
        assert_eq!(ladder.tick(now + 2 * GRACE), Step::Kill(SIGTERM));
    }
}
