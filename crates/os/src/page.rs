//! The memory that the supervisor shares with one worker: the claim word, a few flags, and the ring of results.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use crate::fd::Fd;
pub use crate::ring::{Corrupt, Record};
use crate::ring::{Mapped, Ring};

const WORDS: usize = 4096;
/// Room for 32,768 short results: a supervisor that is busy for some milliseconds holds nobody up.
const RING: usize = 1024 * 1024;
const SIZE: usize = WORDS + RING;

/// Each word has a cache line of its own: the two sides would otherwise slow each other down.
const CLAIM: usize = 0;
const EAGER: usize = 64;
const HEAD: usize = 128;
const TAIL: usize = 192;
const STOP: usize = 256;
const LISTENS: usize = 320;
const TAKEN: usize = 384;
const BEGUN: usize = 512;
const ITEM: usize = 576;
const TOKENS: usize = 640;
const TAKING: usize = 704;
const WATCHED: usize = 768;
const BELL: usize = 832;

/// A mapping of the shared memory. It has no name, and is gone with its last holder.
#[derive(Debug)]
pub struct Page {
    start: NonNull<u8>,
}

// SAFETY: the mapping belongs to no thread; all access goes through atomics or through the ring's two ends, of which
// each side of the link has exactly one.
unsafe impl Send for Page {}

