//! A ring of records in memory that can grow: a length of 8 bytes and the item, padded to 8.
//!
//! Positions are counts of bytes that only go up; where one is in the memory is its remainder by the capacity. Growing doubles
//! the capacity and copies what wrapped to its new place, which is always in the part that nobody has used yet. So the
//! old ring stays whole until the new capacity is committed, whoever dies meanwhile.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MapFlags, ProtFlags};

use super::state::State;
use crate::mapping::Mapping;
use crate::memory::resize;

/// How many bytes of the file lie before the ring: a multiple of every size of a page.
pub(super) const LEAD: usize = 64 << 10;

/// What a new queue has. The memory is not there before it is used.
pub(super) const FIRST: u64 = 64 << 10;

/// What a queue that has run empty keeps.
const KEPT: u64 = 1 << 20;

const LENGTH: u64 = 8;

/// This process's view of a ring.
#[derive(Debug)]
pub(super) struct Records(Mapping);

/// How many bytes a record of an item of that length takes; `None` when there is no such number.
pub(super) fn size_of_record(length: u64) -> Option<u64> {
    length.checked_add(LENGTH)?.checked_next_multiple_of(8)
}

impl Records {
    /// Maps a ring of that capacity, which the file must have.
    pub(super) fn map(file: BorrowedFd<'_>, capacity: u64) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let length = usize::try_from(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Mapping::new(file, LEAD, length, protection, MapFlags::MAP_SHARED).map(Self)
    }

    /// How many bytes of the ring this process sees.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Makes the view large enough for a capacity that another process has made.
    pub(super) fn follow(&mut self, file: BorrowedFd<'_>, capacity: u64) -> io::Result<()> {
        if capacity > self.len() {
            *self = Self::map(file, capacity)?;
        }
        Ok(())
    }

    /// Makes room for `needed` more bytes in a state that is not committed yet.
    pub(super) fn grow(&mut self, file: BorrowedFd<'_>, state: &mut State, needed: u64) -> io::Result<()> {
        let all = state.used().checked_add(needed).and_then(u64::checked_next_power_of_two);
        let Some(capacity) = all.filter(|capacity| *capacity > state.capacity) else {
            return if all.is_some() { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) };
        };
        let size = capacity.checked_add(LEAD as u64).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or(io::ErrorKind::OutOfMemory)?;
        if usize::try_from(nix::sys::stat::fstat(file)?.st_size).is_ok_and(|now| now < size) {
            resize(file, size)?;
        }
        self.follow(file, capacity)?;
        for Range { start, end } in pieces(state.head..state.tail, state.capacity) {
            let (from, to) = (start % state.capacity, start % capacity);
            if from != to {
                self.copy_within(from as usize, to as usize, (end - start) as usize);
            }
        }
        state.capacity = capacity;
        Ok(())
    }

    fn copy_within(&self, from: usize, to: usize, length: usize) {
        let (source, target) = (self.0.place(from, length, 1), self.0.place(to, length, 1));
        // SAFETY: `place` has checked the bounds. What is at the target belongs to the part of the ring that was not in use
        // before it grew, so it does not overlap. Races are kept out by the queue's latch, which the caller holds.
        unsafe { target.copy_from(source, length) };
    }

    /// Writes a record behind the last one, where there is room, in a state that is not committed yet.
    pub(super) fn append(&self, state: &mut State, item: &[u8], size: u64) {
        self.write(state.tail, state.capacity, &(item.len() as u64).to_ne_bytes());
        self.write(state.tail + LENGTH, state.capacity, item);
        state.tail += size;
    }

    fn write(&self, at: u64, capacity: u64, mut bytes: &[u8]) {
        for Range { start, end } in pieces(at..at + bytes.len() as u64, capacity) {
            let (now, rest) = bytes.split_at((end - start) as usize);
            let target = self.0.place((start % capacity) as usize, now.len(), 1);
            // SAFETY: `place` has checked the bounds, and `now` is memory of this process, which is no part of the mapping.
            unsafe { target.as_ptr().copy_from_nonoverlapping(now.as_ptr(), now.len()) };
            bytes = rest;
        }
    }

    /// Copies the first item out and frees its record, in a state that is not committed yet; `None` when there cannot be
    /// such a record.
    pub(super) fn take(&self, state: &mut State, out: &mut Vec<u8>) -> io::Result<Option<()>> {
        let mut length = [0; LENGTH as usize];
        self.read(state.head, state.capacity, &mut length);
        let length = u64::from_ne_bytes(length);
        let Some(size) = size_of_record(length).filter(|size| *size <= state.used()) else { return Ok(None) };
        out.clear();
        out.try_reserve_exact(length as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
        out.resize(length as usize, 0);
        self.read(state.head + LENGTH, state.capacity, out);
        state.head += size;
        Ok(Some(()))
    }

    fn read(&self, at: u64, capacity: u64, mut bytes: &mut [u8]) {
        for Range { start, end } in pieces(at..at + bytes.len() as u64, capacity) {
            let (now, rest) = bytes.split_at_mut((end - start) as usize);
            let source = self.0.place((start % capacity) as usize, now.len(), 1);
            // SAFETY: as in `write`, in the other direction.
            unsafe { now.as_mut_ptr().copy_from_nonoverlapping(source.as_ptr(), now.len()) };
            bytes = rest;
        }
    }
}

