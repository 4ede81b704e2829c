//! A job: one call of a pool's method, and the chunks of encoded arguments that it is made of.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::sink::Sink;
use crate::supervisor::event::{JobId, JobTerms};
use crate::wire::aside::{ASIDE, LARGE};
use crate::wire::codec::CodecError;
use crate::wire::descriptor::{Descriptor, MOST, Parcel, sending_large};
use crate::wire::frame::MOST_BYTES;
use crate::wire::gap::{Gap, put_aside};
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

    /// An empty chunk with room for about so many tasks and bytes: growing piece by piece would copy everything twice.
    pub(crate) fn with_room(first: u64, size: (usize, usize)) -> Self {
        let mut chunk = Self::starting_at(first);
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

    /// Appends one task's arguments, which are put aside when they are large.
    ///
    /// # Errors
    /// The kind and the reason when they cannot be encoded; the chunk is as before then.
    pub(crate) fn push(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<usize, (TaskErrorKind, String)> {
        self.append(encode, true)
    }

    /// As [`push`](Self::push), of what becomes a part of other arguments: it is here, whatever its size.
    pub(crate) fn push_whole(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<usize, (TaskErrorKind, String)> {
        self.append(encode, false)
    }

    fn append(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
        may_go_aside: bool,
    ) -> Result<usize, (TaskErrorKind, String)> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let encode = || whether_encoded(|| encode(&mut self.bytes));
        let (problem, beside) = sending_large(may_go_aside.then_some(start + 4), encode);
        let gap = beside.and_then(|beside| {
            self.descriptors = beside.descriptors;
            beside.gap
        });
        let length = self.bytes.len() - start - 4 + gap.as_ref().map_or(0, |gap| gap.len());
        let problem = match problem {
            None if length > MOST_BYTES => {
                (TaskErrorKind::TooLarge, format!("has arguments of {length} bytes; the limit is {MOST_BYTES}"))
            }
            None => {
                self.bytes[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
                let kept = if may_go_aside && length >= LARGE { self.put_aside(start, length, gap) } else { Ok(()) };
                let Err(error) = kept else {
                    self.offsets.push(self.bytes.len() as u32);
                    return Ok(length);
                };
                (TaskErrorKind::NotSerializable, format!("has arguments that cannot be read back: {error}"))
            }
            Some(why) => (TaskErrorKind::NotSerializable, *why),
        };
        self.descriptors.clear();
        self.bytes.truncate(start);
        Err(problem)
    }

    /// Puts the arguments aside that begin at `start`, if there is a descriptor for them.
    #[cold]
    fn put_aside(&mut self, start: usize, length: usize, gap: Option<Box<Gap>>) -> io::Result<()> {
        let has_room = self.descriptors.len() < MOST;
        if let Some(memory) = put_aside(gap, &mut self.bytes, start + 4, has_room)? {
            self.aside = length;
            self.descriptors.push(memory.into());
            self.bytes[start..].copy_from_slice(&ASIDE.to_le_bytes());
            self.bytes.shrink_to(FULL.1);
        }
        Ok(())
    }
}

/// Encodes one task's arguments, or says why that cannot be done. A panic in a user's `Serialize` is an error of that task, not
/// of the thread that feeds all of them. The answer is a single word, as it is of a tiny task's time that larger ones take.
#[expect(clippy::box_collection, reason = "in a box it is a single word")]
#[inline]
fn whether_encoded(encode: impl FnOnce() -> Result<(), CodecError>) -> Option<Box<String>> {
    let say = |error| Box::new(format!("has arguments that cannot be serialized: {error}"));
    let encode = || encode().err().map(say);
    catch_unwind(AssertUnwindSafe(encode)).unwrap_or_else(|payload| {
        Some(Box::new(format!("has arguments whose serialization panicked: {}", panic_text(payload))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::aside::Aside;
    use crate::wire::codec::{encode, encode_value};

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

    #[test]
    fn large_bytes_travel_aside_with_what_is_around_them() {
        let large = vec![7_u8; LARGE];
        let (mut chunk, mut whole) = (Chunk::starting_at(0), Vec::new());
        chunk.push(|out| encode(&1_u8, out)).expect("encodes");
        let length = chunk.push(|out| {
            encode(&2_u8, out)?;
            encode_value(&large, out)?;
            encode_value(&large, out)
        });
        encode(&(2_u8, &large, &large), &mut whole).expect("encodes");
        assert_eq!(length.expect("encodes"), whole.len());
        let passenger = chunk.split_off_passenger().expect("it has a descriptor");
        assert_eq!((passenger.bytes.as_slice(), passenger.aside), (ASIDE.to_le_bytes().as_slice(), whole.len()));
        assert!(Aside::open(&passenger.descriptors[0]).expect("sealed").bytes() == whole);
        assert_eq!((chunk.bytes, chunk.offsets), (vec![1, 0, 0, 0, 1], vec![0, 5]));
    }

    #[test]
    fn beside_as_many_descriptors_as_can_travel_large_bytes_stay_in_the_frame() {
        let null = || Descriptor::new(std::fs::File::open("/dev/null").expect("opens"));
        let many: Vec<Descriptor> = (0..MOST).map(|_| null()).collect();
        let (mut chunk, mut whole) = (Chunk::starting_at(0), Vec::new());
        let length = chunk.push(|out| {
            encode_value(&vec![7_u8; LARGE], out)?;
            encode(&many, out)
        });
        encode(&vec![7_u8; LARGE], &mut whole).expect("encodes");
        let length = length.expect("encodes");
        assert_eq!((chunk.descriptors.len(), chunk.aside, chunk.bytes.len()), (MOST, 0, 4 + length));
        assert!(chunk.bytes[..4] == (length as u32).to_le_bytes() && chunk.bytes[4..].starts_with(&whole));
    }
}
