//! Exclusive and shared use of a range of shared memory, for as long as a value lives.
//!
//! A lease is a lock of the kernel's on a range of the file that the memory is, held by an open file description of its own
//! (`F_OFD_SETLK`), and a mapping of that range. Whoever dies, by whatever signal, loses it, as the kernel closes what the
//! dead had open; it does so after their last instruction. Copies that a fork makes have neither the mapping (it is kept
//! from children) nor the right to end the lease.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags};

use crate::fd::Fd;
use crate::incarnation::Incarnation;
use crate::mapping::Mapping;
use crate::memory::sealed_size;
use crate::plain::Plain;

/// The right to a range of memory: to read it while nobody writes, or (`EXCLUSIVE`) to read and write it while nobody else
/// does either.
#[derive(Debug)]
pub struct Hold<const EXCLUSIVE: bool> {
    /// A descriptor of ganger's own: forked workers close it, so that a lease does not outlive its holder in them.
    file: ManuallyDrop<Fd>,
    range: Range<usize>,
    holder: Incarnation,
}

impl<const EXCLUSIVE: bool> Hold<EXCLUSIVE> {
    /// Takes the right at once, or not at all.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds a part of the range; `InvalidData` when it is not memory that
    /// [`create`](crate::memory::create) made, or ends before the range does; what opening it again through `/proc` says.
    pub fn take(memory: BorrowedFd<'_>, range: Range<usize>) -> io::Result<Self> {
        if range.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sealed_size(memory, range.end, SealFlag::F_SEAL_SHRINK)?;
        let holder = Incarnation::here()?;
        let file = reopen(memory, EXCLUSIVE)?;
        let kind = if EXCLUSIVE { libc::F_WRLCK } else { libc::F_RDLCK };
        set_lock(file.as_fd(), kind, &range)?;
        Ok(Self { file: ManuallyDrop::new(Fd::from(OwnedFd::from(file))), range, holder })
    }

