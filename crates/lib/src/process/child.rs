//! A process that was started: its life and its end, as far as this process sees them.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ganger_os::child::{Exit, PidFd, Usage, readable_among};
use ganger_os::fd::Fd;
use ganger_os::signal;

use super::context::context;
use super::post::Post;
use crate::wire::letter::{Arrived, Progress, Reader};
use crate::{Error, ErrorKind};

/// What is known of a process that this one has started.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) daemon: bool,
    pub(super) pid: i32,
    /// The process that started it.
    pub(super) creator: u32,
    /// The name of the function that it runs.
    pub(super) task: Arc<str>,
    pub(super) link: Fd,
    pub(super) pidfd: PidFd,
    pub(super) post: Arc<Post>,
    pub(super) started: Instant,
    pub(super) answer: Mutex<Answer>,
    pub(super) end: OnceLock<End>,
}

/// What has come on its link.
#[derive(Debug)]
pub(super) enum Answer {
    /// Not all of it.
    Awaited(Reader),
    Whole(Box<Arrived>),
    /// Nothing will.
    None,
    /// Bytes that make no sense.
    Broken(String),
}

/// How it ended.
#[derive(Debug)]
pub(super) struct End {
    /// `None` when its guardian is dead, and so nobody knows.
    pub(super) exit: Option<(Exit, Usage)>,
    pub(super) lasted: Duration,
}

impl Child {
    /// Waits until it is dead, at most until `until`; whether it is.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        while self.end.get().is_none() {
            let [dead, heard] = if self.awaits_answer() {
                readable_among([self.pidfd.as_fd(), self.link.as_fd()], until)
            } else {
                let [dead] = readable_among([self.pidfd.as_fd()], until);
                [dead, false]
            };
            if heard {
                self.read();
            }
            if dead {
                self.bury();
            } else if !heard {
                return false;
            }
        }
        true
    }

    /// Whether it is dead, without waiting.
    pub(super) fn has_ended(&self) -> bool {
        self.wait(Some(Instant::now()))
    }

    fn awaits_answer(&self) -> bool {
        matches!(*self.answer.lock().unwrap_or_else(PoisonError::into_inner), Answer::Awaited(_))
    }

    /// Reads what has come of its answer.
    fn read(&self) {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Answer::Awaited(reader) = &mut *answer {
            match reader.read_now(&self.link) {
                Progress::Unfinished => {}
                Progress::Whole(arrived) => *answer = Answer::Whole(arrived),
                Progress::End => *answer = Answer::None,
                Progress::Broken(text) => *answer = Answer::Broken(text),
            }
        }
    }

    /// Notes how it ended; its last words are in its link, and are read first.
    fn bury(&self) {
        self.read();
        self.end.get_or_init(|| {
            let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Answer::Awaited(_) = &*answer {
                // Another process may hold its end of the link open: nothing that comes later is its answer.
                *answer = Answer::None;
            }
            drop(answer);
            End { exit: self.post.exit_of(self.number), lasted: self.started.elapsed() }
        });
        context().forget(self.number);
    }

    /// Asks it to end, and kills it when it has not by `until`. Whether it is dead a moment after.
    pub(super) fn stop(&self, until: Instant) -> bool {
        self.pidfd.signal(signal::TERMINATE);
        if self.wait(Some(until)) {
            return true;
        }
        self.pidfd.kill();
        // A killed process is dead at once, unless the kernel itself is stuck in it.
        self.wait(Some(Instant::now() + Duration::from_secs(1)))
    }
}

/// A process that this one has started, as [`active_children`](crate::active_children) lists them, whatever it returns. Handles of one
/// process are equal in all that they can do.
#[derive(Clone, Debug)]
pub struct ChildProcess(pub(super) Arc<Child>);

impl ChildProcess {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid.cast_unsigned()
    }

    /// Whether it is a daemon.
    #[must_use]
    pub fn daemon(&self) -> bool {
        self.0.daemon
    }

    /// As [`Process::sentinel`](crate::Process::sentinel).
    #[must_use]
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }

    /// As [`Process::join`](crate::Process::join).
    ///
    /// # Errors
    /// [`ForeignProcess`](ErrorKind::ForeignProcess) in a forked copy of the process that started it.
    pub fn join(&self) -> Result<(), Error> {
        // Without a deadline: it waits for the user's function, and the process's death ends the wait.
        self.own()?.wait(None);
        Ok(())
    }

    /// As [`Process::join_timeout`](crate::Process::join_timeout).
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn join_timeout(&self, limit: Duration) -> Result<bool, Error> {
        Ok(self.own()?.wait(Instant::now().checked_add(limit)))
    }

    /// As [`Process::is_alive`](crate::Process::is_alive).
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn is_alive(&self) -> Result<bool, Error> {
        Ok(!self.own()?.has_ended())
    }

    /// As [`Process::exit_code`](crate::Process::exit_code).
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn exit_code(&self) -> Result<Option<i32>, Error> {
        let child = self.own()?;
        Ok(child.has_ended().then(|| child.exit_code()).flatten())
    }

    /// As [`Process::terminate`](crate::Process::terminate).
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn terminate(&self) -> Result<(), Error> {
        self.own()?.pidfd.signal(signal::TERMINATE);
        Ok(())
    }

    /// As [`Process::kill`](crate::Process::kill).
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    pub fn kill(&self) -> Result<(), Error> {
        self.own()?.pidfd.kill();
        Ok(())
    }

    /// It, for the process that started it.
    pub(super) fn own(&self) -> Result<&Child, Error> {
        if self.0.creator == std::process::id() {
            return Ok(&self.0);
        }
        let text =
            format!("process {} is no child of this process, which is a copy of the one that started it", self.0.name);
        Err(Error::new(ErrorKind::ForeignProcess, text))
    }
}

/// The exit code that stands for an end that nobody has seen, as Python has it.
const UNSEEN: i32 = 255;

impl Child {
    /// Its exit code, once it has ended.
    fn exit_code(&self) -> Option<i32> {
        let end = self.end.get()?;
        Some(match end.exit {
            Some((Exit::Code(code), _)) => code,
            Some((Exit::Signal(number), _)) => -number,
            None => UNSEEN,
        })
    }
}
