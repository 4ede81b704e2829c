//! A ring of records in shared memory: one process appends, one takes.
//!
//! A record is 16 bytes of header (length, tag, a 64-bit extra) and the bytes, padded to 16. A header therefore never
//! wraps; the bytes may. The writer publishes a record by moving `head` past it; the reader frees it by moving `tail`.
//! Every order in which the two can do so is gone through in `ring_model.rs`.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::word::Word;

pub(crate) const HEADER: u64 = 16;

/// How far ahead of the head its writer asks for memory: some short results.
const AHEAD: u64 = 256;

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How many bytes follow it.
    pub length: u32,
    /// Two small numbers of the library's, packed by it.
    pub tag: u32,
    /// A number of the library's.
    pub extra: u64,
}

/// The writer broke the rules of the ring: it cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The two ends of a ring, and its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a, W, B> {
    pub(crate) head: &'a W,
    pub(crate) tail: &'a W,
    pub(crate) bytes: B,
}

/// The memory of a ring. Headers are at multiples of their size; bytes wrap from its end to its start.
pub(crate) trait Bytes {
    /// How many there are: a power of two.
    fn capacity(&self) -> u64;

    fn write_header(&self, offset: usize, header: [u64; 2]);

    /// Something will soon be written there.
    fn expect_writes(&self, _offset: usize) {}

    fn read_header(&self, offset: usize) -> [u64; 2];

    fn write(&self, offset: usize, bytes: &[u8]);

    /// Appends `length` bytes to `out`.
    fn copy(&self, offset: usize, length: usize, out: &mut Vec<u8>);
}

impl<W: Word, B: Bytes> Ring<'_, W, B> {
    /// Appends a record; `false` when there is no room for it now.
    pub(crate) fn push(&self, tag: u32, extra: u64, bytes: &[u8]) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: what the reader has freed it has also finished reading.
        let used = head.wrapping_sub(self.tail.load(Ordering::Acquire));
        let needed = size_of_record(bytes.len() as u64);
        if needed > self.bytes.capacity().saturating_sub(used) {
            return false;
        }
        self.bytes.write_header(self.offset(head), [u64::from(tag) << 32 | bytes.len() as u64, extra]);
        self.bytes.write(self.offset(head.wrapping_add(HEADER)), bytes);
        self.head.store(head.wrapping_add(needed), Ordering::Release);
        self.bytes.expect_writes(self.offset(head.wrapping_add(needed + AHEAD)));
        true
    }

    /// How many bytes are in use, as the writer sees it.
    pub(crate) fn used(&self) -> u64 {
        self.head.load(Ordering::Relaxed).wrapping_sub(self.tail.load(Ordering::Relaxed))
    }

    /// The first record, if there is one; its bytes are appended to `out`. It stays until [`free`](Self::free).
    ///
    /// The writer may be hostile: nothing that it wrote is believed before it is checked, and the bytes are copied out
    /// before anybody decodes them.
    pub(crate) fn peek(&self, at: u64) -> Result<Option<Record>, Corrupt> {
        let used = self.head.load(Ordering::Acquire).wrapping_sub(at);
        if used == 0 {
            return Ok(None);
        }
        if used > self.bytes.capacity() || used < HEADER {
            return Err(Corrupt);
        }
        let [first, extra] = self.bytes.read_header(self.offset(at));
        let record = Record { length: first as u32, tag: (first >> 32) as u32, extra };
        if size_of_record(record.length.into()) > used { Err(Corrupt) } else { Ok(Some(record)) }
    }

    /// Copies the bytes of the record at `at` to the end of `out` and returns where the next record is.
    pub(crate) fn copy(&self, at: u64, record: Record, out: &mut Vec<u8>) -> u64 {
        self.bytes.copy(self.offset(at.wrapping_add(HEADER)), record.length as usize, out);
        at.wrapping_add(size_of_record(record.length.into()))
    }

    /// Frees everything before `at`.
    pub(crate) fn free(&self, at: u64) {
        self.tail.store(at, Ordering::Release);
    }

    fn offset(&self, at: u64) -> usize {
        (at & (self.bytes.capacity() - 1)) as usize
    }
}

/// Memory that is mapped, and that the other process may write to at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    start: NonNull<u8>,
    capacity: usize,
}

impl Mapped {
    /// # Safety
    /// `capacity` bytes from `start` on, which is a multiple of 16, stay mapped for as long as this is used, and nobody has a
    /// reference into them.
    pub(crate) unsafe fn new(start: NonNull<u8>, capacity: usize) -> Self {
        Self { start, capacity }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.capacity, "offset {offset} in a ring of {}", self.capacity);
        self.start.as_ptr().wrapping_add(offset)
    }

    fn header(&self, offset: usize) -> *mut [u64; 2] {
        assert!(offset.is_multiple_of(HEADER as usize), "a header at {offset}");
        self.at(offset).cast()
    }

    /// How much of `length` lies before the end.
    fn before_end(&self, offset: usize, length: usize) -> usize {
        assert!(length <= self.capacity, "{length} bytes in a ring of {}", self.capacity);
        length.min(self.capacity - offset)
    }
}

impl Bytes for Mapped {
    fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// The reader's processor has the line that it has read last time round. To get it back takes as long as a tiny task, and whoever
    /// claims the next one waits for all writes before: so it is asked for some tasks ahead.
    #[inline]
    fn expect_writes(&self, offset: usize) {
        let line = self.at(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint changes nothing that a program could see, whatever the address; processors that do not know this one
        // ignore it.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }

    fn write_header(&self, offset: usize, header: [u64; 2]) {
        // SAFETY: `header` has checked that it is aligned and, as the capacity is a multiple of its size, within the ring.
        unsafe { self.header(offset).write(header) };
    }

    fn read_header(&self, offset: usize) -> [u64; 2] {
        // SAFETY: as above; volatile, as a hostile writer may change it at any time, and it must be read once.
        unsafe { self.header(offset).read_volatile() }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset);
        let first = self.before_end(offset, bytes.len());
        // SAFETY: `first` bytes from `offset` on lie within the ring, into which no reference leads.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, first) };
        if let Some(rest) = bytes.get(first..).filter(|rest| !rest.is_empty()) {
            // SAFETY: `rest` is not longer than the ring.
            unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), self.at(0), rest.len()) };
        }
    }

    fn copy(&self, offset: usize, length: usize, out: &mut Vec<u8>) {
        let from = self.at(offset);
        let first = self.before_end(offset, length);
        let start = out.len();
        out.reserve(length);
        let spare = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `first` bytes from `offset` on lie within the ring, `spare` has room for `length`; they are disjoint.
        unsafe { std::ptr::copy_nonoverlapping(from, spare, first) };
        if length > first {
            // SAFETY: as above, for the part that wrapped to the ring's start.
            unsafe { std::ptr::copy_nonoverlapping(self.at(0), spare.wrapping_add(first), length - first) };
        }
        // SAFETY: the two copies have filled `length` bytes after `start`.
        unsafe { out.set_len(start + length) };
    }
}

fn size_of_record(length: u64) -> u64 {
    HEADER + length.next_multiple_of(HEADER)
}
