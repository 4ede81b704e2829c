//! Arrays of several dimensions, of which one process at a time writes a row.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::AsFd;

use ganger_os::lease::{Hold, Lease};
use ganger_os::{memory, plain};
use serde::{Deserialize, Serialize};

use super::block::{Label, Use, system};
use super::dtype::DType;
use super::element::Plain;
use super::rows::{Rows, RowsMut};
use super::sealed::SealedArray;
use super::shape::Extent;
use crate::error::{Error, ErrorKind};
use crate::wire::descriptor::Descriptor;

/// An array of `D` dimensions in memory that processes share: NumPy's arrays in Python's `SharedMemory`, without names, and
/// without anything to close or unlink.
///
/// A handle stands for all rows or some of them ([`part`](Self::part), [`split_rows`](Self::split_rows)). It is small, and
/// travels as an argument or a result of a task, as an argument of a process, through a queue or a pipe: a descriptor is
/// moved, and no data. The memory is gone with its last holder, however that ends, and takes up room as it is first touched.
///
/// **Rows are used by one writer or by readers.** [`claim`](Self::claim) gives a handle's rows as a `&mut [T]`, and nobody else,
/// in whatever process or thread, gets a part of them meanwhile; [`view`](Self::view) gives them as a `&[T]`, together with other
/// readers. Neither waits: rows that are in use are the error [`ErrorKind::Claimed`], as work was divided wrongly; what should
/// take turns needs a lock. The claim of a process that dies ends with it. [`get`](Self::get) and [`to_vec`](Self::to_vec) copy
/// what is there at the moment, whoever writes.
///
/// [`seal`](Self::seal) ends all writing, for ever, and gives an array that can be read like any slice.
///
/// ```
/// use ganger::{Error, SharedArray};
///
/// /// Fills the rows that it is given, in place.
/// fn fill(rows: SharedArray<f64, 2>) -> Result<(), Error> {
///     let first = rows.first_row();
///     for (number, row) in rows.claim()?.rows_mut().enumerate() {
///         row.fill((first + number) as f64);
///     }
///     Ok(())
/// }
///
/// let array = SharedArray::<f64, 2>::zeros([1000, 10])?;
/// let pool = ganger::Pool::new(2)?;
/// let _: Vec<()> = pool.map(fill, array.split_rows(8)?)?;
/// let array = array.seal()?;
/// assert_eq!((array[[0, 0]], array[[999, 9]]), (0.0, 999.0));
/// assert_eq!(array.iter().sum::<f64>(), 4_995_000.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Ticket", into = "Ticket")]
pub struct SharedArray<T: Plain, const D: usize> {
    block: Descriptor,
    extent: Extent<D>,
    element: PhantomData<T>,
}

/// What of an array travels.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    dtype: DType,
    shape: Vec<u64>,
    first_row: u64,
    block: Descriptor,
}

impl<T: Plain, const D: usize> SharedArray<T, D> {
    /// Makes one of zeros.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a shape without elements, as in Python for shared memory, or with more than memory can
    /// have; [`ErrorKind::System`] when descriptors are short.
    pub fn zeros(shape: [usize; D]) -> Result<Self, Error> {
        let extent = Extent::whole(shape)?;
        Ok(Self { block: label::<T, D>(&extent).create()?, extent, element: PhantomData })
    }

    /// Makes one of these values, in C order: the last index moves fastest.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros); [`ErrorKind::Mismatch`] when there are more or fewer values than the shape has places;
    /// [`ErrorKind::System`] when memory is short.
    pub fn from_vec(shape: [usize; D], values: impl AsRef<[T]>) -> Result<Self, Error> {
        let array = Self::zeros(shape)?;
        array.write(values.as_ref())?;
        Ok(array)
    }

