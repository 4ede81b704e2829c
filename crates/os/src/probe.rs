//! What the kernel lets this process do to contain others. Each question is answered by doing it, in a child that leaves at
//! once; the host neither gets a SIGCHLD for it nor finds it with `waitpid(-1)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, read};

use crate::cgroup::{Group, own};
use crate::child::{PidFd, leave, readable_within};

/// No answer takes so long, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(5);

/// A child's answer when what was asked has worked.
const YES: i32 = 0;
const NO: i32 = 1;

/// How a new pid namespace can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// With the privileges of this process.
    Privileged,
    /// Within a new user namespace.
    WithUserNamespace,
}

/// Makes a child that has a copy of everything and announces its end to nobody but who asks for it; returns 0 in it. Until
/// it leaves, the child must call nothing but what is async-signal-safe, as other threads may have held locks.
fn branch() -> i32 {
    // SAFETY: without CLONE_VM the child has its own copy of the memory and goes on with the same stack in it. Every caller
    // has the child call async-signal-safe functions only, and then `leave`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    pid as i32
}

/// Waits for a child, -1 for any, and returns its number and status. Async-signal-safe.
fn reap(pid: i32) -> (i32, i32) {
    let mut status = 0;
    // SAFETY: the status is a valid local variable.
    let reaped = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    (reaped, status)
}

/// Waits to be killed. Async-signal-safe.
fn rest() -> ! {
    loop {
        // SAFETY: pause only waits.
        unsafe { libc::pause() };
    }
}

/// A child that answers a question; killed and reaped on drop.
struct Child {
    pid: i32,
    pidfd: PidFd,
    reaped: bool,
}

impl Child {
    /// Has a child run `body`, which must be async-signal-safe, and leave with its result.
    fn ask(body: impl FnOnce() -> i32) -> io::Result<Self> {
        let pid = branch();
        if pid == 0 {
            leave(body());
        }
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        match PidFd::open(pid) {
            Ok(pidfd) => Ok(Self { pid, pidfd, reaped: false }),
            Err(error) => {
                // It is our child and not reaped: the number is still its own.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                reap(pid);
                Err(error)
            }
        }
    }

    /// Whether its answer is yes.
    fn says_yes(mut self) -> io::Result<bool> {
        if !self.pidfd.dead_within(LIMIT) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (_, status) = reap(self.pid);
        self.reaped = true;
        Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == YES)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.pidfd.kill();
        if self.pidfd.dead_within(LIMIT) {
            reap(self.pid);
        }
    }
}

/// Whether the kernel permits `body`, which must be async-signal-safe and change nothing but the child that it runs in.
pub(crate) fn permits(body: impl FnOnce() -> bool) -> io::Result<bool> {
    Child::ask(|| if body() { YES } else { NO })?.says_yes()
}

fn refused(what: &str) -> io::Error {
    io::Error::other(format!("the kernel has not done it: {what}"))
}

/// Whether a process can be had killed by its parent's death.
///
/// # Errors
/// Why it cannot, or why that could not be tried.
pub fn parent_death_signal() -> io::Result<()> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let raw = writer.as_raw_fd();
    let parent = Child::ask(|| {
        if branch() == 0 {
            report_mortal(raw);
        }
        rest()
    })?;
    drop(writer);
    let mut pid = [0; 4];
    let told = readable_within(reader.as_fd(), LIMIT) && read(&reader, &mut pid) == Ok(4);
    drop(parent);
    // The end of the stream: whoever could write is dead.
    let gone = readable_within(reader.as_fd(), LIMIT) && read(&reader, &mut [0]) == Ok(0);
    match (told, gone) {
        (true, true) => Ok(()),
        (true, false) => {
            // It lives, as it holds the pipe open.
            let _ = kill(Pid::from_raw(i32::from_ne_bytes(pid)), Signal::SIGKILL);
            Err(refused("a child survived its parent"))
        }
        (false, _) => Err(refused("prctl(PR_SET_PDEATHSIG) failed")),
    }
}

