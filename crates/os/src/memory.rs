//! Shared memory without a name: whoever has the descriptor has the memory, and with its last holder it is gone, even
//! after SIGKILL. (Python's `shared_memory` has names, a tracker that unlinks them, and leaks when that is killed.)

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};

/// A mapping of shared memory. Forked children have it too.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to no thread; what is reached through a shared reference are atomics, and copies whose races
// are the business of whoever holds the lock that guards them.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

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
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let memory = memfd_create(name, flags)?;
        let size = i64::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        nix::unistd::ftruncate(&memory, size)?;
        // A holder that could shrink it would kill the others with SIGBUS.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        let mapping = Self::map(std::os::fd::AsFd::as_fd(&memory), length)?;
        Ok((mapping, memory))
    }

    /// Maps memory that [`create`](Self::create) made, most likely in another process, after a look at its seals and its
    /// size: it has at least `least` bytes.
    ///
    /// # Errors
    /// When it is no such memory, or cannot be mapped.
    pub fn open(memory: BorrowedFd<'_>, least: usize) -> io::Result<Self> {
        let seals = SealFlag::from_bits_retain(fcntl(memory, FcntlArg::F_GET_SEALS)?);
        let size = usize::try_from(nix::sys::stat::fstat(memory)?.st_size).unwrap_or(0);
        if !seals.contains(SealFlag::F_SEAL_SHRINK) || size < least {
            let text = format!(
                "shared memory of {size} byte(s) with seals {seals:?}, where {least} that cannot shrink are needed"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Self::map(memory, size)
    }

    fn map(memory: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let size = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, memory, 0) }?;
        Ok(Self { start: start.cast(), length })
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The word of 32 bits at `offset`.
    ///
    /// # Panics
    /// When it is not aligned, or not within the memory.
    #[must_use]
    pub fn word32(&self, offset: usize) -> &AtomicU32 {
        let word = self.place(offset, 4, 4).cast::<AtomicU32>();
        // SAFETY: `place` has checked alignment and bounds, and the mapping lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The word of 64 bits at `offset`.
    ///
    /// # Panics
    /// When it is not aligned, or not within the memory.
    #[must_use]
    pub fn word64(&self, offset: usize) -> &AtomicU64 {
        let word = self.place(offset, 8, 8).cast::<AtomicU64>();
        // SAFETY: `place` has checked alignment and bounds, and the mapping lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// Copies `bytes` in at `offset`. Who else reads or writes there meanwhile finds or leaves a mixture: callers hold a lock.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let target = self.place(offset, bytes.len(), 1);
        // SAFETY: `place` has checked the bounds; `bytes` is memory of this process, which a mapping made by us never overlaps.
        unsafe { target.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies out what is at `offset`.
    ///
    /// # Panics
    /// When there are fewer bytes.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        let source = self.place(offset, bytes.len(), 1);
        // SAFETY: as in `write`, in the other direction.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(source.as_ptr(), bytes.len()) };
    }

    /// Where `length` bytes at `offset` begin.
    fn place(&self, offset: usize, length: usize, alignment: usize) -> NonNull<u8> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        assert!(inside && offset.is_multiple_of(alignment), "{length} bytes at {offset} of {}", self.length);
        // SAFETY: `offset` is within the mapping, or right behind it when `length` is 0.
        unsafe { self.start.add(offset) }
    }
}

/// Memory that holds `bytes`, as a file: to pass on what is too large for a socket.
///
/// # Errors
/// When memory or descriptors are short, or when files must not be so large (`RLIMIT_FSIZE`).
pub fn holding(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    // Writing beyond it would be answered by a signal.
    if (bytes.len() as u64) > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut memory = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    memory.write_all(bytes)?;
    Ok(memory.into())
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and references into it cannot outlive it. It fails for no valid mapping.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

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
}
