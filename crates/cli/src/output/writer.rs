//! Gathers small results into large writes, and lets none wait for more than a moment.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many bytes are written at once.
const FULL: usize = 64 * 1024;
/// A result is written at most so long after it came, even if no other follows: who watches a slow task wants to see it.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Writes to a file through a buffer that a thread of its own empties.
pub(super) struct Writer {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    file: File,
    pending: Vec<u8>,
    /// What the flusher met; the next write returns it.
    error: Option<io::Error>,
    closed: bool,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let state = State { file, pending: Vec::with_capacity(2 * FULL), error: None, closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = shared.clone();
        let flusher =
            std::thread::Builder::new().name("ganger-output".to_owned()).spawn(move || theirs.flush_late())?;
        Ok(Self { shared, flusher: Some(flusher) })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When these or earlier bytes cannot be written.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.pending.is_empty() {
            self.shared.changed.notify_one();
        }
        state.pending.extend_from_slice(bytes);
        if state.pending.len() >= FULL {
            state.flush();
        }
        state.error.take().map_or(Ok(()), Err)
    }

    /// Looks for trouble while nothing is written.
    ///
    /// # Errors
    /// When earlier bytes could not be written, or the reader of a pipe has gone.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut state = self.shared.state();
        state.error.take().map_or_else(|| reader_is_there(&state.file), Err)
    }

    /// Writes what is left. Doing so again does nothing.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let Some(flusher) = self.flusher.take() else {
            return Ok(());
        };
        let error = {
            let mut state = self.shared.state();
            state.flush();
            state.closed = true;
            state.error.take()
        };
        self.shared.changed.notify_one();
        // The thread does nothing that panics; if it did, its bytes have been written above all the same.
        let _ = flusher.join();
        error.map_or(Ok(()), Err)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An error here has been reported, or something worse has.
        let _ = self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for bytes, then for the moment in which more may come, then writes. Both waits end when the writer closes.
    fn flush_late(&self) {
        let mut state = self.state();
        while !state.closed {
            state = self
                .changed
                .wait_while(state, |state| state.pending.is_empty() && !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
            (state, _) = self
                .changed
                .wait_timeout_while(state, LONGEST_WAIT, |state| !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
            state.flush();
        }
    }
}

/// Fails when what is written to this pipe can no longer be read by anybody.
fn reader_is_there(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::empty())];
    // An error of `poll` itself says nothing about the reader; the next write will.
    let found = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    let gone = found && fds[0].revents().is_some_and(|found| found.contains(PollFlags::POLLERR));
    if gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

impl State {
    fn flush(&mut self) {
        if self.pending.is_empty() || self.error.is_some() {
            return;
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            self.error = Some(error);
        }
        self.pending.clear();
    }
}