/// Asks for the signal, says who it is, and waits for it. Async-signal-safe.
fn report_mortal(pipe: RawFd) -> ! {
    // SAFETY: prctl takes plain numbers here.
    let asked = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if asked != 0 {
        leave(NO);
    }
    // SAFETY: getpid has no preconditions.
    let own = unsafe { libc::getpid() }.to_ne_bytes();
    // SAFETY: four bytes are read from a local variable; the descriptor is open in this copy of the process.
    unsafe { libc::write(pipe, own.as_ptr().cast(), own.len()) };
    rest()
}

/// Whether a process can become the parent of its descendants' orphans.
///
/// # Errors
/// Why it cannot, or why that could not be tried.
pub fn subreaper() -> io::Result<()> {
    let adopts = Child::ask(|| {
        // SAFETY: prctl takes plain numbers here.
        if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } != 0 {
            return NO;
        }
        let child = branch();
        if child == 0 {
            // Its child is the orphan, which is dead at once too: the adopted dead are reaped like the living.
            leave(if branch() < 0 { NO } else { YES });
        }
        let (first, second) = (reap(-1), reap(-1));
        if first.0 > 0 && second.0 > 0 { YES } else { NO }
    })?;
    if adopts.says_yes()? { Ok(()) } else { Err(refused("an orphan was not adopted")) }
}

/// Whether a process can lead a process group of its own.
///
/// # Errors
/// Why it cannot, or why that could not be tried.
pub fn process_group() -> io::Result<()> {
    // SAFETY: setpgid takes plain numbers.
    let leads = Child::ask(|| if unsafe { libc::setpgid(0, 0) } == 0 { YES } else { NO })?;
    if leads.says_yes()? { Ok(()) } else { Err(refused("setpgid failed")) }
}

/// Whether a descriptor of a process reports its death.
///
/// # Errors
/// Why it does not, or why that could not be tried.
pub fn pidfd() -> io::Result<()> {
    let child = Child::ask(|| rest())?;
    child.pidfd.kill();
    if child.pidfd.dead_within(LIMIT) { Ok(()) } else { Err(refused("a death was not reported")) }
}

/// Whether this process could put others into a pid namespace, and how.
///
/// # Errors
/// Why it could not, or why that could not be tried.
pub fn pid_namespace() -> io::Result<Namespace> {
    for (flags, way) in [
        (libc::CLONE_NEWPID, Namespace::Privileged),
        (libc::CLONE_NEWUSER | libc::CLONE_NEWPID, Namespace::WithUserNamespace),
    ] {
        let entered = Child::ask(|| {
            // SAFETY: unshare takes plain numbers, and concerns the child alone.
            if unsafe { libc::unshare(flags) } != 0 {
                return NO;
            }
            // The first process in it proves that there may be processes in it.
            let first = branch();
            if first == 0 {
                leave(YES);
            }
            if first > 0 && reap(first).0 == first { YES } else { NO }
        })?;
        if entered.says_yes()? {
            return Ok(way);
        }
    }
    Err(refused("unshare(CLONE_NEWPID) failed, with and without a user namespace"))
}

/// Whether this process may divide its own control group (v2): returns its directory.
///
/// # Errors
/// Why it may not.
pub fn delegated_cgroup() -> io::Result<PathBuf> {
    Group::create()?;
    own()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_linux_does_is_found() {
        // Twice, as an answer must not spoil the next.
        for _ in 0..2 {
            parent_death_signal().expect("a parent's death is a signal");
            subreaper().expect("orphans are adopted");
            process_group().expect("a child leads a group");
            pidfd().expect("a death is seen");
        }
    }

    #[test]
    fn probes_leave_no_group() {
        // They may be refused here: what counts is what is left.
        let _ = (pid_namespace(), delegated_cgroup());
        let prefix = format!("ganger-{}-", std::process::id());
        let groups = own().and_then(std::fs::read_dir).into_iter().flatten().flatten();
        let left = groups.filter(|group| group.file_name().to_string_lossy().starts_with(&prefix));
        // Another test of this process may have one at this moment; it is not empty then.
        assert_eq!(left.filter(|group| std::fs::remove_dir(group.path()).is_ok()).count(), 0);
    }

    #[test]
    fn a_child_that_says_no_is_heard() {
        assert!(!Child::ask(|| NO).and_then(Child::says_yes).expect("it answers"));
    }
}
