//! Running the tutorials of a plan.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::plan::Plan;
use crate::row::{Answer, Row};
use crate::scratch::Scratch;
use crate::stage::Stage;
use crate::workloads;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All rows, in the order in which they were run.
    pub rows: Vec<Row>,
    /// How long each of the pools took to start, which is in no row.
    pub starts: Vec<Duration>,
}

/// Runs the tutorials one after the other; `told` hears of each row as soon as it is there, and may
/// say that it wants no more. Gangs are started as
/// [`ganger::start_method`] says.
///
/// A row that fails is a row that says so, and does not end the run.
pub fn run(plan: &Plan, scratch: &Scratch, mut told: impl FnMut(&Row) -> ControlFlow<()>) -> Report {
    let Report { mut rows, mut starts } = Report::default();
    let mut keep = |row: Row| {
        let go_on = told(&row);
        rows.push(row);
        go_on
    };
    for tutorial in plan.tutorials.iter().copied() {
        let mut stage = Stage { tutorial, plan, scratch, starts: &mut starts, told: &mut keep, over: false };
        let ended = workloads::run(&mut stage);
        if stage.over {
            break;
        }
        if let Err(error) = ended {
            // Neither a pool nor a directory could be had: what else there is in this tutorial cannot be run.
            let answer = Answer::Failed(error.to_string());
            let (workload, none) = ("what its rows need".to_owned(), Duration::ZERO);
            if keep(Row { tutorial, workload, sequential: none, parallel: none, answer, gang: None }).is_break() {
                break;
            }
        }
    }
    Report { rows, starts }
}

impl Report {
    /// The rows without an answer that is that of the sequential run.
    pub fn wrong(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.answer != Answer::Equal)
    }

    /// How long a pool typically takes to start: the median.
    #[must_use]
    pub fn typical_start(&self) -> Option<Duration> {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        starts.get(starts.len() / 2).copied()
    }
}