    /// The memory, by a descriptor that can be written to if the hold is exclusive.
    #[must_use]
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl<const EXCLUSIVE: bool> Drop for Hold<EXCLUSIVE> {
    fn drop(&mut self) {
        // In a forked copy, unlocking would end the lease of the original, and the descriptor is closed already, or somebody
        // else's.
        if self.holder.is_here() {
            // Closing would do, but a child between fork and exec may have the descriptor a moment longer.
            let _ = set_lock(self.file.as_fd(), libc::F_UNLCK, &self.range);
            // SAFETY: this is the only place that drops it, and `self` is gone afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Opens memory once more: locks belong to an open file description, and all descriptors that were passed on share one.
pub(crate) fn reopen(memory: BorrowedFd<'_>, writable: bool) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    OpenOptions::new().read(true).write(writable).open(path)
}

pub(crate) fn set_lock(file: BorrowedFd<'_>, kind: i32, range: &Range<usize>) -> io::Result<()> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&flock(kind, range)?)) {
        Ok(_) => Ok(()),
        Err(Errno::EACCES | Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}

/// A lock on a range as the kernel wants it described.
pub(crate) fn flock(kind: i32, range: &Range<usize>) -> io::Result<libc::flock> {
    let number = |value: usize| i64::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    Ok(libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number(range.start)?,
        l_len: number(range.len())?,
        l_pid: 0,
    })
}

/// What is claimed is written to, most likely, and a fault for each page costs several times as much as the writing. A larger
/// range may have gaps that are to stay gaps.
const AT_ONCE: usize = 256 << 20;

/// A [`Hold`] on a range, and the range's bytes in this process's memory.
#[derive(Debug)]
pub struct Lease<const EXCLUSIVE: bool> {
    mapping: ManuallyDrop<Mapping>,
    /// How far the range begins behind the mapping's first page.
    lead: usize,
    hold: Hold<EXCLUSIVE>,
}

impl<const EXCLUSIVE: bool> Lease<EXCLUSIVE> {
    /// Takes the lease at once, or not at all.
    ///
    /// # Errors
    /// As of [`Hold::take`]; `PermissionDenied` when it is exclusive, and writing has been forbidden.
    pub fn take(memory: BorrowedFd<'_>, range: Range<usize>) -> io::Result<Self> {
        let lead = range.start % page_size();
        let (offset, length) = (range.start - lead, range.len() + lead);
        let hold = Hold::take(memory, range)?;
        let write = if EXCLUSIVE { ProtFlags::PROT_WRITE } else { ProtFlags::empty() };
        // The read-only descriptor of a shared hold makes a mapping that stands in nobody's way who wants to forbid writing.
        let mut flags = MapFlags::MAP_SHARED;
        if EXCLUSIVE && length <= AT_ONCE {
            flags |= MapFlags::MAP_POPULATE;
        }
        let mapping = Mapping::new(hold.memory(), offset, length, ProtFlags::PROT_READ | write, flags)?;
        mapping.keep_from_children()?;
        Ok(Self { mapping: ManuallyDrop::new(mapping), lead, hold })
    }

    /// The range as values.
    ///
    /// # Panics
    /// When it does not begin at a multiple of the type's alignment; and in a forked copy of the process that took the lease.
    #[must_use]
    pub fn values<T: Plain>(&self) -> &[T] {
        let (first, count) = self.parts::<T>();
        // SAFETY: `parts` has checked bounds and alignment; any bytes are a `T`; while the lease is held nobody writes to the
        // range but through `values_mut` of this very value, which needs it exclusively; a shared slice borrows it.
        unsafe { std::slice::from_raw_parts(first, count) }
    }

    fn parts<T: Plain>(&self) -> (*mut T, usize) {
        const { assert!(size_of::<T>() > 0, "elements have a size") };
        assert!(
            self.hold.holder.is_here(),
            "these rows were taken by the process that this one is a forked copy of: take them where they are used"
        );
        let length = self.hold.range.len();
        let first = self.mapping.place(self.lead, length, align_of::<T>()).cast::<T>();
        (first.as_ptr(), length / size_of::<T>())
    }
}

impl Lease<true> {
    /// The range as values that can be changed.
    ///
    /// # Panics
    /// As [`values`](Self::values).
    #[must_use]
    pub fn values_mut<T: Plain>(&mut self) -> &mut [T] {
        let (first, count) = self.parts::<T>();
        // SAFETY: as in `values`; and nobody else reads or writes while an exclusive lease is held, in whatever process.
        unsafe { std::slice::from_raw_parts_mut(first, count) }
    }
}

impl<const EXCLUSIVE: bool> Drop for Lease<EXCLUSIVE> {
    fn drop(&mut self) {
        // A forked copy has no mapping there, and must not unmap what may have taken its place. The hold is given back last.
        if self.hold.holder.is_here() {
            // SAFETY: this is the only place that drops it, and `self` is gone afterwards.
            unsafe { ManuallyDrop::drop(&mut self.mapping) };
        }
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf takes a plain number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("every system has pages")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{create, forbid_writing, write_at};

    #[test]
    fn exclusive_use_is_exclusive_and_ends() {
        let memory = create(c"test", 8192).expect("memory");
        let mut mine = Lease::<true>::take(memory.as_fd(), 8..4096).expect("free");
        mine.values_mut::<u64>().fill(7);
        for range in [0..16, 4095..5000, 100..101] {
            let error = Lease::<false>::take(memory.as_fd(), range).expect_err("taken");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        let other = Lease::<true>::take(memory.as_fd(), 4096..8192).expect("free, though it is next to it");
        assert_eq!(other.values::<u32>()[0], 0);
        drop(mine);
        let one = Lease::<false>::take(memory.as_fd(), 0..16).expect("free again");
        let two = Lease::<false>::take(memory.as_fd(), 8..16).expect("readers share");
        assert_eq!((one.values::<u64>(), two.values::<u64>()), (&[0, 7][..], &[7][..]));
        assert!(Hold::<true>::take(memory.as_fd(), 8..9).is_err());
    }

    #[test]
    fn forbidding_to_write_waits_for_no_reader_and_for_every_writer() {
        let memory = create(c"test", 4096).expect("memory");
        let writer = Lease::<true>::take(memory.as_fd(), 0..8).expect("free");
        assert_eq!(forbid_writing(memory.as_fd()).expect_err("mapped").kind(), io::ErrorKind::ResourceBusy);
        drop(writer);
        let reader = Lease::<false>::take(memory.as_fd(), 0..8).expect("free");
        forbid_writing(memory.as_fd()).expect("only read");
        let error = Lease::<true>::take(memory.as_fd(), 8..16).expect_err("forbidden");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(reader.values::<u64>(), [0]);
    }

    #[test]
    fn what_is_no_such_memory_is_refused() {
        let memory = create(c"test", 4096).expect("memory");
        write_at(memory.as_fd(), 0, &[1]).expect("fits");
        for (file, range) in [(memory, 0..4097), (File::open("/proc/self/exe").expect("there").into(), 0..1)] {
            assert!(Lease::<false>::take(file.as_fd(), range).is_err());
        }
    }
}
