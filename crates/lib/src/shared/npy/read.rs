//! Reads `.npy` files into shared memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ganger_os::plain;

use super::super::block::system;
use super::super::element::Plain;
use super::super::shape::Extent;
use super::super::shared_array::SharedArray;
use super::header::{Header, broken, fill};
use crate::error::{Error, ErrorKind};

/// How much of an array in Fortran order is read at once.
const PIECE: usize = 64 * 1024;

impl<T: Plain, const D: usize> SharedArray<T, D> {
    /// Reads an array from a file that NumPy's `save` or [`save_npy`](Self::save_npy) has written, of whatever version, order
    /// of bytes and order of elements (those in Fortran order are put into C order). Complex numbers are `[f32; 2]` or
    /// `[f64; 2]`.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when it has other elements or another number of dimensions; [`ErrorKind::NotDeserializable`]
    /// when it is no such file, or is cut off; [`ErrorKind::InvalidSetting`] when it has no elements; [`ErrorKind::System`].
    pub fn load_npy(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let named = |error: Error| {
            let text = format!("{}: {error}", path.display());
            Error::new(error.kind(), text).with_source(error)
        };
        let open = |path: &Path| {
            let file = File::open(path)?;
            Ok((file.metadata()?, file))
        };
        let (metadata, file) = open(path).map_err(|error| named(system("open it", error)))?;
        let length = metadata.is_file().then_some(metadata.len());
        read(&mut BufReader::new(file), length).map_err(named)
    }

    /// As [`load_npy`](Self::load_npy), from anything that can be read; the reader is left behind the array.
    ///
    /// # Errors
    /// As of [`load_npy`](Self::load_npy).
    pub fn read_npy(mut input: impl Read) -> Result<Self, Error> {
        read(&mut input, None)
    }
}

/// Reads an array from a file that has `length` bytes, if that is known.
fn read<T: Plain, const D: usize>(input: &mut impl Read, length: Option<u64>) -> Result<SharedArray<T, D>, Error> {
    let header = Header::read(input)?;
    let shape = <[usize; D]>::try_from(header.shape.as_slice()).ok().filter(|_| header.dtype == T::DTYPE);
    let Some(shape) = shape else {
        let text = format!(
            "an array of {D} dimension(s) and type {} was expected, and the file has one of shape {:?} and type {}",
            T::DTYPE,
            header.shape,
            header.dtype
        );
        return Err(Error::new(ErrorKind::Mismatch, text));
    };
    // Before memory of that size is asked for.
    let needed = Extent::whole(shape)?.count() as u128 * size_of::<T>() as u128;
    if let Some(length) = length.filter(|length| u128::from(*length) < needed) {
        return Err(broken(&format!("it has {length} bytes, and its header promises {needed} behind it")));
    }
    let array = SharedArray::zeros(shape)?;
    let mut rows = array.claim()?;
    if header.fortran {
        read_columns(input, shape, &mut rows)?;
    } else {
        fill(input, plain::bytes_mut(&mut rows), "its data")?;
    }
    if header.swapped {
        rows.iter_mut().for_each(|element: &mut T| *element = element.swapped());
    }
    drop(rows);
    Ok(array)
}

/// Reads elements of which the first index moves fastest.
fn read_columns<T: Plain, const D: usize>(
    input: &mut impl Read,
    shape: [usize; D],
    elements: &mut [T],
) -> Result<(), Error> {
    let place = Extent::whole(shape)?;
    let mut reversed = shape;
    reversed.reverse();
    let order = Extent::whole(reversed)?;
    let mut index = [0; D];
    let mut piece = vec![plain::zero::<T>(); (PIECE / size_of::<T>()).max(1)];
    let mut left = elements.len();
    while left > 0 {
        let part = piece.len().min(left);
        fill(input, plain::bytes_mut(&mut piece[..part]), "its data")?;
        for element in &piece[..part] {
            let mut backwards = index;
            backwards.reverse();
            elements[place.place_or_panic(backwards)] = *element;
            index = order.next(index);
        }
        left -= part;
    }
    Ok(())
}
