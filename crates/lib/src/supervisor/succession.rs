//! Replacing the guardian. A part of the [state machine](super::state).
//!
//! Workers die with their guardian: each costs the task that it had begun, as any death does, and none of these deaths
//! says anything about starts. What counts as a failed start is a guardian that dies before one of its workers is ready.

use super::event::{Action, Time};
use super::seat::Stage;
use super::staffing::backoff;
use super::state::State;
use super::stops::recall;

/// Whether there is somebody who starts workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    /// There is; whether one of its workers has got ready.
    Filled { proven: bool },
    /// A successor was started, and is not ready.
    Starting,
    /// Nobody; a successor is started at this time.
    Vacant { until: Time },
}

impl State {
    /// Whether one of the present guardian's workers has got ready.
    pub(crate) fn has_served(&self) -> bool {
        self.post == Post::Filled { proven: true }
    }

    /// When the next guardian is to be started.
    pub(super) fn next_guardian(&self) -> Option<Time> {
        match self.post {
            Post::Vacant { until } if self.wants_workers() => Some(until),
            Post::Vacant { .. } | Post::Filled { .. } | Post::Starting => None,
        }
    }

    pub(super) fn guardian_died(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Post::Filled { proven: true } = self.post {
            self.failures = 0;
            self.ended_for_nothing(now);
            self.post = Post::Vacant { until: now };
        } else {
            self.failures += 1;
            self.post = Post::Vacant { until: now + backoff(self.failures) };
        }
        for worker in self.seats.all_mut() {
            // At once, and not with its death: what it has not begun can be cancelled, or sent to others.
            recall(worker, out);
            worker.stage = Stage::Doomed;
        }
    }

    pub(super) fn guardian_ready(&mut self) {
        if self.post == Post::Starting {
            self.post = Post::Filled { proven: false };
        }
    }

    /// Starts a guardian if one is missing and wanted.
    pub(super) fn fill_post(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.next_guardian().is_some_and(|at| at <= now) {
            self.post = Post::Starting;
            out.push(Action::StartGuardian);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::event::{Breakdown, Event, WorkerId};
    use crate::supervisor::staffing::Intensity;
    use crate::supervisor::state::{Phase, Settings};

    fn tell(state: &mut State, now: Time, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        state.handle(now, event, &mut actions);
        actions
    }

    /// A pool of four workers that are ready.
    fn pool() -> State {
        let mut state = State::new(Settings {
            processors: 4,
            workers: 4,
            max_tasks: None,
            jitter: 0,
            seed: 0,
            start_timeout: Time::from_secs(30),
            grace: Time::from_secs(1),
            intensity: Some(Intensity { most: 12, period: Time::from_secs(5) }),
            idle_timeout: None,
            min_workers: 1,
        });
        tell(&mut state, Time::ZERO, Event::DeadlinePassed);
        for slot in 0..4 {
            tell(&mut state, Time::ZERO, Event::WorkerReady(WorkerId { slot, generation: 1 }));
        }
        state
    }

    #[test]
    fn a_guardian_that_served_is_replaced_at_once_and_its_workers_are_no_failures() {
        let mut state = pool();
        assert_eq!(tell(&mut state, Time::ZERO, Event::GuardianDied).last(), Some(&Action::StartGuardian));
        for slot in 0..4 {
            let worker = WorkerId { slot, generation: 1 };
            assert_eq!(tell(&mut state, Time::ZERO, Event::WorkerExited { worker, claimed: 0, taking: true }), []);
        }
        assert_eq!(tell(&mut state, Time::from_secs(1), Event::GuardianReady).len(), 4, "all are started");
        assert_eq!((state.phase(), state.failures), (Phase::Running, 0));
    }

    #[test]
    fn three_guardians_without_a_worker_break_the_pool() {
        let mut state = pool();
        tell(&mut state, Time::ZERO, Event::GuardianDied);
        for wait in [50, 100] {
            assert_eq!(tell(&mut state, Time::ZERO, Event::GuardianDied), [], "not at once");
            let at = state.next_guardian().expect("it is tried again");
            assert_eq!(at, Time::from_millis(wait));
            assert_eq!(tell(&mut state, at, Event::DeadlinePassed), [Action::StartGuardian]);
        }
        assert!(tell(&mut state, Time::ZERO, Event::GuardianDied).contains(&Action::Break(Breakdown::Starts)));
        assert_eq!(state.phase(), Phase::Broken);
    }
}
