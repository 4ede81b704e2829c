//! T3: 5,000 of 10,000 files in 200 directories, found by their extension, with their sizes.

use std::path::{Path, PathBuf};

use ganger::Pool;
use serde_json::json;

use super::examples::find_files::{Found, by_glob, directories, parallel, sequential};
use super::{Report, WORKERS, report};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::scratch::Scratch;
use crate::table::Bound;

const DIRECTORIES: usize = 200;
/// In each directory.
const FILES: usize = 50;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (python, pool, scratch) = (Peer::start("files.py")?, Pool::new(WORKERS)?, Scratch::new("files")?);
    plant(scratch.path())?;
    let roots = [scratch.path().to_owned()];
    let directories: Vec<PathBuf> = directories(&roots)?;
    python.prepare("tree", &json!({ "root": scratch.path(), "directories": directories, "extension": ".py" }))?;
    let scores = contest(
        "ms",
        if quick { 2 } else { 15 },
        [
            Contestant::new("pool", || timed(|| parallel(&pool, &directories, "py"), totals)),
            Contestant::new("loop", || timed(|| sequential(&directories, "py"), totals)),
            Contestant::new("glob", || timed(|| by_glob(&roots, "py"), totals)),
            python.contestant("map", json!({})),
            python.contestant("loop", json!({})),
            python.contestant("glob", json!({})),
        ],
    )?;
    let [pool, own_loop, own_glob, their_pool, their_loop, their_glob] = &scores;
    let lines = vec![
        Score::line("T3: CPython map / pool, 5,000 files found", pool, their_pool, Bound::None),
        Score::line("T3: loop / pool", pool, own_loop, Bound::None),
        Score::line("T3: CPython loop / loop", own_loop, their_loop, Bound::None),
        Score::line("T3: CPython glob / glob", own_glob, their_glob, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// Makes the files: every second one is wanted, and each has another size than its neighbours.
fn plant(root: &Path) -> Result<()> {
    for directory in 0..DIRECTORIES {
        let path = root.join(format!("d{directory}"));
        std::fs::create_dir_all(&path)?;
        for file in 0..FILES {
            let extension = if file % 2 == 0 { "py" } else { "txt" };
            std::fs::write(path.join(format!("f{file}.{extension}")), vec![b'#'; directory + file])?;
        }
    }
    Ok(())
}

/// How many, and how large together.
fn totals(found: Vec<Found>) -> (usize, u64) {
    (found.len(), found.iter().map(|(_, size)| size).sum())
}
