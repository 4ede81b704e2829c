//! What the program holds of a process that it starts.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::Settings;
use super::call::Call;
use super::child::ChildProcess;
use super::context::context;
use super::ending::GRACE;
use super::outcome::outcome;
use crate::task::{Returns, Task};
use crate::wire::codec::CodecError;
use crate::{Error, ErrorKind, TaskError, TaskErrorKind};

/// A process that makes one call: Python's `multiprocessing.Process`, with a return value of type `R`.
///
/// ```
/// use ganger::Process;
/// fn count(text: String, word: String) -> usize {
///     text.split_whitespace().filter(|next| **next == word).count()
/// }
/// let mut process = Process::new(count, ("to be or not to be".to_owned(), "be".to_owned()));
/// process.start()?;
/// assert_eq!(process.result()?, 2);
/// assert_eq!(process.exit_code()?, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The function is given as for a pool: see [`Task`]. Its arguments are serialized by [`new`](Self::new). The process reads
/// `/dev/null`, writes to this process's standard output and standard error, and is in a process group of its own, so that the terminal's Ctrl-C
/// does not reach it. It is started by a guardian, and dies with it, and with this process, however that ends: nothing is left. What it
/// leaves in its process group is killed when it ends.
///
/// Dropping it does not end the process, unless it is a [daemon](crate::ProcessBuilder::daemon): it is still among
/// [`active_children`](crate::active_children), and is waited for when this process ends in order, as in Python. A daemon
/// is sent SIGTERM, and killed a second later if that has not ended it.
#[must_use = "a process does nothing until `start` is called"]
pub struct Process<R> {
    settings: Settings,
    /// The process that made this.
    creator: u32,
    stage: Stage,
    decode: fn(&[u8]) -> Result<R, CodecError>,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    New(Result<Call, Error>),
    Started(ChildProcess),
    Closed,
}

impl<R> Process<R> {
    /// A process that will call `function` with `arguments` (a tuple of up to 8), once it is [started](Self::start). What cannot
    /// be serialized is reported then. Python's `Process(target=function, args=arguments)`.
    pub fn new<F, Args>(function: F, arguments: Args) -> Self
    where
        F: Task<Args, R>,
    {
        Process::builder().build(function, arguments)
    }

    /// Starts a process that calls `closure`, by `fork`: the closure may capture anything, as the process is a copy of this one.
    ///
    /// ```no_run
    /// // In a program without threads of its own; a test has one.
    /// let table: Vec<String> = (0..1_000_000).map(|number| number.to_string()).collect();
    /// let process = ganger::Process::fork(move || table.iter().map(String::len).sum::<usize>())?;
    /// assert_eq!(process.result()?, 5_888_890);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn fork<O, C>(closure: C) -> Result<Self, Error>
    where
        C: FnOnce() -> O + 'static,
        O: Returns<R>,
        R: Serialize + DeserializeOwned + 'static,
    {
        Process::builder().fork(closure)
    }

    pub(super) fn unstarted<F, Args>(settings: Settings, function: &F, arguments: &Args) -> Self
    where
        F: Task<Args, R>,
    {
        let stage = Stage::New(Call::new(function, arguments));
        Self { settings, creator: std::process::id(), stage, decode: F::decode }
    }

    pub(super) fn forked(settings: Settings, call: Call) -> Result<Self, Error>
    where
        R: DeserializeOwned + 'static,
    {
        let (creator, decode) = (std::process::id(), crate::wire::codec::decode_value as fn(&[u8]) -> _);
        let mut process = Self { settings, creator, stage: Stage::New(Ok(call)), decode };
        process.start()?;
        Ok(process)
    }

    /// Starts it, and returns when it exists.
    ///
    /// # Errors
    /// [`AlreadyStarted`](ErrorKind::AlreadyStarted) the second time, [`Closed`](ErrorKind::Closed), [`ForeignProcess`](ErrorKind::ForeignProcess)
    /// in a forked copy of the process that made it, [`NotSerializable`](ErrorKind::NotSerializable) for arguments that are not,
    /// [`InvalidSetting`](ErrorKind::InvalidSetting), [`Threads`](ErrorKind::Threads) under `fork` beside threads, and
    /// [`CannotStart`](ErrorKind::CannotStart) when the system refuses. After the last two it may be tried again.
    pub fn start(&mut self) -> Result<(), Error> {
        let name = &self.settings.name;
        if self.creator != std::process::id() {
            let text = format!(
                "process {name} was made by another process, of which this one is a copy, and only that can start it"
            );
            return Err(Error::new(ErrorKind::ForeignProcess, text));
        }
        let call = match &self.stage {
            Stage::New(Ok(call)) => call,
            Stage::New(Err(error)) => {
                return Err(Error::new(error.kind(), format!("cannot start process {name}: {error}")));
            }
            Stage::Started(_) => {
                let text = format!("process {name} was started before: a process is started once, make another one");
                return Err(Error::new(ErrorKind::AlreadyStarted, text));
            }
            Stage::Closed => return Err(closed(name)),
        };
        let attributes = self.settings.attributes.resolve(false)?;
        let child = context().start(&self.settings.wanted(&attributes), call)?;
        // With the call goes what it holds: from here on its handles are the process's.
        self.stage = Stage::Started(child);
        Ok(())
    }

