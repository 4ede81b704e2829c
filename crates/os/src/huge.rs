//! Large buffers in large pages: a page fault costs as much as copying 10 kB, and 64 MiB of fresh memory are 16,384 of them.

/// Buffers below this size are left as they are.
const LARGE: usize = 4 << 20;

/// The size of a large page, to which the kernel aligns them.
const PAGE: usize = 2 << 20;

/// Reserves room for exactly `additional` bytes more in a buffer that is not expected to grow beyond that, in large pages if
/// that is much.
///
/// ```
/// let mut buffer = vec![1, 2];
/// ganger_os::huge::make_room(&mut buffer, 8 << 20);
/// assert!(buffer == [1, 2] && buffer.capacity() >= (8 << 20) + 2);
/// ```
pub fn make_room(buffer: &mut Vec<u8>, additional: usize) {
    if additional < LARGE {
        return buffer.reserve(additional);
    }
    buffer.reserve_exact(additional);
    advise(buffer);
}

/// Asks the kernel for large pages where a buffer has not been written to, if it is large.
pub fn advise(buffer: &mut Vec<u8>) {
    let memory = buffer.as_mut_ptr();
    let start = memory.addr().next_multiple_of(PAGE);
    let end = (memory.addr() + buffer.capacity()) / PAGE * PAGE;
    if buffer.capacity() < LARGE || start >= end {
        return;
    }
    let place = memory.with_addr(start);
    // Where the kernel has none to give, or has been told not to give any, small pages do.
    // SAFETY: the range is memory of this buffer's own; the advice changes neither what is in it nor who may use it.
    let _ = unsafe { libc::madvise(place.cast(), end - start, libc::MADV_HUGEPAGE) };
}
