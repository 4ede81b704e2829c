//! The leak audit: what a case leaves behind in its process and on the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::proc::{descriptors, threads};
use crate::wait::wait_until;
use crate::{marked, own_mark};

/// A thread that was joined leaves the kernel's list a moment later, and so does what it had open.
const LIMIT: Duration = Duration::from_secs(2);

/// What there is now of everything that can be leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Children, dead ones that were not reaped included.
    children: BTreeSet<u32>,
    descriptors: BTreeMap<i32, String>,
    threads: Vec<String>,
    /// Shared memory by name, and mappings of nameless shared memory.
    shared: BTreeSet<String>,
    mapped: usize,
    /// Other processes that carry this case's mark.
    marked: Vec<u32>,
}

impl Snapshot {
    /// Looks.
    #[must_use]
    pub fn take() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            children: children(),
            descriptors: descriptors(),
            threads: threads(),
            shared: shared(),
            mapped: maps.lines().filter(|line| line.contains("memfd:")).count(),
            marked: marked(&own_mark()),
        }
    }

    /// Checks that everything is as it was.
    ///
    /// # Panics
    /// When something was left behind.
    #[track_caller]
    pub fn compare(&self) {
        wait_until(&format!("nothing is left but {self:?}"), LIMIT, Self::take, |now| {
            // Other programs of the machine come and go in /dev/shm: only what is new can be ours, and nobody's.
            let mut new = now.shared.difference(&self.shared).peekable();
            let ours = new.peek().is_some() && new.any(|name| !somebody_maps(name));
            !ours && Self { shared: self.shared.clone(), ..now.clone() } == *self
        });
    }
}

fn children() -> BTreeSet<u32> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return BTreeSet::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Shared memory by name, but for what another case of the suite has put there.
fn shared() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else { return BTreeSet::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| !name.starts_with("ganger-test-") || name.ends_with(&own_mark())).collect()
}

/// Whether a process has this shared memory. After a case there are only those of other programs: marked ones are counted. By
/// its number, since the name under which it was mapped may be another (`sem_open` maps a file, and names it then).
fn somebody_maps(name: &str) -> bool {
    let Ok(known) = fs::metadata(format!("/dev/shm/{name}")) else { return true };
    let number = format!(" {} ", known.ino());
    let has_it = |maps: String| maps.lines().any(|line| line.contains(&number) && line.contains("/dev/shm/"));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read_to_string(process.path().join("maps")).ok()).any(has_it)
}
