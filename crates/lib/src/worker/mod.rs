//! The worker: what runs in the processes of a gang.
//!
//! * [`run`](mod@run): the loop that receives, claims, runs and publishes.
//! * [`process`]: the other thing that such a process may do: one call.
//! * [`setup`]: getting ready: `preload`, initializer.
//! * [`output`]: where each task's output begins and ends.
//! * [`context`]: what a task can ask about itself: its random numbers, its worker's state.
//! * [`panics`]: panics as data. [`stopwatch`]: how long tasks take.

pub(crate) mod context;
mod output;
pub(crate) mod panics;
mod process;
mod run;
mod setup;
mod stopwatch;

pub(crate) use panics::panic_text;
pub(crate) use run::fail as run_fail;

use ganger_os::{Hooks, Seat, TAKEOVER};

/// What this library does in processes that the OS layer starts.
#[linkme::distributed_slice(TAKEOVER)]
pub(crate) static HOOKS: Hooks = Hooks { worker: take_seat, preload: setup::preload };

fn take_seat(seat: Seat) -> ! {
    if seat.page.is_some() { run::work(seat) } else { process::run(seat) }
}
