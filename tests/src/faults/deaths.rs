//! Ways to die in the middle of a task.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::Signal;

use super::answers::Outcome;
use crate::die;

pub(super) fn sigkill() -> Outcome {
    die(Signal::SIGKILL)
}

pub(super) fn sigsegv() -> Outcome {
    die(Signal::SIGSEGV)
}

pub(super) fn sigbus() -> Outcome {
    die(Signal::SIGBUS)
}

pub(super) fn sigill() -> Outcome {
    die(Signal::SIGILL)
}

pub(super) fn sigfpe() -> Outcome {
    die(Signal::SIGFPE)
}

pub(super) fn sigterm() -> Outcome {
    die(Signal::SIGTERM)
}

pub(super) fn sigint() -> Outcome {
    die(Signal::SIGINT)
}

pub(super) fn abort() -> Outcome {
    std::process::abort()
}

pub(super) fn panics() -> Outcome {
    panic!("on purpose")
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

/// A panic while one is under way ends the process.
pub(super) fn double_panic() -> Outcome {
    let _bomb = Bomb;
    panic!("on purpose")
}

/// Whoever drops what was thrown panics.
pub(super) fn panics_with_a_bomb() -> Outcome {
    std::panic::panic_any(Bomb)
}

pub(super) fn stack_overflow() -> Outcome {
    #[expect(unconditional_recursion, reason = "that is what overflows")]
    fn down(depth: u64) -> u64 {
        std::hint::black_box([depth; 64])[1] + down(depth + 1)
    }
    panic!("the stack has no end: {}", down(0))
}

pub(super) fn exit_0() -> Outcome {
    std::process::exit(0)
}

pub(super) fn exit_1() -> Outcome {
    std::process::exit(1)
}

pub(super) fn exit_3() -> Outcome {
    std::process::exit(3)
}

pub(super) fn exit_255() -> Outcome {
    std::process::exit(255)
}

/// Without exit handlers.
pub(super) fn leave_0() -> Outcome {
    ganger_os::child::leave(0)
}

/// The worker's process goes on as another program, which ends well.
pub(super) fn becomes_true() -> Outcome {
    panic!("cannot run true: {}", Command::new("true").exec())
}

/// The worker's process goes on as another program, which does not end.
pub(super) fn becomes_sleep() -> Outcome {
    panic!("cannot run sleep: {}", Command::new("sleep").arg("1000").exec())
}