impl Page {
    /// Makes the memory, zeroed, and returns the mapping and the descriptor to pass on.
    ///
    /// # Errors
    /// When memory or descriptors are short.
    pub fn create() -> io::Result<(Self, Fd)> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let memory = Fd::from(memfd_create(c"ganger-link", flags)?);
        nix::unistd::ftruncate(&memory, SIZE as i64)?;
        // A worker that could shrink it would kill the supervisor with SIGBUS.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        Ok((Self::map(memory.as_fd())?, memory))
    }

    /// Maps memory that [`create`](Self::create) made in another process.
    ///
    /// # Errors
    /// When it is not such memory.
    pub fn open(memory: BorrowedFd<'_>) -> io::Result<Self> {
        let size = nix::sys::stat::fstat(memory)?.st_size;
        if size != SIZE as i64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("shared page of {size} bytes instead of {SIZE}"),
            ));
        }
        Self::map(memory)
    }

    fn map(memory: BorrowedFd<'_>) -> io::Result<Self> {
        let length = NonZeroUsize::new(SIZE).expect("a constant above zero");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, memory, 0) }?;
        // A child that a task (or the host) forks must not answer in this process's place.
        // SAFETY: the advice covers the new mapping only, and changes nothing for this process.
        unsafe { madvise(start, SIZE, MmapAdvise::MADV_DONTFORK) }?;
        Ok(Self { start: start.cast() })
    }

    /// The claim word.
    #[must_use]
    pub fn claim(&self) -> &AtomicU64 {
        self.word(CLAIM)
    }

    /// Not zero when the worker shall announce every single result.
    #[must_use]
    pub fn eager(&self) -> &AtomicU32 {
        self.flag(EAGER)
    }

    /// Not zero when what the worker runs shall end.
    #[must_use]
    pub fn stop(&self) -> &AtomicU32 {
        self.flag(STOP)
    }

    /// Not zero when a task of the worker has ever looked at [`stop`](Self::stop).
    #[must_use]
    pub fn listens(&self) -> &AtomicU32 {
        self.flag(LISTENS)
    }

    /// How many bytes of a stream of output the supervisor has taken out, doubled, and one more while that changes.
    #[must_use]
    pub fn taken(&self, stream: usize) -> &AtomicU64 {
        self.word(TAKEN + 64 * (stream & 1))
    }

    /// Where in a stream of output the worker stood when it last began to work after a rest.
    #[must_use]
    pub fn begun(&self, stream: usize) -> &AtomicU64 {
        self.word(BEGUN + 8 * (stream & 1))
    }

    /// Which of the items that its task is made of the worker has begun last, plus one; zero when that cannot be said.
    #[must_use]
    pub fn item(&self) -> &AtomicU64 {
        self.word(ITEM)
    }

    /// How many tasks the pools in the worker may run beyond its own, and how many they want to: the library says how.
    #[must_use]
    pub fn tokens(&self) -> &AtomicU64 {
        self.word(TOKENS)
    }

    /// Which task the worker has last begun to take in: the library says how.
    #[must_use]
    pub fn taking(&self) -> &AtomicU64 {
        self.word(TAKING)
    }

    /// Not zero while the supervisor looks at the [bell](Self::bell).
    #[must_use]
    pub fn watched(&self) -> &AtomicU64 {
        self.word(WATCHED)
    }

    /// How often the worker has rung.
    #[must_use]
    pub fn bell(&self) -> &AtomicU64 {
        self.word(BELL)
    }

    fn flag(&self, offset: usize) -> &AtomicU32 {
        let word = self.start.as_ptr().wrapping_add(offset).cast::<AtomicU32>();
        // SAFETY: the fixed offsets lie within the mapping, are aligned, and the mapping lives as long as `self`.
        unsafe { &*word }
    }

    /// Appends a record to the ring (the worker's side); `false` when there is no room.
    #[must_use]
    pub fn push(&self, tag: u32, extra: u64, bytes: &[u8]) -> bool {
        self.ring().push(tag, extra, bytes)
    }

    /// Whether more than half of the ring is in use, as the worker's side sees it.
    #[must_use]
    pub fn half_full(&self) -> bool {
        self.ring().used() > RING as u64 / 2
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        let word = self.start.as_ptr().wrapping_add(offset).cast::<AtomicU64>();
        // SAFETY: the fixed offsets lie within the mapping, are aligned, and the mapping lives as long as `self`.
        unsafe { &*word }
    }

    fn ring(&self) -> Ring<'_, AtomicU64, Mapped> {
        // SAFETY: the ring starts within the mapping, right behind the words.
        let data = unsafe { self.start.add(WORDS) };
        // SAFETY: it ends with the mapping, which lives as long as `self`; only the ring's two ends lead into it.
        let bytes = unsafe { Mapped::new(data, RING) };
        Ring { head: self.word(HEAD), tail: self.word(TAIL), bytes }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map`, and nothing borrowed from `self` is left.
        let result = unsafe { munmap(self.start.cast(), SIZE) };
        // It can only fail for an address that was never mapped.
        let _ = result;
    }
}

/// The supervisor's end of a page's ring.
#[derive(Debug)]
pub struct Results {
    page: Page,
    next: u64,
}

impl Results {
    /// Takes the reading end of a fresh page.
    #[must_use]
    pub fn new(page: Page) -> Self {
        Self { page, next: 0 }
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// The next record's header, if it is there.
    ///
    /// # Errors
    /// When the writer broke the rules.
    pub fn peek(&self) -> Result<Option<Record>, Corrupt> {
        self.page.ring().peek(self.next)
    }

    /// Copies the bytes of the record that `peek` just returned to the end of `out`, and goes on to the next.
    pub fn take(&mut self, record: Record, out: &mut Vec<u8>) {
        self.next = self.page.ring().copy(self.next, record, out);
    }

    /// Gives the room of all taken records back to the writer.
    pub fn free(&self) {
        self.page.ring().free(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Bytes;

    #[test]
    fn records_of_all_sizes_come_out_as_they_went_in_across_many_wraps() {
        let (writer, memory) = Page::create().expect("memory");
        let mut reader = Results::new(Page::open(memory.as_fd()).expect("the same memory"));
        let mut pushed = 0_u64;
        for round in 0..20_000_u64 {
            let bytes = vec![round as u8; (round * 7 % 1500) as usize];
            assert!(writer.push(round as u32, round * 3, &bytes), "round {round}");
            pushed += bytes.len() as u64;
            let record = reader.peek().expect("sound").expect("there");
            assert_eq!((record.tag, record.extra), (round as u32, round * 3));
            let mut out = vec![9];
            reader.take(record, &mut out);
            reader.free();
            assert_eq!(out[1..], bytes[..], "round {round}");
        }
        assert!(pushed > 10 * RING as u64);
    }

    #[test]
    fn a_full_ring_refuses_and_a_freed_one_accepts() {
        let (writer, memory) = Page::create().expect("memory");
        let mut reader = Results::new(Page::open(memory.as_fd()).expect("the same memory"));
        let mut count = 0;
        while writer.push(0, 0, &[1; 1000]) {
            count += 1;
        }
        assert_eq!(count, RING / (16 + 1008));
        let record = reader.peek().expect("sound").expect("there");
        reader.take(record, &mut Vec::new());
        assert!(!writer.push(0, 0, &[1; 1000]));
        reader.free();
        assert!(writer.push(0, 0, &[1; 1000]));
    }

    #[test]
    fn a_lying_writer_is_found_out() {
        let (writer, memory) = Page::create().expect("memory");
        let reader = Results::new(Page::open(memory.as_fd()).expect("the same memory"));
        writer.ring().head.store(u64::MAX, std::sync::atomic::Ordering::Release);
        assert_eq!(reader.peek(), Err(Corrupt));
        writer.ring().head.store(32, std::sync::atomic::Ordering::Release);
        writer.ring().bytes.write(0, &1_000_000_u32.to_ne_bytes());
        assert_eq!(reader.peek(), Err(Corrupt));
    }

    #[test]
    fn the_other_side_cannot_shrink_the_memory() {
        let (_page, memory) = Page::create().expect("memory");
        assert_eq!(nix::unistd::ftruncate(&memory, 0), Err(nix::Error::EPERM));
    }
}
