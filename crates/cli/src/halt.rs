//! The end of reading before the end of the input.

use ganger_os::poll::Waker;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Is raised once no more input is wanted.
#[derive(Debug)]
pub(crate) struct Halt {
    raised: AtomicBool,
    waker: Waker,
}

impl Halt {
    /// Makes one that is not raised.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { raised: AtomicBool::new(false), waker: Waker::new()? })
    }

    /// Ends reading, also where it waits for input.
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }
}

/// Reads a file until its end, or until somebody wants no more: then it ends wherever it is, perhaps within a record.
#[derive(Debug)]
pub(crate) struct Haltable {
    file: File,
    halt: Arc<Halt>,
}

impl Haltable {
    pub(crate) fn new(file: File, halt: Arc<Halt>) -> Self {
        Self { file, halt }
    }

    /// Waits until there is something to read, or the end, without a limit: the input may take its time. What cannot be waited
    /// for is read at once.
    fn wait(&self) {
        let mut fds = [
            PollFd::new(self.file.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.halt.waker.as_fd(), PollFlags::POLLIN),
        ];
        while poll(&mut fds, PollTimeout::NONE) == Err(nix::Error::EINTR) {}
    }
}

impl Read for Haltable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait();
        if self.halt.is_raised() { Ok(0) } else { self.file.read(buffer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::thread;

    #[test]
    fn a_reader_that_waits_is_told() {
        let (reader, mut writer) = io::pipe().unwrap();
        let halt = Arc::new(Halt::new().unwrap());
        let mut reader = Haltable::new(File::from(std::os::fd::OwnedFd::from(reader)), halt.clone());
        writer.write_all(b"ab").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 2);
        let waiting = thread::spawn(move || reader.read(&mut [0; 8]).unwrap());
        halt.raise();
        assert_eq!(waiting.join().unwrap(), 0);
        drop(writer);
    }
}
