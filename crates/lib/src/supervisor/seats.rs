//! The places of the gang.
//!
//! A place has one worker that serves. Beside it there may be a second process for a while: its successor, which gets
//! ready while the worker ends its last task, and later the worker itself, which leaves while the successor serves. What
//! is beside has no task.

use super::event::{Time, WorkerId};
use super::seat::{Stage, Worker};

/// Whether a place is to have a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Staffed,
    /// Not until tasks wait: its worker was idle for too long.
    Dormant,
    /// No more: the gang was made smaller.
    Surplus,
}

/// A place in the gang.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) need: Need,
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

    pub(super) fn both_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.worker.iter_mut().chain(&mut self.beside)
    }

    /// Whether a process is to be started here: there is no worker, or only one that does its last tasks or leaves.
    pub(super) fn wants_start(&self) -> bool {
        let vacant = match &self.worker {
            None => true,
            Some(_) if self.has_left() => self.beside.is_none(),
            // What is being taken back, it may do after all.
            Some(worker) => {
                let leaving = worker.stage == Stage::Ready && worker.is_leaving() && !worker.recalled;
                leaving && self.beside.is_none()
            }
        };
        vacant && self.need == Need::Staffed
    }

    /// Whether its worker was told to leave.
    fn has_left(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| matches!(worker.stage, Stage::Retiring { .. }))
    }

    /// Whether it has a worker that can be sent tasks.
    pub(super) fn is_served(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.stage == Stage::Ready)
    }

    /// Whether it has a worker, or none, as it should.
    pub(super) fn is_settled(&self) -> bool {
        match self.need {
            Need::Staffed => self.is_served(),
            Need::Dormant | Need::Surplus => self.both().next().is_none(),
        }
    }

    /// Puts a new process where it belongs.
    pub(super) fn seat(&mut self, worker: Worker) {
        if self.worker.is_none() {
            self.worker = Some(worker);
        } else if self.has_left() {
            self.beside = self.worker.replace(worker);
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
#[derive(Debug, Default)]
pub(super) struct Seats {
    places: Vec<Seat>,
    /// The highest generation of places that are no more: reports of their workers may still come, and must not be taken
    /// for those of others.
    used: u32,
}

impl Seats {
    pub(super) fn new(count: u32) -> Self {
        let mut seats = Self::default();
        seats.extend_to(count);
        seats
    }

    /// Adds places until there are as many.
    pub(super) fn extend_to(&mut self, count: u32) {
        while self.places.len() < count as usize {
            self.places.push(Seat {
                need: Need::Staffed,
                generation: self.used,
                worker: None,
                beside: None,
                retry_at: Time::ZERO,
            });
        }
    }

    /// Lets go of places at the end that were given up and are empty: each costs a look at every event.
    pub(super) fn trim(&mut self) {
        while self.places.last().is_some_and(|seat| seat.need == Need::Surplus && seat.is_settled()) {
            self.used = self.places.pop().map_or(0, |seat| seat.generation).max(self.used);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.places.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Seat> {
        self.places.iter_mut()
    }

    /// Those of the first `places` that are to have a worker.
    pub(super) fn staffed(&self, places: usize) -> impl Iterator<Item = &Seat> {
        self.places.iter().take(places).filter(|seat| seat.need == Need::Staffed)
    }

    /// The place of this worker.
    pub(super) fn of(&mut self, id: WorkerId) -> Option<&mut Seat> {
        self.places.get_mut(id.slot as usize)
    }

    /// The workers that serve: nobody else has tasks.
    pub(super) fn serving(&self) -> impl Iterator<Item = &Worker> {
        self.places.iter().filter_map(|seat| seat.worker.as_ref())
    }

    pub(super) fn serving_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.places.iter_mut().filter_map(|seat| seat.worker.as_mut())
    }

    /// Every process.
    pub(super) fn all(&self) -> impl Iterator<Item = &Worker> {
        self.places.iter().flat_map(Seat::both)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.places.iter_mut().flat_map(Seat::both_mut)
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.places.get(id.slot as usize)?.both().find(|worker| worker.id == id)
    }

    pub(super) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        let seat = self.of(id)?;
        seat.both_mut().find(|worker| worker.id == id)
    }

    /// Takes all processes away.
    pub(super) fn clear(&mut self) -> Vec<Worker> {
        self.places.iter_mut().flat_map(|seat| seat.worker.take().into_iter().chain(seat.beside.take())).collect()
    }
}
