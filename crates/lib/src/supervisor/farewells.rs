//! What exit hooks have made.
//!
//! 1. A hook runs in a worker that was told to leave, and in no other: what was killed before has none.
//! 2. Each worker that was told to leave leaves one outcome: what the hook returned, or why there is nothing.
//! 3. Its time begins when the worker is told. One that takes longer is killed, and that is its outcome.

use std::time::Duration;

use super::complete::error_of;
use super::core::Core;
use super::deaths::Obituary;
use super::haul::Haul;
use super::link::Link;
use crate::wire::message::Status;
use crate::{TaskError, TaskErrorKind};

/// What arrived on the link, unread.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) status: u8,
    pub(super) nanos: u64,
    pub(super) bytes: Vec<u8>,
}

/// A worker that has left in order, or tried to.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) worker: u32,
    pub(crate) pid: Option<u32>,
    /// How long the hook ran.
    pub(crate) duration: Option<Duration>,
    /// The value's bytes.
    pub(crate) outcome: Result<Vec<u8>, TaskError>,
}

impl Core {
    /// Takes note of what a worker that is gone has left behind, if it was told to leave.
    pub(super) fn note_departure(&mut self, link: &mut Link, obituary: &Obituary) {
        let Some(told) = link.told else { return };
        let Some(terms) = self.exit.clone() else { return };
        let (kind, text) = match link.overstayed {
            true if link.violation.is_none() => {
                (TaskErrorKind::TimedOut, format!("took longer than {:?} (see exit_timeout)", terms.limit))
            }
            _ => obituary.end(),
        };
        let without = TaskError::new(kind, text, terms.name, 0).by_worker(link.id.slot, link.pid, Some(told.elapsed()));
        self.put_departure(link, without);
    }

    /// The same for a worker that was killed with all others.
    pub(super) fn note_interrupted(&mut self, link: &mut Link) {
        let (Some(told), Some(terms)) = (link.told, self.exit.clone()) else { return };
        // What it has said counts, whether it was read or not. Its tasks are no more.
        link.readable = true;
        if link.collect_with_output(&mut Haul::default()).is_err() {
            tracing::debug!(
                worker = link.id.slot,
                "the link of a worker that was killed ends in the middle of something"
            );
        }
        let text = "was running when its pool was terminated";
        let without = TaskError::new(TaskErrorKind::Cancelled, text, terms.name, 0);
        self.put_departure(link, without.by_worker(link.id.slot, link.pid, Some(told.elapsed())));
    }

    fn put_departure(&mut self, link: &mut Link, without: TaskError) {
        let (worker, pid) = (link.id.slot, link.pid.map(i32::cast_unsigned));
        let departure = match link.farewell.take() {
            None => Departure { worker, pid, duration: None, outcome: Err(without.of_exit_hook()) },
            Some(Farewell { status, nanos, bytes }) => {
                let duration = Some(Duration::from_nanos(nanos));
                let outcome = if status == Status::Value as u8 {
                    Ok(bytes)
                } else {
                    let error = error_of(without.name(), 0, status, &bytes).by_worker(worker, link.pid, duration);
                    Err(error.of_exit_hook())
                };
                Departure { worker, pid, duration, outcome }
            }
        };
        if let Err(error) = &departure.outcome {
            tracing::warn!(worker, %error, "a worker has left without the result of its exit hook");
        }
        self.departures.push(departure);
    }
}
