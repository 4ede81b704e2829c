//! Building a pool.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ganger_os::image::EntryPoint;
use ganger_os::start::{Guardian, Plan, StartError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Pool;
use super::attributes::Attributes;
use super::callbacks::CallbackThread;
use super::exit::ExitHook;
use super::feed::LookAhead;
use super::gang::Gang;
use super::output::{Capture, Outlet};
use super::sink::deadline;
use super::size::check_size;
use super::start::Stdout;
use super::terms::Retry;
use crate::TaskOutput;
use crate::captured::{Captured, with_closure};
use crate::supervisor::driver::Supervisor;
use crate::supervisor::memory::MemoryLimits;
use crate::supervisor::outfit::{ExitTerms, Outfit};
use crate::supervisor::staffing::Intensity;
use crate::supervisor::state::Settings;
use crate::task::{AsResult, AsState, Returns, Setup as SetUp, SetupCall, Unfit};
use crate::wire::codec::encode;
use crate::wire::descriptor::Parcel;
use crate::wire::message::{Call, Setup};
use crate::worker::HOOKS;
use crate::{Error, ErrorKind, StartMethod, cpu};

/// The settings of a pool; [`Pool::builder`] makes one.
///
/// ```
/// fn load(path: String) -> Result<String, std::io::Error> { Ok(path) }
/// let pool = ganger::Pool::builder()
///     .workers(2)
///     .start_method(ganger::StartMethod::Spawn)
///     .try_initializer(load, ("model.bin".to_owned(),))
///     .max_tasks_per_worker(1000)
///     .name("scoring")
///     .build()?;
/// assert_eq!(pool.name(), "scoring");
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    workers: Option<usize>,
    method: StartMethod,
    preload: Option<Result<SetupCall, Unfit>>,
    initializer: Option<Result<SetupCall, Unfit>>,
    pub(super) exit_hook: Option<ExitHook>,
    pub(super) exit_timeout: Duration,
    pub(super) budget: Option<usize>,
    pub(super) chunksize: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) retry: Option<Retry>,
    pub(super) memory: MemoryLimits,
    pub(super) attributes: Attributes,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) min_workers: Option<usize>,
    max_tasks: Option<usize>,
    jitter: usize,
    name: Option<String>,
    seed: Option<u64>,
    look_ahead: Option<usize>,
    look_ahead_bytes: usize,
    stdout: Stdout,
    capture: Capture,
    start_timeout: Duration,
    intensity: Option<Intensity>,
    threads_allowed: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: None,
            method: crate::start_method(),
            preload: None,
            initializer: None,
            exit_hook: None,
            exit_timeout: Duration::from_secs(30),
            budget: None,
            chunksize: None,
            timeout: None,
            queue_timeout: None,
            grace: Duration::from_secs(1),
            retry: None,
            memory: MemoryLimits::default(),
            attributes: Attributes::default(),
            idle_timeout: None,
            min_workers: None,
            max_tasks: None,
            jitter: 0,
            name: None,
            seed: None,
            look_ahead: None,
            look_ahead_bytes: 64 << 20,
            stdout: Stdout::default(),
            capture: Capture::default(),
            start_timeout: Duration::from_secs(30),
            intensity: None,
            threads_allowed: false,
        }
    }
}

impl Builder {
    /// How many workers; without it, as many as [`cpu_count`](crate::cpu_count) says.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Where workers come from; without it, what [`start_method`](crate::start_method) says.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// A function that runs once in every worker before its first task; what it returns is the worker's state, which
    /// tasks reach by [`with_worker_state`](crate::with_worker_state). When it fails three times in a row while no worker is
    /// ready, the pool is broken, and says why. Python's `initializer` and `initargs`.
    pub fn initializer<F, Args, S>(mut self, function: F, arguments: Args) -> Self
    where
        F: SetUp<Args, S>,
        S: 'static,
    {
        self.initializer = Some(function.prepare::<AsState>(&arguments));
        self
    }

    /// As [`initializer`](Self::initializer), for a function that may fail: it returns the state or an error.
    pub fn try_initializer<F, Args, S, E>(mut self, function: F, arguments: Args) -> Self
    where
        F: SetUp<Args, Result<S, E>>,
        S: 'static,
        E: Display,
    {
        self.initializer = Some(function.prepare::<AsResult>(&arguments));
        self
    }

