//! Memory that nobody can write to any more, so that anybody may look at it as at any other slice.

use std::io;
use std::os::fd::BorrowedFd;

use nix::fcntl::SealFlag;
use nix::sys::mman::{MapFlags, ProtFlags};

use crate::mapping::Mapping;
use crate::memory::sealed_size;
use crate::plain::Plain;

/// A mapping of memory after [`forbid_writing`](crate::memory::forbid_writing). Forked children have it too.
#[derive(Debug)]
pub struct Frozen(Mapping);

impl Frozen {
    /// Maps memory after a look at its seals and its size.
    ///
    /// # Errors
    /// `InvalidData` when somebody could still write to it or shrink it, or it has fewer bytes than `least`.
    pub fn open(memory: BorrowedFd<'_>, least: usize) -> io::Result<Self> {
        let size = sealed_size(memory, least, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE)?;
        // Private, not shared: before Linux 6.7 the kernel takes any shared mapping for one that may become writable, and
        // refuses it. The pages are the same, as nobody writes.
        Mapping::new(memory, 0, size, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE).map(Self)
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has all of it ready to be read, if the kernel can (Linux 5.14): otherwise it comes page by page.
    pub fn read_ahead(&self) {
        self.0.populate();
    }

    /// `count` values from `offset` on.
    ///
    /// # Panics
    /// When they are not aligned, or not within the memory.
    #[must_use]
    pub fn values<T: Plain>(&self, offset: usize, count: usize) -> &[T] {
        let length = count.checked_mul(size_of::<T>()).expect("within the memory");
        let first = self.0.place(offset, length, align_of::<T>()).cast::<T>();
        // SAFETY: `place` has checked alignment and bounds, any bytes are a `T`, the seal that `open` has found keeps everybody
        // from changing them, and the mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), count) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory::{create, forbid_writing, write_at};

    #[test]
    fn only_what_is_sealed_opens() {
        let memory = create(c"test", 16).expect("memory");
        write_at(memory.as_fd(), 8, &7_u64.to_ne_bytes()).expect("fits");
        assert_eq!(Frozen::open(memory.as_fd(), 16).expect_err("not sealed").kind(), io::ErrorKind::InvalidData);
        forbid_writing(memory.as_fd()).expect("nobody writes");
        assert_eq!(Frozen::open(memory.as_fd(), 17).expect_err("short").kind(), io::ErrorKind::InvalidData);
        assert_eq!(Frozen::open(memory.as_fd(), 16).expect("sealed").values::<u64>(0, 2), [0, 7]);
    }
}
