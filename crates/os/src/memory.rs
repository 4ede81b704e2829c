//! Shared memory without a name: whoever has the descriptor has the memory, and with its last holder it is gone, even
//! after SIGKILL. (Python's `shared_memory` has names, a tracker that unlinks them, and leaks when that is killed.)

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::uio::{pread, pwrite};

use crate::mapping::Mapping;

/// Makes `length` bytes of zeroed memory, which nobody can ever shrink or grow. They take up room when they are first
/// touched. `name` shows in `/proc`.
///
/// # Errors
/// When `length` is more than a file can have, or may have (`RLIMIT_FSIZE`), or when descriptors are short.
pub fn create(name: &CStr, length: usize) -> io::Result<OwnedFd> {
    let memory = create_open(name, length)?;
    // A holder that could shrink it would kill the others with SIGBUS.
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
    Ok(memory)
}

/// As [`create`], of memory that can grow. Whoever has it can make it larger, which changes nothing for the others.
///
/// # Errors
/// As of [`create`].
pub fn create_growing(name: &CStr, length: usize) -> io::Result<OwnedFd> {
    let memory = create_open(name, length)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    Ok(memory)
}

/// As [`create`], of memory whose size is not known yet: not to be given away before it is [closed](close).
///
/// # Errors
/// As of [`create`].
pub fn create_open(name: &CStr, length: usize) -> io::Result<OwnedFd> {
    let memory = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    resize(memory.as_fd(), length)?;
    Ok(memory)
}

/// Gives memory another size that can still have one.
///
/// # Errors
/// When `length` is more than a file may have, or the memory is sealed.
pub fn resize(memory: BorrowedFd<'_>, length: usize) -> io::Result<()> {
    // Beyond it the kernel would answer with a signal.
    if length as u64 > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let size = i64::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    nix::unistd::ftruncate(memory, size)?;
    Ok(())
}

/// Takes the right to change the size or a byte from everybody, for ever.
///
/// # Errors
/// `ResourceBusy` while somebody has it mapped so that it can be written to.
pub fn close(memory: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE))?;
    Ok(())
}

/// How many bytes memory has that [`create`] made, most likely in another process: at least `least`.
///
/// # Errors
/// When it could shrink, has fewer bytes, or is no memory at all.
pub fn size(memory: BorrowedFd<'_>, least: usize) -> io::Result<usize> {
    sealed_size(memory, least, SealFlag::F_SEAL_SHRINK)
}

pub(crate) fn sealed_size(memory: BorrowedFd<'_>, least: usize, needed: SealFlag) -> io::Result<usize> {
    let seals = SealFlag::from_bits_retain(fcntl(memory, FcntlArg::F_GET_SEALS)?);
    let size = usize::try_from(nix::sys::stat::fstat(memory)?.st_size).unwrap_or(0);
    if seals.contains(needed) && size >= least {
        return Ok(size);
    }
    let text =
        format!("shared memory of {size} byte(s) with seals {seals:?}, where {least} with {needed:?} are needed");
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Takes the right to write from everybody, for ever.
///
/// # Errors
/// `ResourceBusy` while somebody has it mapped so that it can be written to.
pub fn forbid_writing(memory: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))?;
    Ok(())
}

/// Whether the first `length` bytes take up as much room as they claim to. Memory that was never written to has any size one
/// likes, and costs nothing until somebody reads it.
#[must_use]
pub fn is_backed(memory: BorrowedFd<'_>, length: usize) -> bool {
    const BLOCK: u64 = 512;
    let blocks = nix::sys::stat::fstat(memory).map_or(0, |found| u64::try_from(found.st_blocks).unwrap_or(0));
    blocks.saturating_mul(BLOCK) >= length as u64
}

/// Whether that has been done.
#[must_use]
pub fn forbids_writing(memory: BorrowedFd<'_>) -> bool {
    fcntl(memory, FcntlArg::F_GET_SEALS)
        .is_ok_and(|seals| SealFlag::from_bits_retain(seals).contains(SealFlag::F_SEAL_WRITE))
}

