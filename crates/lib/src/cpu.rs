//! How many workers make sense on this machine.

use std::num::NonZeroUsize;

/// How many processors this process may use: the least of what its affinity mask and its cgroup's quota allow. The
/// default size of a gang. Python's `os.process_cpu_count`, with the quota.
///
/// A quota of 1.5 processors counts as 1: two workers would be stopped by the kernel for a quarter of the time.
#[must_use]
pub fn cpu_count() -> usize {
    // num_cpus knows affinity and the process's own cgroup (v1 and v2); the standard library walks all parents of a v2
    // cgroup. Each misses what the other sees.
    num_cpus::get().min(by_standard()).max(1)
}

/// The standard library's count. It panics over a control group without a path, which no kernel writes, but somebody who
/// makes up `/proc` may.
fn by_standard() -> usize {
    let groups = std::fs::read("/proc/self/cgroup").unwrap_or_default();
    let mut lines = groups.split(|byte| *byte == b'\n');
    let sound = lines.all(|line| line.strip_prefix(b"0::").is_none_or(|path| path.starts_with(b"/")));
    let count = sound.then(std::thread::available_parallelism).and_then(Result::ok);
    count.map_or(usize::MAX, NonZeroUsize::get)
}
