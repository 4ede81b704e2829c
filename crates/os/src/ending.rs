//! What ganger does before a process ends in order: it sees to the processes that this one has started.
//!
//! The host's own end is noticed through `atexit`, which is not a handler of anybody else's that would be replaced. It is
//! not run when a signal ends the process, nor by `_exit` and `abort`: then the guardians see to it.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::per_process::PerProcess;

/// What is to be done at the end of this process, and whether it was done.
#[derive(Debug)]
struct Duty {
    act: fn(),
    done: AtomicBool,
}

static DUTY: PerProcess<Duty> = PerProcess::new();

/// Has `act` called before this process ends in order, once; only the first call in a process counts. A forked child does not
/// inherit it.
///
/// `act` runs on the thread that ends the process, after destructors of its thread-local values have run.
pub fn before_end(act: fn()) {
    if DUTY.get().is_some() {
        return;
    }
    DUTY.get_or(|| Duty { act, done: AtomicBool::new(false) });
    // SAFETY: the function takes nothing, unwinds never, and is in memory for as long as the process lives, as ganger refuses to
    // run from what can be unloaded. Without room for it children are seen to by the guardian, which kills them.
    unsafe { libc::atexit(at_exit) };
}

extern "C" fn at_exit() {
    end();
}

/// Does what is to be done before this process ends: for processes of ganger's, which leave without `atexit`.
pub fn end() {
    if let Some(duty) = DUTY.get()
        && !duty.done.swap(true, Ordering::AcqRel)
    {
        // A panic has been printed, and must not pass through C code.
        let _ = catch_unwind(duty.act);
    }
}
