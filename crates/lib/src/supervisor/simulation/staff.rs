//! Who is started, replaced and told to leave, and when a pool has to be given up. A part of the [reference](super::model).

use std::collections::VecDeque;

use super::model::{Context, Guardian, Known, Model};
use super::world::TaskId;
use crate::supervisor::event::{Time, WorkerId};

impl Model {
    /// All workers will die of it; none of them is a start that failed.
    pub(super) fn guardian_died(&mut self) {
        let proven = self.guardian == Guardian::Serves { proven: true };
        self.failures = if proven { 0 } else { self.failures + 1 };
        if proven {
            self.ended_for_nothing();
        }
        self.guardian = Guardian::Gone;
        for worker in &mut self.workers {
            worker.doomed = true;
        }
    }

    pub(super) fn guardian_ready(&mut self) {
        self.guardian = Guardian::Serves { proven: false };
    }

    pub(super) fn ready(&mut self, id: WorkerId) {
        let now = self.now;
        if let Some(worker) = self.worker(id)
            && !worker.doomed
        {
            worker.ready = true;
            worker.rested = now;
            self.failures = 0;
            self.guardian = Guardian::Serves { proven: true };
        }
    }

    pub(super) fn start_failed(&mut self, id: WorkerId) {
        self.failures += 1;
        self.ended_for_nothing();
        self.refused.push(id);
        self.workers.retain(|worker| worker.id != id);
    }

    /// It counts as a failure only where nobody else is left to do the work, and no `others` are about to be started. Those
    /// in `leaving` are about to be told to leave.
    pub(super) fn start_postponed(&mut self, id: WorkerId, others: bool, leaving: &[WorkerId]) {
        let stays = |worker: &Known| worker.leaving.is_none() && !leaving.contains(&worker.id);
        let hopeful = |worker: &Known| worker.id != id && stays(worker) && !worker.doomed;
        if others || self.workers.iter().any(hopeful) {
            self.refused.push(id);
            self.workers.retain(|worker| worker.id != id);
        } else {
            self.start_failed(id);
        }
    }

    /// A death is judged; everything that the worker had and did not begin waits again. What it was `taking` in may be to blame.
    pub(super) fn exited(&mut self, id: WorkerId, taking: bool) {
        let Some(place) = self.workers.iter().position(|worker| worker.id == id) else { return };
        let worker = self.workers.swap_remove(place);
        let claimed = worker.inflight.iter().any(|task| self.task(*task).claimed);
        let unready = !worker.ready && !worker.doomed;
        self.failures += u32::from(unready);
        let blameless = worker.is_usable() && !claimed;
        let deadly = worker.inflight.front().filter(|task| blameless && taking && self.has_killed(**task)).copied();
        if unready || (blameless && deadly.is_none()) {
            self.ended_for_nothing();
        }
        self.context = Context::Death(id, 0);
        self.dying = worker.stop.map(|stop| (id, stop));
        let waits = |task: &TaskId| !self.task(*task).claimed && Some(*task) != deadly;
        let unbegun: Vec<TaskId> = worker.inflight.into_iter().filter(waits).collect();
        self.wait_again(&unbegun);
    }

    /// A worker has died while it took this task in; whether it is the third, or a later one.
    fn has_killed(&mut self, id: TaskId) -> bool {
        let task = self.task(id);
        task.deaths += 1;
        task.deadly = task.deaths >= 3;
        task.deadly
    }

    pub(super) fn start_guardian(&mut self) {
        let missing = self.guardian == Guardian::Gone && !self.over() && !self.given_up();
        let state = self.guardian;
        self.require(missing, || format!("a guardian is started while one is {state:?}, or none is needed"));
        self.guardian = Guardian::Starting;
    }

    /// Whether a worker waits until another one at its place has come to rest.
    pub(super) fn waits(&self, id: WorkerId) -> bool {
        let stays = |worker: &&Known| worker.id.slot == id.slot && worker.leaving.is_none() && !worker.doomed;
        self.workers.iter().filter(stays).any(|worker| worker.id.generation < id.generation)
    }

    /// Whether tasks can be sent to a worker, now or when it is ready.
    pub(super) fn serves(&self, id: WorkerId) -> bool {
        let stays = |worker: &Known| worker.id == id && worker.leaving.is_none() && !worker.doomed;
        self.workers.iter().any(stays) && !self.waits(id) && id.slot < self.settings.workers
    }

