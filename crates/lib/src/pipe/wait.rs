//! Waiting for several things at once.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ganger_os::ready::{Awaited, wait_for};

use crate::{Error, ErrorKind};

/// Waits until at least one of `objects` is ready, at most `timeout`, and returns the places of all that are, in order; none
/// when the time has passed. Python's `multiprocessing.connection.wait`.
///
/// An object is a [`Connection`](crate::Connection), which is ready when there is a message or its other end is gone; the sentinel of a process; or
/// anything else with a descriptor that becomes readable. Without a timeout it waits for as long as it takes; of no objects
/// none is ever ready, and it returns at once.
///
/// (For the handles of tasks there is [`ganger::wait`](crate::wait).)
///
/// ```
/// use std::os::fd::AsFd;
/// use ganger::connection::wait;
///
/// let (first, _quiet) = ganger::pipe::<u8, u8>()?;
/// let (second, sender) = ganger::one_way::<String>()?;
/// assert!(wait(&[first.as_fd(), second.as_fd()], Some(std::time::Duration::ZERO))?.is_empty());
/// sender.send("now".to_owned())?;
/// assert_eq!(wait(&[first.as_fd(), second.as_fd()], None)?, [1]);
/// # Ok::<(), ganger::Error>(())
/// ```
///
/// # Errors
/// `System` when there are more objects than the process may have open, or no memory for them.
pub fn wait<F: AsFd>(objects: &[F], timeout: Option<Duration>) -> Result<Vec<usize>, Error> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let fds: Vec<BorrowedFd<'_>> = objects.iter().map(AsFd::as_fd).collect();
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    wait_for(&fds, Awaited::Input, end).map_err(|error| {
        let text = format!("cannot wait for {} objects: {error}", objects.len());
        Error::new(ErrorKind::System, text).with_source(error)
    })
}
