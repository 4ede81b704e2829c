//! Keeps standard output for results.

use crate::exit::Abort;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// Is the standard output that this process was started with.
#[derive(Debug)]
pub(crate) struct Stdout(File);

impl Stdout {
    /// Takes standard output away from the rest of the process and its workers: what they print goes to standard error from
    /// now on, so that a task which prints cannot spoil the results.
    pub(crate) fn put_aside() -> Result<Self, Abort> {
        let swap = || -> io::Result<File> {
            let kept = io::stdout().as_fd().try_clone_to_owned()?;
            nix::unistd::dup2_stdout(io::stderr())?;
            Ok(File::from(kept))
        };
        swap().map(Self).map_err(|error| Abort::writing("standard output", &error))
    }

    /// Tells whether results appear on a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    pub(super) fn into_file(self) -> File {
        self.0
    }
}
