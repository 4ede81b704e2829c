//! Niceness and processors of the calling thread; what it starts inherits both.

use std::io;

use nix::errno::Errno;

use crate::probe::permits;

/// As many processors as any kernel is built for.
const MOST: usize = 8192;

const BITS: usize = libc::c_ulong::BITS as usize;

/// One bit for each processor. The `cpu_set_t` of the C library ends at 1024, and the kernel refuses to report into less
/// than it has.
type Mask = [libc::c_ulong; MOST / BITS];

/// The niceness of the calling thread, from -20 (goes first) to 19 (goes last).
///
/// # Errors
/// When the kernel does not tell.
pub fn niceness() -> io::Result<i32> {
    // -1 is an answer as well as a failure.
    Errno::clear();
    // SAFETY: getpriority takes plain numbers; 0 is the caller.
    let value = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    if value == -1 && Errno::last_raw() != 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Sets the niceness of the calling thread.
///
/// # Errors
/// When it is lowered without the right to it.
pub fn set_niceness(value: i32) -> io::Result<()> {
    // SAFETY: setpriority takes plain numbers; 0 is the caller.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })?;
    Ok(())
}

/// Whether [`set_niceness`] would work, found out in a child: a niceness that is raised here could not be lowered again.
///
/// # Errors
/// When that could not be tried.
pub fn may_set_niceness(value: i32) -> io::Result<bool> {
    // SAFETY: setpriority takes plain numbers, and concerns the child alone.
    permits(|| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) } == 0)
}

/// The numbers of the processors that the calling thread may run on, in ascending order.
///
/// # Errors
/// When the kernel does not tell.
///
/// ```
/// assert!(!ganger_os::scheduling::allowed_cpus()?.is_empty(), "this runs on one of them");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let mut mask: Mask = [0; MOST / BITS];
    // SAFETY: the kernel writes at most as many bytes as the mask has.
    Errno::result(unsafe { libc::sched_getaffinity(0, size_of::<Mask>(), mask.as_mut_ptr().cast()) })?;
    let bit = |cpu: &usize| mask[cpu / BITS] & (1 << (cpu % BITS)) != 0;
    Ok((0..MOST).filter(bit).collect())
}

/// Has the calling thread run on this processor only.
///
/// # Errors
/// When it may not run there.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    let mut mask: Mask = [0; MOST / BITS];
    let word = mask.get_mut(cpu / BITS).ok_or(io::ErrorKind::InvalidInput)?;
    *word |= 1 << (cpu % BITS);
    // SAFETY: the kernel reads at most as many bytes as the mask has.
    Errno::result(unsafe { libc::sched_setaffinity(0, size_of::<Mask>(), mask.as_ptr().cast()) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_pinned_and_another_is_not() {
        let before = allowed_cpus().expect("the kernel tells");
        let last = *before.last().expect("there is one");
        let pinned = std::thread::spawn(move || pin_to(last).and_then(|()| allowed_cpus())).join().expect("no panic");
        assert_eq!(pinned.expect("it is allowed"), [last]);
        assert_eq!(allowed_cpus().expect("the kernel tells"), before);
        assert!(pin_to(MOST - 1).is_err() && pin_to(usize::MAX).is_err());
    }

    #[test]
    fn what_is_tried_changes_nothing_here() {
        let before = niceness().expect("the kernel tells");
        assert!(may_set_niceness(19).expect("it can be tried"), "everybody may go last");
        assert_eq!(niceness().expect("the kernel tells"), before);
        let nicer = std::thread::spawn(|| set_niceness(19).and_then(|()| niceness())).join().expect("no panic");
        assert_eq!(nicer.expect("everybody may go last"), 19);
    }
}