    /// A function that runs once before workers are made: under `forkserver` and `fork` in the guardian, so that all
    /// workers share what it loads, copy-on-write; under `spawn`, where nothing is shared, in every worker. It must not
    /// leave threads running. Python's `set_forkserver_preload`.
    pub fn preload<F>(mut self, function: F) -> Self
    where
        F: SetUp<(), ()>,
    {
        self.preload = Some(function.prepare::<AsState>(&()));
        self
    }

    /// How many tasks maps send at once; without it, as many as are about a millisecond of work.
    pub fn chunksize(mut self, tasks: usize) -> Self {
        self.chunksize = Some(tasks);
        self
    }

    /// Replaces each worker after this many tasks. Python's `maxtasksperchild`.
    pub fn max_tasks_per_worker(mut self, tasks: usize) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// Lowers each worker's limit by a number from 0 to `tasks`, so that they are not all replaced at once.
    pub fn max_tasks_jitter(mut self, tasks: usize) -> Self {
        self.jitter = tasks;
        self
    }

    /// A name, for messages and `ps`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What [`task_rng`](crate::task_rng) is derived from; without it, something different in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many tasks the input of `imap` may be ahead of its reader; without it, as many as keep the workers busy.
    pub fn look_ahead(mut self, tasks: usize) -> Self {
        self.look_ahead = Some(tasks);
        self
    }

    /// How many bytes of arguments and results the input of `imap` may be ahead of its reader; 64 MiB without it.
    pub fn look_ahead_bytes(mut self, bytes: usize) -> Self {
        self.look_ahead_bytes = bytes;
        self
    }

    /// Where the standard output of workers goes; if it is [captured](Self::capture_output), where it is written in the end.
    pub fn worker_stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Keeps what each task writes to its standard output and standard error (by `println!`, by C code, by the programs that it
    /// starts and waits for) together, apart from that of other tasks, and up to `bytes` of each stream: of more, the first and
    /// the last half of that are kept, and how much is missing is said. Without it, workers write to the streams of the program.
    ///
    /// When a task ends, its output is written in one piece to the program's own streams, or given to
    /// [`on_output`](Self::on_output), and the error of a task that fails [has it too](crate::TaskError::stderr). It is not
    /// lost when the worker is killed, and a task that prints without end costs no more memory than `bytes`. Capturing costs each
    /// task a system call, about 0.2 us.
    ///
    /// A process that a task leaves behind may go on to write. What it writes while its worker has nothing to do is no
    /// task's; what it writes while another task runs there cannot be told from that task's, and is counted with it.
    ///
    /// ```
    /// fn divide(a: i64, b: i64) -> i64 { eprintln!("dividing {a} by {b}"); if b == 0 { std::process::abort() } else { a / b } }
    /// let pool = ganger::Pool::builder().workers(2).capture_output(10_000).build()?;
    /// assert_eq!(pool.apply(divide, (6, 2))?, 3);
    /// let error = pool.apply(divide, (6, 0)).unwrap_err();
    /// assert_eq!(error.stderr().to_string(), "dividing 6 by 0\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capture_output(mut self, bytes: usize) -> Self {
        self.capture.cap = Some(bytes);
        self
    }

