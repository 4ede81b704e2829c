//! The seam between the command line and whatever calls the task.

use crate::config::RunOptions;
use crate::exit::Abort;
use crate::halt::Halt;
use crate::run::flight::Flight;
use crate::run::pool::Gang;
use crate::run::serial::Serial;
use crate::signals::Controls;
use ganger::registry::TaskEntry;
use std::sync::Arc;
use std::time::Duration;

/// Yields the payload of one record after the other.
///
/// An empty payload stands for a record that could not be converted. [`TaskEntry::call`] refuses it without running the
/// function; its outcome is needed, because it keeps the record's place in the order, but is not looked at.
pub(crate) type Records = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Is told what becomes of the records.
pub(crate) trait Consumer {
    /// Takes the outcome of payload `index`.
    fn take(&mut self, index: u64, outcome: Outcome) -> Flow;

    /// Is asked now and then while no outcome comes: whoever reads the results may have gone.
    fn idle(&mut self) -> Flow;

    /// Is told now and then which workers get nowhere.
    fn troubled(&mut self, troubles: &[ganger::Trouble]);
}

/// Runs prepared records and hands back outcomes.
pub(crate) trait Engine {
    /// Calls `task` with every payload and hands every outcome to `consumer`, exactly once each, unless that says stop.
    ///
    /// `records` may be pulled on another thread; the engine bounds how far it reads ahead. The index counts payloads from zero.
    /// With `ordered`, outcomes come by index. After [`Flow::Stop`] the engine kills what runs and returns.
    ///
    /// # Errors
    /// When the engine cannot work at all. A task's failure is an outcome.
    fn run(
        &mut self,
        task: &'static TaskEntry,
        records: Records,
        ordered: bool,
        consumer: &mut dyn Consumer,
    ) -> Result<Report, Abort>;

    /// Returns how signals act on a run: `halt` ends its reading, `flight` knows its records.
    fn controls(&self, flight: Arc<Flight>, halt: Arc<Halt>) -> Arc<dyn Controls>;
}

/// Says whether the run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Stop,
}

/// Is what became of one record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The result as JSON text.
    Value(Vec<u8>),
    Error(TaskFailure),
    /// The run was stopped before the task ended.
    Stopped,
}

/// Says how and where a task failed.
#[derive(Debug)]
pub(crate) struct TaskFailure {
    /// A word for programs: `failed`, `panicked`, `exited`, `killed`, ...
    pub(crate) kind: &'static str,
    /// The cause for people.
    pub(crate) message: String,
    pub(crate) attempt: u32,
    pub(crate) worker: Option<u32>,
    pub(crate) pid: Option<u32>,
    pub(crate) duration: Option<Duration>,
    /// What it has printed on standard output and standard error, if that is captured and there is any.
    pub(crate) printed: Option<[String; 2]>,
}

/// Describes a finished run.
#[derive(Debug)]
pub(crate) struct Report {
    /// Who did the work: `serial`, or `2 workers, forkserver`.
    pub(crate) description: String,
}

/// Makes the engine that the options ask for.
pub(crate) fn engine(options: &RunOptions) -> Result<Box<dyn Engine>, Abort> {
    if options.serial {
        return Ok(Box::new(Serial::new(options.seed)));
    }
    Ok(Box::new(Gang::new(options)?))
}
