//! The places of the gang.
//!
//! A place has one worker that serves. Beside it there may be a second process for a while: its successor, which gets
//! ready while the worker ends its last task, and later the worker itself, which leaves while the successor serves. What
//! is beside has no task.

use super::event::{Time, WorkerId};
use super::seat::{Stage, Worker};

/// A place in the gang.
#[derive(Debug)]
pub(super) struct Seat {
    /// The how-many-th worker here was started last.
    pub(super) generation: u32,
    pub(super) worker: Option<Worker>,
    pub(super) beside: Option<Worker>,
    /// When a failed start may be tried again.
    pub(super) retry_at: Time,
}

impl Seat {
    /// Both processes.
    fn both(&self) -> impl Iterator<Item = &Worker> {
        self.worker.iter().chain(&self.beside)
    }

    /// Whether a process is to be started here: there is no worker, or only one that does its last tasks.
    pub(super) fn wants_start(&self) -> bool {
        match &self.worker {
            None => true,
            // What is being taken back, it may do after all.
            Some(worker) => {
                let leaving = worker.stage == Stage::Ready && worker.is_leaving() && !worker.recalled;
                leaving && self.beside.is_none()
            }
        }
    }

    /// Puts a new process where it belongs.
    pub(super) fn seat(&mut self, worker: Worker) {
        if self.worker.is_none() {
            self.worker = Some(worker);
        } else {
            self.beside = Some(worker);
        }
    }

    /// Has the successor serve, if there is one.
    pub(super) fn succeed(&mut self) {
        if self.beside.as_ref().is_some_and(|worker| matches!(worker.stage, Stage::Starting { .. } | Stage::Ready)) {
            std::mem::swap(&mut self.worker, &mut self.beside);
        }
    }

    /// Takes a process away that is no more; what is beside takes its place, unless it leaves.
    pub(super) fn vacate(&mut self, id: WorkerId) -> Option<Worker> {
        if self.beside.as_ref().is_some_and(|worker| worker.id == id) {
            return self.beside.take();
        }
        let gone = self.worker.take_if(|worker| worker.id == id)?;
        self.succeed();
        Some(gone)
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Seats(Vec<Seat>);

impl Seats {
    pub(super) fn new(count: u32) -> Self {
        let seat = || Seat { generation: 0, worker: None, beside: None, retry_at: Time::ZERO };
        Self((0..count).map(|_| seat()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.0.iter_mut()
    }

    /// The place of this worker.
    pub(super) fn of(&mut self, id: WorkerId) -> Option<&mut Seat> {
        self.0.get_mut(id.slot as usize)
    }

    /// The workers that serve: nobody else has tasks.
    pub(super) fn serving(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter().filter_map(|seat| seat.worker.as_ref())
    }

    pub(super) fn serving_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.0.iter_mut().filter_map(|seat| seat.worker.as_mut())
    }

    /// Every process.
    pub(super) fn all(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter().flat_map(Seat::both)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.0.iter_mut().flat_map(|seat| seat.worker.iter_mut().chain(&mut seat.beside))
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.0.get(id.slot as usize)?.both().find(|worker| worker.id == id)
    }

    pub(super) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        let seat = self.of(id)?;
        seat.worker.iter_mut().chain(&mut seat.beside).find(|worker| worker.id == id)
    }

    /// Takes all processes away.
    pub(super) fn clear(&mut self) -> Vec<Worker> {
        self.0.iter_mut().flat_map(|seat| seat.worker.take().into_iter().chain(seat.beside.take())).collect()
    }
}
