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
    let by_standard = std::thread::available_parallelism().map_or(usize::MAX, NonZeroUsize::get);
    num_cpus::get().min(by_standard).max(1)
}
