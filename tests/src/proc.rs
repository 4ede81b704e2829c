//! Processes: what `/proc` says about one, and signals to it.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The open descriptors of this process and what they lead to, without the one that lists them.
#[must_use]
pub fn descriptors() -> BTreeMap<i32, String> {
    let Ok(list) = fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    let numbers: Vec<i32> = list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The listing's own descriptor is closed by now, and so has no target.
    let target = |number: &i32| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    numbers.iter().filter_map(|number| Some((*number, target(number)?.display().to_string()))).collect()
}

/// The names of the threads of this process.
#[must_use]
pub fn threads() -> Vec<String> {
    let Ok(list) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    list.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// A figure of a process's `status` in bytes: `"VmRSS"`, `"VmHWM"`.
///
/// # Panics
/// When the process is gone or has no such figure.
#[must_use]
pub fn memory(pid: u32, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// The letter of a process's state: `'S'`, `'T'`; `None` when it is gone.
#[must_use]
pub fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim().chars().next()
}

/// The children of a process that are alive or not buried.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().expect("a process id")).collect()
}

/// Sends a signal.
///
/// # Panics
/// When there is no such process.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// Ends this process by a signal, in the middle of a task.
///
/// # Panics
/// When the signal does not end it.
pub fn die(with: Signal) -> ! {
    signal(std::process::id(), with);
    unreachable!("the signal ends the process");
}
