//! Processes by pidfd: noticing a death, sending a signal that cannot hit a stranger, reaping.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::fd::{Fd, adopt};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It left by itself, with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl Exit {
    pub(crate) fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Code(libc::WEXITSTATUS(status))
        }
    }
}

/// What a process used, as the kernel accounted for it at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The largest resident size, in bytes.
    pub peak_memory: u64,
    /// Processor time, user and system together.
    pub processor_time: Duration,
}

/// A descriptor of a process: readable once it is dead, and never another process's.
#[derive(Debug)]
pub struct PidFd(Fd);

impl PidFd {
    /// Opens a descriptor of a child that has not been waited for, or of this process itself.
    ///
    /// # Errors
    /// When there is no such process or no descriptor left.
    pub fn open(pid: i32) -> io::Result<Self> {
        pidfd_open(pid).map(|fd| Self(Fd::from(fd)))
    }

    /// Sends `signal`; to a process that is dead already it does nothing.
    pub fn signal(&self, signal: i32) {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: pidfd_send_signal reads no memory when `info` is null.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_fd().as_raw_fd(), signal, info, 0) };
        // The one error that can happen to our own children is ESRCH: dead and reaped, which is what was wanted.
        let _ = result;
    }

    /// Kills the process at once.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Tells whether the process is dead, waiting up to `limit` for it.
    #[must_use]
    pub fn dead_within(&self, limit: Duration) -> bool {
        readable_within(self.0.as_fd(), limit)
    }
}

impl From<Fd> for PidFd {
    fn from(fd: Fd) -> Self {
        Self(fd)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor of process `pid`, not on the list of ganger's own.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes plain numbers and returns a new descriptor or -1.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let raw = RawFd::try_from(raw).map_err(|_| io::ErrorKind::InvalidData)?;
    if raw < 0 { Err(io::Error::last_os_error()) } else { Ok(adopt(raw)) }
}

/// Waits until `fd` is readable, at most `limit`.
#[must_use]
pub fn readable_within(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    ready_within(&mut [PollFd::new(fd, PollFlags::POLLIN)], Instant::now().checked_add(limit))
}

/// Waits until `fd` has room for more, at most `limit`.
#[must_use]
pub fn writable_within(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    ready_within(&mut [PollFd::new(fd, PollFlags::POLLOUT)], Instant::now().checked_add(limit))
}

/// Waits until some of `fds` are readable, and says which; none of them once `until` has come. Without it for as long as it takes:
/// one of them must be the descriptor of what ends the wait.
#[must_use]
pub fn readable_among<const N: usize>(fds: [BorrowedFd<'_>; N], until: Option<Instant>) -> [bool; N] {
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let some = ready_within(&mut polled, until);
    polled.map(|fd| some && fd.any().unwrap_or(true))
}

fn ready_within(fds: &mut [PollFd<'_>], until: Option<Instant>) -> bool {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let millis = left.map_or(-1, |left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        match poll(fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::NONE)) {
            Err(nix::Error::EINTR) => {}
            // A wait of weeks ends no sooner than the longest that the kernel knows.
            Ok(0) if millis == i32::MAX => {}
            Ok(0) | Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

/// Takes the status of the dead child `pid` away, so that it is no zombie. `None` when somebody else already has: a
/// host that reaps everything or ignores SIGCHLD may do so.
#[must_use]
pub(crate) fn reap(pid: i32) -> Option<(Exit, Usage)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are valid for writes during the call, and rusage is plain numbers.
        let done = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if done == pid {
            break;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
    // SAFETY: zeroed plain numbers are a valid rusage, and wait4 succeeded in filling it.
    let usage = unsafe { usage.assume_init() };
    Some((Exit::from_status(status), usage_from(&usage)))
}

/// The largest resident size of this process so far, in bytes.
#[must_use]
pub fn own_peak_memory() -> u64 {
    nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)
        .map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024)
}

fn usage_from(usage: &libc::rusage) -> Usage {
    let time = |value: libc::timeval| Duration::new(value.tv_sec.unsigned_abs(), value.tv_usec as u32 * 1000);
    Usage {
        peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        processor_time: time(usage.ru_utime) + time(usage.ru_stime),
    }
}

/// Leaves the process at once: no destructors, no exit handlers, no second flush of somebody's buffers.
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// Writes out what C code has buffered for its streams.
pub fn flush_c_streams() {
    // SAFETY: fflush with a null pointer flushes all open output streams and keeps none.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
