//! T2: how many numbers of each of 200,000 rows lie within a range; with rows that are sent, and with rows that are shared.

use std::hint::black_box;

use ganger::Pool;
use serde_json::json;

use super::examples::count_in_range::{
    HIGH, LOW, PARTS, Row, SEED, count_in_range, parallel, parallel_shared, rows, sequential, share,
};
use super::{Report, WORKERS, digest, report, timed_loop};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

const ROWS: usize = 200_000;

/// So many calls with shared rows are in one turn: a single one, of 2 ms, would measure the caches that CPython's turns leave.
const CALLS: u32 = 5;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (python, pool) = (Peer::start("counts.py")?, Pool::new(WORKERS)?);
    python.prepare("rows", &json!({ "count": ROWS, "seed": SEED, "low": LOW, "high": HIGH }))?;
    let rows = rows(ROWS, SEED);
    let shared = share(&rows)?;
    let bound = |row: Row| count_in_range(row, LOW, HIGH);
    let scores = contest(
        "ms",
        if quick { 2 } else { 9 },
        [
            Contestant::new("starmap", || timed(|| parallel(&pool, &rows), digest)),
            Contestant::new("map", || timed(|| pool.map(bound, rows.iter().copied()), digest)),
            Contestant::new("SharedArray", || {
                let calls = || (1..CALLS).try_for_each(|_| parallel_shared(&pool, &shared).map(drop));
                let turn = timed(|| calls().and_then(|()| parallel_shared(&pool, &shared)), digest);
                Ok(turn?.each_of(CALLS))
            }),
            Contestant::new("loop", || timed_loop(|| sequential(black_box(&rows)), digest)),
            python.contestant("starmap", json!({})),
            python.contestant("shared_memory", json!({ "parts": PARTS })),
            python.contestant("loop", json!({})),
        ],
    )?;
    let [starmap, map, array, own_loop, their_starmap, their_memory, their_loop] = &scores;
    let lines = vec![
        Score::line("T2: CPython starmap / starmap, 200,000 rows", starmap, their_starmap, Bound::AtLeast(10.0)),
        Score::line("T2: CPython starmap / map", map, their_starmap, Bound::AtLeast(10.0)),
        Score::line("T2: CPython starmap / SharedArray", array, their_starmap, Bound::AtLeast(50.0)),
        Score::line("T2: CPython SharedMemory / SharedArray", array, their_memory, Bound::None),
        Score::line("T2: CPython loop / loop", own_loop, their_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}