/// Copies out what is at `offset`, by the kernel: nothing is mapped.
///
/// # Errors
/// When there are fewer bytes, or the system refuses.
pub fn read_at(memory: BorrowedFd<'_>, mut offset: usize, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match pread(memory, bytes, place_in_file(offset)?) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => (offset, bytes) = (offset + count, &mut bytes[count..]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Copies `bytes` to `offset`, by the kernel: nothing is mapped.
///
/// # Errors
/// `PermissionDenied` when writing is forbidden; when they do not fit, or memory is short.
pub fn write_at(memory: BorrowedFd<'_>, mut offset: usize, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match pwrite(memory, bytes, place_in_file(offset)?) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => (offset, bytes) = (offset + count, &bytes[count..]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn place_in_file(offset: usize) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Atomic words of one size, as [`Memory::cells`] finds them.
///
/// # Safety
/// Any bytes are a value of the type, and it is sound to change them through a shared reference.
pub unsafe trait Cell: Send + Sync + 'static {}

// SAFETY: any byte is a number, and the atomic types allow changes by others.
unsafe impl Cell for AtomicU8 {}
// SAFETY: as above.
unsafe impl Cell for AtomicU16 {}
// SAFETY: as above.
unsafe impl Cell for AtomicU32 {}
// SAFETY: as above.
unsafe impl Cell for AtomicU64 {}

/// A mapping of shared memory. Forked children have it too. What is reached through it are atomics, and copies whose races
/// are the business of whoever holds the lock that guards them.
#[derive(Debug)]
pub struct Memory(Mapping);

impl Memory {
    /// Makes `length` bytes of zeroed memory, which nobody can ever shrink or grow, and returns the mapping and the
    /// descriptor to pass on. `name` shows in `/proc`.
    ///
    /// # Errors
    /// When `length` is 0, or when memory or descriptors are short.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use std::sync::atomic::Ordering;
    /// let (ours, descriptor) = ganger_os::memory::Memory::create(c"example", 64)?;
    /// let theirs = ganger_os::memory::Memory::open(descriptor.as_fd(), 64)?;
    /// ours.word32(8).store(7, Ordering::Relaxed);
    /// assert_eq!(theirs.word32(8).load(Ordering::Relaxed), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create(name: &CStr, length: usize) -> io::Result<(Self, OwnedFd)> {
        let memory = create(name, length)?;
        Ok((Self::map(memory.as_fd(), length)?, memory))
    }

    /// Maps memory that [`create`](Self::create) made, most likely in another process, after a look at its seals and its
    /// size: it has at least `least` bytes.
    ///
    /// # Errors
    /// When it is no such memory, or cannot be mapped.
    pub fn open(memory: BorrowedFd<'_>, least: usize) -> io::Result<Self> {
        Self::map(memory, size(memory, least)?)
    }

    /// Maps the beginning of memory that is at least as long.
    pub(crate) fn part(memory: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        size(memory, length)?;
        Self::map(memory, length)
    }

    fn map(memory: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        Mapping::new(memory, 0, length, protection, MapFlags::MAP_SHARED).map(Self)
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The word of 32 bits at `offset`.
    ///
    /// # Panics
    /// When it is not aligned, or not within the memory.
    #[must_use]
    pub fn word32(&self, offset: usize) -> &AtomicU32 {
        let word = self.0.place(offset, 4, 4).cast::<AtomicU32>();
        // SAFETY: `place` has checked alignment and bounds, and the mapping lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The word of 64 bits at `offset`.
    ///
    /// # Panics
    /// When it is not aligned, or not within the memory.
    #[must_use]
    pub fn word64(&self, offset: usize) -> &AtomicU64 {
        let word = self.0.place(offset, 8, 8).cast::<AtomicU64>();
        // SAFETY: `place` has checked alignment and bounds, and the mapping lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// `count` words from `offset` on.
    ///
    /// # Panics
    /// When they are not aligned, or not within the memory.
    #[must_use]
    pub fn cells<C: Cell>(&self, offset: usize, count: usize) -> &[C] {
        let length = count.checked_mul(size_of::<C>()).expect("within the memory");
        let first = self.0.place(offset, length, align_of::<C>()).cast::<C>();
        // SAFETY: `place` has checked alignment and bounds, any bytes are a `Cell`, which others may change, and the mapping
        // lives as long as `self`.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), count) }
    }

    /// Copies `bytes` in at `offset`. Who else reads or writes there meanwhile finds or leaves a mixture: callers hold a lock.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let target = self.0.place(offset, bytes.len(), 1);
        // SAFETY: `place` has checked the bounds; `bytes` is memory of this process, which a mapping made by us never overlaps.
        unsafe { target.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies out what is at `offset`.
    ///
    /// # Panics
    /// When there are fewer bytes.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        let source = self.0.place(offset, bytes.len(), 1);
        // SAFETY: as in `write`, in the other direction.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(source.as_ptr(), bytes.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_shrink_or_is_too_small_is_refused() {
        let plain = memfd_create(c"test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).expect("memory");
        nix::unistd::ftruncate(&plain, 4096).expect("grows");
        assert_eq!(Memory::open(plain.as_fd(), 64).expect_err("unsealed").kind(), io::ErrorKind::InvalidData);
        let (_, small) = Memory::create(c"test", 64).expect("memory");
        assert_eq!(Memory::open(small.as_fd(), 65).expect_err("small").kind(), io::ErrorKind::InvalidData);
        assert_eq!(Memory::open(small.as_fd(), 64).expect("fits").len(), 64);
        assert!(Memory::create(c"test", 0).is_err());
        assert!(nix::unistd::ftruncate(&small, 32).is_err(), "sealed");
    }

    #[test]
    #[should_panic(expected = "2 bytes at 63 of 64")]
    fn bounds_are_checked() {
        Memory::create(c"test", 64).expect("memory").0.write(63, &[1, 2]);
    }

    #[test]
    fn what_is_sealed_can_be_read_and_not_written() {
        let memory = create(c"test", 64).expect("memory");
        write_at(memory.as_fd(), 60, &[1, 2, 3, 4]).expect("fits");
        let mapped = Memory::open(memory.as_fd(), 64).expect("fits");
        assert_eq!(forbid_writing(memory.as_fd()).expect_err("mapped").kind(), io::ErrorKind::ResourceBusy);
        drop(mapped);
        forbid_writing(memory.as_fd()).expect("nobody writes");
        let mut bytes = [0; 4];
        read_at(memory.as_fd(), 60, &mut bytes).expect("is there");
        assert_eq!(bytes, [1, 2, 3, 4]);
        assert_eq!(write_at(memory.as_fd(), 0, &bytes).expect_err("sealed").kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(read_at(memory.as_fd(), 61, &mut bytes).expect_err("short").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn memory_that_nobody_has_written_to_is_not_backed() {
        let memory = create(c"test", 1 << 40).expect("it costs nothing");
        assert!(!is_backed(memory.as_fd(), 1 << 40));
        write_at(memory.as_fd(), 0, &[1; 10_000]).expect("fits");
        assert!(is_backed(memory.as_fd(), 10_000) && !is_backed(memory.as_fd(), 1 << 40));
    }

    #[test]
    fn cells_are_shared_words() {
        let (memory, descriptor) = Memory::create(c"test", 64).expect("memory");
        let other = Memory::open(descriptor.as_fd(), 64).expect("the same");
        memory.cells::<AtomicU16>(2, 31)[30].store(7, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(other.cells::<AtomicU16>(62, 1)[0].load(std::sync::atomic::Ordering::Relaxed), 7);
        assert!(other.cells::<AtomicU64>(64, 0).is_empty());
    }
}
