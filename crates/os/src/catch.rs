//! Signals of the host's own process, for a program that is nothing but the host: a command line.
//!
//! The handler writes the signal's number into a pipe and does nothing else, so that everything that takes longer happens on
//! a thread that waits for the pipe. One thing cannot wait for a thread: somebody who presses Ctrl-C for the third time
//! finds a program in which something is stuck, and leaves it from within the handler.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use nix::unistd::{pipe2, read};

use crate::child::{leave, readable_within};
use crate::fd::Fd;

/// The pipe's end that the handler writes to.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// How often SIGINT has come.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// At this SIGINT the process leaves at once.
const LAST_INTERRUPT: u32 = 3;

/// Signals that are caught for as long as the process lives.
#[derive(Debug)]
pub struct Caught {
    reader: Fd,
    /// Where the handler writes; a process has one pipe, so it stays open.
    _writer: Fd,
}

/// Catches `signals` from now on, except those that the process was told to ignore, as `nohup` does.
///
/// The third SIGINT ends the process by `_exit(130)`, whatever its threads are doing, and the second SIGQUIT as if it had not
/// been caught.
///
/// # Errors
/// When there are no descriptors left, or the signals are caught already.
pub fn catch(signals: &[Signal]) -> io::Result<Caught> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let (reader, writer) = (Fd::from(reader), Fd::from(writer));
    let raw = writer.as_fd().as_raw_fd();
    if PIPE.compare_exchange(-1, raw, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "signals are caught already"));
    }
    for signal in signals.iter().filter(|signal| !is_ignored(**signal)) {
        handle(*signal)?;
    }
    Ok(Caught { reader, _writer: writer })
}

impl Caught {
    /// Waits for the next signal, at most `limit`; without a limit for a thread that has nothing else to do.
    pub fn next(&mut self, limit: Option<Duration>) -> Option<Signal> {
        // A wait of a day ends no sooner than one without end, for a caller that waits again.
        if !readable_within(self.reader.as_fd(), limit.unwrap_or(Duration::from_secs(86_400))) {
            return None;
        }
        let mut number = [0];
        match read(&self.reader, &mut number) {
            Ok(1) => Signal::try_from(i32::from(number[0])).ok(),
            _ => None,
        }
    }
}

fn handle(signal: Signal) -> nix::Result<()> {
    // Restarted: library code that is interrupted in a system call need not know.
    let once = if signal == Signal::SIGQUIT { SaFlags::SA_RESETHAND } else { SaFlags::empty() };
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART | once, SigSet::empty());
    // SAFETY: the handler is async-signal-safe: see there.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Async-signal-safe: atomics, `write`, `_exit`, and `errno` left as it was.
extern "C" fn note(number: libc::c_int) {
    let before = Errno::last_raw();
    if number == libc::SIGINT && INTERRUPTS.fetch_add(1, Ordering::SeqCst) + 1 >= LAST_INTERRUPT {
        leave(128 + number);
    }
    let byte = number as u8;
    // SAFETY: one byte is read from a local variable; the pipe is never closed, and when it is full (64 KiB of signals that
    // nobody has looked at) the call fails without waiting.
    unsafe { libc::write(PIPE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
    Errno::set_raw(before);
}

/// Whether this process ignores `signal`.
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is changed, as the new action is null; the old one is written to valid memory.
    let done = unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed plain numbers are a valid sigaction, whether the call has filled it or not.
    let action = unsafe { action.assume_init() };
    done == 0 && action.sa_sigaction == libc::SIG_IGN
}

fn set_default(signal: Signal) {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_DFL runs no code.
    let result = unsafe { sigaction(signal, &action) };
    // It fails only for KILL and STOP, whose meaning is the default.
    let _ = result;
}

/// Raises `signal` with its default meaning, in this thread, where it may be blocked.
fn raise_default(signal: Signal) {
    set_default(signal);
    let mut mask = SigSet::empty();
    mask.add(signal);
    // Neither fails for a signal that exists.
    let _ = mask.thread_unblock();
    let _ = raise(signal);
}

/// Ends the process by `signal`, so that whoever waits for it sees what has ended it.
pub fn die_by(signal: Signal) -> ! {
    raise_default(signal);
    leave(128 + signal as i32)
}

/// Stops the process as SIGTSTP would, had it not been caught; returns when it is continued, or at once where the kernel
/// refuses to stop it because nobody is there who could continue it.
pub fn stop_here() {
    raise_default(Signal::SIGTSTP);
    // It was caught before, so it can be again.
    let _ = handle(Signal::SIGTSTP);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_comes_once_through_the_pipe_and_ignored_ones_are_left_alone() {
        assert!(!is_ignored(Signal::SIGWINCH));
        // Their default is to do nothing: no other test is disturbed.
        let mut caught = catch(&[Signal::SIGWINCH, Signal::SIGURG]).expect("there are descriptors");
        assert!(catch(&[]).is_err());
        raise(Signal::SIGURG).expect("it exists");
        assert_eq!(caught.next(Some(Duration::from_secs(10))), Some(Signal::SIGURG));
        assert_eq!(caught.next(Some(Duration::ZERO)), None);
        // The test runner's own disposition of SIGPIPE is to ignore it, as in every Rust program.
        assert!(is_ignored(Signal::SIGPIPE));
    }
}
