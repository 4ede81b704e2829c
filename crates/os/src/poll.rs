//! Waiting: one epoll set, and the wake descriptor that ends a wait early.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::fd::Listed;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, a connection's end, or (for a pidfd) a death.
    Read,
    /// As `Read`, and room to write.
    ReadWrite,
}

impl Interest {
    fn flags(self) -> EpollFlags {
        match self {
            Self::Read => EpollFlags::EPOLLIN,
            Self::ReadWrite => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
        }
    }
}

/// A set of watched descriptors, each with the token that its events carry.
#[derive(Debug)]
pub struct Poller {
    // Listed, as a forked child shares the set and must close its copy.
    _listed: Listed,
    epoll: Epoll,
}

impl Poller {
    /// Makes an empty set.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { _listed: Listed::new(&epoll.0), epoll })
    }

    /// Watches `fd`; it must be [removed](Self::remove) before it is closed, as a forked child may hold a copy.
    ///
    /// # Errors
    /// When the kernel's limit on watches is reached.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(interest.flags(), token))?)
    }

    /// Changes what `fd` is watched for.
    ///
    /// # Errors
    /// When `fd` is not in the set.
    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(interest.flags(), token))?)
    }

    /// Stops watching `fd`.
    pub fn remove(&self, fd: impl AsFd) {
        // It fails only for a descriptor that is not watched: then there is nothing to stop.
        let _ = self.epoll.delete(fd);
    }

    /// Looks for `patience` instead of sleeping, and leaves the processor to whoever else wants it between two looks: an idle processor
    /// takes longer to wake up than short tasks take to run, above all a virtual one. Returns whether something is ready, or
    /// `otherwise` says that there is no need to wait, or `limit` has passed.
    ///
    /// # Errors
    /// As of [`wait`](Self::wait).
    pub fn look(
        &self,
        patience: Duration,
        limit: Option<Duration>,
        tokens: &mut Vec<u64>,
        mut otherwise: impl FnMut() -> bool,
    ) -> io::Result<bool> {
        let begun = Instant::now();
        loop {
            self.wait(Some(Duration::ZERO), tokens)?;
            let waited = begun.elapsed();
            if !tokens.is_empty() || otherwise() || limit.is_some_and(|limit| waited >= limit) {
                return Ok(true);
            }
            if waited >= patience {
                return Ok(false);
            }
            std::thread::yield_now();
        }
    }

    /// Waits until something is ready or `limit` has passed, and returns the tokens that are ready.
    ///
    /// # Errors
    /// Only when the set itself is broken; an interrupted wait returns no tokens.
    pub fn wait(&self, limit: Option<Duration>, tokens: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        let timeout = limit.map_or(EpollTimeout::NONE, rounded_up);
        tokens.clear();
        match self.epoll.wait(&mut events, timeout) {
            Ok(count) => tokens.extend(events.iter().take(count).map(EpollEvent::data)),
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Epoll counts whole milliseconds: rounding down would turn the last one into a busy loop.
fn rounded_up(limit: Duration) -> EpollTimeout {
    let millis = limit.as_micros().div_ceil(1000).min(i32::MAX as u128);
    EpollTimeout::try_from(millis as i32).unwrap_or(EpollTimeout::ZERO)
}

/// A descriptor that any thread can make readable, to end a wait.
#[derive(Debug)]
pub struct Waker {
    _listed: Listed,
    event: EventFd,
}

impl Waker {
    /// Makes a waker that is not readable yet.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { _listed: Listed::new(&event), event })
    }

    /// Makes it readable.
    pub fn wake(&self) {
        // It fails only when the counter is full, that is, when it is readable already.
        let _ = self.event.write(1);
    }

    /// Makes it unreadable again.
    pub fn reset(&self) {
        // It fails only when nobody woke it.
        let _ = self.event.read();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn looking_ends_with_an_event_with_its_limit_and_with_what_else_there_is() {
        let (poller, waker, mut tokens) = (Poller::new().expect("a set"), Waker::new().expect("a waker"), vec![1]);
        poller.add(&waker, 7, Interest::Read).expect("watched");
        let short = Duration::from_millis(2);
        assert!(!poller.look(short, None, &mut tokens, || false).expect("looks"), "nothing has happened");
        assert!(poller.look(LONG, Some(short), &mut tokens, || false).expect("looks"));
        assert!(poller.look(LONG, None, &mut tokens, || true).expect("looks"));
        assert!(tokens.is_empty(), "nothing has happened, and {tokens:?} was said");
        std::thread::scope(|scope| {
            scope.spawn(|| waker.wake());
            assert!(poller.look(LONG, None, &mut tokens, || false).expect("looks"));
        });
        assert_eq!(tokens, [7_u64]);
    }
}
