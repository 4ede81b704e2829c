//! Writes arrays to `.npy` files.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use ganger_os::plain;

use super::super::block::system;
use super::super::element::Plain;
use super::super::sealed::SealedArray;
use super::super::shared_array::SharedArray;
use super::header::Header;
use crate::error::Error;

impl<T: Plain, const D: usize> SharedArray<T, D> {
    /// Writes the handle's rows to a file that NumPy's `load` reads (version 1.0, C order, this machine's order of bytes). It
    /// views them meanwhile, so nobody writes to them. Pairs of floating point numbers are written as complex ones.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) when NumPy has no such numbers; those of [`view`](Self::view);
    /// [`ErrorKind::System`](crate::ErrorKind::System).
    pub fn save_npy(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), self.shape(), &self.view()?)
    }

    /// As [`save_npy`](Self::save_npy), to anything that can be written to.
    ///
    /// # Errors
    /// As of [`save_npy`](Self::save_npy).
    pub fn write_npy(&self, output: impl Write) -> Result<(), Error> {
        write(output, self.shape(), &self.view()?)
    }
}

impl<T: Plain, const D: usize> SealedArray<T, D> {
    /// See [`SharedArray::save_npy`].
    ///
    /// # Errors
    /// As there.
    pub fn save_npy(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), self.shape(), self)
    }

    /// See [`SharedArray::write_npy`].
    ///
    /// # Errors
    /// As there.
    pub fn write_npy(&self, output: impl Write) -> Result<(), Error> {
        write(output, self.shape(), self)
    }
}

fn save<T: Plain, const D: usize>(path: &Path, shape: [usize; D], elements: &[T]) -> Result<(), Error> {
    // What NumPy cannot read must not cost an older file.
    let header = header::<T, D>(shape)?;
    let done = File::create(path).and_then(|mut file| write_all(&mut file, &header, elements));
    done.map_err(|error| system(&format!("write {}", path.display()), error))
}

fn write<T: Plain, const D: usize>(mut output: impl Write, shape: [usize; D], elements: &[T]) -> Result<(), Error> {
    let header = header::<T, D>(shape)?;
    write_all(&mut output, &header, elements).map_err(|error| system("write an array", error))
}

fn header<T: Plain, const D: usize>(shape: [usize; D]) -> Result<Vec<u8>, Error> {
    Header { dtype: T::DTYPE, swapped: false, fortran: false, shape: shape.to_vec() }.to_bytes()
}

fn write_all<T: Plain>(output: &mut impl Write, header: &[u8], elements: &[T]) -> std::io::Result<()> {
    output.write_all(header)?;
    output.write_all(plain::bytes(elements))?;
    output.flush()
}
