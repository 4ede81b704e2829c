//! Tasks that stop, or will not end, and what somebody else does about it.

use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::signal::{SigSet, Signal};

use super::answers::{Answer, Outcome};
use crate::{Gate, Log, process_state, signal, wait_until};

/// What is done from outside to a worker that commits a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// Nothing: it happens by itself.
    None,
    /// It is killed, as by an operator.
    Kill,
    /// It is killed once it is stopped.
    KillStopped,
    /// It is continued once it is stopped.
    Continue,
}

/// Each task that waits to be meddled with adds its pid.
const VICTIMS: &str = "victims";

const LIMIT: Duration = Duration::from_secs(10);

impl Meddling {
    /// Does it, to the last worker that has asked for it.
    pub(super) fn act(self) {
        if self == Self::None {
            return;
        }
        let pid = victim();
        if self != Self::Kill {
            wait_until("the worker is stopped", LIMIT, || process_state(pid), |state| *state == Some('T'));
        }
        signal(pid, if self == Self::Continue { Signal::SIGCONT } else { Signal::SIGKILL });
    }
}

/// The worker that was the last to begin a task that waits to be meddled with, once there is one.
///
/// # Panics
/// When none comes.
#[must_use]
pub fn victim() -> u32 {
    let victims = wait_until("a worker waits", LIMIT, || Log::new(VICTIMS).lines(), |pids| !pids.is_empty());
    victims.last().unwrap().parse().unwrap()
}

fn await_meddling() {
    Log::new(VICTIMS).add(std::process::id());
}

pub(super) fn stops() -> Outcome {
    await_meddling();
    signal(std::process::id(), Signal::SIGSTOP);
    Ok(Answer::Plain(7))
}

/// For ever, and without using the processor.
pub(super) fn sleeps() -> Outcome {
    await_meddling();
    loop {
        std::thread::park();
    }
}

/// Deaf to every polite request.
pub(super) fn ignores_sigterm() -> Outcome {
    SigSet::all().thread_block().unwrap();
    signal(std::process::id(), Signal::SIGTERM);
    await_meddling();
    Gate::new("never").pass();
    Ok(Answer::Plain(7))
}

/// Makes its parent its tracer: from then on every signal stops it, and is reported to whoever waits for its end.
pub(super) fn traced() -> Outcome {
    ptrace::traceme().unwrap();
    signal(std::process::id(), Signal::SIGUSR1);
    Gate::new("never").pass();
    Ok(Answer::Plain(7))
}
