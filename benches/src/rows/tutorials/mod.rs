//! The tutorials' workloads, by the functions of the library's own examples, beside CPython's run of the same.

pub(super) mod array;
pub(super) mod counts;
mod examples;
pub(super) mod files;
pub(super) mod frame;
pub(super) mod images;
pub(super) mod lists;
pub(super) mod naps;
pub(super) mod squares;
pub(super) mod sums;
pub(super) mod texts;
pub(super) mod transactions;

use std::convert::Infallible;

use super::Report;
use crate::Result;
use crate::contest::{Score, Turn, timed};
use crate::table::Line;

/// How many workers all pools have, where a row does not say otherwise. CPython's have as many.
const WORKERS: usize = 2;

/// What is compared of many numbers: their sum, and one that changes with the order. `digits.py` has the same.
type Digest = (u64, u64);

fn digest(numbers: impl IntoIterator<Item = u64>) -> Digest {
    (1..).zip(numbers).fold((0, 0), |(sum, weighted), (place, number): (u64, u64)| {
        (sum.wrapping_add(number), weighted.wrapping_add(place.wrapping_mul(number)))
    })
}

/// As [`timed`], of work that cannot fail.
fn timed_loop<T, A>(work: impl FnOnce() -> T, answer: impl FnOnce(T) -> A) -> Result<Turn<A>> {
    timed(|| Ok::<_, Infallible>(work()), answer)
}

fn report<const N: usize>(lines: Vec<Line>, scores: [Score; N]) -> Report {
    Report { lines, notes: Vec::new(), runs: scores.map(|score| score.runs).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_python() {
        // What `digest([2, 3])` and `digest([1 << 63, 1 << 63])` of digits.py give.
        assert_eq!(digest([2, 3]), (5, 8));
        assert_eq!(digest([1 << 63, 1 << 63]), (0, 1 << 63));
    }
}
