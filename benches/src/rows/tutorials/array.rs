//! T5, third part: an array of 50,000 x 100 random numbers that workers fill in place.

use ganger::{Pool, SealedArray};
use serde_json::json;

use super::examples::fill_array::{SEED, parallel, sequential};
use super::{Report, WORKERS, report};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (rows, rounds) = if quick { (5_000, 2) } else { (50_000, 7) };
    let python = Peer::start("array_in_place.py")?;
    let scores = contest(
        "ms",
        rounds,
        [
            Contestant::new("pool", || {
                let pool = Pool::builder().workers(WORKERS).seed(SEED).build()?;
                timed(|| parallel(&pool, rows), sum_of_rows)
            }),
            Contestant::new("loop", || timed(|| sequential(rows), sum_of_rows)),
            python.contestant("shared_memory", json!({ "rows": rows })),
        ],
    )?;
    let [pool, own_loop, theirs] = &scores;
    let lines = vec![
        Score::line(&format!("T5: CPython / ours, {rows} x 100 filled in place"), pool, theirs, Bound::None),
        Score::line("T5: loop / pool of 2", pool, own_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// The sum of the whole parts: each number's is its row, whatever random numbers stand behind the point.
fn sum_of_rows(array: SealedArray<f64, 2>) -> u64 {
    array.iter().map(|number| *number as u64).sum()
}
