//! A guard of what somebody has died with.

use std::error::Error as StdError;
use std::fmt;

use ganger_os::lock::identity::pid_of;

use crate::{Error, ErrorKind};

/// A process has died while it held the lock, and may have left what the lock guards half changed. The guard is in here:
/// look after what is there, say so with the guard's `mark_consistent`, and go on. Until somebody says so every later
/// holder is told as well.
///
/// As `std`'s `PoisonError`, but for the death of a process: a panic releases a guard and abandons nothing.
///
/// ```
/// let lock = ganger::Lock::new()?;
/// let guard = lock.lock().unwrap_or_else(|abandoned| {
///     // Put in order what the lock guards, then:
///     let guard = abandoned.into_guard();
///     guard.mark_consistent();
///     guard
/// });
/// # drop(guard);
/// # Ok::<(), ganger::Error>(())
/// ```
pub struct Abandoned<G> {
    guard: G,
    dead: u64,
}

impl<G> Abandoned<G> {
    pub(super) fn new(guard: G, dead: u64) -> Self {
        Self { guard, dead }
    }

    /// Takes the guard: the lock is held.
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// The guard.
    pub fn guard(&self) -> &G {
        &self.guard
    }

    /// The process that has died last while it held the lock, where that is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(pid_of(self.dead)).filter(|pid| *pid != 0)
    }
}

impl<G> fmt::Debug for Abandoned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Abandoned").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

impl<G> fmt::Display for Abandoned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.dead))
    }
}

impl<G> StdError for Abandoned<G> {}

/// Gives the lock back; it stays abandoned for whoever comes next.
impl<G> From<Abandoned<G>> for Error {
    fn from(abandoned: Abandoned<G>) -> Self {
        error(abandoned.dead)
    }
}

/// The error for whoever has no guard to be handed.
pub(super) fn error(dead: u64) -> Error {
    Error::new(ErrorKind::Abandoned, text(dead))
}

fn text(dead: u64) -> String {
    let who = match pid_of(dead) {
        0 => "a process".to_owned(),
        pid => format!("process {pid}"),
    };
    format!("{who} died while it held this lock, and nobody has marked it as consistent since")
}
