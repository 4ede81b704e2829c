//! Shapes, places and rows: the arithmetic of arrays, in C order (the last index moves fastest).

use std::ops::Range;

use crate::error::{Error, ErrorKind};

/// Some rows of an array of `D` dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent<const D: usize> {
    /// The number of rows, and the shape of each.
    pub(super) shape: [usize; D],
    /// How many rows of the memory are before these.
    pub(super) first_row: usize,
}

impl<const D: usize> Extent<D> {
    /// All rows of an array of this shape, which has elements, and no more than can be counted.
    pub(super) fn whole(shape: [usize; D]) -> Result<Self, Error> {
        Self::checked(shape, 0).ok_or_else(|| {
            let text = format!("shape {shape:?} has no elements, or more than can be counted");
            Error::new(ErrorKind::InvalidSetting, text)
        })
    }

    /// As [`whole`](Self::whole), with rows before.
    pub(super) fn checked(shape: [usize; D], first_row: usize) -> Option<Self> {
        const { assert!(D > 0, "an array has at least one dimension; for a single number there is `Value`") };
        let end = first_row.checked_add(shape[0])?;
        let count = shape[1..].iter().try_fold(end, |count, length| count.checked_mul(*length))?;
        (count > 0 && shape[0] > 0).then_some(Self { shape, first_row })
    }

    /// How many elements a row has.
    pub(super) fn row_length(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many elements the memory has up to the end of these rows.
    pub(super) fn end(&self) -> usize {
        (self.first_row + self.shape[0]) * self.row_length()
    }

    /// Where in the memory the elements are, in bytes.
    pub(super) fn bytes(&self, size: usize) -> Range<usize> {
        self.first_row * self.row_length() * size..self.end() * size
    }

    /// Which of the elements an index means.
    pub(super) fn place(&self, index: [usize; D]) -> Option<usize> {
        let inside = index.iter().zip(self.shape).all(|(index, length)| *index < length);
        inside.then(|| index.iter().zip(self.shape).fold(0, |place, (index, length)| place * length + index))
    }

    /// As [`place`](Self::place), for who wants to know what was wrong.
    pub(super) fn place_or_error(&self, index: [usize; D]) -> Result<usize, Error> {
        self.place(index).ok_or_else(|| {
            Error::new(ErrorKind::OutOfRange, format!("index {index:?} is outside of shape {:?}", self.shape))
        })
    }

    /// As [`place`](Self::place), for indexing operators.
    ///
    /// # Panics
    /// When the index is outside.
    #[track_caller]
    pub(super) fn place_or_panic(&self, index: [usize; D]) -> usize {
        self.place(index).unwrap_or_else(|| panic!("index {index:?} is outside of shape {:?}", self.shape))
    }

    /// Which of the elements are a row.
    ///
    /// # Panics
    /// When there are fewer rows.
    #[track_caller]
    pub(super) fn row_or_panic(&self, row: usize) -> Range<usize> {
        assert!(row < self.shape[0], "row {row} is outside of shape {:?}", self.shape);
        row * self.row_length()..(row + 1) * self.row_length()
    }

    /// The index after `index`, in C order; the first one after the last.
    pub(super) fn next(&self, mut index: [usize; D]) -> [usize; D] {
        for (number, length) in index.iter_mut().zip(self.shape).rev() {
            *number += 1;
            if *number < length {
                break;
            }
            *number = 0;
        }
        index
    }

    /// Some of the rows.
    pub(super) fn rows(&self, rows: &Range<usize>) -> Result<Self, Error> {
        check_range(rows, self.shape[0])?;
        let mut part = *self;
        part.shape[0] = rows.len();
        part.first_row += rows.start;
        Ok(part)
    }

    /// Ranges of about as many rows each, `parts` of them, or as many as there are rows.
    pub(super) fn split(&self, parts: usize) -> Result<Vec<Self>, Error> {
        if parts == 0 {
            return Err(Error::new(ErrorKind::InvalidSetting, "rows cannot be split into 0 parts"));
        }
        let rows = self.shape[0];
        let parts = parts.min(rows);
        let (least, longer) = (rows / parts, rows % parts);
        let begin = |part: usize| part * least + part.min(longer);
        (0..parts).map(|part| self.rows(&(begin(part)..begin(part + 1)))).collect()
    }
}

/// An index into `length` elements.
pub(super) fn check_index(index: usize, length: usize) -> Result<(), Error> {
    if index < length {
        return Ok(());
    }
    Err(Error::new(ErrorKind::OutOfRange, format!("index {index} is outside of an array of {length}")))
}

/// A range of `length` elements or rows, which must not be empty: no memory is.
pub(super) fn check_range(range: &Range<usize>, length: usize) -> Result<(), Error> {
    if range.start < range.end && range.end <= length {
        return Ok(());
    }
    Err(Error::new(ErrorKind::OutOfRange, format!("range {range:?} is empty or exceeds {length}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_c_order() {
        let extent = Extent::whole([2, 3, 4]).expect("has elements");
        let mut index = [0, 0, 0];
        for place in 0..24 {
            assert_eq!(extent.place(index), Some(place), "{index:?}");
            index = extent.next(index);
        }
        assert_eq!(index, [0, 0, 0]);
        for outside in [[2, 0, 0], [0, 3, 0], [0, 0, 4], [usize::MAX; 3]] {
            assert_eq!(extent.place(outside), None);
            assert_eq!(extent.place_or_error(outside).expect_err("outside").kind(), ErrorKind::OutOfRange);
        }
        assert_eq!((extent.row_length(), extent.bytes(8)), (12, 0..192));
    }

    #[test]
    fn shapes_without_elements_or_with_too_many_are_refused() {
        for shape in [[0, 1], [1, 0], [0, 0], [usize::MAX, 2], [1 << 32, 1 << 32]] {
            assert_eq!(Extent::whole(shape).expect_err("no such").kind(), ErrorKind::InvalidSetting, "{shape:?}");
        }
        assert_eq!(Extent::checked([1, 2], usize::MAX), None);
        assert_eq!(Extent::checked([0, 2], 5), None);
        assert_eq!(Extent::checked([1, 4], usize::MAX / 2), None);
    }

    #[test]
    fn rows_are_split_about_equally() {
        let extent = Extent::whole([10, 2]).expect("has elements").rows(&(1..9)).expect("within");
        for (parts, lengths) in [(1, vec![8]), (3, vec![3, 3, 2]), (8, vec![1; 8]), (100, vec![1; 8])] {
            let split = extent.split(parts).expect("parts");
            assert_eq!(split.iter().map(|part| part.shape[0]).collect::<Vec<_>>(), lengths);
            let mut next = 1;
            for part in split {
                assert_eq!((part.first_row, part.shape[1]), (next, 2));
                next += part.shape[0];
            }
            assert_eq!(next, 9);
        }
        assert_eq!(extent.split(0).expect_err("none").kind(), ErrorKind::InvalidSetting);
        for range in [0..9, 3..3, 8..9] {
            assert_eq!(extent.rows(&range).expect_err("outside").kind(), ErrorKind::OutOfRange);
        }
    }
}
