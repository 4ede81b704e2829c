//! What workers do before they leave, and what comes of it.

use std::any::{TypeId, type_name};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Pool;
use super::builder::{Builder, invalid};
use crate::supervisor::farewells::Departure;
use crate::task::{AsOutcome, AsValue, Keep, Setup as SetUp, SetupCall, Unfit};
use crate::wire::codec::decode_value;
use crate::worker::panic_text;
use crate::{Error, TaskError, TaskErrorKind};

/// An exit hook, as it was given.
#[derive(Debug)]
pub(super) struct ExitHook {
    pub(super) call: Result<SetupCall, Unfit>,
    pub(super) name: &'static str,
    pub(super) returns: Returned,
}

/// The type of what an exit hook returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned(TypeId, &'static str);

impl Returned {
    fn of<R: 'static>() -> Self {
        Self(TypeId::of::<R>(), type_name::<R>())
    }
}

impl Builder {
    /// A function that every worker runs once before it leaves in order: because the pool is closed and all work is done, or
    /// because it is replaced or not needed any more. It reaches the worker's state by
    /// [`with_worker_state`](crate::with_worker_state); what it returns, [`Pool::take_exit_results`] gives. Afterwards, with a
    /// hook or without, the state is dropped. mpire's `worker_exit`.
    ///
    /// It does not run in a worker that dies or is killed: by a crash, by a limit, by [`Pool::terminate`] or with the last handle
    /// of a pool that was not [joined](Pool::join).
    ///
    /// ```
    /// fn count(_: u32) { ganger::with_worker_state(|tasks: &mut u32| *tasks += 1) }
    /// fn report() -> u32 { ganger::with_worker_state(|tasks: &mut u32| *tasks) }
    /// let pool = ganger::Pool::builder()
    ///     .workers(2)
    ///     .max_tasks_per_worker(10)
    ///     .initializer(|| 0_u32, ())
    ///     .on_worker_exit(report, ())
    ///     .build()?;
    /// pool.map(count, 0..95)?;
    /// pool.close();
    /// pool.join()?;
    /// let mut tasks = 0;
    /// for left in pool.take_exit_results::<u32>()? {
    ///     tasks += left.into_outcome()?;
    /// }
    /// assert_eq!(tasks, 95);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_worker_exit<F, Args, R>(self, function: F, arguments: Args) -> Self
    where
        F: SetUp<Args, R>,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.with_exit_hook::<AsValue, R, _, _, _>(function, arguments)
    }

    /// As [`on_worker_exit`](Self::on_worker_exit), for a function that may fail: it returns a value or an error.
    pub fn try_on_worker_exit<F, Args, R, E>(self, function: F, arguments: Args) -> Self
    where
        F: SetUp<Args, Result<R, E>>,
        R: Serialize + DeserializeOwned + 'static,
        E: Display,
    {
        self.with_exit_hook::<AsOutcome, R, _, _, _>(function, arguments)
    }

    fn with_exit_hook<K, R, F, Args, O>(mut self, function: F, arguments: Args) -> Self
    where
        K: Keep<O>,
        R: 'static,
        F: SetUp<Args, O>,
    {
        let call = function.prepare::<K>(&arguments);
        self.exit_hook = Some(ExitHook { call, name: type_name::<F>(), returns: Returned::of::<R>() });
        self
    }

    /// How long an [exit hook](Self::on_worker_exit) may take, 30 s without it; then its worker is killed, and its outcome is
    /// [`TimedOut`](TaskErrorKind::TimedOut). A worker without a hook has a second to leave. mpire's `worker_exit_timeout`.
    pub fn exit_timeout(mut self, limit: Duration) -> Self {
        self.exit_timeout = limit;
        self
    }

    pub(super) fn check_exit(&self) -> Result<(), Error> {
        if self.exit_timeout.is_zero() {
            return Err(invalid("exit_timeout is 0: no exit hook ends within no time".to_owned()));
        }
        Ok(())
    }
}

/// What the exit hook of one worker has made; [`Pool::take_exit_results`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitResult<R> {
    worker: u32,
    pid: Option<u32>,
    duration: Option<Duration>,
    outcome: Result<R, TaskError>,
}

impl<R> ExitResult<R> {
    /// The worker's place in the gang: its [`worker_id`](crate::worker_id).
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How long the hook ran, if it has ended.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// What the hook returned, or why there is nothing: it failed, panicked, took too long, or its process died.
    ///
    /// # Errors
    /// How it ended without a value.
    pub fn outcome(&self) -> Result<&R, &TaskError> {
        self.outcome.as_ref()
    }

    /// The same, owned.
    ///
    /// # Errors
    /// As of [`outcome`](Self::outcome).
    pub fn into_outcome(self) -> Result<R, TaskError> {
        self.outcome
    }
}

impl Pool {
    /// Takes what the [exit hooks](Builder::on_worker_exit) of workers that have left since it was last asked have made, in the
    /// order in which they were gone; after [`join`](Self::join), of all that are left. Each is given once, so that a pool
    /// which lives long and replaces workers does not keep what nobody asks for twice. mpire's `get_exit_results`.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::ErrorKind::InvalidSetting) when the pool has no exit hook, or one that returns another type;
    /// nothing is taken then.
    pub fn take_exit_results<R>(&self) -> Result<Vec<ExitResult<R>>, Error>
    where
        R: DeserializeOwned + 'static,
    {
        self.gang().check_process()?;
        let Some(returned) = self.gang().exit_returns else {
            return Err(invalid(format!("pool {:?} has no exit hook: give its builder one", self.name())));
        };
        let wanted = Returned::of::<R>();
        if returned != wanted {
            let Returned(_, name) = returned;
            return Err(invalid(format!(
                "the exit hook of pool {:?} returns {name}, which cannot be taken as {}",
                self.name(),
                wanted.1
            )));
        }
        let departures = self.gang().supervisor.with_core(|core| std::mem::take(&mut core.departures));
        Ok(departures.into_iter().map(read).collect())
    }
}

fn read<R: DeserializeOwned + 'static>(departure: Departure) -> ExitResult<R> {
    let Departure { worker, pid, duration, outcome } = departure;
    let outcome = outcome.and_then(|bytes| {
        // A user's `Deserialize` may fail or panic: that is the outcome of that worker alone.
        let why = match catch_unwind(AssertUnwindSafe(|| decode_value(&bytes))) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(payload) => format!("it panicked: {}", panic_text(payload)),
        };
        let text = format!("has a result ({}) that cannot be deserialized: {why}", type_name::<R>());
        let error = TaskError::new(TaskErrorKind::NotDeserializable, text, type_name::<R>().into(), 0);
        Err(error.by_worker(worker, pid.map(u32::cast_signed), duration).of_exit_hook())
    });
    ExitResult { worker, pid, duration, outcome }
}
