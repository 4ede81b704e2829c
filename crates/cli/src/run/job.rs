//! One `ganger map` from options to exit code.

use super::engine::{Consumer, Flow, Outcome, Report, TaskFailure, engine};
use super::feed::{Feed, Rules};
use super::flight::{Context, Flight, Trouble};
use super::opened;
use super::summary::Summary;
use crate::bind::Binder;
use crate::config::{Database, Keep, MapOptions, OnError, OutputFormat, RowsOf, RunOptions, WorkList};
use crate::exit::{self, Abort};
use crate::halt::Halt;
use crate::input::{FileId, Format, Source, sources};
use crate::output::{Output, Refusal, RefusalKind, Stdout};
use crate::progress::Progress;
use crate::say::{say, say_escaped};
use crate::signals::Signals;
use ganger::registry::TaskEntry;
use ganger_db::{Claim, Fate, Held};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What SIGTERM and SIGHUP find running has so long to end, unless `--grace` says otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// Runs `task` as the options say and returns the exit code.
///
/// # Errors
/// When the run ended before its time; the error is still to be printed.
pub(crate) fn map(task: &'static TaskEntry, options: &MapOptions) -> Result<u8, Abort> {
    let started = Instant::now();
    let signals = Signals::watch(options.run.limits.grace.unwrap_or(GRACE))?;
    let halt =
        Arc::new(Halt::new().map_err(|error| Abort::new(exit::BUG, format!("cannot make an eventfd: {error}")))?);
    let sources = if options.database.is_some() { Vec::new() } else { sources(&options.input)? };
    let binder = Binder::new(task, &options.fixed, &options.input, options.output.keep.clone())?;
    refuse_unknown_header(&sources, options)?;
    refuse_own_input(&sources, options)?;
    opened::check(&sources, &binder, rules(options), &halt)?;
    tracing::debug!(task = task.name, inputs = sources.len(), "inputs checked");

    // First standard output is put aside, then the engine is made, then come threads of our own: workers inherit what
    // standard output has become, and a forking engine wants a process with one thread.
    let stdout = Stdout::put_aside()?;
    let mut engine = engine(&options.run)?;
    let alone = options.output.file.is_some() || !stdout.is_terminal();
    // Connections come after the workers, which would share them with us.
    let database = options.database.as_ref();
    let held = database.and_then(|database| held(database, &options.run));
    let destination = database.and_then(|database| Some((&database.url, database.destination.as_ref()?)));
    let output = match (destination, &held) {
        (Some((url, destination)), Some(held)) => Output::claimed(url, destination, held.clone())?,
        (Some((url, destination)), None) => Output::table(url, destination)?,
        (None, _) => Output::open(&options.output, stdout)?,
    };
    let open = |database| opened::open_rows(database, held.as_ref(), &binder, &halt);
    let opened = database.map(open).transpose()?;
    let progress = Progress::start(options.run.progress, total_bytes(&sources), alone);
    let flight = Arc::new(Flight::default());
    let mut feed = Feed::new(sources, binder, rules(options), flight.clone(), halt.clone());
    if let Some((source, opened)) = opened {
        feed = feed.with_open(source, opened);
    }
    let ordered = !options.run.unordered && output.has_order();
    let mut job = Job::new(flight.clone(), output, progress, halt.clone(), ordered, &options.run);
    signals.attach(engine.controls(flight, halt));
    let report = engine.run(task, Box::new(feed), ordered, &mut job);
    let code = job.finish(report, &|| started.elapsed().saturating_sub(signals.stood_still()));
    signals.settle();
    code
}

/// Makes the account of what will be held of a work list.
fn held(database: &Database, options: &RunOptions) -> Option<Held> {
    let (RowsOf::List(list), Some(destination)) = (&database.rows, &database.destination) else { return None };
    let WorkList { table, lease, attempts } = list.clone();
    let workers = if options.serial { 1 } else { options.workers.resolve(ganger::cpu_count()) };
    // A serial run reads records and writes results on one thread, which cannot wait for itself.
    Some(Held::new(&Claim { table, key: destination.key.clone(), lease, attempts, workers, at_once: options.serial }))
}

/// Holds what happens to outcomes.
struct Job {
    flight: Arc<Flight>,
    output: Output,
    progress: Progress,
    halt: Arc<Halt>,
    on_error: OnError,
    fail_after: Option<NonZeroU64>,
    ordered: bool,
    /// Records that were not run, and have no line as long as none with a result follows.
    gap: Vec<(u64, Context)>,
    /// Why the run ended before its time.
    ending: Option<Abort>,
}

impl Job {
    fn new(
        flight: Arc<Flight>,
        output: Output,
        progress: Progress,
        halt: Arc<Halt>,
        ordered: bool,
        options: &RunOptions,
    ) -> Self {
        let RunOptions { on_error, fail_after, .. } = *options;
        Self { flight, output, progress, halt, on_error, fail_after, ordered, gap: Vec::new(), ending: None }
    }

