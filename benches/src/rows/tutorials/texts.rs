//! T5, second part: 500 files read by workers into a list that a manager keeps.

use ganger::{Manager, Pool};
use serde_json::json;

use super::examples::read_files::{files, parallel, sequential};
use super::{Digest, Report, WORKERS, digest, report};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::scratch::Scratch;
use crate::table::Bound;

const FILES: u64 = 500;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (python, pool, manager) = (Peer::start("texts.py")?, Pool::new(WORKERS)?, Manager::new()?);
    let scratch = Scratch::new("texts")?;
    let paths = files(scratch.path(), FILES)?;
    python.prepare("files", &json!({ "paths": paths }))?;
    let scores = contest(
        "ms",
        if quick { 2 } else { 15 },
        [
            Contestant::new("managed list", || timed(|| parallel(&pool, &manager, &paths), lengths)),
            Contestant::new("loop", || timed(|| sequential(&paths), lengths)),
            python.contestant("managed_list", json!({})),
            python.contestant("loop", json!({})),
        ],
    )?;
    let [managed, own_loop, their_managed, their_loop] = &scores;
    let lines = vec![
        Score::line("T5: CPython / ours, 500 files into a managed list", managed, their_managed, Bound::None),
        Score::line("T5: loop / managed list", managed, own_loop, Bound::None),
        Score::line("T5: CPython loop / loop", own_loop, their_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

fn lengths(texts: Vec<String>) -> Digest {
    digest(texts.iter().map(|text| text.len() as u64))
}
