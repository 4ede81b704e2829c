//! A large vector of bytes in a message: it is written straight to the memory in which the message will be put aside, and the
//! other bytes leave a gap where it belongs. Copying it among them first would cost as much as all the rest of its way.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ganger_os::huge::make_room;
use ganger_os::memory::{close, create_open, read_at, resize, write_at};

use super::aside::{Aside, LARGE};
use super::frame::MOST_BYTES;

/// Memory in which a message is being put aside, and which part of it is there.
#[derive(Debug)]
pub(crate) struct Gap {
    memory: OwnedFd,
    /// How many of the other bytes come before.
    at: usize,
    length: usize,
}

impl Gap {
    /// Writes `bytes` to where they are when `at` others come before them; `None` where they are not worth it, or memory or
    /// descriptors are short: then they go among the others.
    pub(crate) fn open(at: usize, bytes: &[u8]) -> Option<Box<Self>> {
        if !(LARGE..=MOST_BYTES).contains(&bytes.len()) {
            return None;
        }
        let memory = create_open(c"ganger-payload", at + bytes.len()).ok()?;
        write_at(memory.as_fd(), at, bytes).ok()?;
        // In a box, as nearly no message has one, and each carries the room for it.
        Some(Box::new(Self { memory, at, length: bytes.len() }))
    }

    /// How many bytes are missing among the others.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Writes the `others` around it, for which there may be no memory.
    fn complete(&self, others: &[u8]) -> io::Result<()> {
        let (before, behind) = others.split_at_checked(self.at).ok_or(io::ErrorKind::UnexpectedEof)?;
        let memory = self.memory.as_fd();
        resize(memory, self.length + others.len())?;
        write_at(memory, 0, before)?;
        write_at(memory, self.at + self.length, behind)?;
        close(memory)
    }

    /// Moves the bytes to their place among the others after all, of which the first is at `start`.
    fn fill(&self, others: &mut Vec<u8>, start: usize) -> io::Result<()> {
        let behind = others.split_off(start + self.at);
        make_room(others, self.length + behind.len());
        let begin = others.len();
        others.resize(begin + self.length, 0);
        read_at(self.memory.as_fd(), self.at, &mut others[begin..])?;
        others.extend_from_slice(&behind);
        Ok(())
    }
}

/// Has a message whole among its bytes, which begin at `start`.
///
/// # Errors
/// When its memory cannot be read.
pub(crate) fn fill(gap: Option<Box<Gap>>, bytes: &mut Vec<u8>, start: usize) -> io::Result<()> {
    gap.map_or(Ok(()), |gap| gap.fill(bytes, start))
}

/// Puts a message aside whose bytes begin at `start`, and takes them off there. Where it `may` not be, or memory is short, they
/// stay, and are whole.
///
/// # Errors
/// As of [`fill`].
pub(crate) fn put_aside(
    gap: Option<Box<Gap>>,
    bytes: &mut Vec<u8>,
    start: usize,
    may: bool,
) -> io::Result<Option<OwnedFd>> {
    let memory = match gap {
        gap if !may => return fill(gap, bytes, start).map(|()| None),
        None => Aside::put(&bytes[start..]).ok(),
        Some(gap) if gap.complete(&bytes[start..]).is_ok() => Some(gap.memory),
        Some(gap) => {
            gap.fill(bytes, start)?;
            None
        }
    };
    if memory.is_some() {
        bytes.truncate(start);
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::descriptor::Descriptor;

    const AT: usize = 3;

    /// `[9 | 1 2 3 [large] 4 5]`, with the 9 from another message.
    fn message() -> (Vec<u8>, Option<Box<Gap>>, Vec<u8>) {
        let large: Vec<u8> = (0..LARGE + 7).map(|place| place as u8).collect();
        let whole = [&[1, 2, 3], large.as_slice(), &[4, 5]].concat();
        let gap = Gap::open(AT, &large);
        assert_eq!(gap.as_ref().map(|gap| gap.len()), Some(LARGE + 7));
        (vec![9, 1, 2, 3, 4, 5], gap, whole)
    }

    #[test]
    fn a_message_is_whole_in_its_memory() {
        let (mut bytes, gap, whole) = message();
        let memory = put_aside(gap, &mut bytes, 1, true).expect("is read").expect("there is memory");
        assert!(Aside::open(&Descriptor::from(memory)).expect("sealed").bytes() == whole);
        assert_eq!(bytes, [9]);
    }

    #[test]
    fn a_message_is_whole_among_its_bytes() {
        let (mut bytes, gap, whole) = message();
        assert!(put_aside(gap, &mut bytes, 1, false).expect("is read").is_none(), "it may not be aside");
        assert!(bytes[0] == 9 && bytes[1..] == whole);
        fill(None, &mut bytes, 1).expect("nothing to do");
        assert!(bytes[1..] == whole);
    }

    #[test]
    fn without_memory_the_bytes_stay() {
        let (mut bytes, gap, whole) = message();
        let gap = gap.expect("large enough");
        close(gap.memory.as_fd()).expect("nobody has mapped it");
        assert!(put_aside(Some(gap), &mut bytes, 1, true).expect("is read").is_none(), "it cannot be completed");
        assert!(bytes[0] == 9 && bytes[1..] == whole);
    }

    #[test]
    fn what_is_small_leaves_no_gap() {
        assert!(Gap::open(0, &[0; LARGE - 1]).is_none());
    }
}
