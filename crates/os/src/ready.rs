//! Waiting for any of several descriptors, without a set that would have to be kept.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What is waited for. The other end's death always counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Something to read, or (for a pidfd) a death.
    Input,
    /// Room to write. A socket has some, for this purpose, when a quarter of it at most is in use.
    Room,
}

/// Waits until one of `fds` is ready or `end` has come (never, without one), and returns the places of those that are.
///
/// # Errors
/// When there is no memory for so many, or they are more than the process may have open.
pub fn wait_for(fds: &[BorrowedFd<'_>], awaited: Awaited, end: Option<Instant>) -> io::Result<Vec<usize>> {
    let flags = match awaited {
        Awaited::Input => PollFlags::POLLIN,
        Awaited::Room => PollFlags::POLLOUT,
    };
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, flags)).collect();
    loop {
        let timeout = end.map_or(PollTimeout::NONE, until);
        match poll(&mut polled, timeout) {
            Ok(0) if end.is_none_or(|end| Instant::now() < end) => {}
            Ok(_) => break,
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // An event of a kind that nix does not know is one as well.
    let ready = polled.iter().enumerate().filter(|(_, fd)| fd.any().unwrap_or(true));
    Ok(ready.map(|(place, _)| place).collect())
}

/// In whole milliseconds: rounded down, the last one would be a busy loop.
fn until(end: Instant) -> PollTimeout {
    let left = end.saturating_duration_since(Instant::now());
    let millis = left.as_micros().div_ceil(1000).min(i32::MAX as u128);
    PollTimeout::try_from(millis as i32).unwrap_or(PollTimeout::ZERO)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::socket::{message_pair, send_message};

    #[test]
    fn those_that_are_ready_are_named() {
        let (one, other) = message_pair().expect("descriptors");
        let (silent, _kept) = message_pair().expect("descriptors");
        let fds = [silent.as_fd(), other.as_fd()];
        let soon = Instant::now() + Duration::from_millis(3);
        assert!(wait_for(&fds, Awaited::Input, Some(soon)).expect("polls").is_empty() && Instant::now() >= soon);
        assert_eq!(wait_for(&fds, Awaited::Room, None).expect("polls"), [0, 1]);
        send_message(one.as_fd(), [b"x", b""], &[], false).expect("room");
        assert_eq!(wait_for(&fds, Awaited::Input, None).expect("polls"), [1]);
        assert_eq!(wait_for(&fds[1..], Awaited::Input, Some(soon)).expect("polls"), [0], "also when it is too late");
        drop(one);
        assert_eq!(wait_for(&fds, Awaited::Input, None).expect("polls"), [1]);
    }
}
