//! Files by which tests and tasks, in whatever process, wait for each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wait::wait_until;

/// How long anybody waits at a gate: longer than the watchdog lets a case run, so that its dump shows who waits.
const LIMIT: Duration = Duration::from_secs(90);

/// A path in this case's own directory, which the runner makes and removes.
///
/// # Panics
/// When the process was not started by the runner.
#[must_use]
pub fn scratch(name: &str) -> String {
    Path::new(&std::env::var_os("GANGER_TEST_DIR").unwrap()).join(name).display().to_string()
}

/// A gate that is shut until somebody opens it; known by its name in all processes of a case.
#[derive(Clone, Debug)]
pub struct Gate(PathBuf);

impl Gate {
    /// The gate of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(scratch(&format!("gate-{name}")).into())
    }

    /// Lets everybody pass, now and later.
    ///
    /// # Panics
    /// When the file cannot be made.
    pub fn open(&self) {
        std::fs::write(&self.0, []).unwrap();
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.exists()
    }

    /// Waits until it is open.
    #[track_caller]
    pub fn pass(&self) {
        wait_until(&format!("{} opens", self.0.display()), LIMIT, || self.is_open(), |open| *open);
    }
}
