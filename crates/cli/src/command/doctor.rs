//! What this machine gives to a run, found out by trying.

use ganger::{Pool, StartMethod, cpu_count};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

/// Describes the machine, a line for each question.
pub(super) fn examine() -> String {
    // Before anything else: `fork` is refused beside threads, and what follows makes some.
    let methods: Vec<String> = [StartMethod::Fork, StartMethod::Spawn, StartMethod::Forkserver].map(method).to_vec();
    let mut text = String::from("start methods:\n");
    methods.iter().rev().for_each(|line| text += line);
    text += &ganger::containment().to_string();
    text += "limits:\n";
    for (name, value) in [
        ("processors", processors()),
        ("processor quota", quota().map_or("none".to_owned(), |quota| format!("{quota:.2} processors"))),
        ("memory limit", memory_limit().map_or("none".to_owned(), |bytes| format!("{} MiB", bytes >> 20))),
        ("--memory", memory_mechanism()),
        ("open files", limit(Resource::RLIMIT_NOFILE)),
        ("processes", limit(Resource::RLIMIT_NPROC)),
    ] {
        text += &format!("      {name:<20} {value}\n");
    }
    text
}

/// Runs a task under this method.
fn method(method: StartMethod) -> String {
    let tried =
        Pool::builder().workers(1).start_method(method).name("doctor").build().map_err(|error| error.to_string());
    let tried = tried.and_then(|pool| {
        let answer = pool.apply(|x: u32| x + 1, (1,)).map_err(|error| error.to_string());
        pool.close();
        answer.and_then(|answer| pool.join().map(|()| answer).map_err(|error| error.to_string()))
    });
    match tried {
        Ok(_) => line(true, method, "a worker was started, and has run a task"),
        Err(why) => line(false, method, why),
    }
}

fn line(holds: bool, name: impl Display, reason: impl Display) -> String {
    format!("  {:<4}{:<20} {reason}\n", if holds { "yes" } else { "no" }, name.to_string())
}

fn processors() -> String {
    let count = |set: CpuSet| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
    let affinity = sched_getaffinity(Pid::from_raw(0)).map(count);
    let allowed = affinity.map_or("an unknown number of".to_owned(), |count| count.to_string());
    format!("{} for workers; {allowed} by affinity", cpu_count())
}

fn limit(resource: Resource) -> String {
    let number =
        |value| if value == nix::sys::resource::RLIM_INFINITY { "no limit".to_owned() } else { format!("{value}") };
    match getrlimit(resource) {
        Ok((soft, hard)) => format!("{}; may be raised to {}", number(soft), number(hard)),
        Err(error) => format!("unknown: {error}"),
    }
}

/// Returns how many processors the control groups above this process grant at most.
fn quota() -> Option<f64> {
    let v2 = groups("").into_iter().filter_map(|group| {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    let v1 = groups("cpu").into_iter().filter_map(|group| {
        let read = |file| fs::read_to_string(group.join(file)).ok()?.trim().parse::<f64>().ok();
        Some(read("cpu.cfs_quota_us").filter(|quota| *quota > 0.0)? / read("cpu.cfs_period_us")?)
    });
    v2.chain(v1).reduce(f64::min)
}

/// Returns how many bytes the control groups above this process grant at most.
fn memory_limit() -> Option<u64> {
    let read = |group: PathBuf, file| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    let v2 = groups("").into_iter().filter_map(|group| read(group, "memory.max"));
    let v1 = groups("memory").into_iter().filter_map(|group| read(group, "memory.limit_in_bytes"));
    // Version 1 writes "no limit" as a number near the largest.
    v2.chain(v1).filter(|bytes| *bytes < 1 << 60).min()
}

/// Tells how a limit of one worker's memory is kept, and why not by the kernel.
fn memory_mechanism() -> String {
    let own = groups("").into_iter().next();
    let enabled = own.and_then(|group| fs::read_to_string(group.join("cgroup.subtree_control")).ok());
    let why = match enabled {
        None => "there is no control group of version 2",
        Some(list) if list.split_whitespace().any(|name| name == "memory") => {
            "a control group would count what workers share as well"
        }
        Some(_) => "groups below that of this process have no memory controller",
    };
    format!("measured in /proc about 20 times a second: {why}")
}

/// Returns the directories of this process's control group and of those above it, in the hierarchy of this controller; that of
/// version 2 has no name.
fn groups(controller: &str) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    find_groups(&own, &mounts, controller)
}

fn find_groups(own: &str, mounts: &str, controller: &str) -> Vec<PathBuf> {
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        fields.next().filter(|list| has(list))?;
        fields.next()
    });
    let is_mount = |line: &&str| {
        let mut fields = line.split_once(" - ").map_or("", |(_, rest)| rest).split(' ');
        let kind = fields.next();
        let options = fields.nth(1).unwrap_or_default();
        if controller.is_empty() { kind == Some("cgroup2") } else { kind == Some("cgroup") && has(options) }
    };
    let mount = mounts.lines().find(is_mount).and_then(|line| line.split(' ').nth(4));
    let (Some(path), Some(mount)) = (path, mount) else { return Vec::new() };
    // Within a container the path may lead to where nothing is mounted: then what is there is the own group.
    let groups = Path::new(path.trim_start_matches('/'));
    groups.ancestors().map(|group| Path::new(mount).join(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_both_versions() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/c\n";
        for (controller, found) in [
            ("memory", &["memory/a/b", "memory/a", "memory/"][..]),
            ("cpu", &["cpu/"]),
            ("", &["unified/c", "unified/"]),
            ("pids", &[]),
        ] {
            let found: Vec<PathBuf> = found.iter().map(|group| Path::new("/sys/fs/cgroup").join(group)).collect();
            assert_eq!(find_groups(own, mounts, controller), found, "{controller}");
        }
        assert_eq!(find_groups("", "", ""), Vec::<PathBuf>::new());
    }
}
