//! Workers that get nowhere are looked at, and reported: stopped, traced, stuck or slow.
//!
//! 1. Only a worker that has owed a result for a second, or to get ready, is looked at, and then once a second until it
//!    does: a healthy pool of short tasks never reads `/proc`.
//! 2. A look is a deadline like any other. One that was set for a result which has come since is not taken back but put
//!    off when it is reached; otherwise every submission would have to wake the driver for an earlier one.
//! 3. A trouble is over with the worker's next result, with its death, or when a look finds nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ganger_os::process::{Vitals, vitals};

use super::core::Core;
use super::event::WorkerId;
use super::link::Link;
use crate::{Trouble, TroubleKind};

/// From the last sign of life to the first look, and between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Two looks are never closer than this, however late the first one was: it is what processor time is compared over.
const LEAST: Duration = Duration::from_millis(500);

/// A task that has been running so long and uses no processor is stuck.
const STUCK: Duration = Duration::from_secs(4);

/// A task that has been running so long is slow.
const SLOW: Duration = Duration::from_secs(60);

/// What is known of how a worker is.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Since when it owes a sign of life: the last one, or the first task after it rested. Unlike the time that its task
    /// may have been running, it does not begin anew when tasks are taken back and others sent.
    owes_since: Option<Instant>,
    /// When it is looked at next.
    due: Option<Instant>,
    /// The last look's time, and how much processor time had been used then.
    last: Option<(Instant, Duration)>,
    trouble: Option<(TroubleKind, Instant)>,
}

impl Pulse {
    /// It was sent a task while it had none, or is being started.
    pub(super) fn asked(&mut self, now: Instant) {
        self.owes_since.get_or_insert(now);
        self.due.get_or_insert(now + LOOK);
    }
}

/// What can be seen of a worker at one moment.
#[derive(Clone, Copy, Debug)]
struct Sight {
    vitals: Vitals,
    /// How long the task that it has can have been running.
    running: Option<Duration>,
    /// How much processor time it has used since the look before, and how long ago that was.
    used: Option<(Duration, Duration)>,
    before: Option<TroubleKind>,
}

impl Sight {
    fn diagnose(self) -> Option<TroubleKind> {
        let runs_for = |limit| self.running.is_some_and(|running| running >= limit);
        match self.vitals {
            Vitals { state: 'T', .. } => Some(TroubleKind::Stopped),
            Vitals { state: 't', .. } | Vitals { tracer: Some(_), .. } => Some(TroubleKind::Traced),
            _ if runs_for(STUCK) && self.idles() => Some(TroubleKind::Stuck),
            _ if runs_for(SLOW) => Some(TroubleKind::Slow),
            _ => None,
        }
    }

    /// Whether it hardly uses the processor: less than 1 % of one, or, so that what wakes up now and then is not reported
    /// again and again, less than 10 % when it was stuck before. One that waits for its turn on a busy machine does not
    /// idle.
    fn idles(self) -> bool {
        let share = if self.before == Some(TroubleKind::Stuck) { 10 } else { 100 };
        self.vitals.state != 'R' && self.used.is_some_and(|(used, since)| used.saturating_mul(share) < since)
    }
}

impl Link {
    /// It has given a result, or got ready.
    pub(super) fn answered(&mut self, now: Instant) {
        self.pulse.owes_since = self.busy().then_some(now);
        self.pulse.last = None;
        self.end_trouble();
    }

    /// Takes the trouble away, if there is one, and says so.
    pub(super) fn end_trouble(&mut self) {
        if let Some((what, since)) = self.pulse.trouble.take() {
            let (worker, lasted) = (self.id.slot, since.elapsed().as_secs_f64());
            tracing::info!(
                worker,
                pid = self.pid,
                trouble = what.as_str(),
                seconds = lasted,
                "a worker's trouble is over"
            );
        }
    }

    fn running(&self) -> Option<Duration> {
        self.busy().then(|| self.since_moved())
    }

    /// Looks at the process; the trouble, if it is a new one.
    fn examine(&mut self, now: Instant) -> Option<TroubleKind> {
        let due = self.pulse.due.take()?;
        let first = self.pulse.owes_since? + LOOK;
        let Some(pid) = self.pid.filter(|_| first <= now) else {
            self.pulse.due = Some(if first > now { first } else { now + LEAST });
            return None;
        };
        let Some(vitals) = vitals(pid) else {
            // It is dead, which is judged by others, or no descriptor was left to look with.
            self.pulse.due = Some(now + LOOK);
            return None;
        };
        let before = self.pulse.trouble.map(|(what, _)| what);
        let last = self.pulse.last.replace((now, vitals.processor_time));
        let used = last.map(|(at, used)| (vitals.processor_time.saturating_sub(used), now - at));
        let found = Sight { vitals, running: self.running(), used, before }.diagnose();
        if found.is_none() && !self.busy() && self.ready {
            // All that it had was taken back, and nothing is the matter with it.
            self.pulse.owes_since = None;
        } else {
            self.pulse.due = Some((due + LOOK).max(now + LEAST));
        }
        if found == before {
            return None;
        }
        self.end_trouble();
        let what = found?;
        let since = match what {
            TroubleKind::Stuck | TroubleKind::Slow => self.moved,
            TroubleKind::Stopped | TroubleKind::Traced => last.map_or(first - LOOK, |(at, _)| at),
        };
        self.pulse.trouble = Some((what, since));
        Some(what)
    }
}

