//! An addition in a manager's dictionary, from a worker, beside a bare ping-pong on a socket pair; and a thousand of them at
//! once, beside CPython's `d[k] += 1`, which is two round trips and loses updates.

use std::time::{Duration, Instant};

use ganger::manager::Dict;
use ganger::{Error, Manager, Pool, partial};
use serde::Deserialize;
use serde_json::json;

use super::Report;
use super::apply::{CALLS, Echo};
use crate::Result;
use crate::python::{self, Python};
use crate::stats::Series;
use crate::table::{Bound, Line};

/// How many additions go in one batch.
const BATCH: u32 = 1000;

#[derive(Deserialize)]
struct Timed {
    seconds: f64,
}

fn add_one_by_one(totals: Dict<u64, u64>, count: u32) -> std::result::Result<Duration, Error> {
    let start = Instant::now();
    for _ in 0..count {
        totals.add(&7, 1)?;
    }
    Ok(start.elapsed())
}

fn add_at_once(totals: Dict<u64, u64>, count: u32) -> std::result::Result<Duration, Error> {
    let start = Instant::now();
    totals.add_many((0..count).map(|_| (7, 1)))?;
    Ok(start.elapsed())
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut python = Python::start()?;
    let mut echo = Echo::start()?;
    let manager = Manager::new()?;
    let totals: Dict<u64, u64> = manager.dict()?;
    let pool = Pool::new(1)?;
    let name = python.as_ref().map_or_else(|| python::MISSING.to_owned(), Python::name);
    let [mut bare, mut single, mut batched, mut theirs] =
        ["socket pair: round trip", "add", "add in batches of 1,000", &format!("{name}: d[k] += 1")]
            .map(|name| Series::new(name, "us"));
    let rounds: u32 = if quick { 8 } else { 60 };
    // The first round warms up all of them and does not count.
    for round in 0..=rounds {
        let ping_pong = echo.ping_pong()?;
        let one: Duration = pool.apply(partial(add_one_by_one, (totals.clone(),)), (CALLS,))?;
        let many: Duration = pool.apply(partial(add_at_once, (totals.clone(),)), (BATCH,))?;
        let other = python.as_mut().map(|python| python.ask::<Timed>("manager_add", &json!({ "count": BATCH })));
        let other = other.transpose()?;
        if round > 0 {
            bare.push_time(ping_pong / CALLS);
            single.push_time(one / CALLS);
            batched.push_time(many / BATCH);
            other.into_iter().for_each(|other| theirs.push_time(Duration::from_secs_f64(other.seconds) / BATCH));
        }
    }
    let expected = u64::from(rounds + 1) * u64::from(CALLS + BATCH);
    if totals.get(&7)? != Some(expected) {
        return Err(format!("{:?} were added, not {expected}", totals.get(&7)?).into());
    }
    let what = "CPython d[k] += 1 / add in batches of 1,000";
    let lines = vec![
        Line::new(
            "add to a manager's dict / socket pair ping-pong",
            &single,
            &bare,
            single.median() / bare.median(),
            Bound::AtMost(1.3),
        ),
        match &python {
            Some(_) => Line::new(what, &batched, &theirs, theirs.median() / batched.median(), Bound::AtLeast(20.0)),
            None => Line::without_ratio(what, &batched, python::MISSING, Bound::AtLeast(20.0)),
        },
    ];
    Ok(Report { lines, notes: Vec::new(), runs: vec![bare, single, batched, theirs] })
}
