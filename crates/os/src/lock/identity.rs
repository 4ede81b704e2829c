//! Who a process or a thread is, in one number that no other one ever has, and whether it lives.
//!
//! A process id alone names whoever has it now. With the time at which the process began, as the kernel counts it, both fit
//! into one word, which one atomic store writes: there is no instant at which something is held and nobody knows by whom.
//! It names processes of one pid and one time namespace ([`namespaces`]).

use std::cell::Cell;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid, gettid};

use crate::child::{pidfd_open, readable_within};
use crate::thread::wiped_by_fork;

/// The bits of a word that belong to no identity.
pub const FLAGS: u64 = 0b111;

/// Process ids are below 2^22, whatever `/proc/sys/kernel/pid_max` says.
const PID_SHIFT: u32 = 3;
const PID_MASK: u64 = (1 << 22) - 1;
/// What is left for the time of the begin: 39 bits of clock ticks, 174 years.
const START_SHIFT: u32 = 25;
const START_MASK: u64 = (1 << 39) - 1;

/// Who this process is. A forked child is somebody else. No system call but the first time.
#[must_use]
#[inline]
pub fn own() -> u64 {
    static WORD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();
    let Some(word) = WORD.get_or_init(|| wiped_by_fork().ok()) else {
        // A kernel without MADV_WIPEONFORK, or no memory left: slow, and right.
        return ask_own();
    };
    match word.load(Ordering::Relaxed) {
        0 => {
            let own = ask_own();
            word.store(own, Ordering::Relaxed);
            own
        }
        own => own,
    }
}

/// Who this thread is.
#[must_use]
#[inline]
pub fn own_thread() -> u64 {
    thread_local!(static KNOWN: Cell<(u64, u64)> = const { Cell::new((0, 0)) });
    let process = own();
    let (of, thread) = KNOWN.get();
    // A forked child has a copy of its parent's.
    if of == process {
        return thread;
    }
    let thread = pack(gettid(), start_of("/proc/thread-self/stat"));
    KNOWN.set((process, thread));
    thread
}

/// The process id within an identity; 0 when it is none.
#[must_use]
pub fn pid_of(who: u64) -> u32 {
    ((who >> PID_SHIFT) & PID_MASK) as u32
}

/// Whether the process of that identity is dead. One that is stopped, or on its way out, lives.
///
/// It opens a pidfd, so it takes about 10 us. When there are no descriptors left, a process that nobody has reaped counts as
/// alive: it is asked again.
#[must_use]
pub fn is_dead(who: u64) -> bool {
    let (own, pid) = (own(), pid_of(who));
    if who & !FLAGS == own {
        return false;
    }
    let pid = Pid::from_raw(pid.cast_signed());
    match pidfd_open(pid.as_raw()) {
        Ok(process) if readable_within(process.as_fd(), Duration::ZERO) => true,
        Ok(_) => start(own) != 0 && is_another(who, start_of(&format!("/proc/{pid}/stat"))),
        // Of a thread other than a process's first: its number went to somebody else.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) => true,
        Err(_) => nix::sys::signal::kill(pid, None) == Err(Errno::ESRCH),
    }
}

/// The namespaces in which identities of this process mean something: 0 when `/proc` does not tell.
#[must_use]
pub fn namespaces() -> u64 {
    let inode = |name: &str| std::fs::metadata(format!("/proc/self/ns/{name}")).map_or(0, |found| found.ino());
    inode("pid") ^ inode("time").rotate_left(32)
}

fn ask_own() -> u64 {
    let pid = getpid();
    // With `/proc` of another pid namespace (or none at all) numbers in it are not ours: then ids alone have to do.
    let sound = std::fs::read_link("/proc/self").is_ok_and(|link| link.to_str() == Some(&pid.to_string()));
    pack(pid, if sound { start_of("/proc/self/stat") } else { 0 })
}

fn pack(pid: Pid, start: u64) -> u64 {
    (start & START_MASK) << START_SHIFT | (u64::from(pid.as_raw().cast_unsigned()) & PID_MASK) << PID_SHIFT
}

fn start(who: u64) -> u64 {
    who >> START_SHIFT
}

fn is_another(who: u64, start_now: u64) -> bool {
    start(who) != 0 && start_now != 0 && start(who) != start_now & START_MASK
}

/// When the process or thread of that file began, in clock ticks since the machine's start; 0 when nobody tells.
fn start_of(stat: &str) -> u64 {
    std::fs::read_to_string(stat).ok().and_then(|stat| parse_start(&stat)).unwrap_or(0)
}

/// Field 22; the name before the last parenthesis may hold anything.
fn parse_start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn one_knows_oneself_and_threads_differ() {
        assert_eq!(own(), own());
        assert_eq!((own() & FLAGS, pid_of(own())), (0, std::process::id()));
        assert_ne!(start(own()), 0, "there is /proc");
        let other = std::thread::spawn(own_thread).join().expect("it only asks");
        assert!(other != own_thread() && own_thread() == own_thread());
    }

    #[test]
    fn the_dead_are_known_before_and_after_they_are_reaped() {
        let mut child = Command::new("sleep").arg("100").spawn().expect("starts");
        let pid = Pid::from_raw(child.id().cast_signed());
        let who = pack(pid, start_of(&format!("/proc/{pid}/stat")));
        assert!(!is_dead(who) && !is_dead(own()));
        assert!(!is_dead(pack(pid, 0)), "when it began is not known: its number is there");
        assert!(is_dead(pack(pid, start(who) + 1)), "the number is another process's now");
        child.kill().expect("it is ours");
        while !is_dead(who) {
            std::thread::yield_now();
        }
        child.wait().expect("it is ours");
        assert!(is_dead(who));
    }

    #[test]
    fn a_stopped_process_lives() {
        let mut child = Command::new("sleep").arg("100").spawn().expect("starts");
        let pid = Pid::from_raw(child.id().cast_signed());
        let who = pack(pid, start_of(&format!("/proc/{pid}/stat")));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).expect("it is ours");
        while !std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("lives").contains(") T ") {
            std::thread::yield_now();
        }
        assert!(!is_dead(who));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }

    #[test]
    fn the_largest_numbers_fit() {
        let who = pack(Pid::from_raw((1 << 22) - 1), START_MASK);
        assert_eq!((pid_of(who), start(who), who & FLAGS), ((1 << 22) - 1, START_MASK, 0));
        assert_eq!(parse_start("7 (a) b) S 1 7 7 0 -1 4194560 115 0 0 0 7 5 0 0 20 0 1 0 123 4000 20"), Some(123));
    }
}
