//! Completing tasks: from results and deaths to outcomes in the job's sink.

use std::sync::Arc;

use super::core::Core;
use super::deaths::stopped;
use super::event::{self, Cause, Ending, Span, WorkerId};
use super::haul::Failed;
use super::link::Link;
use super::output::Both;
use crate::output::TaskOutput;
use crate::pool::job::Job;
use crate::pool::sink::Batch;
use crate::wire::codec::decode;
use crate::wire::message::{Failure, Status};
use crate::{TaskError, TaskErrorKind};

impl Core {
    /// Gives the tasks of `span` their outcomes.
    pub(super) fn complete(&mut self, span: Span, worker: Option<WorkerId>, ending: Ending) {
        if let (Ending::Delivered | Ending::Late(_), Some(worker)) = (ending, worker) {
            self.note_slow(span, worker);
        }
        let Some(stored) = self.chunks.get_mut(&span.chunk) else { return };
        stored.left -= span.count;
        let job = stored.job.clone();
        let first = stored.first + u64::from(span.first);
        let [begin, end] = [span.first, span.first + span.count].map(|place| i64::from(stored.offsets[place as usize]));
        let arguments = end - begin - 4 * i64::from(span.count) + stored.aside as i64;
        if stored.left == 0 {
            self.chunks.remove(&span.chunk);
        }
        let mut batch = self.batch(&job, first, span.count, worker, ending);
        self.tell_histories(span, &mut batch);
        self.hand_over(&job, batch, arguments);
    }

    fn batch(&mut self, job: &Job, first: u64, count: u32, worker: Option<WorkerId>, ending: Ending) -> Batch {
        match (ending, worker) {
            (Ending::Delivered, Some(worker)) => self.delivered(job, first, count, worker, None),
            (Ending::Late(cause), Some(worker)) => self.delivered(job, first, count, worker, Some(cause)),
            (Ending::Lost | Ending::Deadly | Ending::Stopped(_), Some(worker)) => {
                self.lost(job, first, count, worker, ending)
            }
            _ => self.not_run(job, first, count, ending),
        }
    }

    /// An attempt has failed that is not the last.
    pub(super) fn retry(&mut self, span: Span, worker: WorkerId, ending: Ending) {
        let Some(stored) = self.chunks.get(&span.chunk) else { return };
        let (job, index) = (stored.job.clone(), stored.first + u64::from(span.first));
        let batch = self.batch(&job, index, span.count, Some(worker), ending);
        for error in batch.all_errors() {
            tracing::info!(task = index, %error, "an attempt failed; there will be another");
            self.histories.entry((span.chunk, span.first)).or_default().push(error.clone());
        }
    }

    /// Adds to final errors how the attempts before have ended.
    fn tell_histories(&mut self, span: Span, batch: &mut Batch) {
        if self.histories.is_empty() {
            return;
        }
        let first = batch.first;
        for error in batch.all_errors_mut() {
            let place = span.first + (error.index() - first) as u32;
            if let Some(before) = self.histories.remove(&(span.chunk, place)) {
                *error = error.clone().after(before);
            }
        }
        let ended = |chunk, place| chunk == span.chunk && (span.first..span.first + span.count).contains(&place);
        self.histories.retain(|(chunk, place), _| !ended(*chunk, *place));
    }

    /// Puts the batch where its reader waits; `arguments` bytes of its tasks' arguments are not needed any more.
    fn hand_over(&mut self, job: &Arc<Job>, batch: Batch, arguments: i64) {
        let window = self.look_ahead(job);
        let results = batch.bytes_of_values();
        let (wakers, somebody_waits) = job.sink.change_quietly(|state| {
            state.received += u64::from(batch.count());
            state.load.bytes += results - arguments;
            if !state.fixed {
                state.window = state.window.max(window);
            }
            if !state.abandoned {
                state.batches.push_back(batch);
            }
        });
        self.wakers.extend(wakers);
        if somebody_waits && !self.readers.last().is_some_and(|last| Arc::ptr_eq(last, job)) {
            self.readers.push(job.clone());
        }
    }

    fn delivered(&mut self, job: &Job, first: u64, count: u32, worker: WorkerId, late: Option<Cause>) -> Batch {
        let from = self.haul_used;
        let to = (from + count).min(self.haul.len());
        self.haul_used = to;
        self.record(job, first, (from, to), worker);
        let link = self.links.get(&worker);
        let (pid, growth) = (link.and_then(|link| link.pid), link.map_or(0, |link| link.memory.growth));
        let failures = self.haul.failures(from, to).iter();
        let errors = failures.map(|failed| {
            let index = first + u64::from(failed.place - from);
            let error = failure(job, index, *failed, self.haul.get(failed.place), worker, pid);
            late.map_or_else(|| error.clone(), |cause| ended_when_asked(job, &error, cause, growth))
        });
        let mut errors: Vec<TaskError> = errors.collect();
        for printed in self.haul.printed(from, to) {
            let index = first + u64::from(printed.place - from);
            let Some(output) = &printed.output else { continue };
            if let Ok(place) = errors.binary_search_by_key(&index, TaskError::index) {
                errors[place] = errors[place].clone().with_output(output);
            }
            self.put_output(Some((job, index)), (worker.slot, pid), output.clone());
        }
        Batch::delivered(first, self.haul.clone(), from..to, errors)
    }

