//! Small items through a queue from one process to another, beside CPython's.

use std::time::{Duration, Instant};

use ganger::{Pool, Queue};
use serde::Deserialize;
use serde_json::json;

use super::Report;
use crate::Result;
use crate::python::{self, Python};
use crate::stats::Series;
use crate::table::{Bound, Line};

const ITEMS: u64 = 20_000;

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    sum: u64,
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut python = Python::start()?;
    let pool = Pool::new(1)?;
    let name = python.as_ref().map_or_else(|| python::MISSING.to_owned(), Python::name);
    let [mut ours, mut theirs] = ["queue", &name].map(|name| Series::new(format!("{name}: put and get"), "us"));
    let rounds = if quick { 3 } else { 15 };
    // The first round warms up both and does not count.
    for round in 0..=rounds {
        let one = through(&pool)?;
        let other = python.as_mut().map(|python| python.ask::<Answer>("queue", &json!({ "count": ITEMS })));
        let other = other.transpose()?;
        if round > 0 {
            ours.push_time(one / ITEMS as u32);
            if let Some(other) = other {
                check(other.sum)?;
                theirs.push_time(Duration::from_secs_f64(other.seconds) / ITEMS as u32);
            }
        }
    }
    let what = "CPython Queue / Queue put + get";
    let line = match &python {
        Some(_) => Line::new(what, &ours, &theirs, theirs.median() / ours.median(), Bound::AtLeast(5.0)),
        None => Line::without_ratio(what, &ours, python::MISSING, Bound::AtLeast(5.0)),
    };
    Ok(Report { lines: vec![line], notes: Vec::new(), runs: vec![ours, theirs] })
}

/// From the moment in which the producer may begin until the last item is there.
fn through(pool: &Pool) -> Result<Duration> {
    let (queue, begin) = (Queue::<u64>::new()?, Queue::<()>::new()?);
    let task = pool.apply_async::<_, _, ()>(produce, (queue.clone(), begin.clone()));
    queue.get()?;
    begin.put(&())?;
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..ITEMS {
        sum += queue.get()?;
    }
    let took = start.elapsed();
    task.get()?;
    check(sum)?;
    Ok(took)
}

fn produce(queue: Queue<u64>, begin: Queue<()>) -> std::result::Result<(), ganger::Error> {
    queue.put(&0)?;
    begin.get()?;
    (0..ITEMS).try_for_each(|number| queue.put(&number))
}

fn check(sum: u64) -> Result<()> {
    let expected = ITEMS * (ITEMS - 1) / 2;
    if sum == expected { Ok(()) } else { Err(format!("items came whose sum is {sum}, not {expected}").into()) }
}
