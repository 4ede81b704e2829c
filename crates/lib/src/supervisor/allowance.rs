//! How many workers may have tasks at a time, and how many there may be. A part of the [state machine](super::state).
//!
//! Without another word all may. A pool that shares a budget is told again and again what its share is: tasks that run go
//! on to their end, and what is above the share gets no more.

use super::event::Action;
use super::seat::Worker;
use super::state::State;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// So many workers may have tasks.
    pub(crate) busy: u32,
    /// So many places may have a worker; the others are empty as soon as theirs have ended what they had.
    pub(crate) staff: u32,
}

impl Allowance {
    /// No limit but the number of places.
    pub(crate) const ALL: Self = Self { busy: u32::MAX, staff: u32::MAX };
}

impl State {
    pub(super) fn allowed(&mut self, allowance: Allowance, out: &mut Vec<Action>) {
        let fewer = allowance.staff < self.allowance.staff;
        self.allowance = allowance;
        if fewer {
            // Those that are being started there would otherwise be ready first, and leave then.
            self.dismiss_starting(out);
        }
    }

    /// How many workers have tasks.
    pub(crate) fn busy(&self) -> u32 {
        self.seats.serving().filter(|worker| worker.ahead() > 0).count() as u32
    }

    /// Whether a worker without tasks may get some.
    pub(super) fn may_employ(&self) -> bool {
        // Usually all may, and nobody need be counted.
        self.allowance.busy >= self.places() || self.busy() < self.allowance.busy
    }

    /// So many places, the first ones, may have a worker.
    pub(super) fn places_allowed(&self) -> usize {
        self.allowance.staff as usize
    }

    pub(crate) fn places(&self) -> u32 {
        self.settings.workers
    }

    /// How many more workers could have tasks, if they were allowed to.
    pub(crate) fn demand(&self) -> u32 {
        let waiting = self.queue.tasks() + self.retries.alone() as u64;
        u32::try_from(waiting).unwrap_or(u32::MAX).min(self.places() - self.busy().min(self.places()))
    }
}

/// Whether it has a task already.
pub(super) fn has_tasks(worker: &Worker) -> bool {
    worker.ahead() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::event::{ChunkId, Event, JobId, JobTerms, Span, Time, WorkerId};
    use crate::supervisor::staffing::Intensity;
    use crate::supervisor::state::Settings;

    fn tell(state: &mut State, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        state.handle(Time::ZERO, event, &mut actions);
        actions
    }

    fn worker(slot: u32) -> WorkerId {
        WorkerId { slot, generation: 1 }
    }

    /// A pool of three places that is allowed this.
    fn pool(allowance: Allowance) -> State {
        let mut state = State::new(Settings {
            processors: 4,
            workers: 3,
            max_tasks: None,
            jitter: 0,
            seed: 0,
            start_timeout: Time::from_secs(30),
            grace: Time::from_secs(1),
            intensity: Some(Intensity { most: 12, period: Time::from_secs(5) }),
            idle_timeout: None,
            min_workers: 1,
        });
        state.allowance = allowance;
        state
    }

    fn submit(state: &mut State, count: u32) -> usize {
        let span = Span { chunk: ChunkId(0), job: JobId(0), first: 0, count, priority: 0 };
        let terms = JobTerms { chunksize: Some(1), ..JobTerms::default() };
        sent(&tell(state, Event::Submitted { span, terms }))
    }

    fn sent(actions: &[Action]) -> usize {
        let to = |action: &Action| match action {
            Action::Send { worker, .. } => Some(worker.slot),
            _ => None,
        };
        let mut workers: Vec<u32> = actions.iter().filter_map(to).collect();
        workers.sort_unstable();
        workers.dedup();
        workers.len()
    }

    #[test]
    fn only_so_many_workers_have_tasks() {
        let mut state = pool(Allowance { busy: 1, staff: u32::MAX });
        assert_eq!(tell(&mut state, Event::DeadlinePassed).len(), 3, "all are started");
        (0..3).for_each(|slot| drop(tell(&mut state, Event::WorkerReady(worker(slot)))));
        assert_eq!(submit(&mut state, 10), 1);
        assert_eq!((state.busy(), state.demand()), (1, 2));
        assert_eq!(sent(&tell(&mut state, Event::Allowed(Allowance { busy: 2, staff: u32::MAX }))), 1);
        assert_eq!(sent(&tell(&mut state, Event::Allowed(Allowance::ALL))), 1);
        assert_eq!(state.busy(), 3);
        let fewer = tell(&mut state, Event::Allowed(Allowance { busy: 1, staff: u32::MAX }));
        assert_eq!((fewer, state.busy()), (vec![], 3), "what runs goes on");
    }

    #[test]
    fn only_so_many_places_have_workers() {
        let mut state = pool(Allowance { busy: 0, staff: 1 });
        assert_eq!(tell(&mut state, Event::DeadlinePassed), [Action::Start(worker(0))]);
        tell(&mut state, Event::WorkerReady(worker(0)));
        assert_eq!((submit(&mut state, 1), state.demand()), (0, 1));
        assert_eq!(state.next_deadline(), None, "it waits for nothing but its allowance");
        let more = tell(&mut state, Event::Allowed(Allowance { busy: 3, staff: 3 }));
        assert_eq!(more.iter().filter(|action| matches!(action, Action::Start(_))).count(), 2);
        tell(&mut state, Event::WorkerReady(worker(1)));
        let fewer = tell(&mut state, Event::Allowed(Allowance { busy: 1, staff: 1 }));
        let ended = |action: &Action| matches!(action, Action::Kill(id) if id.slot == 2);
        assert!(fewer.iter().any(ended), "the one that starts is not waited for: {fewer:?}");
        assert!(fewer.contains(&Action::Retire(worker(1))), "nor is one kept that has nothing to do: {fewer:?}");
        assert_eq!(state.busy(), 1);
    }
}
