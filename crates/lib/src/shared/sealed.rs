//! Arrays that nobody writes any more.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Index, Range};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ganger_os::frozen::Frozen;
use serde::{Deserialize, Serialize};

use super::block::system;
use super::element::Plain;
use super::rows::reading;
use super::shape::Extent;
use super::shared_array::Ticket;
use crate::error::Error;
use crate::wire::descriptor::Descriptor;

/// An array that nobody can write to any more, in whatever process: a slice of its elements in C order, of which there is one
/// copy in memory however many read it. [`SharedArray::seal`](crate::SharedArray::seal) makes it.
///
/// Like a [`SharedArray`](crate::SharedArray) it stands for all rows or some of them, and travels as a descriptor.
///
/// ```
/// use ganger::{SealedArray, SharedArray, partial};
///
/// fn look_up(table: SealedArray<f32, 1>, place: usize) -> f32 {
///     table[[place]]
/// }
///
/// let table = SharedArray::from_vec([3], [0.5_f32, 1.5, 2.5])?.seal()?;
/// let pool = ganger::Pool::new(2)?;
/// assert_eq!(pool.map(partial(look_up, (table,)), [2, 0, 1])?, [2.5, 0.5, 1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Ticket", into = "Ticket")]
pub struct SealedArray<T: Plain, const D: usize> {
    memory: Arc<Frozen>,
    block: Descriptor,
    extent: Extent<D>,
    element: PhantomData<T>,
}

impl<T: Plain, const D: usize> SealedArray<T, D> {
    /// Maps an array's memory, once for all handles that a process has from one message.
    pub(super) fn open(block: Descriptor, extent: Extent<D>) -> Result<Self, Error> {
        let map = |memory: BorrowedFd<'_>| Frozen::open(memory, 1);
        let memory = block.made(map).map_err(|error| system("map a sealed array", error))?;
        Ok(Self { memory, block, extent, element: PhantomData })
    }

    /// A handle to some of the rows, counted from this handle's first. It uses the same mapping.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) when the range is empty or exceeds the rows.
    pub fn part(&self, rows: Range<usize>) -> Result<Self, Error> {
        Ok(Self { extent: self.extent.rows(&rows)?, ..self.clone() })
    }

    /// Handles to ranges of about as many rows each: `parts` of them, or as many as there are rows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`](crate::ErrorKind::InvalidSetting) for 0 parts.
    pub fn split_rows(&self, parts: usize) -> Result<Vec<Self>, Error> {
        Ok(self.extent.split(parts)?.into_iter().map(|extent| Self { extent, ..self.clone() }).collect())
    }
}

reading!(SealedArray);

impl<T: Plain, const D: usize> Deref for SealedArray<T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.memory.values(self.extent.bytes(size_of::<T>()).start, self.extent.count())
    }
}

impl<T: Plain, const D: usize> From<SealedArray<T, D>> for Ticket {
    fn from(array: SealedArray<T, D>) -> Self {
        Self::new::<T, D>(array.extent, array.block)
    }
}

impl<T: Plain, const D: usize> TryFrom<Ticket> for SealedArray<T, D> {
    type Error = Error;

    fn try_from(ticket: Ticket) -> Result<Self, Error> {
        let (block, extent) = ticket.check::<T, D>()?;
        Self::open(block, extent)
    }
}
