//! Who this process is: its name, and the process that started it.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ganger_os::child::PidFd;
use ganger_os::per_process::PerProcess;

static IDENTITY: PerProcess<Identity> = PerProcess::new();

/// What a process knows of itself.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// The numbers of its ancestors among their siblings, and its own; none for a program.
    pub(crate) path: Vec<u32>,
    pub(crate) daemon: bool,
    pub(crate) parent: Option<Parent>,
    /// How many processes it has thought of.
    pub(crate) children: AtomicU32,
}

/// The process that started this one by ganger.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) pidfd: PidFd,
}

impl Identity {
    /// Of a process that ganger has not started, or that has not been told.
    fn of_program() -> Self {
        let (name, path, children) = ("MainProcess".to_owned(), Vec::new(), AtomicU32::new(0));
        Self { name, path, daemon: false, parent: None, children }
    }

    /// The path of the next process that this one thinks of.
    pub(crate) fn next_path(&self) -> Vec<u32> {
        let number = self.children.fetch_add(1, Ordering::Relaxed) + 1;
        self.path.iter().copied().chain([number]).collect()
    }
}

/// This process's own.
pub(crate) fn identity() -> &'static Identity {
    IDENTITY.get_or(Identity::of_program)
}

/// Says who this process is.
pub(crate) fn set_identity(identity: Identity) {
    IDENTITY.set(identity);
}

/// The process that runs this code; [`current_process`] gives it.
#[derive(Clone, Copy)]
pub struct CurrentProcess(&'static Identity);

/// The process that runs this code. Python's `current_process`.
///
/// ```
/// let own = ganger::current_process();
/// assert_eq!((own.name(), own.pid(), own.daemon()), ("MainProcess", std::process::id(), false));
/// fn who() -> String { ganger::current_process().name().to_owned() }
/// let mut process = ganger::Process::new(who, ());
/// process.start()?;
/// assert_eq!(process.result()?, process.name());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn current_process() -> CurrentProcess {
    CurrentProcess(identity())
}

impl CurrentProcess {
    /// Its name: `MainProcess` for one that was not started by a [`Process`](crate::Process).
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Whether it was started as a daemon; then those that it starts are daemons as well, if nothing else is said.
    #[must_use]
    pub fn daemon(&self) -> bool {
        self.0.daemon
    }

    /// The process id of the process that called [`start`](crate::Process::start) for it (its parent in the eyes of the kernel is
    /// a guardian); `None` for one that was not started so.
    #[must_use]
    pub fn parent_pid(&self) -> Option<u32> {
        self.0.parent.as_ref().map(|parent| parent.pid.cast_unsigned())
    }
}

impl fmt::Debug for CurrentProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { name, path, daemon, parent, children: _ } = self.0;
        f.debug_struct("CurrentProcess")
            .field("name", name)
            .field("path", path)
            .field("daemon", daemon)
            .field("parent", parent)
            .finish()
    }
}

/// The process that started this one; [`parent_process`] gives it.
#[derive(Clone, Copy, Debug)]
pub struct ParentProcess(&'static Parent);

/// The process that started this one by a [`Process`](crate::Process), or `None`. Python's `parent_process`.
///
/// ```
/// assert!(ganger::parent_process().is_none());
/// fn parent() -> Option<u32> { ganger::parent_process().filter(|parent| parent.is_alive()).map(|parent| parent.pid()) }
/// let mut process = ganger::Process::new(parent, ());
/// process.start()?;
/// assert_eq!(process.result()?, Some(std::process::id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn parent_process() -> Option<ParentProcess> {
    identity().parent.as_ref().map(ParentProcess)
}

impl ParentProcess {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Its process id, as it saw itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid.cast_unsigned()
    }

    /// Whether it is alive. Without it this process has at most a second left: it is killed.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.0.pidfd.dead_within(Duration::ZERO)
    }

    /// Readable once it is dead.
    #[must_use]
    pub fn sentinel(&self) -> BorrowedFd<'static> {
        self.0.pidfd.as_fd()
    }
}
