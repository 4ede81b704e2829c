//! The memory of an array: its elements, and behind them a label that says what they are.
//!
//! The label is in the memory and not only in the handle, so that whoever receives a handle need not believe it. That is
//! more than good manners: elements of an [`Array`](crate::Array) are written to at any time, rows of a
//! [`SharedArray`](crate::SharedArray) never while somebody has them as a slice, and no message must turn the one into the
//! other.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use ganger_os::memory;

use super::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::wire::descriptor::Descriptor;

/// What is kept in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Cells for [`Array`](crate::Array) and [`Value`](crate::Value).
    Cells = 1,
    /// Rows for [`SharedArray`](crate::SharedArray) and [`SealedArray`](crate::SealedArray).
    Rows = 2,
}

/// What a block has, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) used_as: Use,
    pub(super) dtype: DType,
    /// How many elements there are.
    pub(super) count: usize,
}

/// The label's bytes: a mark, the use, the type, the number of elements.
const LABEL: usize = 32;
const MARK: u64 = u64::from_ne_bytes(*b"ganger 1");

impl Label {
    /// Makes zeroed memory for what it says.
    pub(super) fn create(self) -> Result<Descriptor, Error> {
        let end = self.bytes().and_then(|bytes| bytes.checked_add(LABEL)).ok_or_else(|| self.too_large())?;
        let memory = memory::create(c"ganger-array", end).map_err(|error| system("make shared memory", error))?;
        let words = [MARK, self.used_as as u64, self.dtype.to_word(), self.count as u64];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        memory::write_at(memory.as_fd(), end - LABEL, &bytes)
            .map_err(|error| system("write to shared memory", error))?;
        Ok(memory.into())
    }

    /// How many bytes its elements have, if that many can be a slice.
    fn bytes(self) -> Option<usize> {
        let size = usize::from(self.dtype.size).checked_mul(self.dtype.count as usize)?;
        // Blocks end at whole cells, for the label.
        let bytes = size.checked_mul(self.count)?.checked_next_multiple_of(8)?;
        (bytes > 0 && bytes < isize::MAX as usize - LABEL).then_some(bytes)
    }

    fn too_large(self) -> Error {
        let text = format!("{self} cannot be shared: there must be at least one byte, and fewer than 2^63");
        Error::new(ErrorKind::InvalidSetting, text)
    }

    /// Reads the label of memory that was received.
    fn read(memory: &Descriptor) -> Result<Self, Error> {
        let refused = |error: io::Error| no_array().with_source(error);
        let size = memory::size(memory.as_fd(), LABEL).map_err(refused)?;
        let mut bytes = [0; LABEL];
        memory::read_at(memory.as_fd(), size - LABEL, &mut bytes).map_err(refused)?;
        let mut words = [0; LABEL / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        let found = Self::from_words(words).ok_or_else(no_array)?;
        if found.bytes() == Some(size - LABEL) { Ok(found) } else { Err(no_array()) }
    }

    fn from_words([mark, used_as, dtype, count]: [u64; LABEL / 8]) -> Option<Self> {
        let used_as = match used_as {
            1 => Use::Cells,
            2 => Use::Rows,
            _ => return None,
        };
        let label = Self { used_as, dtype: DType::from_word(dtype)?, count: usize::try_from(count).ok()? };
        (mark == MARK).then_some(label)
    }

    /// Checks memory that was received: it is used as this says, has elements of this type, and at least as many.
    pub(super) fn check(self, memory: &Descriptor) -> Result<(), Error> {
        let found = Self::read(memory)?;
        if (found.used_as, found.dtype) == (self.used_as, self.dtype) && found.count >= self.count {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Mismatch, format!("{self} was expected, and what has come is {found}")))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.used_as {
            Use::Cells => "an array",
            Use::Rows => "a shared array",
        };
        write!(f, "{what} of {} element(s) of type {}", self.count, self.dtype)
    }
}

fn no_array() -> Error {
    Error::new(ErrorKind::NotDeserializable, "what has come is not the memory of an array")
}

/// An error of the system's, with what was to be done.
pub(super) fn system(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot {what}: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::super::dtype::Kind;
    use super::*;

    const LABEL_OF_SIX: Label = Label { used_as: Use::Rows, dtype: DType::new(Kind::Float, 8), count: 6 };

    #[test]
    fn what_is_not_what_was_expected_is_refused() {
        let memory = LABEL_OF_SIX.create().expect("memory");
        LABEL_OF_SIX.check(&memory).expect("is the same");
        Label { count: 5, ..LABEL_OF_SIX }.check(&memory).expect("is a part of it");
        for (other, part) in [
            (Label { count: 7, ..LABEL_OF_SIX }, "a shared array of 7 element(s) of type f64 was expected"),
            (Label { used_as: Use::Cells, ..LABEL_OF_SIX }, "an array of 6"),
            (Label { dtype: DType::new(Kind::Signed, 8), ..LABEL_OF_SIX }, "of type i64 was expected"),
        ] {
            let error = other.check(&memory).expect_err("other");
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            assert!(error.to_string().contains(part), "{error}");
            assert!(
                error.to_string().ends_with("what has come is a shared array of 6 element(s) of type f64"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let raw = |length| memory::create(c"test", length).expect("memory");
        let unsealed = OwnedFd::from(std::fs::File::open("/proc/self/exe").expect("there"));
        let lying = LABEL_OF_SIX.create().expect("memory");
        memory::write_at(lying.as_fd(), 48 + 24, &u64::MAX.to_ne_bytes()).expect("fits");
        for memory in [raw(8).into(), raw(4096).into(), unsealed.into(), lying] {
            assert_eq!(LABEL_OF_SIX.check(&memory).expect_err("no array").kind(), ErrorKind::NotDeserializable);
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for count in [0, usize::MAX / 8, usize::MAX] {
            let error = Label { count, ..LABEL_OF_SIX }.create().expect_err("impossible");
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
        }
    }
}
