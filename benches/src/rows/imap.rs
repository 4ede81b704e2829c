//! How many tasks that do nothing go through `imap_unordered` in a second, with the settings that nobody set.

use std::time::{Duration, Instant};

use ganger::Pool;

use super::Report;
use crate::Result;
use crate::pids::Pids;
use crate::stats::{Series, short};
use crate::table::{Bound, Line};

const TASKS: u64 = 1_000_000;
/// Tasks a second.
const PROMISED: f64 = 250_000.0;

pub(super) fn measure(quick: bool) -> Result<Report> {
    let pool = Pool::new(2)?;
    let [mut plain, mut telling] = ["imap_unordered of a no-op", "imap_unordered of a no-op that returns its pid, too"]
        .map(|name| Series::new(name, "tasks/s"));
    let mut notes = Vec::new();
    for _ in 0..if quick { 3 } else { 9 } {
        plain.push(TASKS as f64 / run_plain(&pool)?.as_secs_f64());
        let (time, pids) = run_telling(&pool)?;
        telling.push(TASKS as f64 / time.as_secs_f64());
        notes = vec![format!("imap_unordered, last run: {pids}")];
    }
    let ratio = |series: &Series| series.median() / PROMISED;
    let limit = format!("{} tasks/s promised", short(PROMISED));
    let lines = vec![
        Line::new("imap_unordered of 1,000,000 no-ops", &plain, &limit, ratio(&plain), Bound::AtLeast(1.0)),
        Line::new("  the same, each with its pid", &telling, &limit, ratio(&telling), Bound::None),
    ];
    Ok(Report { lines, notes, runs: vec![plain, telling] })
}

fn run_plain(pool: &Pool) -> Result<Duration> {
    let start = Instant::now();
    let mut sum = 0;
    let mut count = 0;
    for outcome in pool.imap_unordered(|number: u64| number, 0..TASKS) {
        sum += outcome?;
        count += 1;
    }
    let time = start.elapsed();
    check(count, sum)?;
    Ok(time)
}

/// As [`run_plain`], with a task that tells where it ran.
fn run_telling(pool: &Pool) -> Result<(Duration, Pids)> {
    let start = Instant::now();
    let mut pids = Pids::new();
    let mut sum = 0;
    for outcome in pool.imap_unordered(|number: u64| (number, std::process::id()), 0..TASKS) {
        let (number, pid) = outcome?;
        sum += number;
        pids.count(pid);
    }
    let time = start.elapsed();
    pids.check(TASKS)?;
    check(TASKS, sum)?;
    Ok((time, pids))
}

/// Every number came back, once.
fn check(count: u64, sum: u64) -> Result<()> {
    let expected = (TASKS, TASKS * (TASKS - 1) / 2);
    if (count, sum) == expected {
        Ok(())
    } else {
        Err(format!("count and sum of the results are {:?} instead of {expected:?}", (count, sum)).into())
    }
}
