//! A job: one call of a pool's method, and the chunks of encoded arguments that it is made of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::sink::Sink;
use crate::supervisor::event::{JobId, JobTerms};
use crate::wire::aside::{ASIDE, Aside, LARGE};
use crate::wire::codec::CodecError;
use crate::wire::descriptor::{Descriptor, MOST, Parcel, Part, sending};
use crate::wire::frame::MOST_BYTES;
use crate::worker::panic_text;
use crate::{TaskError, TaskErrorKind};

/// One call of a pool's method.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// The name of the function, for messages.
    pub(crate) name: Arc<str>,
    /// What a worker needs to know before the job's first task, encoded.
    pub(crate) definition: Parcel,
    pub(crate) terms: JobTerms,
    pub(crate) sink: Sink,
}

impl Job {
    /// An outcome that no worker had a part in.
    pub(crate) fn error(&self, kind: TaskErrorKind, message: impl Into<String>, index: u64) -> TaskError {
        TaskError::new(kind, message, self.name.clone(), index)
    }
}

/// Encoded arguments of tasks that follow each other, as they travel: each after its length (4 bytes).
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The index of the first task.
    pub(crate) first: u64,
    pub(crate) bytes: Vec<u8>,
    /// Where each task begins, and where the last ends.
    pub(crate) offsets: Vec<u32>,
    /// Those of the last task's arguments.
    pub(crate) descriptors: Vec<Descriptor>,
    /// How many bytes of the last task's arguments are aside, in the last of these.
    pub(crate) aside: usize,
}

/// A chunk is sent off when it has so many tasks or bytes: few enough that its memory is used again while it is warm.
const FULL: (usize, usize) = (2048, 64 * 1024);

impl Chunk {
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, bytes: Vec::new(), offsets: vec![0], descriptors: Vec::new(), aside: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= FULL.0 || self.bytes.len() >= FULL.1
    }

    /// The index of the task that would come next.
    pub(crate) fn next_index(&self) -> u64 {
        self.first + self.len() as u64
    }

    /// How many tasks and bytes it has.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.len(), self.bytes.len())
    }

    /// An empty chunk with room for about as much: growing piece by piece would copy everything twice.
    pub(crate) fn with_room(size: (usize, usize)) -> Self {
        let mut chunk = Self::starting_at(0);
        chunk.offsets.reserve(size.0.min(FULL.0));
        chunk.bytes.reserve(size.1.min(FULL.1));
        chunk
    }

    /// Takes the last task off, as a chunk of its own, if descriptors travel with it: a frame with some has one task.
    pub(crate) fn split_off_passenger(&mut self) -> Option<Self> {
        if self.descriptors.is_empty() {
            return None;
        }
        self.offsets.pop();
        let start = *self.offsets.last().expect("there is a place where the task begins");
        let bytes = self.bytes.split_off(start as usize);
        let offsets = vec![0, bytes.len() as u32];
        let (descriptors, aside) = (std::mem::take(&mut self.descriptors), std::mem::take(&mut self.aside));
        Some(Self { first: self.next_index(), bytes, offsets, descriptors, aside })
    }

    /// Takes what there is and leaves `next`, which is empty, to go on where it ends.
    pub(crate) fn replace(&mut self, mut next: Self) -> Self {
        next.first = self.next_index();
        std::mem::replace(self, next)
    }

    /// As [`replace`](Self::replace), with a chunk of the same size.
    pub(crate) fn take(&mut self) -> Self {
        self.replace(Self::with_room(self.size()))
    }

    /// Appends one task's arguments.
    ///
    /// # Errors
    /// The kind and the reason when they cannot be encoded; the chunk is as before then.
    pub(crate) fn push(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<usize, (TaskErrorKind, String)> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        // A panic in a user's `Serialize` is an error of that task, not of the thread that feeds all of them.
        let (encoded, descriptors) = sending(Part::Own, || catch_unwind(AssertUnwindSafe(|| encode(&mut self.bytes))));
        let length = self.bytes.len() - start - 4;
        let problem = match encoded {
            Ok(Ok(())) if length <= MOST_BYTES => {
                self.bytes[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
                self.descriptors = descriptors;
                if length >= LARGE {
                    self.put_aside(start);
                }
                self.offsets.push(self.bytes.len() as u32);
                return Ok(length);
            }
            Ok(Ok(())) => {
                (TaskErrorKind::TooLarge, format!("has arguments of {length} bytes; the limit is {MOST_BYTES}"))
            }
            Ok(Err(error)) => {
                (TaskErrorKind::NotSerializable, format!("has arguments that cannot be serialized: {error}"))
            }
            Err(payload) => (
                TaskErrorKind::NotSerializable,
                format!("has arguments whose serialization panicked: {}", panic_text(payload)),
            ),
        };
        self.bytes.truncate(start);
        Err(problem)
    }

    /// Puts the arguments aside that begin at `start`, if there is a descriptor for them.
    #[cold]
    fn put_aside(&mut self, start: usize) {
        if self.descriptors.len() < MOST
            && let Ok(memory) = Aside::put(&self.bytes[start + 4..])
        {
            self.aside = self.bytes.len() - start - 4;
            self.descriptors.push(memory.into());
            self.bytes.truncate(start);
            self.bytes.shrink_to(FULL.1);
            self.bytes.extend_from_slice(&ASIDE.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::encode;

    #[test]
    fn a_task_that_cannot_be_encoded_leaves_no_trace() {
        let mut chunk = Chunk::starting_at(5);
        chunk.push(|out| encode(&1_u8, out)).expect("encodes");
        let broken = chunk.push(|out| {
            out.extend([1, 2, 3]);
            encode(&2_u8, out)?;
            panic!("no more")
        });
        assert_eq!(broken.expect_err("panicked").0, TaskErrorKind::NotSerializable);
        chunk.push(|out| encode(&3_u8, out)).expect("encodes");
        assert_eq!((chunk.bytes, chunk.offsets), (vec![1, 0, 0, 0, 1, 1, 0, 0, 0, 3], vec![0, 5, 10]));
    }
}
