//! T3: 1,000 squares: by a warm pool, by whole slices, and by a pool that is started and ended for them.

use std::hint::black_box;

use ganger::{Pool, StartMethod};
use serde_json::json;

use super::examples::squares::{numbers, parallel, sequential, square, vectorised};
use super::{Digest, Report, WORKERS, digest, report};
use crate::Result;
use crate::contest::{Contestant, Score, Turn, contest, timed};
use crate::helper::ask;
use crate::python::Peer;
use crate::table::Bound;

const COUNT: usize = 1_000;
/// How many calls one turn has where a call is a fraction of a millisecond.
const CALLS: u32 = 20;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let python = Peer::start("squares.py")?;
    python.prepare("numbers", &json!({ "count": COUNT }))?;
    let mut report = warm(&python, if quick { 3 } else { 40 })?;
    report.append(started(&python, if quick { 2 } else { 15 })?);
    Ok(report)
}

/// With what is there already.
fn warm(python: &Peer, rounds: u32) -> Result<Report> {
    let (pool, numbers) = (Pool::new(WORKERS)?, numbers(COUNT));
    let calls = json!({ "calls": CALLS });
    let scores = contest(
        "us",
        rounds,
        [
            Contestant::new("pool", || repeated(|| parallel(&pool, &numbers))),
            Contestant::new("slices", || repeated(|| vectorised(&pool, &numbers))),
            Contestant::new("loop", || repeated(|| Ok(sequential(black_box(&numbers), square)))),
            python.contestant("map", calls.clone()),
            python.contestant("numpy", calls.clone()),
            python.contestant("loop", calls),
        ],
    )?;
    let [pool, slices, own_loop, their_pool, numpy, their_loop] = &scores;
    let lines = vec![
        Score::line("T3: CPython map / map, 1,000 squares, warm pools", pool, their_pool, Bound::AtLeast(5.0)),
        Score::line("T3: loop / map", pool, own_loop, Bound::None),
        Score::line("T3: loop / a slice for each worker", slices, own_loop, Bound::None),
        Score::line("T3: NumPy / loop", own_loop, numpy, Bound::None),
        Score::line("T3: CPython loop / loop", own_loop, their_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// Makes [`CALLS`] calls; the time is that of one.
fn repeated(call: impl Fn() -> std::result::Result<Vec<i64>, ganger::TaskError>) -> Result<Turn<Digest>> {
    let calls = || (1..CALLS).try_for_each(|_| call().map(|squares| drop(black_box(squares)))).and_then(|()| call());
    Ok(timed(calls, of_squares)?.each_of(CALLS))
}

fn of_squares(squares: Vec<i64>) -> Digest {
    digest(squares.into_iter().map(i64::cast_unsigned))
}

/// With the start of a pool of 2 and its end. Ours are started by helper processes: `fork` is refused beside threads, which
/// this process has.
fn started(python: &Peer, rounds: u32) -> Result<Report> {
    let ours = |method: StartMethod| {
        Contestant::<Digest>::new(format!("pool started by {method}"), move || {
            ask(&["--mode", "squares", "--method", method.as_str()])
        })
    };
    let theirs = |method: StartMethod| python.contestant("started", json!({ "method": method.as_str() }));
    let [first, second, third] = StartMethod::ALL;
    let scores =
        contest("ms", rounds, [ours(first), theirs(first), ours(second), theirs(second), ours(third), theirs(third)])?;
    let line = |(method, scores): (StartMethod, &[Score])| {
        let bound = match method {
            StartMethod::Fork => Bound::AtLeast(2.0),
            StartMethod::Spawn => Bound::AtLeast(5.0),
            _ => Bound::None,
        };
        let what = format!("T3: CPython / ours, squares with a pool's start and end, {method}");
        Score::line(&what, &scores[0], &scores[1], bound)
    };
    let lines = StartMethod::ALL.into_iter().zip(scores.chunks(2)).map(line).collect();
    Ok(report(lines, scores))
}

/// What a helper does when it is asked for [`started`]: twice, as the first time warms up.
pub(crate) fn start_and_square(method: StartMethod) -> Result<Turn<Digest>> {
    let numbers = numbers(COUNT);
    let once = || {
        let pool = Pool::builder().workers(WORKERS).start_method(method).build()?;
        let squares = parallel(&pool, &numbers);
        pool.terminate();
        pool.join()?;
        Ok::<_, Box<dyn std::error::Error>>(squares?)
    };
    timed(once, of_squares)?;
    timed(once, of_squares)
}
