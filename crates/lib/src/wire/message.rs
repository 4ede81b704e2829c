//! The contents of frames: how a worker gets ready, what a job calls, and how a task ended.

use ganger_os::image::EntryPoint;
use ganger_os::output::{Offsets, STREAMS};
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::descriptor::Descriptor;

/// A function to call, with arguments that are the same for every call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The shim's offset in the executable.
    pub(crate) entry: u64,
    pub(crate) bound: Vec<u8>,
    /// How many of the message's descriptors are those of the bound arguments.
    pub(crate) descriptors: u32,
}

impl Call {
    pub(crate) fn new(entry: EntryPoint, bound: Vec<u8>, descriptors: &[Descriptor]) -> Self {
        Self { entry: entry.to_wire(), bound, descriptors: descriptors.len() as u32 }
    }
}

/// How a worker gets ready.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Under `spawn`, where no guardian has run it.
    pub(crate) preload: Option<Call>,
    pub(crate) initializer: Option<Call>,
    /// What it runs when it is told to leave.
    pub(crate) exit: Option<Call>,
    /// What the pool's random numbers are derived from.
    pub(crate) seed: u64,
    /// It shall say how much memory it holds when it is ready.
    pub(crate) tell_memory: bool,
    pub(crate) attributes: Attributes,
}

/// What a job calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) call: Call,
    /// The how-many-th call of the pool it is: part of what random numbers are derived from.
    pub(crate) number: u64,
}

/// How the call of a task's function ended, as one byte beside the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// The bytes are the value.
    Value = 0,
    /// The task returned `Err`; the bytes are a [`Failure`], as for all that follow.
    Failed = 1,
    Panicked = 2,
    NotDeserializable = 3,
    NotSerializable = 4,
    TooLarge = 5,
}

impl Status {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Value),
            1 => Some(Self::Failed),
            2 => Some(Self::Panicked),
            3 => Some(Self::NotDeserializable),
            4 => Some(Self::NotSerializable),
            5 => Some(Self::TooLarge),
            _ => None,
        }
    }
}

/// Set in a result's status when its task has written something to a captured stream: its [`Marks`] follow the result.
pub(crate) const PRINTED: u8 = 0x80;

/// Between which two places of its streams a task has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) begin: Offsets,
    pub(crate) end: Offsets,
}

/// How many bytes marks are.
pub(crate) const MARKS: usize = 8 * 2 * STREAMS;

impl Marks {
    pub(crate) fn append(self, out: &mut Vec<u8>) {
        self.begin.iter().chain(&self.end).for_each(|offset| out.extend(offset.to_le_bytes()));
    }

    /// Takes the marks off the end; `None` when the bytes behind `start` are too few for any.
    pub(crate) fn split_off(bytes: &mut Vec<u8>, start: usize) -> Option<Self> {
        let place = bytes.len().checked_sub(MARKS).filter(|place| *place >= start)?;
        let offset = |number: usize| {
            let piece = bytes[place + 8 * number..].first_chunk().expect("there are as many bytes as marks have");
            u64::from_le_bytes(*piece)
        };
        let marks = Self { begin: [offset(0), offset(1)], end: [offset(2), offset(3)] };
        bytes.truncate(place);
        Some(marks)
    }
}

/// What a task that did not return a value leaves: plain data, so that no type of the user's can make it unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
    /// The worker's largest resident size so far, in bytes.
    pub(crate) peak_memory: u64,
    /// Of which item, where a task is made of several.
    pub(crate) item: Option<u64>,
}

/// A byte and a position in one number: of a result its status, of a frame of tasks how many attempts have failed.
pub(crate) fn tag(byte: u8, position: u32) -> u32 {
    (u32::from(byte) << 24) | position
}

/// The parts of a tag.
pub(crate) fn untag(tag: u32) -> (u8, u32) {
    ((tag >> 24) as u8, tag & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_behind_the_result() {
        let marks = Marks { begin: [1, 2], end: [u64::MAX, 4] };
        let mut bytes = vec![7, 8, 9];
        marks.append(&mut bytes);
        assert_eq!(bytes.len(), 3 + MARKS);
        assert_eq!(Marks::split_off(&mut bytes.clone(), 4), None, "bytes of the result before");
        assert_eq!(Marks::split_off(&mut bytes, 3), Some(marks));
        assert_eq!(bytes, [7, 8, 9]);
        assert_eq!(Marks::split_off(&mut bytes, 0), None);
    }
}
