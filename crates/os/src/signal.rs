//! Signal dispositions of processes that ganger starts. The user's own process is never touched from here.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};

/// The signal that asks a process to end.
pub const TERMINATE: i32 = libc::SIGTERM;

/// The signal that ends it, whatever it does.
pub const KILL: i32 = libc::SIGKILL;

/// Has a stopped process go on.
pub const CONTINUE: i32 = libc::SIGCONT;

/// Sets what `signal` does in this process to `handler`, one of the two that run no code.
fn set(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is SIG_IGN or SIG_DFL: no function of ours runs in signal context.
    let result = unsafe { sigaction(signal, &action) };
    // It fails only for KILL and STOP, whose disposition nobody can change.
    let _ = result;
}

/// Gives every signal its default meaning and unblocks all: a child inherits neither the handlers that its parent's
/// image had nor its mask.
pub(crate) fn reset_all() {
    for signal in Signal::iterator() {
        set(signal, SigHandler::SigDfl);
    }
    reset_realtime();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// The real-time signals have no names in `Signal`.
fn reset_realtime() {
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL runs no code, and the number is within the range that libc reports.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// What a worker starts with: defaults, but no death by a closed pipe (as in every Rust program), and no stop when it
/// writes to a terminal that has `tostop` set (it lives in a background process group).
pub(crate) fn for_worker() {
    reset_all();
    ignore(&[Signal::SIGPIPE, Signal::SIGTTOU]);
}

/// What the guardian lives with: it outlives every polite request to end, as it has to sweep afterwards.
pub(crate) fn for_guardian() {
    reset_all();
    ignore(&[
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGPIPE,
    ]);
}

fn ignore(signals: &[Signal]) {
    for signal in signals {
        set(*signal, SigHandler::SigIgn);
    }
}

/// The name of a signal number, as in `SIGKILL`; real-time and unknown ones as `signal 42`.
#[must_use]
pub fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}
