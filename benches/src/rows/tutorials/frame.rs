//! T2: an Arrow frame of 1,000,000 rows, handled by partition.

use ganger::Pool;
use serde::Deserialize;
use serde_json::json;

use super::examples::frame::{PARTS, frame, parallel, sequential};
use super::{Report, WORKERS, report, timed_loop};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

const ROWS: usize = 1_000_000;
const SEED: u64 = 1;

/// All distances together, equal within a millionth: NumPy's sines are not libm's in the last digit, so that a distance may be
/// rounded to the next kilometre.
#[derive(Debug, Deserialize)]
struct Kilometres(f64);

impl PartialEq for Kilometres {
    fn eq(&self, other: &Self) -> bool {
        (self.0 - other.0).abs() <= self.0.abs() * 1e-6
    }
}

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (python, pool) = (Peer::start("frame.py")?, Pool::new(WORKERS)?);
    python.prepare("places", &json!({ "count": ROWS, "seed": SEED }))?;
    let frame = frame(ROWS, SEED).map_err(|error| error.to_string())?;
    let kilometres = |total: u64| Kilometres(total as f64);
    let parts = json!({ "parts": PARTS });
    let scores = contest(
        "ms",
        if quick { 1 } else { 7 },
        [
            Contestant::new("loop", || timed_loop(|| sequential(&frame), kilometres)),
            Contestant::new("by partition", || timed(|| parallel(&pool, &frame), kilometres)),
            python.contestant("partitions", parts.clone()),
            python.contestant("numpy_whole", json!({})),
            python.contestant("numpy_partitions", parts),
        ],
    )?;
    let [own_loop, ours, theirs, numpy, numpy_parts] = &scores;
    let lines = vec![
        Score::part_line("T2: by partition / loop, Arrow frame of 1,000,000 rows", ours, own_loop, Bound::Below(1.0)),
        Score::line("T2: CPython arrays by partition / by partition", ours, theirs, Bound::None),
        Score::line("T2: NumPy, whole / loop", own_loop, numpy, Bound::None),
        Score::line("T2: NumPy by partition / by partition", ours, numpy_parts, Bound::None),
    ];
    Ok(report(lines, scores))
}
