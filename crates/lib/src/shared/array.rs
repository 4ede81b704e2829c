//! Numbers in a row that everybody reads and writes.

use std::fmt;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::block::{Label, Use, system};
use super::dtype::DType;
use super::element::Element;
use super::shape::{check_index, check_range};
use super::value::Value;
use crate::error::{Error, ErrorKind};
use crate::wire::descriptor::Descriptor;

/// A fixed number of numbers in memory that processes share: Python's `Array` and `RawArray`.
///
/// A clone is the same memory, and so is a handle that has travelled: as an argument or a result of a task, as an argument of
/// a process, through a queue or a pipe. Only a descriptor is moved. The memory has no name, and is gone with its last
/// holder, however that ends.
///
/// There is no `get_lock()`: each element is read and written in one piece, and [`value`](Self::value) gives an element's
/// atomic operations. An operation on several elements ([`to_vec`](Self::to_vec), [`write`](Self::write), [`fill`](Self::fill))
/// is one on each of them, one after the other. For large data, which one process writes at a time, there is
/// [`SharedArray`](crate::SharedArray).
///
/// ```
/// use ganger::Array;
///
/// fn count(text: String, letters: Array<u64>) -> Result<(), ganger::Error> {
///     for letter in text.bytes().filter(u8::is_ascii_lowercase) {
///         letters.value((letter - b'a').into())?.fetch_add(1);
///     }
///     Ok(())
/// }
///
/// let letters = Array::<u64>::zeros(26)?;
/// let pool = ganger::Pool::new(2)?;
/// let texts = ["a cat", "that sat", "at a mat"].map(|text| (text.to_owned(), letters.clone()));
/// let _: Vec<()> = pool.starmap(count, texts)?;
/// assert_eq!((letters.get(0)?, letters.get(19)?), (7, 6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Ticket", into = "Ticket")]
pub struct Array<T: Element> {
    block: Descriptor,
    memory: Arc<Memory>,
    range: Range<usize>,
    element: std::marker::PhantomData<T>,
}

/// What of an [`Array`] travels.
#[derive(Serialize, Deserialize)]
struct Ticket {
    dtype: DType,
    start: u64,
    end: u64,
    block: Descriptor,
}

impl<T: Element> Array<T> {
    /// Makes one of `length` zeros.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a length of 0, as in Python for shared memory, and for one that no memory has;
    /// [`ErrorKind::System`] when memory or descriptors are short.
    pub fn zeros(length: usize) -> Result<Self, Error> {
        let block = Self::label(length).create()?;
        Self::open(block, 0..length)
    }

