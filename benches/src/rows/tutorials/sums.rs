//! T4: numbers that the tasks of a pool add to a manager's dictionary, one by one, in batches, and by partial sums.

use std::hint::black_box;

use ganger::{Manager, Pool};
use serde_json::json;

use super::examples::sums::{arithmetic, in_batches, one_by_one, partial_sums, sequential};
use super::{Report, WORKERS, report, timed_loop};
use crate::Result;
use crate::contest::{Contestant, Score, Turn, contest, timed};
use crate::python::Peer;
use crate::stats::short;
use crate::table::Bound;

const MANY: u64 = 10_000_000;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let (few, rounds) = if quick { (1_000, 2) } else { (10_000, 9) };
    let (python, pool, manager) = (Peer::start("sums.py")?, Pool::new(WORKERS)?, Manager::new()?);
    let mut report = through_a_manager(&python, &pool, &manager, few, rounds)?;
    report.append(large(&python, &pool, rounds)?);
    report.notes.push(racing(&python, few)?);
    Ok(report)
}

fn through_a_manager(python: &Peer, pool: &Pool, manager: &Manager, count: u64, rounds: u32) -> Result<Report> {
    let all = json!({ "count": count });
    let scores = contest(
        "ms",
        rounds,
        [
            Contestant::new("one by one", || timed(|| one_by_one(pool, manager, count), |sum| sum)),
            Contestant::new("in batches", || timed(|| in_batches(pool, manager, count), |sum| sum)),
            python.contestant("locked", all.clone()),
            python.contestant("atomic_calls", all),
        ],
    )?;
    let [single, batched, locked, atomic] = &scores;
    let count = short(count as f64);
    let lines = vec![
        Score::line(
            &format!("T4: CPython with a lock / one by one, {count} numbers"),
            single,
            locked,
            Bound::AtLeast(2.0),
        ),
        Score::line("T4: CPython with a manager that adds / one by one", single, atomic, Bound::AtLeast(2.0)),
        Score::line("T4: CPython with a lock / in batches", batched, locked, Bound::AtLeast(20.0)),
        Score::line("T4: CPython with a manager that adds / in batches", batched, atomic, Bound::AtLeast(20.0)),
    ];
    Ok(report(lines, scores))
}

/// So many that nobody adds them through a manager one by one.
fn large(python: &Peer, pool: &Pool, rounds: u32) -> Result<Report> {
    let scores = contest(
        "ms",
        rounds.min(5),
        [
            Contestant::new("partial sums", || timed(|| partial_sums(pool, MANY), |sum| sum)),
            Contestant::new("loop", || timed_loop(|| sequential(black_box(MANY)), |sum| sum)),
            python.contestant("partial_sums", json!({ "count": MANY })),
        ],
    )?;
    let [partial, own_loop, theirs] = &scores;
    let lines = vec![
        Score::line("T4: CPython partial sums / partial sums, 10,000,000", partial, theirs, Bound::None),
        Score::line("T4: loop / partial sums", partial, own_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// The tutorial's own program, whose answer cannot be compared with anybody's.
fn racing(python: &Peer, count: u64) -> Result<String> {
    let expected = arithmetic(count);
    Ok(match python.turn::<u64>("racing", &json!({ "count": count }))? {
        Turn::Skipped { skip } => format!("the tutorial's own d[k] += x: SKIP: {skip}"),
        Turn::Ran { answer: sum, .. } if sum == expected => {
            "the tutorial's own d[k] += x lost nothing this time".to_owned()
        }
        Turn::Ran { answer: sum, .. } => {
            let lost = 100.0 * (1.0 - sum as f64 / expected as f64);
            let [sum, expected, lost] = [sum as f64, expected as f64, lost].map(short);
            format!("the tutorial's own d[k] += x by {WORKERS} workers: {sum} of {expected}, so {lost} % were lost")
        }
    })
}
