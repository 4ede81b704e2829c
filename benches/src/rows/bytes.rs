//! Plain bytes, 64 MiB, to a task and back, beside CPython.

use std::time::{Duration, Instant};

use ganger::Pool;
use serde::Deserialize;
use serde_json::json;

use super::Report;
use crate::Result;
use crate::python::{self, Python};
use crate::stats::Series;
use crate::table::{Bound, Line};

const SIZE: usize = 64 << 20;

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    sum: u64,
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut python = Python::start()?;
    let pool = Pool::new(2)?;
    let name = python.as_ref().map_or_else(|| python::MISSING.to_owned(), Python::name);
    let [mut ours, mut theirs] =
        ["apply", &name].map(|name| Series::new(format!("{name}: 64 MiB to a task and back"), "ms"));
    let rounds = if quick { 2 } else { 7 };
    // The first round warms up both and does not count.
    for round in 0..=rounds {
        let one = there_and_back(&pool)?;
        let other = python.as_mut().map(|python| python.ask::<Answer>("echo_bytes", &json!({ "size": SIZE })));
        let other = other.transpose()?;
        if round > 0 {
            ours.push_time(one);
            if let Some(other) = other {
                check(other.sum)?;
                theirs.push_time(Duration::from_secs_f64(other.seconds));
            }
        }
    }
    let what = "CPython apply / apply of 64 MiB";
    let line = match &python {
        Some(_) => Line::new(what, &ours, &theirs, theirs.median() / ours.median(), Bound::AtLeast(3.0)),
        None => Line::without_ratio(what, &ours, python::MISSING, Bound::AtLeast(3.0)),
    };
    Ok(Report { lines: vec![line], notes: Vec::new(), runs: vec![ours, theirs] })
}

fn there_and_back(pool: &Pool) -> Result<Duration> {
    let bytes = vec![1_u8; SIZE];
    let start = Instant::now();
    let back: Vec<u8> = pool.apply(|bytes: Vec<u8>| bytes, (bytes,))?;
    let took = start.elapsed();
    check(back.iter().map(|byte| u64::from(*byte)).sum())?;
    Ok(took)
}

fn check(sum: u64) -> Result<()> {
    if sum == SIZE as u64 { Ok(()) } else { Err(format!("bytes came back whose sum is {sum}").into()) }
}
