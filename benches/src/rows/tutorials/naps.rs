//! T3: 1,000 squares, each after a nap of 10 ms, by 8 workers: beside 8 bare processes that nap as much.

use std::time::{Duration, Instant};

use ganger::{Pool, Process, TaskError};
use serde_json::json;

use super::examples::squares::{SLEEPERS, numbers, parallel_with_naps, sequential, slow_square};
use super::{Digest, Report, digest, report};
use crate::Result;
use crate::contest::{Contestant, Score, Turn, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (count, rounds) = if quick { (200, 1) } else { (1_000, 7) };
    let (python, pool, numbers) = (Peer::start("naps.py")?, Pool::new(SLEEPERS)?, numbers(count));
    let scores = contest(
        "ms",
        rounds,
        [
            Contestant::new("pool", || timed(|| parallel_with_naps(&pool, &numbers), of_squares)),
            Contestant::new("bare processes", || bare(&numbers)),
            python.contestant("map", json!({ "count": count })),
        ],
    )?;
    let [pool, bare, theirs] = &scores;
    let lines = vec![
        Score::part_line("T3: pool / bare processes, squares after 10 ms", pool, bare, Bound::AtMost(1.03)),
        Score::line("T3: CPython map / pool", pool, theirs, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// Processes with an equal share each, and the time that the slowest of them takes by its own clock: without its start and
/// its end, and without a way for the results.
fn bare(numbers: &[i64]) -> Result<Turn<Digest>> {
    let share = numbers.len().div_ceil(SLEEPERS);
    let mut processes: Vec<_> = numbers.chunks(share).map(|share| Process::new(nap, (share.to_vec(),))).collect();
    processes.iter_mut().try_for_each(Process::start)?;
    let shares: Vec<(Duration, Vec<i64>)> =
        processes.iter().map(Process::result).collect::<std::result::Result<_, TaskError>>()?;
    let longest = shares.iter().map(|(time, _)| *time).max().unwrap_or_default();
    let squares = shares.into_iter().flat_map(|(_, squares)| squares).collect();
    Ok(Turn::Ran { seconds: longest.as_secs_f64(), answer: of_squares(squares) })
}

fn nap(numbers: Vec<i64>) -> (Duration, Vec<i64>) {
    let start = Instant::now();
    let squares = sequential(&numbers, slow_square);
    (start.elapsed(), squares)
}

fn of_squares(squares: Vec<i64>) -> Digest {
    digest(squares.into_iter().map(i64::cast_unsigned))
}
