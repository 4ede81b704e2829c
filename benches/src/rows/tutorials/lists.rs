//! T4, second part: the sums of eight lists at once, with a pool within a task for each list.

use ganger::{Manager, Pool};
use serde_json::json;

use super::examples::many_lists::{parallel, sequential, sizes};
use super::{Report, WORKERS, report, timed_loop};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (python, pool, manager) = (Peer::start("lists.py")?, Pool::new(WORKERS)?, Manager::new()?);
    let sizes = sizes(8, 10_000);
    let scores = contest(
        "ms",
        if quick { 1 } else { 7 },
        [
            Contestant::new("a pool for each list", || timed(|| parallel(&pool, &manager, &sizes), |sums| sums)),
            Contestant::new("loop", || timed_loop(|| sequential(&sizes), |sums| sums)),
            python.contestant("nested", json!({ "sizes": sizes })),
        ],
    )?;
    let [nested, own_loop, theirs] = &scores;
    let lines = vec![
        Score::line("T4: CPython / ours, 8 lists of 10,000, a pool for each", nested, theirs, Bound::None),
        Score::line("T4: loop / ours", nested, own_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}
