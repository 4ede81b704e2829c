//! Rows in use: slices that nobody else writes to meanwhile.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Index, IndexMut};

use ganger_os::lease::Lease;

use super::element::Plain;
use super::shape::Extent;

/// Rows of a [`SharedArray`](crate::SharedArray) that nobody writes to while this lives: a slice of their elements in C order.
/// See [`SharedArray::view`](crate::SharedArray::view).
///
/// It belongs to the process that made it: in a forked copy, using it panics.
pub struct Rows<T: Plain, const D: usize> {
    lease: Lease<false>,
    extent: Extent<D>,
    element: PhantomData<T>,
}

/// Rows of a [`SharedArray`](crate::SharedArray) that nobody else uses while this lives: a slice of their elements in C order.
/// See [`SharedArray::claim`](crate::SharedArray::claim).
///
/// It belongs to the process that made it: in a forked copy, using it panics.
///
/// ```
/// let array = ganger::SharedArray::<i32, 2>::zeros([3, 2])?;
/// let mut rows = array.claim()?;
/// rows[[2, 1]] = 7;
/// rows.row_mut(0).copy_from_slice(&[1, 2]);
/// assert_eq!(rows[..], [1, 2, 0, 0, 0, 7]);
/// let other = array.part(1..2)?.view();
/// assert_eq!(other.unwrap_err().kind(), ganger::ErrorKind::Claimed);
/// # Ok::<(), ganger::Error>(())
/// ```
pub struct RowsMut<T: Plain, const D: usize> {
    lease: Lease<true>,
    extent: Extent<D>,
    element: PhantomData<T>,
}

impl<T: Plain, const D: usize> Rows<T, D> {
    pub(super) fn new(lease: Lease<false>, extent: Extent<D>) -> Self {
        Self { lease, extent, element: PhantomData }
    }
}

impl<T: Plain, const D: usize> RowsMut<T, D> {
    pub(super) fn new(lease: Lease<true>, extent: Extent<D>) -> Self {
        Self { lease, extent, element: PhantomData }
    }

    /// One row after the other, to be written.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [T]> + DoubleEndedIterator {
        let length = self.extent.row_length();
        self.chunks_exact_mut(length)
    }

    /// A row, to be written.
    ///
    /// # Panics
    /// When there are fewer rows.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        let row = self.extent.row_or_panic(row);
        &mut self[..][row]
    }
}

impl<T: Plain, const D: usize> Deref for Rows<T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.lease.values()
    }
}

impl<T: Plain, const D: usize> Deref for RowsMut<T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.lease.values()
    }
}

impl<T: Plain, const D: usize> DerefMut for RowsMut<T, D> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.lease.values_mut()
    }
}

impl<T: Plain, const D: usize> IndexMut<[usize; D]> for RowsMut<T, D> {
    fn index_mut(&mut self, index: [usize; D]) -> &mut T {
        let place = self.extent.place_or_panic(index);
        &mut self.deref_mut()[place]
    }
}

/// What all slices of rows have.
macro_rules! reading {
    ($($type:ident),+) => {
        $(
            impl<T: Plain, const D: usize> $type<T, D> {
                /// The number of rows, and the lengths of the other dimensions.
                #[must_use]
                pub fn shape(&self) -> [usize; D] {
                    self.extent.shape
                }

                /// How many rows of the whole array are before these.
                #[must_use]
                pub fn first_row(&self) -> usize {
                    self.extent.first_row
                }

                /// A row.
                ///
                /// # Panics
                /// When there are fewer rows.
                #[must_use]
                pub fn row(&self, row: usize) -> &[T] {
                    &self[..][self.extent.row_or_panic(row)]
                }

                /// One row after the other.
                pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> + DoubleEndedIterator {
                    self.chunks_exact(self.extent.row_length())
                }
            }

            /// The element at an index.
            ///
            /// # Panics
            /// When the index is outside.
            impl<T: Plain, const D: usize> Index<[usize; D]> for $type<T, D> {
                type Output = T;

                fn index(&self, index: [usize; D]) -> &T {
                    &self.deref()[self.extent.place_or_panic(index)]
                }
            }

            impl<T: Plain, const D: usize> Index<std::ops::RangeFull> for $type<T, D> {
                type Output = [T];

                fn index(&self, _: std::ops::RangeFull) -> &[T] {
                    self
                }
            }

            impl<T: Plain, const D: usize> fmt::Debug for $type<T, D> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}<{}>({:?} from row {})", stringify!($type), T::DTYPE, self.shape(), self.first_row())
                }
            }
        )+
    };
}
pub(super) use reading;

reading!(Rows, RowsMut);

impl<T: Plain, const D: usize> IndexMut<std::ops::RangeFull> for RowsMut<T, D> {
    fn index_mut(&mut self, _: std::ops::RangeFull) -> &mut [T] {
        self
    }
}
