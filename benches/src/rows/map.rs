//! Counting in 200,000 rows of 5 integers: a task so small that all of the time is the pool's, beside CPython.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ganger::Pool;
use serde::Deserialize;
use serde_json::json;

use super::Report;
use crate::Result;
use crate::data::{HIGH, LOW, SEED, Sums, WIDTH, count_in, count_in_range, make_rows};
use crate::pids::Pids;
use crate::python::{self, Python};
use crate::stats::Series;
use crate::table::{Bound, Line};

const ROWS: usize = 200_000;

type Rows = Vec<Vec<i64>>;

/// One run: how long it took, and what came out.
struct Timed(Duration, Sums);

/// The same, in CPython's words.
#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    sum: i64,
    weighted: i64,
}

impl From<Answer> for Timed {
    fn from(Answer { seconds, sum, weighted }: Answer) -> Self {
        Self(Duration::from_secs_f64(seconds), Sums { sum, weighted })
    }
}

/// All contestants, in the order of their turns.
struct Contest {
    rows: Rows,
    pool: Pool,
    python: Option<Python>,
    runs: [Series; 5],
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let mut contest = Contest::prepare()?;
    let rounds = if quick { 3 } else { 9 };
    // The first round warms up all of them and does not count.
    for round in 0..=rounds {
        contest.round(round > 0)?;
    }
    let notes = contest.count()?;
    Ok(Report { lines: contest.lines(), notes, runs: contest.runs.into() })
}

impl Contest {
    fn prepare() -> Result<Self> {
        let mut python = Python::start()?;
        let name = python.as_ref().map_or_else(|| python::MISSING.to_owned(), Python::name);
        if let Some(python) = &mut python {
            let arguments = json!({ "count": ROWS, "width": WIDTH, "seed": SEED, "low": LOW, "high": HIGH });
            python.ask::<serde_json::Value>("rows", &arguments)?;
        }
        let names =
            ["starmap".into(), "map".into(), "serial".into(), format!("{name} starmap"), format!("{name} serial")];
        let runs = names.map(|name: String| Series::new(name, "ms"));
        Ok(Self { rows: make_rows(ROWS), pool: Pool::new(2)?, python, runs })
    }

    fn round(&mut self, counts: bool) -> Result<()> {
        let mut times = vec![starmap(&self.pool, &self.rows)?, map(&self.pool, &self.rows)?, serial(&self.rows)];
        if let Some(python) = &mut self.python {
            times.push(python.ask::<Answer>("starmap", &json!({}))?.into());
            times.push(python.ask::<Answer>("serial", &json!({}))?.into());
        }
        let Timed(_, expected) = times[0];
        for (Timed(time, sums), series) in times.into_iter().zip(&mut self.runs) {
            if sums != expected {
                return Err(format!("the answers differ: {sums:?} and {expected:?}").into());
            }
            if counts {
                series.push_time(time);
            }
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Line> {
        let [starmap, map, serial, their_starmap, their_serial] = &self.runs;
        let line = |what: &str, ours: &Series, theirs: &Series, bound| match self.python {
            Some(_) => Line::new(what, ours, theirs, theirs.median() / ours.median(), bound),
            None => Line::without_ratio(what, ours, python::MISSING, bound),
        };
        vec![
            line("CPython starmap / starmap count-in-range", starmap, their_starmap, Bound::AtLeast(10.0)),
            line("CPython starmap / map count-in-range", map, their_starmap, Bound::AtLeast(10.0)),
            line("  without a pool: CPython serial / serial", serial, their_serial, Bound::None),
        ]
    }

    /// Counts, in runs of their own, where the tasks ran.
    fn count(&mut self) -> Result<Vec<String>> {
        let mut pids = Pids::new();
        let told = self.pool.starmap(|_: Vec<i64>, _: i64, _: i64| std::process::id(), calls(self.rows.clone()))?;
        told.into_iter().for_each(|pid| pids.count(pid));
        pids.check(ROWS as u64)?;
        let mut notes = vec![format!("starmap: {pids}")];
        if let Some(python) = &mut self.python {
            let pids: Pids = python.ask("starmap_pids", &json!({}))?;
            pids.check(ROWS as u64)?;
            notes.push(format!("{} starmap: {pids}", python.name()));
        }
        Ok(notes)
    }
}

/// The arguments of each call, made as they are taken.
fn calls(rows: Rows) -> impl Iterator<Item = (Vec<i64>, i64, i64)> {
    rows.into_iter().map(|row| (row, LOW, HIGH))
}

fn starmap(pool: &Pool, rows: &Rows) -> Result<Timed> {
    let rows = rows.clone();
    let start = Instant::now();
    let values = pool.starmap(count_in_range, calls(rows))?;
    Ok(Timed(start.elapsed(), Sums::of(&values)))
}

fn map(pool: &Pool, rows: &Rows) -> Result<Timed> {
    let rows = rows.clone();
    let start = Instant::now();
    let values = pool.map(|row: Vec<i64>| count_in_range(row, LOW, HIGH), rows)?;
    Ok(Timed(start.elapsed(), Sums::of(&values)))
}

fn serial(rows: &Rows) -> Timed {
    let start = Instant::now();
    let values: Vec<i64> = black_box(rows).iter().map(|row| count_in(row, LOW, HIGH)).collect();
    let values = black_box(values);
    Timed(start.elapsed(), Sums::of(&values))
}
