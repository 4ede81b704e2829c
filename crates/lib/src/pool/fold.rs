//! Reductions: workers fold what their tasks return, and only the sums travel.

use std::any::type_name;
use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Pool;
use super::feed::Encode;
use super::job::Chunk;
use super::terms::Terms;
use crate::folding::{self, Piece};
use crate::task::Task;
use crate::wire::codec::{self, CodecError};
use crate::worker::panic_text;
use crate::{TaskError, TaskErrorKind};

impl Pool {
    /// Runs `task` once for every item, and merges all values and `init` into one. The items are sent in pieces; a worker
    /// merges the values of a piece, and only what comes of it travels back, to be merged here: `init` first, then the
    /// pieces in the order of their items. So `merge` must be associative, and need not be commutative.
    ///
    /// `merge` is a function, or a closure that captures nothing, like a task, as it runs in workers too. Without items the result is
    /// `init`.
    ///
    /// A piece is what is delivered: its sum arrives once or not at all, so nothing is counted twice, whoever dies. A worker's
    /// death is the error of the item that it had begun. Where something is said of every single task (a timeout, retries),
    /// each item is a piece of its own. Pieces are about a 32nd of each worker's share, or as many items as
    /// [`with_chunksize`](Self::with_chunksize) says.
    ///
    /// # Errors
    /// The error of the first item, in their order, whose task failed, after all have ended; items behind one that failed
    /// in the same piece are not run. A panic of `merge` is one, too.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// type Counts = BTreeMap<String, u64>;
    /// fn count(line: String) -> Counts {
    ///     let mut counts = Counts::new();
    ///     line.split_whitespace().for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
    ///     counts
    /// }
    /// fn merge(mut a: Counts, b: Counts) -> Counts {
    ///     b.into_iter().for_each(|(word, count)| *a.entry(word).or_default() += count);
    ///     a
    /// }
    /// let pool = ganger::Pool::new(2)?;
    /// let lines = ["a rose is a rose", "is a rose"].map(str::to_owned);
    /// assert_eq!(pool.fold(count, lines, Counts::new(), merge)?["rose"], 3);
    /// assert_eq!(pool.fold(|x: u64| x * x, 0..1000, 0, |a, b| a + b)?, 332_833_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fold<F, A, R, M>(
        &self,
        task: F,
        items: impl IntoIterator<Item = A>,
        init: R,
        merge: M,
    ) -> Result<R, TaskError>
    where
        F: Task<(A,), R> + 'static,
        A: 'static,
        R: Serialize + DeserializeOwned + 'static,
        M: Fn(R, R) -> R + Copy + Send + Sync + 'static,
    {
        let prepared = folding::prepare(&task, merge, self.gang().id);
        let job = self.gang().job(prepared, type_name::<F>(), self.terms.single());
        let notes = RefCell::new(Notes::default());
        let items = items.into_iter().map(|item| (item,));
        let size = Size::new(self.terms, items.size_hint().0, self.gang().places);
        let pieces =
            Pieces { items, encode: F::encode, next: 0, size, passenger: None, task: type_name::<F>(), notes: &notes };
        let mut sum = Ok(init);
        let mut number = 0;
        let take = |outcome: Result<R, TaskError>| {
            let range = notes.borrow().pieces[number].clone();
            number += 1;
            let before = std::mem::replace(&mut sum, Err(None));
            sum = match (before, outcome) {
                (Ok(sum), Ok(piece)) => merge_here(merge, sum, piece, type_name::<F>(), &range).map_err(Some),
                (Ok(_), Err(error)) => Err(Some(error.of_one_in(&range))),
                (Err(error), _) => Err(error),
            };
        };
        let decode = codec::decode_value::<R>;
        let collected = self.collect(job, (pieces, encode_piece), decode, take);
        let unsendable = notes.into_inner().unsendable;
        match (collected, sum, unsendable) {
            (Err((refusal, count)), _, _) if count > 0 => Err(refusal.to_error(0)),
            (_, Err(Some(error)), Some(other)) if other.index() < error.index() => Err(other),
            (_, Err(Some(error)), _) | (_, _, Some(error)) => Err(error),
            (_, Ok(sum), None) => Ok(sum),
            (_, Err(None), None) => unreachable!("the sum is only away while it is merged"),
        }
    }
}

/// Merges what has come into the sum. It runs code of the user's, in the user's thread: its panic is an outcome like any other.
fn merge_here<R>(merge: impl Fn(R, R) -> R, sum: R, piece: R, task: &str, items: &Range<u64>) -> Result<R, TaskError> {
    catch_unwind(AssertUnwindSafe(|| merge(sum, piece))).map_err(|payload| {
        let text = format!("has a value whose merging panicked: {}", panic_text(payload));
        TaskError::new(TaskErrorKind::Panicked, text, task.into(), items.start).of_one_in(items)
    })
}

fn encode_piece(piece: &Piece, out: &mut Vec<u8>) -> Result<(), CodecError> {
    piece.append(out)
}

/// What is known of the pieces that were sent.
#[derive(Debug, Default)]
struct Notes {
    pieces: Vec<Range<u64>>,
    /// The first item that could not be encoded.
    unsendable: Option<TaskError>,
}

