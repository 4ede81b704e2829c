//! Descriptors that belong to ganger, and the process-wide list of them.
//!
//! Under the start method `fork` a child keeps the caller's descriptors (the captured data may own them) and must close
//! exactly ours: a link that stays open in a sibling would hide a worker's end. Hence the list.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mutant::{Protection, without};

static OWN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// How often this process, or one that it was forked from, has closed everything on the list.
///
/// Their owners may still be there, captured by a closure, say, and the numbers may be others' by now: they must not be closed
/// again.
static EPOCH: AtomicU32 = AtomicU32::new(0);

fn own() -> MutexGuard<'static, BTreeSet<RawFd>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry in the list, for as long as it lives. It must be dropped before its descriptor is closed: afterwards the
/// number may already be somebody else's.
#[derive(Debug)]
pub(crate) struct Listed(RawFd, u32);

impl Listed {
    pub(crate) fn new(fd: impl AsFd) -> Self {
        let raw = fd.as_fd().as_raw_fd();
        own().insert(raw);
        Self(raw, EPOCH.load(Ordering::Relaxed))
    }

    /// Whether the descriptor was closed together with all others, in a forked child.
    fn is_stale(&self) -> bool {
        self.1 != EPOCH.load(Ordering::Relaxed)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if !self.is_stale() {
            own().remove(&self.0);
        }
    }
}

/// A descriptor of ganger's own: listed while it is open, closed on drop.
#[derive(Debug)]
pub struct Fd {
    // Fields drop in this order.
    listed: Listed,
    /// Taken by nothing but the end of this value.
    fd: Option<OwnedFd>,
}

impl Drop for Fd {
    fn drop(&mut self) {
        if self.listed.is_stale() {
            std::mem::forget(self.fd.take());
        }
    }
}

impl From<OwnedFd> for Fd {
    fn from(fd: OwnedFd) -> Self {
        Self { listed: Listed::new(&fd), fd: Some(fd) }
    }
}

impl From<Fd> for OwnedFd {
    /// Gives it away: it is no longer ganger's own.
    fn from(mut fd: Fd) -> Self {
        fd.fd.take().expect("it is there until its end")
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("it is there until its end").as_fd()
    }
}

/// Closes every listed descriptor but `keep`, in a forked child that will never use the owners again.
pub(crate) fn close_own_except(keep: &[RawFd]) {
    for fd in own().iter().filter(|fd| !keep.contains(fd)) {
        // An error means that it is closed already, which is what was wanted.
        let _ = nix::unistd::close(*fd);
    }
    own().retain(|fd| keep.contains(fd));
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Closes every descriptor from 3 up but `keep`, in a process that will never use the owners of any other again.
pub(crate) fn close_all_except(keep: &[RawFd]) {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= 3).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Empties the list in a forked child that has closed, or replaced, everything on it.
pub(crate) fn forget_own() {
    own().clear();
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Closes every descriptor from `first` up, listed or not.
pub(crate) fn close_from(first: RawFd) {
    if without(Protection::DescriptorHygiene) {
        return;
    }
    close_range(first, RawFd::MAX);
}

/// Closes the descriptors from `first` to `last`, whose owners the caller gives up.
fn close_range(first: RawFd, last: RawFd) {
    let number = |fd: RawFd| libc::c_uint::try_from(fd).expect("descriptors are not negative");
    // SAFETY: close_range takes plain numbers; the caller gives up every descriptor in between, and no owner of one runs again.
    let done = unsafe { libc::close_range(number(first), number(last), 0) };
    if done != 0 {
        for fd in first..last.min(1024) {
            let _ = nix::unistd::close(fd);
        }
    }
}

/// Makes `fd` also known as `target`, which is replaced if it was open, without close-on-exec.
pub(crate) fn place(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: dup2 takes plain numbers; `target` is one of the fixed slots (0 to 4) that this process gives to ganger.
    let done = unsafe { libc::dup2(fd.as_raw_fd(), target) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `fd` this process's standard stream `number`, 0 to 2, in a process that belongs to ganger.
///
/// # Errors
/// When there is no such standard stream, or the system refuses it.
pub fn replace_standard(number: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
    match number {
        0..=2 => place(fd, number as RawFd),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Points standard input at `/dev/null`: a worker must not eat what the supervisor's user types.
pub(crate) fn stdin_from_null() -> io::Result<()> {
    place(File::open("/dev/null")?.as_fd(), 0)
}

/// Duplicates `fd` to a number of at least `least`, close-on-exec.
pub(crate) fn duplicate_above(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes plain numbers and makes a new descriptor or fails.
    let new = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    if new < 0 { Err(io::Error::last_os_error()) } else { Ok(adopt(new)) }
}

/// Takes over a descriptor number that a system call just returned or that a starting process was promised.
pub(crate) fn adopt(raw: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a number that is open and that nobody else in this process owns.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) }
}
