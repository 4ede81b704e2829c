//! The guardian's last duty: killing every descendant.
//!
//! As the subreaper it becomes the parent of whatever a dying process leaves, however well that hid (own session, double
//! fork). Only the guardian reaps its children, so their numbers cannot be reused under its hands.

use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// A process in uninterruptible sleep cannot be killed by anybody: after this long the guardian goes without it.
const LIMIT: Duration = Duration::from_secs(5);

/// Kills and reaps until no child is left.
pub(super) fn sweep() {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        for pid in children() {
            // ESRCH: it died, or leads no group. Killing the group first leaves its members no time to fork.
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = kill(pid, Signal::SIGKILL);
        }
        if !reap_all() {
            return;
        }
        // Deaths take a moment and no single descriptor announces them all: look again shortly.
        let _ = poll(&mut [], PollTimeout::from(1_u8));
    }
}

/// Reaps who is dead; `false` when there is no child at all.
fn reap_all() -> bool {
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Ok(status) if status.pid().is_none() => return true,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// The children of this process, which has one thread.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    match std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect(),
        Err(_) => children_by_scan(own),
    }
}

/// For kernels without the `children` file: whoever names us as its parent.
fn children_by_scan(own: u32) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| parent_of(*pid) == Some(own))
        .map(Pid::from_raw)
        .collect()
}

/// The fourth field of `stat`; the second, the program's name, may contain anything but ends at the last parenthesis.
fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_parent() {
        let parent = nix::unistd::getppid().as_raw().cast_unsigned();
        assert_eq!(parent_of(std::process::id().cast_signed()), Some(parent));
        assert!(children_by_scan(parent).contains(&Pid::this()));
    }
}
