//! Where and of what a run was made.

use std::fmt::{self, Display};
use std::fs;
use std::process::Command;

use serde::Serialize;

/// What has to be known to compare figures of two runs.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    kernel: String,
    cpus: usize,
    /// Forks copy page tables: huge pages make them cheap.
    transparent_huge_pages: String,
    /// Of the last minute, before the first row.
    load: String,
    commit: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        Self {
            kernel: first_line("/proc/sys/kernel/osrelease"),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            transparent_huge_pages: chosen(&first_line("/sys/kernel/mm/transparent_hugepage/enabled")),
            load: first_line("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            commit: commit(),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, cpus, transparent_huge_pages, load, commit } = self;
        write!(f, "Linux {kernel}, {cpus} cpus, load {load}, huge pages: {transparent_huge_pages}, commit {commit}")
    }
}

/// The date, as `2026-11-28`, of the world's clock.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| "an unknown day".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The word in brackets: of `always [madvise] never`, the second.
fn chosen(text: &str) -> String {
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or(text, |(word, _)| word).to_owned()
}

/// The commit that is checked out, marked when files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}