    /// Whether a worker has been given all the tasks that it may have in its life.
    fn used_up(&self, given: u32) -> bool {
        let most = self.settings.max_tasks.unwrap_or(u32::MAX);
        (most.saturating_sub(self.settings.jitter).max(1)..=most).contains(&given)
    }

    pub(super) fn start(&mut self, id: WorkerId, now: Time) {
        let others: Vec<&Known> = self.workers.iter().filter(|worker| worker.id.slot == id.slot).collect();
        let ends = |worker: &Known| worker.leaving.is_some() || worker.doomed;
        let goes = |worker: &&Known| ends(worker) || self.used_up(worker.given) || self.fresh_wanted > 0;
        let alone = others.len() <= 1 && others.iter().all(goes);
        self.require(alone, || format!("{id:?} is started beside another that stays"));
        let wanted = id.slot < self.settings.workers;
        self.require(wanted, || format!("{id:?} is started at a place that was given up"));
        self.dormant.remove(&id.slot);
        let served = matches!(self.guardian, Guardian::Serves { .. });
        self.require(served, || format!("{id:?} is started, and nobody is there to do it"));
        let last = std::mem::replace(&mut self.generations[id.slot as usize], id.generation);
        self.require(id.generation > last, || format!("{id:?} is not younger than the last one"));
        self.workers.push(Known {
            id,
            ready: false,
            started: now,
            leaving: None,
            doomed: false,
            inflight: VecDeque::new(),
            given: 0,
            rested: now,
            began: now,
            stop: None,
        });
    }

    pub(super) fn retire(&mut self, id: WorkerId, now: Time) {
        let over = self.over();
        let (surplus, idle, waits) = (id.slot >= self.settings.workers, self.may_dismiss(id), self.waits(id));
        let Some(worker) = self.worker(id) else { return self.require(false, || format!("{id:?} is not known")) };
        let (given, rests) = (worker.given, worker.inflight.is_empty());
        let again = worker.leaving.replace(now).is_some();
        let used_up = self.used_up(given);
        let replaced = !used_up && !over && !surplus && !idle && self.fresh_wanted > 0;
        self.fresh_wanted -= u32::from(replaced);
        if idle && !over && !surplus && !waits {
            self.dismissed.push(id.slot);
        }
        self.require(used_up || over || replaced || surplus || idle, || format!("{id:?} retires after {given} tasks"));
        self.require(rests && !again, || format!("{id:?} is told to leave twice, or with tasks"));
    }

    pub(super) fn kill(&mut self, id: WorkerId, now: Time) {
        // Its killing was decided before its start was known to have failed.
        if self.refused.contains(&id) || self.kills_for_stop(id) {
            return;
        }
        let (over, limit) = (self.over(), self.settings.start_timeout);
        let Some(worker) = self.worker(id) else { return self.require(false, || format!("{id:?} is not known")) };
        let stuck = !worker.ready && now >= worker.started + limit;
        let late = worker.leaving.is_some_and(|since| now >= since + Time::from_secs(1));
        let unready = !worker.ready && over;
        // One that takes too long to start stays a start: its death counts as a failure.
        let again = if stuck && !over { false } else { std::mem::replace(&mut worker.doomed, true) };
        self.require((late || unready || stuck) && !again, || format!("{id:?} is killed without need"));
    }

    pub(super) fn ready_workers(&self) -> usize {
        self.workers.iter().filter(|worker| worker.is_usable() && !self.waits(worker.id)).count()
    }

    fn ended_for_nothing(&mut self) {
        let intensity = self.settings.intensity.expect("it is drawn");
        let now = self.now;
        self.restarts.push(now);
        let recent = self.restarts.iter().filter(|at| now.saturating_sub(**at) <= intensity.period).count();
        self.unstable |= recent > intensity.most as usize;
    }

    /// Whether a pool that needs workers has lost too many for nothing, or three starts have failed and it has none, nor one
    /// that may get ready.
    pub(super) fn should_break(&self) -> bool {
        let hopeful = |worker: &Known| worker.leaving.is_none() && !worker.doomed;
        let hope = self.guardian == Guardian::Starting || self.workers.iter().any(hopeful);
        (self.unstable || (self.failures >= 3 && !hope)) && !self.over()
    }

    pub(super) fn break_down(&mut self) {
        let due = !self.broken && (self.guardian_lost || self.should_break());
        self.require(due, || "the pool breaks twice, or without a reason".to_owned());
        self.broken = true;
    }
}
