//! From outcomes as they arrived to values.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::handle::first_error;
use super::job::Job;
use super::sink::{Batch, SinkState};
use crate::wire::codec::CodecError;
use crate::wire::descriptor::receiving;
use crate::worker::panic_text;
use crate::{TaskError, TaskErrorKind};

/// Reads one value from its bytes.
pub(crate) type Decode<R> = fn(&[u8]) -> Result<R, CodecError>;

/// The outcome at `place` of `batch`. A user's `Deserialize` may fail or panic: that is that task's outcome.
#[inline]
pub(crate) fn outcome<R>(job: &Job, batch: &Batch, place: u32, decode: Decode<R>) -> Option<Result<R, TaskError>> {
    let bytes = match batch.get(place)? {
        Ok(bytes) => bytes,
        Err(error) => return Some(Err(error.clone())),
    };
    let with = batch.descriptors(place);
    let decoded = || if with.is_empty() { decode(bytes) } else { receiving(with.to_vec(), || decode(bytes)) };
    let text = match catch_unwind(AssertUnwindSafe(decoded)) {
        Ok(Ok(value)) => return Some(Ok(value)),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => format!("it panicked: {}", panic_text(payload)),
    };
    Some(Err(unreadable::<R>(job, batch.first + u64::from(place), &text)))
}

#[cold]
fn unreadable<R>(job: &Job, index: u64, why: &str) -> TaskError {
    let text = format!("has a result ({}) that cannot be deserialized: {why}", std::any::type_name::<R>());
    job.error(TaskErrorKind::NotDeserializable, text, index)
}

/// The only value of a job of one task.
pub(crate) fn single<R>(job: &Job, state: &SinkState, decode: Decode<R>) -> Result<R, TaskError> {
    let batch = state.batches.front().expect("a job that is done has outcomes");
    outcome(job, batch, 0, decode).expect("a batch has at least one outcome")
}

/// All values in the order of their tasks, or the first error.
pub(crate) fn all<R>(job: &Job, state: &SinkState, decode: Decode<R>) -> Result<Vec<R>, TaskError> {
    if let Some(error) = first_error(state) {
        return Err(error.clone());
    }
    let mut batches: Vec<&Batch> = state.batches.iter().collect();
    batches.sort_unstable_by_key(|batch| batch.first);
    let places = batches.into_iter().flat_map(|batch| (0..batch.count()).map(move |place| (batch, place)));
    places.filter_map(|(batch, place)| outcome(job, batch, place, decode)).collect()
}

/// Batches in the order of their tasks, from the first one on, whatever the order in which they arrive.
#[derive(Debug, Default)]
pub(crate) struct InOrder {
    /// The index that comes next.
    next: u64,
    waiting: BTreeMap<u64, Batch>,
}

impl InOrder {
    /// Takes a batch, and hands to `read` what is in order now.
    pub(crate) fn add(&mut self, batch: Batch, mut read: impl FnMut(&Batch)) {
        self.waiting.insert(batch.first, batch);
        while let Some(batch) = self.waiting.remove(&self.next) {
            read(&batch);
            self.next += u64::from(batch.count());
        }
    }
}