    /// Goes on, or notes why not.
    fn flow(&mut self, written: Result<(), Abort>) -> Flow {
        match written {
            Ok(()) => Flow::Continue,
            Err(abort) => {
                self.ending = Some(abort);
                // Nothing more is to be read, or claimed.
                self.halt.raise();
                Flow::Stop
            }
        }
    }

    fn write(&mut self, index: u64, outcome: Outcome) -> Result<(), Abort> {
        let mut context = self.flight.arrive(index);
        let bytes = context.bytes;
        let failed = match (context.trouble.take(), outcome) {
            (Some(Trouble::Fatal(abort)), _) => return Err(abort),
            (_, Outcome::Stopped) => {
                self.stopped(index, context);
                return Ok(());
            }
            (Some(Trouble::Bad(problem)), _) => self.fail(index, &context, &bad_record(problem), exit::BAD_RECORD)?,
            (None, Outcome::Error(failure)) => self.fail(index, &context, &failure, exit::STOPPED)?,
            (None, Outcome::Value(json)) => {
                self.fill_gap()?;
                self.output.value(index, context, &json)?;
                self.flight.count(|tally| tally.ok += 1);
                self.output.check_leases()?;
                self.refused()?
            }
        };
        self.progress.step(bytes, failed);
        Ok(())
    }

    /// Reports a failure and writes null in its place, or stops.
    fn fail(&mut self, index: u64, context: &Context, failure: &TaskFailure, code: u8) -> Result<bool, Abort> {
        let again = self.output.tries_again(context);
        self.flight.count(|tally| *if again { &mut tally.again } else { &mut tally.failed } += 1);
        let hope = if again { "; it will be tried again" } else { "" };
        let line = format!("{}: {}{hope}", context.place, sentence(failure));
        self.output.fail(context, &cause(failure))?;
        match self.on_error {
            OnError::Stop => Err(Abort::new(code, line)),
            OnError::Report => {
                say_escaped(&line);
                self.fill_gap()?;
                self.output.failure(index, context, failure)?;
                self.enough().map_or(Ok(true), Err)
            }
        }
    }

    /// Reports the results that a table would not have, or stops; tells whether there were any.
    fn refused(&mut self) -> Result<bool, Abort> {
        let refused = self.output.take_refused();
        let any = !refused.is_empty();
        for Refusal { line, kind } in refused {
            let lost = matches!(kind, RefusalKind::Lost(..));
            self.recount(kind);
            if self.on_error == OnError::Stop && !lost {
                return Err(Abort::new(exit::STOPPED, line));
            }
            say_escaped(&line);
            self.enough().map_or(Ok(()), Err)?;
        }
        Ok(any)
    }

    /// Counts a record as what it is, rather than as what it was taken for.
    fn recount(&self, kind: RefusalKind) {
        self.flight.count(|tally| match kind {
            RefusalKind::Failed | RefusalKind::Again | RefusalKind::Lost(_, Fate::Done) => tally.ok -= 1,
            RefusalKind::Lost(_, Fate::Free) => tally.again -= 1,
            RefusalKind::Lost(_, Fate::Dead) => tally.failed -= 1,
        });
        match kind {
            RefusalKind::Failed => self.flight.count(|tally| tally.failed += 1),
            RefusalKind::Again => self.flight.count(|tally| tally.again += 1),
            RefusalKind::Lost(row, _) => self.flight.lose(row),
        }
    }

    /// Says when there have been so many failures that the run ends.
    fn enough(&self) -> Option<Abort> {
        let most = self.fail_after?.get();
        let records = if most == 1 { "record has" } else { "records have" };
        let stop = || Abort::new(exit::STOPPED, format!("{most} {records} failed (--fail-after {most})"));
        (self.flight.tally().failed >= most).then(stop)
    }

    /// Counts a record whose task the end of the run has overtaken.
    fn stopped(&mut self, index: u64, context: Context) {
        let killed = self.flight.was_killed(index);
        self.flight.count(|tally| if killed { tally.killed += 1 } else { tally.not_run += 1 });
        self.output.put_back(&context, killed);
        if self.ordered {
            self.gap.push((index, context));
        }
    }

    /// Keeps the places of records without a result: one that follows has one, and its line must not move up.
    fn fill_gap(&mut self) -> Result<(), Abort> {
        for (index, context) in std::mem::take(&mut self.gap) {
            self.output.failure(index, &context, &not_run(self.flight.was_killed(index)))?;
        }
        Ok(())
    }

