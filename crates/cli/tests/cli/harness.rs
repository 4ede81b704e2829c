//! One directory and one command per test. No process of a test outlives it: each has a mark, and the end of the test looks
//! for it.

use crate::processes::{LEAK_LIMIT, MARK, end_all, marked, wait_until};
use crate::running::{Finished, Running};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// All start methods, the default first.
pub(crate) const METHODS: [&str; 3] = ["forkserver", "spawn", "fork"];

/// A command that takes longer hangs: the slowest of these tests takes a fifth of it on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Is a directory of a test's own, removed at the end.
pub(crate) struct Place {
    dir: PathBuf,
    mark: String,
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&mark);
        fs::create_dir_all(&dir).expect("the build's directory is writable");
        Self { dir, mark }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn mark(&self) -> String {
        self.mark.clone()
    }

    /// Writes a file; returns nothing, since commands run in this directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the test's directory is writable");
    }

    /// Prepares the stock binary.
    pub(crate) fn command(&self) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_ganger"))
    }

    /// Prepares the user's program of `tests/helpers`.
    pub(crate) fn program(&self) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_ganger")).with_file_name("examples").join("trial-program");
        assert!(built.exists(), "`cargo test` builds {built:?}, but `cargo test --test cli` does not: --examples does");
        self.command_of(built)
    }

    /// Prepares a command that sees no setting of the outside world.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("GANGER_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.dir).env(MARK, &self.mark);
        command
    }

    /// Runs `ganger` with these arguments.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S], input: impl AsRef<[u8]>) -> Finished {
        let mut command = self.command();
        command.args(arguments);
        finish(command, input)
    }

    /// Runs `ganger map --serial` with these arguments, which are split at blanks.
    pub(crate) fn map(&self, arguments: &str, input: impl AsRef<[u8]>) -> Finished {
        self.gang(&format!("--serial {arguments}"), input)
    }

    /// Runs `ganger map`, with workers, with these arguments, which are split at blanks.
    pub(crate) fn gang(&self, arguments: &str, input: impl AsRef<[u8]>) -> Finished {
        let mut command = self.command();
        command.arg("map").args(arguments.split_whitespace());
        finish(command, input)
    }

    /// Runs `map` of the user's program with these arguments, which are split at blanks.
    pub(crate) fn program_map(&self, arguments: &str, input: impl AsRef<[u8]>) -> Finished {
        finish(self.program_mapping(arguments), input)
    }

    /// Prepares `map` of the user's program with these arguments, which are split at blanks.
    pub(crate) fn program_mapping(&self, arguments: &str) -> Command {
        let mut command = self.program();
        command.arg("map").args(arguments.split_whitespace());
        command
    }

    /// Waits until no process of this test is left, which must not take longer than ganger promises.
    #[track_caller]
    pub(crate) fn audit(&self) {
        wait_until(LEAK_LIMIT, || match marked(&self.mark) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("processes are left: {left:?}")),
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A test that fails anyway must not disturb the next.
            end_all(&self.mark);
        } else {
            self.audit();
        }
        // A directory left behind hurts nobody: it is below the build's.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Runs a command with this standard input to its end.
#[track_caller]
pub(crate) fn finish(command: Command, input: impl AsRef<[u8]>) -> Finished {
    let mut running = Running::start(command);
    running.feed(input.as_ref().to_vec());
    running.finish(LIMIT)
}

/// Returns the path of a file that comes with the repository.
pub(crate) fn example_data(name: &str) -> String {
    format!("{}/../../examples/data/{name}", env!("CARGO_MANIFEST_DIR"))
}
