//! How a process is made.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, unfit_error};
use super::context::Wanted;
use super::handle::Process;
use super::stdio::Stdio;
use crate::captured::with_once;
use crate::identity::identity;
use crate::pool::Attributes;
use crate::start_method::start_method;
use crate::task::{Returns, Task};
use crate::wire::attributes::Attributes as Resolved;
use crate::{Error, Rlimit, RlimitBounds, StartMethod};

/// The settings of a process; [`Process::builder`] makes one.
///
/// ```
/// use ganger::{Process, StartMethod};
/// let mut process = Process::builder()
///     .name("counter")
///     .start_method(StartMethod::Spawn)
///     .daemon(true)
///     .build(|most: u64| (0..most).sum::<u64>(), (1000,));
/// process.start()?;
/// assert_eq!((process.name(), process.result()?), ("counter", 499_500));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` or `fork` is called"]
pub struct ProcessBuilder {
    name: Option<String>,
    daemon: bool,
    method: StartMethod,
    threads_allowed: bool,
    streams: [Stdio; 3],
    attributes: Attributes,
}

/// What was decided.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    path: Vec<u32>,
    pub(super) daemon: bool,
    method: StartMethod,
    threads_allowed: bool,
    streams: [Stdio; 3],
    pub(super) attributes: Attributes,
}

impl Settings {
    /// As the OS layer and the process want it.
    pub(super) fn wanted<'a>(&'a self, attributes: &'a Resolved) -> Wanted<'a> {
        let Self { name, path, daemon, method, threads_allowed, streams, attributes: _ } = self;
        let (daemon, method, threads_allowed) = (*daemon, *method, *threads_allowed);
        Wanted { name, path, daemon, method, threads_allowed, streams, attributes }
    }
}

impl Process<()> {
    /// A process with settings of its own.
    pub fn builder() -> ProcessBuilder {
        ProcessBuilder {
            name: None,
            daemon: identity().daemon,
            method: start_method(),
            threads_allowed: false,
            streams: [Stdio::null(), Stdio::inherit(), Stdio::inherit()],
            attributes: Attributes::default(),
        }
    }
}

impl ProcessBuilder {
    /// A name, for messages and `ps`; without it, `Process-1` and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether it is a daemon: one that is ended (SIGTERM, and SIGKILL a second later) when this process ends in order or drops it,
    /// and not waited for. Without it, as this process is itself. Unlike Python's, daemons may start processes.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Where the process comes from; without it, what [`start_method`](crate::start_method) says. Python's `get_context`.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// Where its standard input comes from; without it, from `/dev/null`.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.streams[0] = stdin.into();
        self
    }

    /// Where its standard output goes; without it, to this process's.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.streams[1] = stdout.into();
        self
    }

    /// Where its standard error goes; without it, to this process's.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.streams[2] = stderr.into();
        self
    }

    /// Limits a resource, from before its function is called; see [`Builder::rlimit`](crate::Builder::rlimit).
    pub fn rlimit(mut self, resource: Rlimit, bounds: impl Into<RlimitBounds>) -> Self {
        self.attributes.set_rlimit(resource, bounds.into());
        self
    }

    /// Its niceness; see [`Builder::nice`](crate::Builder::nice).
    pub fn nice(mut self, niceness: i32) -> Self {
        self.attributes.set_niceness(niceness);
        self
    }

    /// The processor that it runs on, and no other.
    pub fn pin_to(mut self, cpu: usize) -> Self {
        self.attributes.set_cpus(vec![cpu]);
        self
    }

    /// Allows start method `fork` although this process runs threads.
    ///
    /// # Safety
    /// As of [`Builder::allow_threads`](crate::Builder::allow_threads).
    #[expect(unsafe_code, reason = "declares a promise that only the caller can make; it contains no unsafe operation")]
    pub unsafe fn allow_threads(mut self) -> Self {
        self.threads_allowed = true;
        self
    }

    /// A process that will call `function` with `arguments`; see [`Process::new`].
    pub fn build<F, Args, R>(self, function: F, arguments: Args) -> Process<R>
    where
        F: Task<Args, R>,
    {
        Process::unstarted(self.settings(), &function, &arguments)
    }

    /// Starts a process by `fork` that calls `closure`; see [`Process::fork`].
    ///
    /// # Errors
    /// As of [`Process::start`].
    pub fn fork<O, R, C>(mut self, closure: C) -> Result<Process<R>, Error>
    where
        C: FnOnce() -> O + 'static,
        O: Returns<R>,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.method = StartMethod::Fork;
        let settings = self.settings();
        let started = with_once(closure, |prepared| Process::forked(settings, Call::captured(prepared)));
        started.map_err(|unfit| unfit_error(&unfit))?
    }

    fn settings(self) -> Settings {
        let Self { name, daemon, method, threads_allowed, streams, attributes } = self;
        let path = identity().next_path();
        let name = name.unwrap_or_else(|| {
            let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
            format!("Process-{}", numbers.join(":"))
        });
        Settings { name, path, daemon, method, threads_allowed, streams, attributes }
    }
}