    /// Makes one of what `element` makes of each index.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn from_fn(shape: [usize; D], mut element: impl FnMut([usize; D]) -> T) -> Result<Self, Error> {
        let array = Self::zeros(shape)?;
        let mut index = [0; D];
        for place in array.claim()?.iter_mut() {
            *place = element(index);
            index = array.extent.next(index);
        }
        Ok(array)
    }

    /// The number of this handle's rows, and the lengths of the other dimensions.
    #[must_use]
    pub fn shape(&self) -> [usize; D] {
        self.extent.shape
    }

    /// How many elements the handle's rows have.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.extent.count()
    }

    /// How many rows of the whole array are before those of this handle.
    #[must_use]
    pub fn first_row(&self) -> usize {
        self.extent.first_row
    }

    /// A handle to some of the rows, counted from this handle's first.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when the range is empty or exceeds the rows.
    pub fn part(&self, rows: Range<usize>) -> Result<Self, Error> {
        Ok(Self { extent: self.extent.rows(&rows)?, ..self.clone() })
    }

    /// Handles to ranges of about as many rows each: `parts` of them, or as many as there are rows. NumPy's `array_split`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for 0 parts.
    pub fn split_rows(&self, parts: usize) -> Result<Vec<Self>, Error> {
        Ok(self.extent.split(parts)?.into_iter().map(|extent| Self { extent, ..self.clone() }).collect())
    }

    /// Reads an element as it is at the moment. It is a system call: for many, there are [`view`](Self::view) and
    /// [`to_vec`](Self::to_vec).
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`]; [`ErrorKind::System`].
    pub fn get(&self, index: [usize; D]) -> Result<T, Error> {
        let mut value = plain::zero::<T>();
        self.copy_out(self.extent.place_or_error(index)?, std::slice::from_mut(&mut value))?;
        Ok(value)
    }

    /// Writes an element, for which it is claimed: a few system calls. For many, there are [`claim`](Self::claim) and
    /// [`write`](Self::write).
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`]; those of [`claim`](Self::claim).
    pub fn set(&self, index: [usize; D], value: T) -> Result<(), Error> {
        let start = self.bytes().start + self.extent.place_or_error(index)? * size_of::<T>();
        self.copy_in(start..start + size_of::<T>(), &[value])
    }

    /// Copies the handle's rows, as they are at the moment: where somebody writes, some of it is old and some is new.
    ///
    /// # Errors
    /// [`ErrorKind::System`], when memory is short.
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let mut values = Vec::new();
        values.try_reserve_exact(self.len()).map_err(|error| {
            let text = format!("there is no memory for a copy of {} element(s)", self.len());
            Error::new(ErrorKind::System, text).with_source(error)
        })?;
        values.resize(self.len(), plain::zero());
        self.copy_out(0, &mut values)?;
        Ok(values)
    }

    /// Writes all of the handle's rows, for which they are claimed. It copies as fast as the kernel does, and maps nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when there are more or fewer values than elements; those of [`claim`](Self::claim).
    pub fn write(&self, values: &[T]) -> Result<(), Error> {
        if values.len() != self.len() {
            let text =
                format!("{} value(s) were given for shape {:?}, which has {}", values.len(), self.shape(), self.len());
            return Err(Error::new(ErrorKind::Mismatch, text));
        }
        self.copy_in(self.bytes(), values)
    }

    /// Takes the handle's rows, to read and write them, until the returned value is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Claimed`] when somebody else has claimed or views a part of them; [`ErrorKind::Sealed`] once the array is
    /// sealed; [`ErrorKind::System`].
    pub fn claim(&self) -> Result<RowsMut<T, D>, Error> {
        let lease = Lease::take(self.block.as_fd(), self.bytes()).map_err(|error| self.refused("claimed", error))?;
        Ok(RowsMut::new(lease, self.extent))
    }

    /// Takes the handle's rows, to read them, until the returned value is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Claimed`] when somebody has claimed a part of them; [`ErrorKind::System`].
    pub fn view(&self) -> Result<Rows<T, D>, Error> {
        let lease = Lease::take(self.block.as_fd(), self.bytes()).map_err(|error| self.refused("viewed", error))?;
        Ok(Rows::new(lease, self.extent))
    }

    /// Takes the right to write to the whole array from everybody, for ever, and returns these rows to be read without more
    /// ado. Handles that others have can be viewed, and sealed again; claiming them is an error.
    ///
    /// # Errors
    /// [`ErrorKind::Claimed`] while somebody has claimed any rows of the array; [`ErrorKind::System`].
    pub fn seal(&self) -> Result<SealedArray<T, D>, Error> {
        memory::forbid_writing(self.block.as_fd()).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => {
                let text = "the array cannot be sealed: rows of it are claimed at the moment";
                Error::new(ErrorKind::Claimed, text).with_source(error)
            }
            _ => system("seal an array", error),
        })?;
        SealedArray::open(self.block.clone(), self.extent)
    }

    fn bytes(&self) -> Range<usize> {
        self.extent.bytes(size_of::<T>())
    }

    fn copy_out(&self, place: usize, values: &mut [T]) -> Result<(), Error> {
        let start = self.bytes().start + place * size_of::<T>();
        memory::read_at(self.block.as_fd(), start, plain::bytes_mut(values))
            .map_err(|error| system("read shared memory", error))
    }

    fn copy_in(&self, bytes: Range<usize>, values: &[T]) -> Result<(), Error> {
        let start = bytes.start;
        let refused = |error| self.refused("written", error);
        let hold = Hold::<true>::take(self.block.as_fd(), bytes).map_err(refused)?;
        memory::write_at(hold.memory(), start, plain::bytes(values)).map_err(refused)
    }

    fn refused(&self, done: &str, error: io::Error) -> Error {
        let rows = self.extent.first_row..self.extent.first_row + self.extent.shape[0];
        let (kind, why) = match error.kind() {
            io::ErrorKind::WouldBlock => (ErrorKind::Claimed, "somebody else has them in use".to_owned()),
            io::ErrorKind::PermissionDenied if memory::forbids_writing(self.block.as_fd()) => {
                (ErrorKind::Sealed, "the array is sealed".to_owned())
            }
            _ => (ErrorKind::System, error.to_string()),
        };
        Error::new(kind, format!("rows {rows:?} cannot be {done}: {why}")).with_source(error)
    }
}

