//! The worker's end of its link, for the thread that runs tasks and for those that only ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use ganger_os::fd::Fd;
use ganger_os::socket;

use crate::wire::descriptor::Descriptor;
use crate::wire::frame::{Header, Kind};

/// The link. Frames of several threads do not mix.
#[derive(Debug)]
pub(crate) struct Uplink {
    link: Fd,
    sending: Mutex<()>,
    /// Descriptors were sent, and not yet the frame to which they belong: nothing may come between.
    halfway: AtomicBool,
    /// Somebody wanted to ring, and could not.
    missed: AtomicBool,
}

impl Uplink {
    pub(super) fn new(link: Fd) -> Self {
        Self { link, sending: Mutex::new(()), halfway: AtomicBool::new(false), missed: AtomicBool::new(false) }
    }

    /// To receive from: only the thread that runs tasks does.
    pub(super) fn link(&self) -> &Fd {
        &self.link
    }

    /// Sends a frame, and waits for room. Only the thread that runs tasks does.
    pub(super) fn send(&self, header: Header, body: &[u8]) -> io::Result<()> {
        {
            let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
            socket::send_all(&self.link, &header.to_bytes())?;
            if !body.is_empty() {
                socket::send_all(&self.link, body)?;
            }
            self.halfway.store(false, Ordering::Relaxed);
        }
        if self.missed.load(Ordering::Acquire) {
            self.ring();
        }
        Ok(())
    }

    /// Sends descriptors, which belong to the frame that is sent next.
    pub(super) fn send_descriptors(&self, descriptors: &[Descriptor]) -> io::Result<()> {
        let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        self.halfway.store(true, Ordering::Relaxed);
        socket::send_all_with(&self.link, &Header::of_descriptors(fds.len()).to_bytes(), &fds)
    }

    /// Has the supervisor look, and does not wait; `false` when that could not be said now.
    pub(crate) fn ring(&self) -> bool {
        // Before the attempt: who sends meanwhile sees it afterwards.
        self.missed.store(true, Ordering::Release);
        let sending = match self.sending.try_lock() {
            Ok(sending) => sending,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if self.halfway.load(Ordering::Relaxed) {
            return false;
        }
        // A socket takes so few bytes whole or not at all. One that is broken has nobody behind it who could be told.
        let rung = socket::send_now(&self.link, &[&Header::plain(Kind::Bell, 0).to_bytes()]);
        drop(sending);
        let full = matches!(rung, Ok(0));
        if !full {
            self.missed.store(false, Ordering::Release);
        }
        !full
    }

    /// Whether somebody wanted to ring and has not.
    pub(crate) fn is_missed(&self) -> bool {
        self.missed.load(Ordering::Acquire)
    }
}
