//! Calls the task in a gang of worker processes.

use super::controls::GangControls;
use super::engine::{Consumer, Engine, Flow, Outcome, Records, Report, TaskFailure};
use super::flight::Flight;
use crate::config::{self, Limits, Retries, RunOptions};
use crate::exit::{self, Abort};
use crate::halt::Halt;
use crate::signals::Controls;
use ganger::registry::{JsonText, Named, Payload, TaskEntry};
use ganger::{Builder, ErrorKind, Pool, Retry, StartMethod, Stdout, TaskError, TaskErrorKind, Timeout};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Is the engine with workers.
#[derive(Debug)]
pub(crate) struct Gang {
    pool: Pool,
    description: String,
}

impl Gang {
    /// Starts the workers.
    ///
    /// # Errors
    /// When there are none to be had.
    pub(crate) fn new(options: &RunOptions) -> Result<Self, Abort> {
        let workers = options.workers.resolve(ganger::cpu_count());
        let method = StartMethod::from(options.start_method);
        let mut builder = Pool::builder()
            .workers(workers)
            .start_method(method)
            .name("map")
            .worker_stdout(Stdout::ToStderr)
            .initializer(log_in_worker, ());
        if let Some(chunksize) = options.chunksize {
            builder = builder.chunksize(whole(chunksize));
        }
        if let Some(tasks) = options.max_tasks_per_worker {
            builder = builder.max_tasks_per_worker(whole(tasks));
        }
        if let Some(seed) = options.seed {
            builder = builder.seed(seed);
        }
        let builder = options.attributes.apply(limited(builder, &options.limits));
        let pool = builder.build().map_err(|error| abort(&error))?;
        let description = description(workers, method);
        Ok(Self { pool, description })
    }
}

fn limited(mut builder: Builder, limits: &Limits) -> Builder {
    if let Some(time) = limits.timeout {
        builder = builder.timeout(time);
    }
    if let Some(time) = limits.queue_timeout {
        builder = builder.queue_timeout(time);
    }
    if let Some(time) = limits.grace {
        builder = builder.grace(time);
    }
    if let Some(bytes) = limits.memory {
        builder = builder.memory_limit(bytes);
    }
    if let Some(bytes) = limits.memory_soft {
        builder = builder.memory_soft_limit(bytes);
    }
    if let Some(bytes) = limits.capture {
        builder = builder.capture_output(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    match &limits.retries {
        Some(retries) => builder.retry(retry(retries)),
        None => builder,
    }
}

fn retry(retries: &Retries) -> Retry {
    let mut retry = Retry::new(retries.count + 1);
    if let Some(backoff) = &retries.backoff {
        retry = retry.backoff(backoff.clone());
    }
    if let Some(on) = &retries.on {
        retry = retry.on(on.iter().copied());
    }
    retry
}

impl From<config::StartMethod> for StartMethod {
    fn from(wanted: config::StartMethod) -> Self {
        match wanted {
            config::StartMethod::Forkserver => Self::Forkserver,
            config::StartMethod::Spawn => Self::Spawn,
            config::StartMethod::Fork => Self::Fork,
        }
    }
}

/// Beyond the size of the address space, more is as good as all.
fn whole(number: NonZeroU64) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// Fresh images have no subscriber; a forked one has inherited it.
fn log_in_worker() {
    // The supervisor has refused what is wrong with the variables already.
    let _ = crate::log::install();
}

fn description(workers: usize, method: StartMethod) -> String {
    let plural = if workers == 1 { "" } else { "s" };
    format!("{workers} worker{plural}, {method}")
}

/// What the user can change is a usage error.
fn abort(error: &ganger::Error) -> Abort {
    let code = match error.kind() {
        ErrorKind::InvalidSetting | ErrorKind::Threads => exit::USAGE,
        _ => exit::BUG,
    };
    Abort::new(code, error.to_string())
}

impl Engine for Gang {
    fn run(
        &mut self,
        task: &'static TaskEntry,
        records: Records,
        ordered: bool,
        consumer: &mut dyn Consumer,
    ) -> Result<Report, Abort> {
        let (task, records) = (Named::new(task), records.map(Payload::new));
        let end = if ordered {
            let mut outcomes = self.pool.imap(task, records).indexed();
            consume(|| outcomes.next_timeout(IDLE), consumer, &self.pool)
        } else {
            let mut outcomes = self.pool.imap_unordered(task, records).indexed();
            consume(|| outcomes.next_timeout(IDLE), consumer, &self.pool)
        };
        match end {
            Ok(Flow::Continue) => self.pool.close(),
            Ok(Flow::Stop) | Err(_) => self.pool.terminate(),
        }
        self.pool.join().map_err(|error| abort(&error))?;
        end.map(|_| Report { description: self.description.clone() })
    }

    fn controls(&self, flight: Arc<Flight>, halt: Arc<Halt>) -> Arc<dyn Controls> {
        Arc::new(GangControls::new(self.pool.clone(), flight, halt))
    }
}

/// So long nothing comes until the consumer is asked whether it still wants it.
const IDLE: Duration = Duration::from_millis(200);

/// So often the consumer is told of workers that get nowhere; the pool looks at them once a second.
const LOOK: Duration = Duration::from_millis(500);

/// Is an outcome of the pool with its record's index; `None` is the end.
type Numbered = Option<(u64, Result<JsonText, TaskError>)>;

fn consume(
    mut next: impl FnMut() -> Result<Numbered, Timeout>,
    consumer: &mut dyn Consumer,
    pool: &Pool,
) -> Result<Flow, Abort> {
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            consumer.troubled(&pool.troubles());
        }
        let flow = match next() {
            Ok(None) => return Ok(Flow::Continue),
            Ok(Some((index, result))) => consumer.take(index, outcome(result)?),
            Err(Timeout) => consumer.idle(),
        };
        if flow == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
}

fn outcome(result: Result<JsonText, TaskError>) -> Result<Outcome, Abort> {
    match result {
        Ok(json) => Ok(Outcome::Value(json.into_bytes())),
        // The reader of records is our own code, and has no record for this outcome.
        Err(error) if error.kind() == TaskErrorKind::InputPanicked => Err(Abort::new(exit::BUG, error.message())),
        // Whatever `--on-error` says: no further record can be run, and those that follow are not even read.
        Err(error) if error.kind() == TaskErrorKind::PoolBroken => Err(Abort::new(exit::BUG, error.to_string())),
        // Nobody else cancels: the run is stopped.
        Err(error) if error.kind() == TaskErrorKind::Cancelled => Ok(Outcome::Stopped),
        Err(error) => Ok(Outcome::Error(failure(&error))),
    }
}

fn printed(error: &TaskError) -> Option<[String; 2]> {
    let streams = [error.stdout(), error.stderr()];
    streams.iter().any(|stream| !stream.is_empty()).then(|| streams.map(ToString::to_string))
}

fn failure(error: &TaskError) -> TaskFailure {
    let message = match error.location() {
        Some(place) => format!("{} ({place})", error.message()),
        None => error.message().to_owned(),
    };
    TaskFailure {
        kind: error.kind().as_str(),
        message,
        attempt: error.attempt(),
        worker: error.worker(),
        pid: error.pid(),
        duration: error.duration(),
        printed: printed(error),
    }
}