    /// What to do with the output of each task that has any, instead of writing it to the program's streams. It is called once
    /// per attempt, for tasks that fail as well, on the pool's callback thread, in the order in which tasks end; a panic
    /// in it is logged and stops nothing. `join` waits for it. It needs [`capture_output`](Self::capture_output).
    ///
    /// ```
    /// use std::sync::mpsc;
    /// let (sender, receiver) = mpsc::channel();
    /// let pool = ganger::Pool::builder()
    ///     .workers(2)
    ///     .capture_output(10_000)
    ///     .on_output(move |output| sender.send((output.index(), output.stdout().to_string())).unwrap())
    ///     .build()?;
    /// pool.map(|x: u64| if x == 7 { println!("seven") }, 0..10)?;
    /// assert_eq!(receiver.recv()?, (Some(7), "seven\n".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_output(mut self, function: impl Fn(&TaskOutput) + Send + Sync + 'static) -> Self {
        self.capture.on_output = Some(Arc::new(function));
        self
    }

    /// How long each worker may take to get ready, and the pool until it has one; 30 s without it. A worker that takes
    /// longer is killed, and counts as a failed start.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// How often the gang's processes may end, or fail to start, with no task to blame, before the pool is broken: more than
    /// `most` times within `period`, counted anew whenever a task is done. Without it, three times per worker and at least
    /// ten, within 5 s. (A worker that dies of its task costs that task and is replaced, however often.) The restart
    /// intensity of OTP's supervisors.
    pub fn restart_intensity(mut self, most: u32, period: Duration) -> Self {
        self.intensity = Some(Intensity { most, period });
        self
    }

    /// Allows start method `fork` although the process runs threads.
    ///
    /// # Safety
    /// The copies have only the calling thread. Every lock that another thread holds at that moment stays locked in them
    /// for ever: no function that tasks call, of any library, may need one. (Standard output, the environment, and every
    /// value that is made on first use have such locks.)
    #[expect(unsafe_code, reason = "declares a promise that only the caller can make; it contains no unsafe operation")]
    pub unsafe fn allow_threads(mut self) -> Self {
        self.threads_allowed = true;
        self
    }

    /// Says whether the settings make sense, and whether this process has a right to them, without starting anything.
    ///
    /// ```
    /// let builder = ganger::Pool::builder().nice(100);
    /// assert!(builder.validate().unwrap_err().to_string().contains("from -20"));
    /// ```
    ///
    /// # Errors
    /// The first that is wrong, as [`build`](Self::build) would say it.
    pub fn validate(&self) -> Result<(), Error> {
        self.check()?;
        self.terms()?;
        self.attributes.resolve(self.capture.cap.is_some())?;
        Ok(())
    }

    /// Starts the gang and waits until its first worker is ready.
    ///
    /// # Errors
    /// When a setting makes no sense, when processes cannot be started, or when none gets ready; see [`ErrorKind`].
    pub fn build(self) -> Result<Pool, Error> {
        self.build_numbered(next_id())
    }

    /// Starts a gang by `fork` whose workers have `closure`, with everything that it captures, and returns the task that
    /// calls it. This is how data is used that cannot be serialized, or is too large to be.
    ///
    /// ```no_run
    /// // In a program without threads of its own; a test has one.
    /// let table: Vec<String> = (0..1_000_000).map(|number| number.to_string()).collect();
    /// let (pool, length) = ganger::Pool::builder().workers(2).fork_with(move |place: usize| table[place].len())?;
    /// assert_eq!(pool.map(length, [0, 999_999])?, [1, 6]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`build`](Self::build).
    pub fn fork_with<A, O, R, C>(mut self, closure: C) -> Result<(Pool, Captured<A, R>), Error>
    where
        C: Fn(A) -> O + 'static,
        O: Returns<R>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.method = StartMethod::Fork;
        let id = next_id();
        let pool = with_closure(closure, || self.build_numbered(id))?;
        Ok((pool, Captured::new(id, std::any::type_name::<C>())))
    }

    fn build_numbered(self, id: u64) -> Result<Pool, Error> {
        let until = deadline(self.start_timeout);
        let (settings, terms) = (self.check()?, self.terms()?);
        let name = self.name.clone().unwrap_or_else(|| format!("pool-{id}"));
        let look_ahead = LookAhead { tasks: self.look_ahead.map(signed), bytes: signed(self.look_ahead_bytes) };
        let (method, memory) = (self.method, self.memory);
        let callbacks = Arc::<CallbackThread>::default();
        let outlet = Outlet::new(self.capture.clone(), self.stdout, &callbacks);
        let captures = outlet.is_some();
        let places = settings.workers;
        let exit_returns = self.exit_hook.as_ref().map(|hook| hook.returns);
        let (plan, outfit) = self.plan(name.clone(), &settings)?;
        let successor = (method != StartMethod::Fork).then(|| plan.clone());
        let guardian = Guardian::launch(plan, &HOOKS).map_err(start_error)?;
        let supervisor = Supervisor::start(settings, memory, outlet, outfit, (guardian, successor), &name)
            .map_err(|error| cannot_start("make the supervisor", error))?;
        let gang = Gang::new(id, name, supervisor.clone(), callbacks.clone(), look_ahead, exit_returns, places);
        let pool = Pool::from_gang(gang, terms);
        if captures {
            callbacks.start().map_err(|error| cannot_start("start the callback thread", error))?;
        }
        let status = supervisor.wait_status(until, |status| status.served || status.broken.is_some());
        if let Some(cause) = status.broken {
            return Err(Error::new(ErrorKind::Broken, format!("pool {:?} has no workers: {cause}", pool.name())));
        }
        if !status.served {
            let text = format!("no worker of pool {:?} was ready in time (see start_timeout)", pool.name());
            return Err(Error::new(ErrorKind::CannotStart, text));
        }
        tracing::info!(pool = pool.name(), %method, guardian = pool.guardian_pid(), "pool built");
        Ok(pool)
    }

    fn check(&self) -> Result<Settings, Error> {
        let workers = self.workers.unwrap_or_else(cpu::cpu_count);
        check_size(workers)?;
        if self.max_tasks == Some(0) {
            return Err(invalid("max_tasks_per_worker is 0: a worker runs at least 1 task".to_owned()));
        }
        self.check_memory()?;
        self.check_exit()?;
        self.check_budget()?;
        if self.look_ahead == Some(0) {
            return Err(invalid("look_ahead is 0: at least 1 task must be under way".to_owned()));
        }
        if self.look_ahead_bytes == 0 {
            return Err(invalid("look_ahead_bytes is 0: at least 1 byte must be under way".to_owned()));
        }
        if self.start_timeout.is_zero() {
            return Err(invalid("start_timeout is 0: no worker gets ready within no time".to_owned()));
        }
        if self.capture.on_output.is_some() && self.capture.cap.is_none() {
            return Err(invalid("on_output is called for captured output only: set capture_output as well".to_owned()));
        }
        if self.intensity.is_some_and(|intensity| intensity.period.is_zero()) {
            return Err(invalid(
                "the period of restart_intensity is 0: nothing can be counted within no time".to_owned(),
            ));
        }
        let narrow = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX);
        Ok(Settings {
            workers: narrow(workers),
            processors: narrow(cpu::cpu_count()),
            max_tasks: self.max_tasks.map(narrow),
            jitter: narrow(self.jitter),
            seed: self.seed.unwrap_or_else(fresh_seed),
            start_timeout: self.start_timeout,
            grace: self.grace,
            intensity: self.intensity,
            idle_timeout: self.idle_timeout,
            min_workers: self.least_workers(workers)?,
        })
    }

    /// What the OS layer and the workers need to know.
    fn plan(self, name: String, settings: &Settings) -> Result<(Plan, Outfit), Error> {
        let source = self.source();
        let attributes = self.attributes.resolve(self.capture.cap.is_some())?;
        let variables = self.attributes.variables(settings.workers as usize);
        let group = self.attributes.group()?;
        let preload = self.preload.transpose().map_err(|unfit| unfit_error("preload", &unfit))?;
        let initializer = self.initializer.transpose().map_err(|unfit| unfit_error("the initializer", &unfit))?;
        let exit =
            self.exit_hook.map(|hook| (hook.call, ExitTerms { name: hook.name.into(), limit: self.exit_timeout }));
        let (exit, terms) = exit.unzip();
        let exit = exit.transpose().map_err(|unfit| unfit_error("the exit hook", &unfit))?;
        let fresh_images = self.method == StartMethod::Spawn;
        let (by_guardian, by_worker) = if fresh_images { (None, preload) } else { (preload, None) };
        let mut descriptors = Vec::new();
        let mut call = |SetupCall(entry, bound): SetupCall| {
            let call = Call::new(entry, bound.bytes, &bound.descriptors);
            descriptors.extend(bound.descriptors);
            call
        };
        let setup = Setup {
            preload: by_worker.map(&mut call),
            initializer: initializer.map(&mut call),
            exit: exit.map(&mut call),
            seed: settings.seed,
            tell_memory: self.memory.any(),
            attributes,
        };
        let mut bytes = Vec::new();
        encode(&setup, &mut bytes).expect("bytes and numbers can be encoded");
        let plan = Plan {
            method: self.method.method(),
            name,
            preload: by_guardian.map(|SetupCall(entry, bound): SetupCall| (entry as EntryPoint, bound.bytes)),
            group,
            variables,
            stdout_to_stderr: self.stdout == Stdout::ToStderr,
            single: false,
            threads_allowed: self.threads_allowed,
            limit: self.start_timeout,
        };
        Ok((plan, Outfit { setup: Parcel { bytes, descriptors }, exit: terms, source }))
    }
}

/// Beyond half of the address space, more is as good as all.
fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Something different in every run, from the standard library's own source of it.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

pub(super) fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidSetting, text)
}

fn cannot_start(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::CannotStart, format!("cannot {what}: {error}")).with_source(error)
}

fn unfit_error(what: &str, unfit: &Unfit) -> Error {
    Error::new(ErrorKind::InvalidSetting, format!("{what} {unfit}"))
}

pub(crate) fn start_error(error: StartError) -> Error {
    let kind = match &error {
        StartError::Threads(_) | StartError::Callback => ErrorKind::Threads,
        StartError::Failed(text) if text.starts_with("preload") => ErrorKind::Preload,
        _ => ErrorKind::CannotStart,
    };
    Error::new(kind, error.to_string()).with_source(error)
}
