//! How long a new pool of 2 takes until its first result, in a small process and in one that holds 2 GiB.
//!
//! The small process has touched 2 GiB, too, and freed them: so both begin with the same cold caches, and what is left
//! between them is the memory that is held.

use std::time::Duration;

use ganger::StartMethod;

use super::Report;
use crate::Result;
use crate::helper::{Answer, ask};
use crate::stats::Series;
use crate::table::{Bound, Line};

/// The guardian and two workers: 1 + n processes, each of which `fork` makes by a fork.
const PROCESSES: &str = "3";
/// What is touched, as the helper is told and as it is checked.
const BALLAST: &str = "2GiB";
const BALLAST_KIB: u64 = 2 << 20;

/// Who takes part.
#[derive(Clone, Copy, PartialEq)]
enum Contestant {
    Pool(StartMethod),
    /// As many forks as the gang has processes.
    BareForks,
}

/// One contestant in one size of process.
struct Cell {
    contestant: Contestant,
    large: bool,
    runs: Series,
    /// Of bare forks: with the end of their children.
    whole: Series,
}

pub(super) fn measure(quick: bool) -> Result<Report> {
    let contestants = StartMethod::ALL.map(Contestant::Pool).into_iter().chain([Contestant::BareForks]);
    let both = |contestant| [false, true].map(|large| Cell::new(contestant, large));
    let mut cells: Vec<Cell> = contestants.flat_map(both).collect();
    for _ in 0..if quick { 3 } else { 11 } {
        cells.iter_mut().try_for_each(Cell::run)?;
    }
    let notes = cells.iter().filter(|cell| cell.contestant == Contestant::BareForks).map(Cell::note).collect();
    let lines = lines(&cells);
    let runs = cells.into_iter().flat_map(|cell| [cell.runs, cell.whole]).filter(|runs| !runs.is_empty()).collect();
    Ok(Report { lines, notes, runs })
}

impl Cell {
    fn new(contestant: Contestant, large: bool) -> Self {
        let size = if large { "2 GiB" } else { "small" };
        let name = match contestant {
            Contestant::Pool(method) => format!("first result, {method}, {size}"),
            Contestant::BareForks => format!("{PROCESSES} bare forks, {size}"),
        };
        let whole = Series::new(format!("{name}, with the end of the children"), "ms");
        Self { contestant, large, runs: Series::new(name, "ms"), whole }
    }

    /// One measurement, in a fresh process.
    fn run(&mut self) -> Result<()> {
        let mut arguments = match self.contestant {
            Contestant::Pool(method) => vec!["--mode", "first-result", "--method", method.as_str()],
            Contestant::BareForks => vec!["--mode", "bare-forks", "--count", PROCESSES],
        };
        arguments.extend(["--ballast", BALLAST]);
        if !self.large {
            arguments.push("--freed");
        }
        let answer: Answer = ask(&arguments)?;
        if self.large != (answer.resident_kib >= BALLAST_KIB) {
            return Err(format!("helper {arguments:?} had {} KiB of memory", answer.resident_kib).into());
        }
        self.runs.push_time(Duration::from_secs_f64(answer.seconds));
        answer.whole_seconds.into_iter().for_each(|whole| self.whole.push_time(Duration::from_secs_f64(whole)));
        Ok(())
    }

    fn note(&self) -> String {
        let Self { runs, whole, .. } = self;
        format!("{}: the calls take {runs}; until each child is waited for: {whole}", runs.name())
    }
}

fn lines(cells: &[Cell]) -> Vec<Line> {
    use Contestant::{BareForks, Pool};
    use StartMethod::{Fork, Forkserver, Spawn};
    let find = |contestant, large| {
        let cell = cells.iter().find(|cell| cell.contestant == contestant && cell.large == large);
        &cell.expect("all cells were made").runs
    };
    let within = |method: StartMethod, limit: f64| {
        let ours = find(Pool(method), false);
        let what = format!("first result, {method}, small process");
        Line::new(what, ours, format!("{limit} ms promised"), ours.median() / limit, Bound::Below(1.0))
    };
    let unchanged = |method: StartMethod| {
        let (ours, small) = (find(Pool(method), true), find(Pool(method), false));
        let what = format!("first result, {method}, 2 GiB / small");
        Line::new(what, ours, small, ours.median() / small.median(), Bound::AtMost(1.2))
    };
    let beside_forks = |large: bool| {
        let (ours, bare) = (find(Pool(Fork), large), find(BareForks, large));
        let size = if large { "2 GiB" } else { "small" };
        let what = format!("first result, fork, {size} / {PROCESSES} bare forks");
        Line::new(what, ours, bare, ours.median() / bare.median(), Bound::None)
    };
    vec![
        within(Forkserver, 15.0),
        within(Spawn, 15.0),
        within(Fork, 5.0),
        unchanged(Forkserver),
        unchanged(Spawn),
        beside_forks(true),
        beside_forks(false),
    ]
}