pub(super) fn label<T: Plain, const D: usize>(extent: &Extent<D>) -> Label {
    Label { used_as: Use::Rows, dtype: T::DTYPE, count: extent.end() }
}

impl Ticket {
    pub(super) fn new<T: Plain, const D: usize>(extent: Extent<D>, block: Descriptor) -> Self {
        let shape = extent.shape.iter().map(|length| *length as u64).collect();
        Self { dtype: T::DTYPE, shape, first_row: extent.first_row as u64, block }
    }

    /// Checks what has come against what was expected, and against the memory's own label.
    pub(super) fn check<T: Plain, const D: usize>(self) -> Result<(Descriptor, Extent<D>), Error> {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let shape: Vec<usize> = self.shape.iter().copied().map(number).collect();
        let fits = <[usize; D]>::try_from(shape.as_slice()).ok().filter(|_| self.dtype == T::DTYPE);
        let Some(fitting) = fits else {
            let text = format!(
                "an array of {D} dimension(s) and type {} was expected, and one of shape {shape:?} and type {} has come",
                T::DTYPE,
                self.dtype
            );
            return Err(Error::new(ErrorKind::Mismatch, text));
        };
        let extent = Extent::checked(fitting, number(self.first_row)).ok_or_else(|| {
            let text = format!("no array has {shape:?} elements from row {} on", self.first_row);
            Error::new(ErrorKind::NotDeserializable, text)
        })?;
        label::<T, D>(&extent).check(&self.block)?;
        Ok((self.block, extent))
    }
}

impl<T: Plain, const D: usize> From<SharedArray<T, D>> for Ticket {
    fn from(array: SharedArray<T, D>) -> Self {
        Self::new::<T, D>(array.extent, array.block)
    }
}

impl<T: Plain, const D: usize> TryFrom<Ticket> for SharedArray<T, D> {
    type Error = Error;

    fn try_from(ticket: Ticket) -> Result<Self, Error> {
        let (block, extent) = ticket.check::<T, D>()?;
        Ok(Self { block, extent, element: PhantomData })
    }
}

impl<T: Plain, const D: usize> fmt::Debug for SharedArray<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedArray<{}>({:?} from row {})", T::DTYPE, self.shape(), self.first_row())
    }
}