impl Core {
    /// When a worker has to be looked at.
    pub(super) fn next_examination(&self) -> Option<Instant> {
        self.links.values().filter(|link| link.dead_since.is_none()).filter_map(|link| link.pulse.due).min()
    }

    /// Looks at the workers whose time has come, and reports those that get nowhere.
    pub(super) fn examine(&mut self) {
        let now = Instant::now();
        let due = |link: &&mut Link| link.dead_since.is_none() && link.pulse.due.is_some_and(|due| due <= now);
        let ill = self.links.values_mut().filter(due).filter_map(|link| link.examine(now).map(|_| link.id));
        let ill: Vec<WorkerId> = ill.collect();
        for id in ill {
            if let Some(trouble) = self.links.get(&id).and_then(|link| self.trouble(link)) {
                let (what, task, index) = (trouble.what().as_str(), trouble.task(), trouble.index());
                let seconds = trouble.elapsed().as_secs_f64();
                tracing::warn!(
                    worker = trouble.worker,
                    pid = trouble.pid,
                    trouble = what,
                    seconds,
                    task,
                    index,
                    "{trouble}"
                );
            }
        }
    }

    /// The workers that get nowhere, by their place in the gang.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let alive = self.links.values().filter(|link| link.dead_since.is_none());
        let mut troubles: Vec<Trouble> = alive.filter_map(|link| self.trouble(link)).collect();
        troubles.sort_unstable_by_key(|trouble| trouble.worker);
        troubles
    }

    fn trouble(&self, link: &Link) -> Option<Trouble> {
        let (what, since) = link.pulse.trouble?;
        let pid = link.pid?.cast_unsigned();
        Some(Trouble { worker: link.id.slot, pid, what, since, task: self.current_task(link.id) })
    }

    /// The name of the task that a worker has begun, or will begin next, and its index.
    fn current_task(&self, worker: WorkerId) -> Option<(Arc<str>, u64)> {
        let span = self.state.current(worker)?;
        let stored = self.chunks.get(&span.chunk)?;
        Some((stored.job.name.clone(), stored.first + u64::from(span.first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A waiting process whose task has run for so many milliseconds, and that has used so many in the last second.
    fn sight(running: Option<u64>, used: u64) -> Sight {
        Sight {
            vitals: Vitals { state: 'S', tracer: None, processor_time: Duration::ZERO },
            running: running.map(Duration::from_millis),
            used: Some((Duration::from_millis(used), Duration::from_secs(1))),
            before: None,
        }
    }

    fn in_state(state: char, running: Option<u64>) -> Sight {
        let sight = sight(running, 0);
        Sight { vitals: Vitals { state, ..sight.vitals }, ..sight }
    }

    #[test]
    fn troubles_are_told_apart() {
        let traced =
            |running| Sight { vitals: Vitals { tracer: Some(9), ..sight(running, 0).vitals }, ..sight(running, 0) };
        let again = |used| Sight { before: Some(TroubleKind::Stuck), ..sight(Some(9_000), used) };
        for (sight, expected) in [
            (in_state('T', Some(1_000)), Some(TroubleKind::Stopped)),
            (in_state('T', Some(90_000)), Some(TroubleKind::Stopped)),
            (in_state('T', None), Some(TroubleKind::Stopped)),
            (in_state('t', Some(1_000)), Some(TroubleKind::Traced)),
            (traced(Some(1_000)), Some(TroubleKind::Traced)),
            (traced(None), Some(TroubleKind::Traced)),
            (sight(Some(3_999), 0), None),
            (sight(Some(4_000), 0), Some(TroubleKind::Stuck)),
            (in_state('D', Some(4_000)), Some(TroubleKind::Stuck)),
            (sight(Some(4_000), 10), None),
            (in_state('R', Some(4_000)), None),
            (Sight { used: None, ..sight(Some(4_000), 0) }, None),
            (sight(None, 0), None),
            (again(90), Some(TroubleKind::Stuck)),
            (again(100), None),
            (sight(Some(59_999), 900), None),
            (sight(Some(60_000), 900), Some(TroubleKind::Slow)),
            (in_state('R', Some(60_000)), Some(TroubleKind::Slow)),
            (sight(Some(60_000), 0), Some(TroubleKind::Stuck)),
        ] {
            assert_eq!(sight.diagnose(), expected, "{sight:?}");
        }
    }
}
