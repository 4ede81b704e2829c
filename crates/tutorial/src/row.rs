//! What came of one workload.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Tutorial;

/// One workload, run in this process and in parallel.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The tutorial that it is from.
    pub tutorial: Tutorial,
    /// What it is.
    pub workload: String,
    /// How long it took in this process.
    pub sequential: Duration,
    /// How long it took in parallel, by workers that were there.
    pub parallel: Duration,
    /// Whether both gave the same.
    pub answer: Answer,
    /// When workers ran what, if that was recorded: of a pool only.
    pub gang: Option<Gang>,
}

/// How the answers of both runs compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are the same.
    Equal,
    /// They differ.
    Different,
    /// There is none, for this reason.
    Failed(String),
}

/// When the workers of a gang ran what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gang {
    /// How many workers there are, with or without work.
    pub workers: u32,
    /// What they ran, by worker and time.
    pub bars: Vec<Bar>,
    /// How many tasks more there were.
    pub missed: u64,
}

/// Tasks that a worker ran one after the other. Times begin with the parallel run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The place of the worker.
    pub worker: u32,
    /// The function.
    pub task: Arc<str>,
    /// The index of the first task.
    pub index: u64,
    /// How many there are.
    pub tasks: u64,
    /// When the first began.
    pub start: Duration,
    /// When the last ended.
    pub end: Duration,
    /// How long they ran.
    pub work: Duration,
}

impl Row {
    /// How many times as fast the parallel run was; below 1 where it was slower.
    #[must_use]
    pub fn speed_up(&self) -> Option<f64> {
        let answered = self.answer != Answer::Different && !matches!(self.answer, Answer::Failed(_));
        // No run takes no time at all, but a clock may say so.
        let [sequential, parallel] = [self.sequential, self.parallel].map(|time| time.as_secs_f64().max(1e-9));
        answered.then(|| sequential / parallel)
    }
}

impl Answer {
    /// In one word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "DIFFERENT",
            Self::Failed(_) => "FAILED",
        }
    }
}
