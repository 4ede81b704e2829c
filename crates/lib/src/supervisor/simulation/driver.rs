//! Carries out actions as [`core`](crate::supervisor::core) does: first in, first out, also when an action's answer is
//! the next event. Everything that happens passes by the model.

use std::collections::VecDeque;

use super::Fault;
use super::model::{Context, Guardian, Model};
use super::world::{Life, Published, Worker};
use crate::rng::TaskRng;
use crate::supervisor::event::{Action, Ending, Event, Failure, Span, Time, WorkerId};
use crate::supervisor::state::{Settings, State};
use crate::wire::claim;

/// A pool without processes: the state machine under test, its simulated workers, and the model.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) state: State,
    pub(super) workers: Vec<Worker>,
    pub(super) model: Model,
    pub(super) now: Time,
    pub(super) rng: TaskRng,
    /// Of 100 starts so many fail.
    pub(super) failing_starts: u64,
    queue: VecDeque<Action>,
    performing: bool,
    pub(super) fault: Fault,
    /// Tasks that were taken back and not sent again, for a fault.
    returned: bool,
    /// What has been done so far: while it stands still, nothing happens.
    pub(super) happened: u64,
    /// A readable account of the run, if it is wanted; it outlives a panic.
    trace: &'a mut Option<Vec<String>>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(settings: Settings, rng: TaskRng, fault: Fault, trace: &'a mut Option<Vec<String>>) -> Self {
        Self {
            state: State::new(settings.clone()),
            workers: Vec::new(),
            model: Model::new(settings),
            now: Time::ZERO,
            rng,
            failing_starts: 0,
            queue: VecDeque::new(),
            performing: false,
            fault,
            returned: false,
            happened: 0,
            trace,
        }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = self.trace.as_mut() {
            let line = format!("{:>12.6} {}", self.now.as_secs_f64(), text());
            trace.push(line);
        }
    }

    /// Whether the run is at its end, or has gone wrong.
    pub(super) fn ended(&self) -> bool {
        self.model.finished || self.model.violation.is_some()
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.note(|| format!("{event:?}"));
        self.model.now = self.now;
        self.model.make_room();
        let mut actions = Vec::new();
        let hurry = if self.fault == Fault::HurriesStops { Time::from_secs(1) } else { Time::ZERO };
        self.state.handle(self.now + hurry * u32::from(event == Event::DeadlinePassed), event, &mut actions);
        self.queue.extend(actions);
        if self.performing {
            return;
        }
        self.performing = true;
        while let Some(action) = self.queue.pop_front() {
            self.note(|| format!("    {action:?}"));
            self.happened += 1;
            self.perform(action);
        }
        self.performing = false;
        self.model.check(&self.state);
        if event == Event::DeadlinePassed {
            self.model.check_deadlines();
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::StartGuardian => self.start_guardian(),
            Action::Start(worker) => self.start(worker),
            Action::Send { worker, span, epoch, position, eager } => {
                self.send(worker, span, (epoch, position), eager);
            }
            Action::TakeBack(worker) => self.take_back(worker),
            // What was sent is mostly there, and sometimes still on its way.
            Action::TakeBackGently(worker) if self.rng.below(4) == 0 => self.handle(Event::KeptBack(worker)),
            Action::TakeBackGently(worker) => self.take_back(worker),
            Action::BeginEpoch { worker, epoch } => {
                let Some(at) = self.at(worker) else { return };
                self.model.begin_epoch(worker, epoch, claim::read(&self.workers[at].word));
                claim::begin(&self.workers[at].word, epoch);
            }
            Action::Retire(worker) => {
                self.model.retire(worker, self.now);
                if let Some(at) = self.at(worker) {
                    self.workers[at].say_goodbye();
                }
            }
            Action::Kill(worker) => {
                self.model.kill(worker, self.now);
                if let Some(at) = self.at(worker) {
                    self.workers[at].killed = true;
                }
            }
            Action::Ask(worker) => self.ask(worker),
            Action::Unask(worker) => {
                self.model.unask(worker);
                if let Some(at) = self.at(worker) {
                    self.workers[at].asked = false;
                }
            }
            Action::Terminate(worker) => self.terminate(worker),
            Action::Retry { .. } if self.fault == Fault::ForgetsRetries => {}
            Action::Retry { span, worker, ending } => self.model.retry(span, worker, ending),
            Action::Complete { span, worker, ending } => self.complete(span, worker, ending),
            Action::Break(_) => self.model.break_down(),
            Action::Finish => self.model.finish(),
        }
    }

    fn ask(&mut self, id: WorkerId) {
        self.model.ask(id);
        let Some(at) = self.at(id) else { return };
        let listens = self.rng.below(2) == 0;
        self.workers[at].asked = true;
        self.workers[at].listens = listens;
        self.model.answered(id, listens);
        self.handle(Event::Asked { worker: id, listens });
    }

    fn terminate(&mut self, id: WorkerId) {
        self.model.terminate_worker(id);
        let dies = (self.rng.below(2) == 0).then(|| self.rng.below(30));
        if let Some(at) = self.at(id) {
            self.workers[at].dies_in = dies;
        }
    }

    fn at(&self, id: WorkerId) -> Option<usize> {
        self.workers.iter().position(|worker| worker.id == id)
    }

    fn start_guardian(&mut self) {
        self.model.start_guardian();
        if self.rng.below(100) < self.failing_starts {
            self.guardian_dies();
        }
    }

    /// The guardian dies, or does not get ready. Its workers die with it, each when it is its turn.
    pub(super) fn guardian_dies(&mut self) {
        self.happened += 1;
        self.model.now = self.now;
        self.model.guardian_died();
        for worker in &mut self.workers {
            worker.killed = true;
        }
        if self.fault != Fault::KeepsTheGuardiansDeath {
            self.handle(Event::GuardianDied);
        }
        // Of some it had not said yet that they exist.
        for at in (0..self.workers.len()).rev() {
            if self.workers[at].life == Life::Asked && self.rng.below(2) == 0 {
                self.die(at);
                self.bury(at);
            }
        }
    }

    pub(super) fn guardian_gets_ready(&mut self) {
        self.happened += 1;
        self.model.guardian_ready();
        self.handle(Event::GuardianReady);
    }

    fn start(&mut self, id: WorkerId) {
        if self.model.guardian == Guardian::Gone {
            // It died since this was decided.
            return self.handle(Event::WorkerExited { worker: id, claimed: 0, taking: false });
        }
        self.model.start(id, self.now);
        if self.rng.below(100) < self.failing_starts {
            self.fail_start(id);
        } else {
            self.workers.push(Worker::new(id));
        }
    }

    fn send(&mut self, mut id: WorkerId, span: Span, mut place: (u16, u32), eager: bool) {
        let alone = self.model.task((span.chunk, span.first)).alone;
        if self.fault == Fault::KeepsCompany && alone {
            // To one that has worked before.
            let worked = self.model.workers.iter().find(|worker| worker.given > 0 && worker.ready);
            id = worked.map_or(id, |worker| worker.id);
            let claim = self.at(id).map(|at| claim::read(&self.workers[at].word));
            place = claim.map_or(place, |claim| (claim.epoch, claim.limit));
        }
        let Some(at) = self.at(id) else { return };
        self.model.send(id, span, place, claim::read(&self.workers[at].word));
        let other = self.workers.iter().find(|other| other.id != id && other.may_run(span)).map(|other| other.id);
        self.model.require(other.is_none(), || format!("{id:?} is sent {span:?}, which {other:?} may run"));
        if self.fault == Fault::DropsWhatWasReturned && std::mem::take(&mut self.returned) {
            return;
        }
        self.workers[at].send(span, place.0, place.1, eager);
    }

    fn take_back(&mut self, id: WorkerId) {
        let Some(at) = self.at(id) else { return };
        let before = claim::read(&self.workers[at].word);
        let limit =
            if self.fault == Fault::LeavesTheLimit { before.next } else { claim::take_back(&self.workers[at].word) };
        self.returned |= limit < before.limit;
        self.model.take_back(id);
        self.handle(Event::TakenBack { worker: id, limit });
    }

    fn complete(&mut self, span: Span, worker: Option<WorkerId>, mut ending: Ending) {
        if self.fault == Fault::SwallowsLate && matches!(ending, Ending::Late(_)) {
            ending = Ending::Delivered;
        }
        self.model.complete(span, worker, ending);
        if self.fault == Fault::CompletesTwice {
            self.model.complete(span, worker, ending);
        }
    }

    // What arrives from workers.

    /// Reads at most `most` results of a worker, and whether it is ready.
    pub(super) fn collect(&mut self, at: usize, most: usize) {
        let worker = &mut self.workers[at];
        let id = worker.id;
        let count = most.min(worker.published.len());
        let results: Vec<_> = match self.fault {
            Fault::ReadsTwice => worker.published.iter().take(count).copied().collect(),
            _ => worker.published.drain(..count).collect(),
        };
        worker.was_read();
        if std::mem::take(&mut worker.ready_unread) {
            self.happened += 1;
            self.model.now = self.now;
            self.model.ready(id);
            self.handle(Event::WorkerReady(id));
        }
        if count > 0 {
            self.happened += 1;
            for part in results.chunk_by(|one, next| one.failure.is_none() && next.failure.is_none()) {
                self.finish(id, part);
            }
        }
    }

    /// Tells of results that are values, or of one that is not.
    fn finish(&mut self, id: WorkerId, results: &[Published]) {
        let nanos = results.iter().fold(0, |sum: u64, result| sum.saturating_add(result.nanos));
        self.model.context = Context::Results(id, results.iter().map(|result| result.task).collect());
        self.model.now = self.now;
        self.model.read(id);
        match results {
            [Published { failure: Some(failure), .. }] => {
                self.handle(Event::Failed { worker: id, nanos, failure: *failure });
            }
            _ => self.handle(Event::Finished { worker: id, count: results.len() as u32, nanos }),
        }
    }

    /// Judges a dead worker, after everything that it left was read.
    pub(super) fn bury(&mut self, at: usize) {
        if self.fault == Fault::OverlooksDeaths {
            return;
        }
        if self.fault != Fault::JudgesUnread {
            self.collect(at, usize::MAX);
        }
        let worker = self.workers.remove(at);
        let next = claim::read(&worker.word).next;
        let claimed = match self.fault {
            Fault::ForgetsAClaim => next.saturating_sub(1),
            Fault::InventsAClaim => next + 1,
            _ => next,
        };
        self.happened += 1;
        self.model.now = self.now;
        self.model.exited(worker.id, worker.taking);
        self.handle(Event::WorkerExited { worker: worker.id, claimed, taking: worker.taking });
    }

    /// The guardian could not start a worker.
    pub(super) fn refuse(&mut self, at: usize) {
        let id = self.workers.remove(at).id;
        self.fail_start(id);
    }

    fn fail_start(&mut self, id: WorkerId) {
        if self.rng.below(2) == 0 {
            let others = self.queue.iter().any(|action| matches!(action, Action::Start(_)));
            self.model.now = self.now;
            let leaving = |action: &Action| if let Action::Retire(id) = action { Some(*id) } else { None };
            let leaving: Vec<WorkerId> = self.queue.iter().filter_map(leaving).collect();
            self.model.start_postponed(id, others, &leaving);
            self.handle(Event::StartPostponed(id));
        } else {
            self.model.now = self.now;
            self.model.start_failed(id);
            self.handle(Event::StartFailed(id));
        }
    }

    // What workers do.

    /// A worker takes one step; `nanos` is how long what it runs will have taken.
    pub(super) fn step(&mut self, at: usize, nanos: impl FnOnce(&mut Self) -> u64) {
        let fault = self.fault;
        let worker = &mut self.workers[at];
        let id = worker.id;
        if worker.life == Life::Dead {
            return;
        }
        if let Some(steps) = worker.dies_in.as_mut() {
            *steps = steps.saturating_sub(1);
            // It dies before long, with nothing else to wait for.
            self.happened += 1;
        }
        if worker.killed || worker.may_leave() || worker.dies_in == Some(0) {
            return self.die(at);
        }
        if worker.life == Life::Asked {
            worker.get_ready();
            return self.note(|| format!("        {id:?} gets ready"));
        }
        // One that listens ends when it is asked to, hung or not.
        if worker.hung && !(worker.asked && worker.listens) {
            return;
        }
        if worker.running.is_some() {
            let nanos = nanos(self);
            self.publish(at, nanos);
        } else if worker.next_task().is_some_and(|task| self.model.task(task).poisonous) {
            worker.taking = true;
            self.die(at);
        } else if let Some(task) = worker.claim_next(fault) {
            self.happened += 1;
            self.note(|| format!("        {id:?} claims {task:?}"));
            self.model.claimed(id, task);
        }
    }

    fn publish(&mut self, at: usize, nanos: u64) {
        let id = self.workers[at].id;
        let failure = match self.rng.below(12) {
            0 => Some(Failure::Error),
            1 => Some(Failure::Panic),
            2 => Some(Failure::Other),
            _ => None,
        };
        let Some(task) = self.workers[at].publish(nanos, failure) else { return };
        self.happened += 1;
        self.note(|| format!("        {id:?} publishes {task:?}"));
        self.model.published(task, failure);
    }

    pub(super) fn die(&mut self, at: usize) {
        let hit_while_taking = self.rng.below(2) == 0;
        let worker = &mut self.workers[at];
        let id = worker.id;
        worker.taking |= hit_while_taking && worker.next_task().is_some();
        worker.die();
        self.happened += 1;
        self.note(|| format!("        {id:?} dies"));
    }

    /// Results that lie unannounced behind a long task must be looked for.
    pub(super) fn check_silence(&mut self) {
        let silent = self.workers.iter().find(|worker| worker.keeps_results()).map(|worker| worker.id);
        let looks = self.ended() || self.state.collects() || self.state.next_deadline().is_some();
        self.model.require(silent.is_none() || looks, || format!("nobody looks for the results of {silent:?}"));
    }
}
