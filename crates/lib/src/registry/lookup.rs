//! Finds tasks by name.

use super::entry::TaskEntry;
use linkme::distributed_slice;
use std::fmt;

/// Holds every task of the program; the linker gathers it.
#[distributed_slice]
pub static TASKS: [TaskEntry];

/// Returns all tasks of the program, sorted by name.
///
/// # Errors
/// When two functions claim one name.
pub fn tasks() -> Result<Vec<&'static TaskEntry>, DuplicateTask> {
    sorted(TASKS.iter())
}

/// Finds a task by name; `-` and `_` are the same.
pub fn find(name: &str) -> Option<&'static TaskEntry> {
    TASKS.iter().find(|task| same_name(task.name, name))
}

fn sorted<'a>(tasks: impl Iterator<Item = &'a TaskEntry>) -> Result<Vec<&'a TaskEntry>, DuplicateTask> {
    let mut tasks: Vec<_> = tasks.collect();
    // By place as well: the linker's order is no order to report a pair of places in.
    tasks.sort_by_cached_key(|task| (task.name.replace('_', "-"), task.location));
    match tasks.windows(2).find(|pair| same_name(pair[0].name, pair[1].name)) {
        Some(pair) => Err(DuplicateTask { name: pair[0].name, locations: [pair[0].location, pair[1].location] }),
        None => Ok(tasks),
    }
}

fn same_name(a: &str, b: &str) -> bool {
    let plain = |byte| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// Says that two functions claim one task name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateTask {
    name: &'static str,
    locations: [&'static str; 2],
}

impl fmt::Display for DuplicateTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.locations;
        write!(
            f,
            "two tasks are named {:?}, at {first} and at {second}: rename one with #[ganger::task(name = \"...\")]",
            self.name
        )
    }
}

impl std::error::Error for DuplicateTask {}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &'static str, location: &'static str) -> TaskEntry {
        TaskEntry {
            name,
            group: "",
            doc: "",
            arguments: &[],
            returns: "()",
            location,
            encode_arguments: |_, _| Ok(()),
            run: |_, _| Ok(()),
        }
    }

    #[test]
    fn underscores_are_hyphens() {
        for (a, b, same) in [("a-b", "a_b", true), ("a_b", "a_b", true), ("a-b", "ab", false), ("a-b", "a-c", false)] {
            assert_eq!(same_name(a, b), same, "{a} and {b}");
        }
    }

    #[test]
    fn tasks_come_sorted() {
        let entries = [named("cube", "a.rs:1"), named("add", "a.rs:2"), named("b_c", "a.rs:3")];
        let names: Vec<_> = sorted(entries.iter()).unwrap().iter().map(|task| task.name).collect();
        assert_eq!(names, ["add", "b_c", "cube"]);
    }

    #[test]
    fn a_duplicate_names_both_places() {
        let entries = [named("add-up", "b.rs:7"), named("cube", "a.rs:1"), named("add_up", "a.rs:2")];
        let message = sorted(entries.iter()).unwrap_err().to_string();
        assert!(message.contains("a.rs:2 and at b.rs:7"), "{message}");
    }
}