    /// Waits until it is dead. Python's `join`.
    ///
    /// # Errors
    /// [`NotStarted`](ErrorKind::NotStarted), [`Closed`](ErrorKind::Closed), and [`ForeignProcess`](ErrorKind::ForeignProcess) in a
    /// forked copy of the process that started it.
    pub fn join(&self) -> Result<(), Error> {
        self.child()?.join()
    }

    /// Waits until it is dead, at most `limit`; whether it is. Python's `join(timeout)`, which does not say.
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn join_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.child()?.join_timeout(limit)
    }

    /// Waits until it is dead, and gives what its function returned; asking twice gives the same. Python has no such thing.
    ///
    /// # Errors
    /// Why there is no value: the function returned an `Err` or panicked, the process [left](TaskErrorKind::Exited) or was
    /// [killed](TaskErrorKind::Killed) in the middle of it, the value could not travel; [`Lost`](TaskErrorKind::Lost) when the guardian
    /// died, and the process with it; [`NotRunning`](TaskErrorKind::NotRunning) when it was not started, was closed, or
    /// is another process's.
    pub fn result(&self) -> Result<R, TaskError> {
        let child = self.child().and_then(|child| {
            child.join()?;
            child.own()
        });
        match child {
            Ok(child) => outcome(child, self.decode),
            Err(error) => {
                let refused = TaskError::new(TaskErrorKind::NotRunning, error.to_string(), "".into(), 0);
                Err(refused.of_process(self.name(), None, None))
            }
        }
    }

    /// Whether it runs. Python's `is_alive`: `false` before it is started.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) and [`ForeignProcess`](ErrorKind::ForeignProcess).
    pub fn is_alive(&self) -> Result<bool, Error> {
        self.started()?.map_or(Ok(false), ChildProcess::is_alive)
    }

    /// `None` before it has ended; then 0 when its function returned a value, 1 when it returned an `Err` or panicked, what it left
    /// with if it called `exit`, the negative number of the signal that ended it, or 255 when its guardian died and nobody
    /// knows. Python's `exitcode`.
    ///
    /// # Errors
    /// As of [`is_alive`](Self::is_alive).
    pub fn exit_code(&self) -> Result<Option<i32>, Error> {
        self.started()?.map_or(Ok(None), ChildProcess::exit_code)
    }

    /// Sends it SIGTERM, which ends it if it has not said otherwise; nothing happens when it is dead. Python's `terminate`.
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn terminate(&self) -> Result<(), Error> {
        self.child()?.terminate()
    }

    /// Kills it; nothing happens when it is dead. Python's `kill`.
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn kill(&self) -> Result<(), Error> {
        self.child()?.kill()
    }

    /// A descriptor that is readable once it is dead, for whoever waits for many things. Python's `sentinel`.
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn sentinel(&self) -> Result<BorrowedFd<'_>, Error> {
        let child = self.child()?;
        child.own()?;
        Ok(child.sentinel())
    }

    /// Its name: what was given, or `Process-1` and so on; a child of that is `Process-1:1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it is a daemon.
    #[must_use]
    pub fn daemon(&self) -> bool {
        self.settings.daemon
    }

    /// Its process id, once it was started. Python's `pid` and `ident`.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.stage {
            Stage::Started(child) => Some(child.pid()),
            Stage::New(_) | Stage::Closed => None,
        }
    }

    /// Gives back what is held for it, its result included. Python's `close`.
    ///
    /// # Errors
    /// [`StillRunning`](ErrorKind::StillRunning) while it runs, and [`ForeignProcess`](ErrorKind::ForeignProcess).
    pub fn close(&mut self) -> Result<(), Error> {
        if !matches!(self.stage, Stage::Closed) && self.is_alive()? {
            let text = format!("process {} is still running: join or terminate it before close", self.name());
            return Err(Error::new(ErrorKind::StillRunning, text));
        }
        self.stage = Stage::Closed;
        Ok(())
    }

    /// The process, if it was started.
    fn started(&self) -> Result<Option<&ChildProcess>, Error> {
        match &self.stage {
            Stage::New(_) => Ok(None),
            Stage::Started(child) => Ok(Some(child)),
            Stage::Closed => Err(closed(self.name())),
        }
    }

    fn child(&self) -> Result<&ChildProcess, Error> {
        self.started()?.ok_or_else(|| {
            Error::new(ErrorKind::NotStarted, format!("process {} was not started: call start first", self.name()))
        })
    }
}

fn closed(name: &str) -> Error {
    Error::new(ErrorKind::Closed, format!("process {name} is closed"))
}

impl<R> Drop for Process<R> {
    /// Ends a daemon, within two seconds at most; any other process goes on.
    fn drop(&mut self) {
        if let Stage::Started(child) = &self.stage
            && child.daemon()
            && let Ok(child) = child.own()
            && !child.has_ended()
        {
            child.stop(Instant::now() + GRACE);
        }
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, creator, stage, decode: _ } = self;
        f.debug_struct("Process")
            .field("settings", settings)
            .field("creator", creator)
            .field("stage", stage)
            .finish_non_exhaustive()
    }
}
