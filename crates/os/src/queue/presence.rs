//! Whether anybody else has a queue: in whatever process, or on its way to one.
//!
//! Each handle has an open file description of its own for the queue's memory, with a lock of the kernel's for readers on it
//! (`F_OFD_SETLK`). Whoever asks whether the memory could be locked for writing learns whether there are others. What dies, by
//! whatever signal, loses its lock when the kernel closes what it had open; what travels keeps it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};

use crate::lease::{flock, reopen, set_lock};

/// Makes one more handle, which others see from now on.
///
/// # Errors
/// When the process is out of descriptors, or has no `/proc`.
pub fn enter(memory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let own = OwnedFd::from(reopen(memory, true)?);
    set_lock(own.as_fd(), libc::F_RDLCK, &(0..1))?;
    Ok(own)
}

/// Whether there is no handle but this one.
///
/// # Errors
/// When it is no handle.
pub fn is_alone(own: BorrowedFd<'_>) -> io::Result<bool> {
    let mut lock = flock(libc::F_WRLCK, &(0..1))?;
    fcntl(own, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) == libc::F_UNLCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::create_growing;

    #[test]
    fn handles_are_counted_and_copies_of_one_are_not() {
        let memory = create_growing(c"test", 64).expect("memory");
        let one = enter(memory.as_fd()).expect("descriptors");
        let copy = one.try_clone().expect("descriptors");
        assert!(is_alone(one.as_fd()).expect("a handle") && is_alone(copy.as_fd()).expect("a handle"));
        let other = enter(copy.as_fd()).expect("descriptors");
        assert!(!is_alone(one.as_fd()).expect("a handle") && !is_alone(other.as_fd()).expect("a handle"));
        drop((one, copy));
        assert!(is_alone(other.as_fd()).expect("a handle"));
    }
}
