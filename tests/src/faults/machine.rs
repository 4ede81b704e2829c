//! Which rows this machine can run. The others are skipped with a reason, and `tests/matrix.toml` keeps the list: the
//! suite fails when it changes, as a row that is skipped by accident would be missed by nobody.

use super::table::FAULTS;

/// Rows that nothing here can run, and why: they are in the list so that nobody takes them for forgotten.
const NOWHERE: &[(&str, &str)] = &[
    ("d-state", "nothing puts a process into uninterruptible sleep on purpose without a broken disk"),
    ("cgroup-memory-max", "no cgroup v2 hierarchy is delegated to the suite"),
    ("cgroup-pids-max", "no cgroup v2 hierarchy is delegated to the suite"),
    ("returns-from-a-fork", "fork is an unsafe call, and the suite has none"),
];

/// Why the row of that name cannot run here; `None` if it can.
#[must_use]
pub fn missing(name: &str) -> Option<&'static str> {
    match name {
        "process-limit" if nix::unistd::geteuid().is_root() => Some("root ignores RLIMIT_NPROC"),
        "shrinks-the-page" if !can_open_mappings() => Some("/proc/self/map_files needs CAP_CHECKPOINT_RESTORE"),
        "traced" if !can_be_traced() => Some("kernel.yama.ptrace_scope is 3"),
        _ => None,
    }
}

/// All rows that are skipped here, with their reasons.
#[must_use]
pub fn skips() -> Vec<(&'static str, &'static str)> {
    let probed = FAULTS.iter().filter_map(|fault| Some((fault.name, missing(fault.name)?)));
    probed.chain(NOWHERE.iter().copied()).collect()
}

/// Following these links is for the privileged alone.
fn can_open_mappings() -> bool {
    let Ok(mut mappings) = std::fs::read_dir("/proc/self/map_files") else { return false };
    mappings.next().is_some_and(|mapping| mapping.is_ok_and(|mapping| mapping.path().metadata().is_ok()))
}

fn can_be_traced() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").map_or(true, |scope| scope.trim() != "3")
}
