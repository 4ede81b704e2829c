//! A ring of records in shared memory: one process appends, one takes.
//!
//! A record is 16 bytes of header (length, tag, a 64-bit extra) and the bytes, padded to 16. A header therefore never
//! wraps; the bytes may. The writer publishes a record by moving `head` past it; the reader frees it by moving `tail`.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

const HEADER: u64 = 16;

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

/// The bytes of a ring and its two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a> {
    pub(crate) head: &'a AtomicU64,
    pub(crate) tail: &'a AtomicU64,
    pub(crate) data: NonNull<u8>,
    /// A power of two.
    pub(crate) capacity: u64,
}

impl Ring<'_> {
    /// Appends a record; `false` when there is no room for it now.
    pub(crate) fn push(&self, tag: u32, extra: u64, bytes: &[u8]) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: what the reader has freed it has also finished reading.
        let used = head.wrapping_sub(self.tail.load(Ordering::Acquire));
        let needed = size_of_record(bytes.len() as u64);
        if needed > self.capacity.saturating_sub(used) {
            return false;
        }
        self.write_header(head, [u64::from(tag) << 32 | bytes.len() as u64, extra]);
        self.write(head + HEADER, bytes);
        self.head.store(head + needed, Ordering::Release);
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
        if used > self.capacity || used < HEADER {
            return Err(Corrupt);
        }
        let [first, extra] = self.read_header(at);
        let record = Record { length: first as u32, tag: (first >> 32) as u32, extra };
        if size_of_record(record.length.into()) > used { Err(Corrupt) } else { Ok(Some(record)) }
    }

    /// Copies the bytes of the record at `at` to the end of `out` and returns where the next record is.
    pub(crate) fn copy(&self, at: u64, record: Record, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        let length = record.length as usize;
        out.reserve(length);
        let offset = self.offset(at + HEADER);
        let first = length.min(self.capacity as usize - offset);
        let spare = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `offset` and `first` stay within the ring, `spare` has room for `length`; the regions are disjoint.
        unsafe { std::ptr::copy_nonoverlapping(self.data.as_ptr().wrapping_add(offset), spare, first) };
        if length > first {
            // SAFETY: as above, for the part that wrapped to the ring's start.
            unsafe { std::ptr::copy_nonoverlapping(self.data.as_ptr(), spare.wrapping_add(first), length - first) };
        }
        // SAFETY: the two copies have filled `length` bytes after `start`.
        unsafe { out.set_len(start + length) };
        at + size_of_record(record.length.into())
    }

    /// Frees everything before `at`.
    pub(crate) fn free(&self, at: u64) {
        self.tail.store(at, Ordering::Release);
    }

    fn offset(&self, at: u64) -> usize {
        (at & (self.capacity - 1)) as usize
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        let offset = self.offset(at);
        let first = bytes.len().min(self.capacity as usize - offset);
        let start = self.data.as_ptr();
        // SAFETY: `offset` and `first` stay within the ring, and `push` found the room free of the reader.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.wrapping_add(offset), first) };
        let rest = bytes.len() - first;
        if rest > 0 {
            // SAFETY: as above, for the part that wraps to the ring's start.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().wrapping_add(first), start, rest) };
        }
    }

    /// Records start at multiples of 16, and the capacity is one too: a header lies within the ring, and is aligned.
    fn header(&self, at: u64) -> *mut [u64; 2] {
        self.data.as_ptr().wrapping_add(self.offset(at)).cast()
    }

    fn write_header(&self, at: u64, header: [u64; 2]) {
        // SAFETY: see `header`; `push` found the room free of the reader.
        unsafe { self.header(at).write(header) };
    }

    fn read_header(&self, at: u64) -> [u64; 2] {
        // SAFETY: see `header`; volatile, as a hostile writer may change it at any time, and it must be read once.
        unsafe { self.header(at).read_volatile() }
    }
}

fn size_of_record(length: u64) -> u64 {
    HEADER + length.next_multiple_of(HEADER)
}
