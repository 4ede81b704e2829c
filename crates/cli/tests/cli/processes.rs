//! The processes of a test, found by the variable that all of them inherit.

pub(crate) use ganger_tests::MARK;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// So long after the end of a run no process of it may be left.
pub(crate) const LEAK_LIMIT: Duration = Duration::from_secs(1);

/// Finds the living processes with this mark: pid and command line.
pub(crate) fn marked(mark: &str) -> Vec<(i32, String)> {
    let pids = ganger_tests::marked(mark).into_iter().map(u32::cast_signed);
    pids.map(|pid| (pid, title(pid))).collect()
}

fn title(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned()
}

/// Returns what the descriptors of a process lead to.
pub(crate) fn targets(pid: i32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// Kills all processes with this mark, also those that they start meanwhile.
pub(crate) fn end_all(mark: &str) {
    for _ in 0..100 {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for (pid, _) in left {
            // Should it be gone, that is what was wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(PAUSE);
    }
}

/// Looks again and again until it finds something; a failure shows what it saw last.
#[track_caller]
pub(crate) fn wait_until<T>(limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        let late = started.elapsed() >= limit;
        match look() {
            Ok(found) => return found,
            Err(state) if late => panic!("after {limit:?}: {state}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(3);
