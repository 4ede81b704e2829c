//! T5: 2,000 images of 100 x 100 random grey values, written as PNG. All that is written is read back.

use std::path::Path;

use ganger::Pool;
use serde_json::json;

use super::examples::images::{SEED, parallel, read_image, sequential};
use super::{Report, WORKERS, report};
use crate::Result;
use crate::contest::{Contestant, Score, Turn, contest, timed};
use crate::python::Peer;
use crate::scratch::Scratch;
use crate::table::Bound;

const SIZE: u32 = 100;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (count, rounds) = if quick { (200, 2) } else { (2_000, 9) };
    let python = Peer::start("images.py")?;
    let scratch = Scratch::new("images")?;
    let directory = scratch.path();
    let ours = sequential(directory, count, SIZE).map_err(|error| error.to_string())?;
    // In any other way the same images must come out, and CPython's own have to be what it says.
    let of_ours = |written: Vec<u64>| if written == ours { intact(directory, &written) } else { 0 };
    let all = json!({ "directory": directory, "count": count, "size": SIZE });
    let theirs = |command| {
        Ok(match python.turn::<Vec<u64>>(command, &all)? {
            Turn::Ran { seconds, answer } => Turn::Ran { seconds, answer: intact(directory, &answer) },
            Turn::Skipped { skip } => Turn::Skipped { skip },
        })
    };
    let scores = contest(
        "ms",
        rounds,
        [
            Contestant::new("loop", || timed(|| sequential(directory, count, SIZE), of_ours)),
            Contestant::new("pool", || {
                let pool = Pool::builder().workers(WORKERS).seed(SEED).build()?;
                timed(|| parallel(&pool, directory, count, SIZE), of_ours)
            }),
            Contestant::new("CPython: map", || theirs("map")),
            Contestant::new("CPython: loop", || theirs("loop")),
        ],
    )?;
    let [own_loop, pool, their_pool, their_loop] = &scores;
    let lines = vec![
        Score::line(&format!("T5: loop / pool of 2, {count} images"), pool, own_loop, Bound::AtLeast(1.8)),
        Score::line("T5: CPython map / pool", pool, their_pool, Bound::None),
        Score::line("T5: CPython loop / CPython map", their_pool, their_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// How many images have the sum of grey values that is said of them.
fn intact(directory: &Path, written: &[u64]) -> usize {
    (0..).zip(written).filter(|(number, sum)| read_image(directory, SIZE, *number).as_ref() == Ok(*sum)).count()
}
