//! What one reading of a link brought: results that follow each other, as bytes.
//!
//! Nearly all results of a busy pool are values, and there are millions of them: of a value only the end of its bytes is
//! kept, and whoever wants it finds it there. What else there is to say is kept for those of which it is said.

use super::output::Both;
use crate::wire::aside::Aside;
use crate::wire::descriptor::Descriptor;
use crate::wire::message::{Marks, PRINTED};

/// Results that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    bytes: Vec<u8>,
    /// Where each result's bytes end; the next one's begin there.
    ends: Vec<u32>,
    /// Those that are no values, in their order.
    failures: Vec<Failed>,
    /// Those whose tasks have written something, in their order.
    printed: Vec<Printed>,
    /// Those that are aside, in their order.
    aside: Vec<(u32, Aside)>,
    /// Those with which descriptors have come, in their order.
    descriptors: Vec<(u32, Vec<Descriptor>)>,
    /// How long all of these tasks ran together. What a worker says of that is only a number in memory that it can write to.
    nanos: u64,
    /// Tasks that took longer than this are noted.
    remarkable: u64,
    /// Those, by their place, and how long they took.
    slow: Vec<(u32, u64)>,
    /// The same of all that were noted, where somebody records when tasks ran.
    laps: Vec<(u32, u64)>,
}

/// A result that is no value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    /// The how-many-th result of the haul it is.
    pub(crate) place: u32,
    pub(crate) status: u8,
    /// How long the task ran.
    pub(crate) nanos: u64,
}

/// A result whose task has written something.
#[derive(Debug)]
pub(crate) struct Printed {
    /// The how-many-th result of the haul it is.
    pub(crate) place: u32,
    pub(crate) marks: Marks,
    /// What it was, once that is known.
    pub(crate) output: Option<Both>,
}

impl Haul {
    /// An empty one with room for about as much as `other` has.
    pub(crate) fn like(other: &Self) -> Self {
        Self {
            bytes: Vec::with_capacity(other.bytes.len()),
            ends: Vec::with_capacity(other.ends.len()),
            ..Self::default()
        }
    }

    /// How many results there are.
    pub(crate) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// How many bytes the results have together.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.nanos
    }

    /// Has tasks noted that took longer than so many nanoseconds.
    pub(crate) fn note_above(&mut self, nanos: u64) {
        self.remarkable = nanos;
    }

    /// Keeps for [`laps`](Self::laps) what was noted of tasks that took longer than `short` nanoseconds, and returns how long each of
    /// the others took on average.
    pub(crate) fn keep_laps(&mut self, short: u64) -> u64 {
        self.laps.extend(self.slow.iter().filter(|(_, nanos)| *nanos > short));
        let long = self.laps.iter().fold(0, |sum: u64, (_, nanos)| sum.saturating_add(*nanos));
        self.nanos.saturating_sub(long) / u64::from(self.len() - self.laps.len() as u32).max(1)
    }

    /// Of the results from `from` up to `to`, the places and times of those that took long.
    pub(crate) fn laps(&self, from: u32, to: u32) -> &[(u32, u64)] {
        let place = |limit| self.laps.partition_point(|(place, _)| *place < limit);
        &self.laps[place(from)..place(to)]
    }

    /// Keeps the notes of the `most` slowest tasks, in their order.
    pub(crate) fn keep_slowest(&mut self, most: usize) {
        if self.slow.len() > most {
            self.slow.sort_unstable_by_key(|(_, nanos)| std::cmp::Reverse(*nanos));
            self.slow.truncate(most);
            self.slow.sort_unstable();
        }
    }

    /// The tasks that were noted of the results from `from` up to `to`.
    pub(crate) fn slow(&self, from: u32, to: u32) -> &[(u32, u64)] {
        let place = |limit| self.slow.partition_point(|(place, _)| *place < limit);
        &self.slow[place(from)..place(to)]
    }

    /// Adds a result: `write` appends its bytes.
    #[inline]
    pub(crate) fn push(&mut self, status: u8, nanos: u64, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        if status != 0 {
            self.note(status, nanos);
        }
        if nanos > self.remarkable {
            self.slow.push((self.len(), nanos));
        }
        self.ends.push(self.bytes.len() as u32);
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// Adds a result whose value is aside; `behind` is what would follow its bytes.
    #[cold]
    pub(crate) fn push_aside(&mut self, status: u8, nanos: u64, behind: &[u8], value: Aside) {
        self.aside.push((self.len(), value));
        self.push(status, nanos, |bytes| bytes.extend_from_slice(behind));
    }

    /// How many bytes of the results from `from` up to `to` are aside.
    pub(crate) fn bytes_aside(&self, from: u32, to: u32) -> usize {
        let within = self.aside.iter().filter(|(place, _)| (from..to).contains(place));
        within.map(|(_, aside)| aside.bytes().len()).sum()
    }

    /// Gives the result that was just added the descriptors that have come with it.
    pub(crate) fn attach(&mut self, descriptors: Vec<Descriptor>) {
        if !descriptors.is_empty() {
            self.descriptors.push((self.len() - 1, descriptors));
        }
    }

    /// The descriptors that have come with a result.
    #[inline]
    pub(crate) fn descriptors(&self, place: u32) -> &[Descriptor] {
        if self.descriptors.is_empty() {
            return &[];
        }
        let found = self.descriptors.binary_search_by_key(&place, |(place, _)| *place);
        found.map_or(&[], |found| &self.descriptors[found].1)
    }

    /// Keeps what there is to say of the result whose bytes were just added.
    #[cold]
    fn note(&mut self, status: u8, nanos: u64) {
        let place = self.len();
        if status & PRINTED != 0 {
            // A worker that has sent too few bytes for marks has printed nothing.
            let start = self.start(place);
            let marks = Marks::split_off(&mut self.bytes, start).unwrap_or_default();
            self.printed.push(Printed { place, marks, output: None });
        }
        let status = status & !PRINTED;
        if status != 0 {
            self.failures.push(Failed { place, status, nanos });
        }
    }

    /// The bytes of a result.
    #[inline]
    pub(crate) fn get(&self, place: u32) -> &[u8] {
        if !self.aside.is_empty()
            && let Ok(found) = self.aside.binary_search_by_key(&place, |(place, _)| *place)
        {
            return self.aside[found].1.bytes();
        }
        &self.bytes[self.start(place)..self.start(place + 1)]
    }

    /// Where the bytes of a result begin; of the one behind the last, where all end.
    #[inline]
    pub(crate) fn start(&self, place: u32) -> usize {
        place.checked_sub(1).map_or(0, |before| self.ends[before as usize] as usize)
    }

    /// The results from `from` up to `to` that are no values.
    pub(crate) fn failures(&self, from: u32, to: u32) -> &[Failed] {
        let place = |limit| self.failures.partition_point(|failed| failed.place < limit);
        &self.failures[place(from)..place(to)]
    }

    /// Those whose tasks have written something.
    pub(super) fn printed_mut(&mut self) -> &mut [Printed] {
        &mut self.printed
    }

    /// The results from `from` up to `to` whose tasks have written something.
    pub(crate) fn printed(&self, from: u32, to: u32) -> &[Printed] {
        let place = |limit| self.printed.partition_point(|printed| printed.place < limit);
        &self.printed[place(from)..place(to)]
    }
}