/// How many items are sent together.
#[derive(Clone, Copy, Debug)]
struct Size {
    items: u64,
    /// How many pieces are made until that is doubled; zero when it stays.
    doubles_after: u64,
    made: u64,
}

/// More items than this are never sent together, unless the user says so: the last piece would be waited for.
const MOST_ITEMS: u64 = 4096;

/// A piece that has so many bytes is sent, however few its items are.
const MOST_BYTES: usize = 1 << 20;

impl Size {
    fn new(terms: Terms, at_least: usize, places: u32) -> Self {
        let fixed = |items: u64| Self { items, doubles_after: 0, made: 0 };
        if terms.tell_tasks_apart() {
            return fixed(1);
        }
        if let Some(items) = terms.chunksize() {
            return fixed(items.into());
        }
        match at_least as u64 / (32 * u64::from(places)) {
            // An input that does not know how long it is.
            0 if at_least == 0 => Self { items: 1, doubles_after: 8 * u64::from(places), made: 0 },
            share => fixed(share.clamp(1, MOST_ITEMS)),
        }
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        if self.doubles_after > 0 && self.made.is_multiple_of(self.doubles_after) {
            self.items = (self.items * 2).min(MOST_ITEMS);
        }
        self.items
    }
}

/// Makes pieces of items.
struct Pieces<'a, I, Args> {
    items: I,
    encode: Encode<Args>,
    next: u64,
    size: Size,
    /// Comes next, by itself.
    passenger: Option<Chunk>,
    task: &'static str,
    notes: &'a RefCell<Notes>,
}

impl<I, Args> Pieces<'_, I, Args> {
    fn piece(&self, chunk: Chunk) -> Piece {
        self.notes.borrow_mut().pieces.push(chunk.first..chunk.next_index());
        Piece { first: chunk.first, items: chunk.bytes, descriptors: chunk.descriptors }
    }
}

impl<I: Iterator<Item = Args>, Args> Iterator for Pieces<'_, I, Args> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if let Some(passenger) = self.passenger.take() {
            return Some(self.piece(passenger));
        }
        let most = self.size.next();
        let mut chunk = Chunk::starting_at(self.next);
        while (chunk.len() as u64) < most && chunk.size().1 < MOST_BYTES {
            let Some(item) = self.items.next() else { break };
            let index = self.next;
            self.next += 1;
            if let Err((kind, text)) = chunk.push_whole(|out| (self.encode)(&item, out)) {
                let mut notes = self.notes.borrow_mut();
                notes.unsendable.get_or_insert_with(|| TaskError::new(kind, text, self.task.into(), index));
                if chunk.len() == 0 {
                    chunk.first = self.next;
                    continue;
                }
                // Indices within a piece have no gaps.
                break;
            }
            // One with descriptors travels alone, as any task does.
            self.passenger = chunk.split_off_passenger();
            if self.passenger.is_some() {
                break;
            }
        }
        if chunk.len() > 0 {
            return Some(self.piece(chunk));
        }
        self.passenger.take().map(|passenger| self.piece(passenger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(items: impl Iterator<Item = u32>, size: Size) -> (Vec<Range<u64>>, Option<u64>) {
        let notes = RefCell::new(Notes::default());
        let encode: Encode<u32> = |item, out| {
            assert!(*item != 13, "unlucky");
            codec::encode(item, out)
        };
        let made = Pieces { items, encode, next: 0, size, passenger: None, task: "t", notes: &notes };
        let first: Vec<u64> = made.map(|piece| piece.first).collect();
        let Notes { pieces, unsendable } = notes.into_inner();
        assert_eq!(first, pieces.iter().map(|range| range.start).collect::<Vec<_>>());
        (pieces, unsendable.map(|error| error.index()))
    }

    #[test]
    fn items_are_cut_into_pieces_around_those_that_cannot_be_sent() {
        let of = |items| Size { items, doubles_after: 0, made: 0 };
        assert_eq!(pieces(0..0, of(3)), (vec![], None));
        assert_eq!(pieces(0..7, of(3)), (vec![0..3, 3..6, 6..7], None));
        assert_eq!(pieces(10..18, of(3)), (vec![0..3, 4..7, 7..8], Some(3)));
        assert_eq!(pieces(9..18, of(3)), (vec![0..3, 3..4, 5..8, 8..9], Some(4)));
        assert_eq!(pieces([13, 13, 1, 2, 13].into_iter(), of(1)), (vec![2..3, 3..4], Some(0)));
    }

    #[test]
    fn pieces_of_an_input_of_unknown_length_grow() {
        let lengths: Vec<u64> =
            pieces(20..60, Size::new(Terms::default(), 0, 1)).0.iter().map(|range| range.end - range.start).collect();
        assert_eq!(lengths[..7], [1; 7]);
        assert_eq!(lengths[7..15], [2; 8]);
        assert_eq!(Size::new(Terms::default(), 1_000_000, 4).items, 4096);
        assert_eq!(Size::new(Terms::default(), 1_000, 4).items, 7);
        assert_eq!(Size::new(Terms::default(), 10, 4).items, 1);
    }
}
