//! A file to which any process of a case appends lines: what has happened, even if who did it is dead.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use crate::gate::scratch;
use crate::wait_until;

/// A log by its name, the same in all processes of a case.
#[derive(Clone, Debug)]
pub struct Log(String);

impl Log {
    /// The log of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(scratch(&format!("log-{name}")))
    }

    /// Appends a line, by one write to a file opened with `O_APPEND`: lines of several processes do not mix.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn add(&self, line: impl std::fmt::Display) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What was added so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits until it has so many lines.
    ///
    /// # Panics
    /// When that takes too long for any machine.
    #[track_caller]
    pub fn wait_for(&self, lines: usize) {
        wait_until(&format!("{lines} lines"), Duration::from_secs(20), || self.lines(), |seen| seen.len() >= lines);
    }
}