    /// Ends the output and tells how the run went.
    fn finish(mut self, report: Result<Report, Abort>, elapsed: &dyn Fn() -> Duration) -> Result<u8, Abort> {
        self.progress.finish();
        let finished = self.output.finish(&self.flight.kept_names());
        let written = finished.and_then(|()| self.refused().map(drop));
        let doubtful = self.output.doubtful();
        self.flight.count(|tally| tally.doubtful = doubtful);
        let (skipped, lost, tally) = (self.flight.skipped(), self.flight.lost(), self.flight.tally());
        // What stopped the run comes before what went wrong while it was stopped.
        let ending = self.ending.map_or(Ok(()), Err).and(written);
        let (ending, description) = match report {
            Ok(report) => (ending, Some(report.description)),
            Err(abort) => (ending.and(Err(abort)), None),
        };
        if let Err(Abort { message: Some(message), .. }) = &ending {
            say_escaped(&format!("error: {message}"));
        }
        // Of results that nobody can have, a count would mislead.
        let unread = |abort: &Abort| [exit::READER_GONE, exit::CANNOT_WRITE].contains(&abort.code);
        if let Some(description) = description
            && !ending.as_ref().is_err_and(unread)
        {
            let summary = Summary { tally, skipped, lost, elapsed: elapsed(), description };
            say(&summary.to_string());
        }
        match ending {
            Err(abort) => Ok(abort.code),
            Ok(()) if tally.failed > 0 => Ok(exit::FAILURES),
            Ok(()) => Ok(exit::OK),
        }
    }
}

impl Consumer for Job {
    fn take(&mut self, index: u64, outcome: Outcome) -> Flow {
        let written = self.write(index, outcome);
        self.flow(written)
    }

    fn idle(&mut self) -> Flow {
        // The reader may be stuck where nothing wakes it, as in the opening of a pipe that nobody writes to.
        if self.halt.is_raised() && self.flight.is_empty() {
            return Flow::Stop;
        }
        let wanted = self.output.check().and_then(|()| self.refused().map(drop));
        self.flow(wanted)
    }

    fn troubled(&mut self, troubles: &[ganger::Trouble]) {
        self.progress.troubled(troubles);
    }
}

fn bad_record(message: String) -> TaskFailure {
    TaskFailure { kind: "bad-record", message, attempt: 0, worker: None, pid: None, duration: None, printed: None }
}

/// Is what a record that was not run has in the place of a result.
fn not_run(killed: bool) -> TaskFailure {
    let (kind, message) = match killed {
        true => ("killed", "was killed as the run was stopped"),
        false => ("not-run", "was not run: the run was stopped"),
    };
    TaskFailure {
        kind,
        message: message.to_owned(),
        attempt: 0,
        worker: None,
        pid: None,
        duration: None,
        printed: None,
    }
}

/// Writes a failure for people: `failed: no such file (attempt 1, worker 2, pid 4711)`.
fn sentence(failure: &TaskFailure) -> String {
    let cause = cause(failure);
    match (failure.worker, failure.pid) {
        (Some(worker), Some(pid)) => format!("{cause} (attempt {}, worker {worker}, pid {pid})", failure.attempt),
        _ => cause,
    }
}

/// Writes what went wrong, without where.
fn cause(failure: &TaskFailure) -> String {
    match failure.kind {
        "failed" | "panicked" => format!("{}: {}", failure.kind, failure.message),
        _ => failure.message.clone(),
    }
}

fn rules(options: &MapOptions) -> Rules {
    Rules {
        header: options.input.header,
        short_rows: options.input.short_rows,
        on_error: options.run.on_error,
        same_columns: has_header(options.output.format) && options.output.keep == Keep::All,
    }
}

fn has_header(format: OutputFormat) -> bool {
    matches!(format, OutputFormat::Csv | OutputFormat::Tsv)
}

/// Each JSON object may have other keys: `all` of them make no header.
fn refuse_unknown_header(sources: &[Source], options: &MapOptions) -> Result<(), Abort> {
    let json = sources.iter().any(|source| source.format == Format::Json);
    if json && has_header(options.output.format) && options.output.keep == Keep::All {
        return Err(Abort::usage("--keep all: JSON objects have no common header: name the keys to keep"));
    }
    Ok(())
}

/// Opening the output empties it; an input would be lost before it is read.
fn refuse_own_input(sources: &[Source], options: &MapOptions) -> Result<(), Abort> {
    let Some(file) = &options.output.file else {
        return Ok(());
    };
    let Some(output) = std::fs::metadata(file).ok().and_then(|metadata| FileId::of(&metadata)) else {
        return Ok(());
    };
    match sources.iter().any(|source| source.regular == Some(output)) {
        true => Err(Abort::usage(format!("--output: {file} is an input as well"))),
        false => Ok(()),
    }
}

/// Returns the size of all inputs, if it is known.
fn total_bytes(sources: &[Source]) -> Option<u64> {
    sources.iter().map(|source| source.regular.map(|file| file.bytes)).sum()
}