    /// Hands over what a task has written, or nobody.
    pub(super) fn put_output(&self, of: Option<(&Job, u64)>, (worker, pid): (u32, Option<i32>), streams: Both) {
        if let Some(outlet) = &self.outlet
            && streams.iter().any(|written| !written.is_empty())
        {
            let task = of.map(|(job, index)| (job.name.clone(), index));
            outlet.put(TaskOutput { task, worker, pid: pid.map(i32::cast_unsigned), streams });
        }
    }

    /// Hands over what a worker has written while it had no task.
    pub(super) fn put_strays(&mut self, worker: WorkerId) {
        let Some(link) = self.links.get_mut(&worker) else { return };
        let (strays, pid) = (link.take_strays(), link.pid);
        strays.into_iter().for_each(|stray| self.put_output(None, (worker.slot, pid), stray));
    }

    /// The same of a worker that is gone.
    pub(super) fn put_strays_of(&self, link: &mut Link) {
        link.take_strays().into_iter().for_each(|stray| self.put_output(None, (link.id.slot, link.pid), stray));
    }

    fn lost(&mut self, job: &Job, first: u64, count: u32, worker: WorkerId, ending: Ending) -> Batch {
        let errors = (first..first + u64::from(count)).map(|index| match &self.obituary {
            Some(obituary) => obituary.to_error(job, index, ending),
            None => job.error(TaskErrorKind::Lost, "was lost: its worker is gone", index),
        });
        let mut errors: Vec<TaskError> = errors.collect();
        if let (Some(output), Some(error)) =
            (self.obituary.as_mut().and_then(|obituary| obituary.output.take()), errors.first_mut())
        {
            *error = error.clone().with_output(&output);
            let pid = error.pid().map(u32::cast_signed);
            self.put_output(Some((job, first)), (worker.slot, pid), output);
        }
        Batch::errors(first, errors)
    }

    fn not_run(&self, job: &Job, first: u64, count: u32, ending: Ending) -> Batch {
        let (kind, text) = match (ending, job.terms.queue_timeout) {
            (Ending::Broken, _) => (TaskErrorKind::PoolBroken, self.ending_text(ending)),
            (Ending::Expired, limit) => {
                let text = format!("waited longer than {:?}, and was not run", limit.unwrap_or_default());
                (TaskErrorKind::QueueTimedOut, text)
            }
            _ => (TaskErrorKind::Cancelled, self.ending_text(ending)),
        };
        let indices = first..first + u64::from(count);
        Batch::errors(first, indices.map(|index| job.error(kind, text.as_str(), index)).collect())
    }
}

/// The error that a result which is no value stands for.
fn failure(job: &Job, index: u64, failed: Failed, bytes: &[u8], worker: WorkerId, pid: Option<i32>) -> TaskError {
    let duration = std::time::Duration::from_nanos(failed.nanos);
    error_of(job.name.clone(), index, failed.status, bytes).by_worker(worker.slot, pid, Some(duration))
}

/// The same, without the worker.
pub(super) fn error_of(name: Arc<str>, index: u64, status: u8, bytes: &[u8]) -> TaskError {
    let failure: Failure = decode(bytes).unwrap_or_else(|error| Failure {
        message: format!("left a failure that cannot be read: {error}"),
        ..Failure::default()
    });
    let kind = match Status::from_byte(status) {
        Some(Status::Value | Status::Failed) => TaskErrorKind::Failed,
        Some(Status::Panicked) => TaskErrorKind::Panicked,
        Some(Status::NotDeserializable) => TaskErrorKind::NotDeserializable,
        Some(Status::NotSerializable) => TaskErrorKind::NotSerializable,
        Some(Status::TooLarge) => TaskErrorKind::TooLarge,
        None => TaskErrorKind::ProtocolViolation,
    };
    TaskError::new(kind, failure.message, name, index)
        .with_peak_memory(failure.peak_memory)
        .with_trace(failure.location, failure.backtrace)
        .of_item(failure.item)
}

/// The error of a task that failed after it was asked to end: most likely because of that.
fn ended_when_asked(job: &Job, error: &TaskError, cause: Cause, growth: u64) -> TaskError {
    let (kind, why) = stopped(job, cause, growth);
    let text = format!("{why}, and ended when it was asked to: {}", error.message());
    let duration = error.duration();
    job.error(kind, text, error.index()).by_worker(
        error.worker().unwrap_or_default(),
        error.pid().map(u32::cast_signed),
        duration,
    )
}

/// What may be tried again of what a worker says.
pub(super) fn failure_of(status: u8) -> event::Failure {
    match Status::from_byte(status) {
        Some(Status::Failed) => event::Failure::Error,
        Some(Status::Panicked) => event::Failure::Panic,
        _ => event::Failure::Other,
    }
}
