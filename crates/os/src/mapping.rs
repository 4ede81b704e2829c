//! A piece of a file in this process's memory, until it is dropped.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

/// A mapping of `length` bytes.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to no thread; what may be done with its bytes is the business of the types around it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `file` from `offset`, a multiple of the size of a page.
    pub(crate) fn new(
        file: BorrowedFd<'_>,
        offset: usize,
        length: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        let size = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        let offset = i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap(None, size, protection, flags, file, offset) }?;
        Ok(Self { start: start.cast(), length })
    }

    /// Keeps it from forked children, who find nothing at its addresses.
    pub(crate) fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: the advice covers this mapping only, and changes nothing for this process.
        Ok(unsafe { madvise(self.start.cast(), self.length, MmapAdvise::MADV_DONTFORK) }?)
    }

    /// Maps all of its pages for reading now; where the kernel cannot, they are mapped when they are touched.
    pub(crate) fn populate(&self) {
        // SAFETY: the call covers this mapping only, and changes nothing of what is in it.
        let _ = unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, libc::MADV_POPULATE_READ) };
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Where `length` bytes at `offset` begin.
    ///
    /// # Panics
    /// When they are not within it, or not aligned.
    pub(crate) fn place(&self, offset: usize, length: usize, alignment: usize) -> NonNull<u8> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        assert!(inside && offset.is_multiple_of(alignment), "{length} bytes at {offset} of {}", self.length);
        // SAFETY: `offset` is within the mapping, or right behind it when `length` is 0.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and references into it cannot outlive it. It fails for no valid mapping.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}