    /// Makes one of these values.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn from_slice(values: &[T]) -> Result<Self, Error> {
        let array = Self::zeros(values.len())?;
        array.write(0, values)?;
        Ok(array)
    }

    fn label(count: usize) -> Label {
        Label { used_as: Use::Cells, dtype: T::DTYPE, count }
    }

    fn open(block: Descriptor, range: Range<usize>) -> Result<Self, Error> {
        let map = |memory: std::os::fd::BorrowedFd<'_>| Memory::open(memory, 1);
        let memory = block.made(map).map_err(|error| system("map an array's memory", error))?;
        Ok(Self { block, memory, range, element: std::marker::PhantomData })
    }

    /// How many elements it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    fn cells(&self) -> &[T::Cell] {
        self.memory.cells(self.range.start * size_of::<T::Cell>(), self.range.len())
    }

    fn cell(&self, index: usize) -> Result<&T::Cell, Error> {
        check_index(index, self.len())?;
        Ok(&self.cells()[index])
    }

    /// Reads an element. What the process that wrote it had written before is seen too.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    pub fn get(&self, index: usize) -> Result<T, Error> {
        Ok(T::load(self.cell(index)?, Ordering::SeqCst))
    }

    /// Writes an element.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    pub fn set(&self, index: usize, value: T) -> Result<(), Error> {
        value.store(self.cell(index)?, Ordering::SeqCst);
        Ok(())
    }

    /// An element by itself, for operations that read and write: `array.value(3)?.fetch_add(1)`. It holds the array's memory,
    /// and travels like it.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    pub fn value(&self, index: usize) -> Result<Value<T>, Error> {
        check_index(index, self.len())?;
        Ok(Value::of(self.slice(index..index + 1)?))
    }

    /// The elements of a range, as an array of their own in the same memory. Python's slices copy; [`to_vec`](Self::to_vec) does.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when it is empty or exceeds the array.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, Error> {
        check_range(&range, self.len())?;
        let range = self.range.start + range.start..self.range.start + range.end;
        Ok(Self { range, ..self.clone() })
    }

    /// Reads all elements.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        let values = self.cells().iter().map(|cell| T::load(cell, Ordering::Relaxed)).collect();
        fence(Ordering::Acquire);
        values
    }

    /// Reads as many elements as `values` has, from `start` on.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    pub fn read(&self, start: usize, values: &mut [T]) -> Result<(), Error> {
        let cells = self.part(start, values.len())?;
        for (value, cell) in values.iter_mut().zip(cells) {
            *value = T::load(cell, Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        Ok(())
    }

    /// Writes `values`, from `start` on.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when there are fewer elements; nothing is written then.
    pub fn write(&self, start: usize, values: &[T]) -> Result<(), Error> {
        let cells = self.part(start, values.len())?;
        fence(Ordering::Release);
        for (value, cell) in values.iter().zip(cells) {
            value.store(cell, Ordering::Relaxed);
        }
        Ok(())
    }

    fn part(&self, start: usize, count: usize) -> Result<&[T::Cell], Error> {
        let end = start.checked_add(count).filter(|end| *end <= self.len());
        let out = || format!("{count} element(s) from {start} on exceed an array of {}", self.len());
        let end = end.ok_or_else(|| Error::new(ErrorKind::OutOfRange, out()))?;
        Ok(&self.cells()[start..end])
    }

    /// Writes `value` to all elements.
    pub fn fill(&self, value: T) {
        fence(Ordering::Release);
        self.cells().iter().for_each(|cell| value.store(cell, Ordering::Relaxed));
    }

    /// Reads one element after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + DoubleEndedIterator + '_ {
        self.cells().iter().map(|cell| T::load(cell, Ordering::SeqCst))
    }

    /// The cell of a [`Value`].
    pub(super) fn first(&self) -> &T::Cell {
        &self.cells()[0]
    }
}

impl<T: Element> From<Array<T>> for Ticket {
    fn from(Array { block, range, .. }: Array<T>) -> Self {
        Self { dtype: T::DTYPE, start: range.start as u64, end: range.end as u64, block }
    }
}

impl<T: Element> TryFrom<Ticket> for Array<T> {
    type Error = Error;

    fn try_from(Ticket { dtype, start, end, block }: Ticket) -> Result<Self, Error> {
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let range = place(start)..place(end);
        check_range(&range, usize::MAX)?;
        if dtype != T::DTYPE {
            let text = format!("an array of type {} was expected, and one of type {dtype} has come", T::DTYPE);
            return Err(Error::new(ErrorKind::Mismatch, text));
        }
        Self::label(range.end).check(&block)?;
        Self::open(block, range)
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>({} at {:?})", T::DTYPE, self.len(), self.block.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_parts() {
        let array = Array::from_slice(&[1.5_f32, 2.5, 3.5, 4.5]).expect("memory");
        let tail = array.slice(1..4).expect("within");
        tail.set(2, 9.0).expect("within");
        array.write(0, &[0.5]).expect("within");
        assert_eq!((array.to_vec(), tail.len()), (vec![0.5, 2.5, 3.5, 9.0], 3));
        assert_eq!(tail.slice(1..2).expect("within").get(0).expect("within"), 3.5);
        let mut two = [0.0; 2];
        tail.read(1, &mut two).expect("within");
        assert_eq!((two, array.iter().next_back()), ([3.5, 9.0], Some(9.0)));
        tail.fill(1.0);
        assert_eq!(array.to_vec(), [0.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn what_is_out_of_range_is_an_error() {
        let array = Array::<u8>::zeros(3).expect("memory");
        let mut four = [0; 4];
        for error in [
            array.get(3).map(drop),
            array.set(usize::MAX, 1),
            array.value(3).map(drop),
            array.slice(2..4).map(drop),
            array.slice(2..2).map(drop),
            array.write(1, &[1, 2, 3]),
            array.write(usize::MAX, &[1]),
            array.read(0, &mut four),
        ] {
            assert_eq!(error.expect_err("out of range").kind(), ErrorKind::OutOfRange);
        }
        assert_eq!(array.to_vec(), [0, 0, 0]);
        assert_eq!(Array::<u8>::zeros(0).expect_err("empty").kind(), ErrorKind::InvalidSetting);
        assert_eq!(Array::<u64>::zeros(usize::MAX).expect_err("large").kind(), ErrorKind::InvalidSetting);
    }
}
