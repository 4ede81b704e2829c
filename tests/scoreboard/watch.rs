//! A cell's process, seen from outside.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use ganger_tests::{MARK, fresh_mark, holds_within, kill_marked, marked};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::told::{FILE, Told};

/// A cell that takes longer hangs.
const WATCHDOG: Duration = Duration::from_secs(9);

/// So long after the supervisor is gone, what is left is counted. Once nothing is left nothing can come, as only a marked
/// process makes marked ones: then nobody waits for the rest of the time.
const GRACE: Duration = Duration::from_millis(1500);

/// What was seen of a cell.
#[derive(Debug)]
pub(crate) struct Seen {
    /// `None` when it hung.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) told: Option<Told>,
    pub(crate) left: usize,
    /// What it printed.
    pub(crate) output: String,
}

impl Seen {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.is_some_and(|status| status.signal() == Some(9))
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs the cell of that name in a process of its own.
pub(crate) fn watch(name: &str) -> Seen {
    let mark = fresh_mark();
    let directory = std::env::temp_dir().join(format!("ganger-test-{mark}"));
    std::fs::create_dir(&directory).unwrap();
    // A file, not a pipe: what is left of the cell would keep its reader waiting.
    let mut output = File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC).unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--cell", name])
        .env(MARK, &mark)
        .env("GANGER_TEST_DIR", &directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut status = None;
    holds_within(WATCHDOG, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    holds_within(GRACE, || marked(&mark).is_empty());
    let left = marked(&mark).len();
    kill_marked(&mark);
    let told = std::fs::read_to_string(directory.join(FILE)).ok();
    let told = told.and_then(|text| serde_json::from_str(&text).ok());
    std::fs::remove_dir_all(&directory).unwrap();
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    Seen { status, told, left, output: text }
}