/// Lowers the capacity of a queue that has run empty, in a state that is not committed yet; whether [`give_back`] is to follow.
pub(super) fn shrink(state: &mut State) -> bool {
    let large = state.used() == 0 && state.capacity > KEPT;
    if large {
        state.capacity = KEPT;
    }
    large
}

/// Gives back the memory beyond what a queue that has run empty keeps, unless it has grown again. Who dies before it leaves
/// that to the next time.
pub(super) fn give_back(file: BorrowedFd<'_>, state: State) {
    if state.capacity > KEPT {
        return;
    }
    let first = LEAD as i64 + KEPT as i64;
    let size = nix::sys::stat::fstat(file).map_or(0, |found| found.st_size);
    if size > first {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // Who would be hurt by a failure has more memory in use than needed, until the queue runs empty again.
        let _ = fallocate(file, hole, first, size - first);
    }
}

/// Divides positions where they wrap: into two parts at the most, as there are never more than the capacity.
fn pieces(positions: Range<u64>, capacity: u64) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = positions;
    let wrap = (start / capacity + 1) * capacity;
    [start..end.min(wrap), wrap..end.max(wrap)].into_iter().filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory::create_growing;

    #[test]
    fn positions_wrap() {
        for (positions, capacity, expected) in
            [(0..8, 8, &[(0, 8)][..]), (6..12, 8, &[(6, 8), (8, 12)]), (8..16, 8, &[(8, 16)]), (5..5, 8, &[])]
        {
            let found: Vec<_> = pieces(positions, capacity).map(|piece| (piece.start, piece.end)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn items_survive_any_order_of_growing_and_wrapping() {
        let file = create_growing(c"test", LEAD + 64).expect("memory");
        let mut records = Records::map(file.as_fd(), 64).expect("mapped");
        let mut reader = Records::map(file.as_fd(), 64).expect("mapped");
        let mut state = State { capacity: 64, ..State::default() };
        let (mut random, mut expected, mut grown) = (7_u64, std::collections::VecDeque::new(), 0);
        for round in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if random >> 62 < 2 + u64::from(round % 1000 < 200) && expected.len() < 300 {
                let item = vec![round as u8; (random >> 33) as usize % 200];
                let size = size_of_record(item.len() as u64).expect("small");
                let before = state.capacity;
                records.grow(file.as_fd(), &mut state, size).expect("memory");
                grown += usize::from(state.capacity > before);
                records.append(&mut state, &item, size);
                expected.push_back(item);
            } else if let Some(item) = expected.pop_front() {
                let mut out = vec![1, 2, 3];
                reader.follow(file.as_fd(), state.capacity).expect("mapped");
                assert_eq!(reader.take(&mut state, &mut out).expect("memory"), Some(()));
                assert_eq!(out, item, "round {round}");
            }
            if state.used() == 0 {
                state.capacity = 64;
            }
        }
        assert!(grown > 5, "{grown}");
    }

    #[test]
    fn a_length_that_cannot_be_is_found_out() {
        let file = create_growing(c"test", LEAD + 64).expect("memory");
        let records = Records::map(file.as_fd(), 64).expect("mapped");
        let mut state = State { capacity: 64, ..State::default() };
        records.append(&mut state, b"item", 16);
        for length in [9_u64, 64, u64::MAX, u64::MAX - 8] {
            records.write(0, 64, &length.to_ne_bytes());
            assert_eq!(records.take(&mut state, &mut Vec::new()).expect("none is asked for"), None, "{length}");
        }
    }
}
