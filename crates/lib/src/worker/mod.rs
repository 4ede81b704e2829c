//! The worker: what runs in the processes of a gang.
//!
//! * [`run`](mod@run): the loop that receives, claims, runs and publishes.
//! * [`process`]: the other thing that such a process may do: one call.
//! * [`setup`]: getting ready: `preload`, initializer. [`leaving`]: the exit hook.
//! * [`uplink`]: the end of its link. [`purse`]: how many tasks the pools that its task builds may run.
//! * [`output`]: where each task's output begins and ends.
//! * [`context`]: what a task can ask about itself: its random numbers, its worker's state.
//! * [`panics`]: panics as data. [`stopwatch`]: how long tasks take.

pub(crate) mod context;
mod leaving;
mod output;
pub(crate) mod panics;
mod process;
pub(crate) mod purse;
mod run;
mod setup;
mod stopwatch;
mod uplink;

pub(crate) use panics::{caught, panic_text};
pub(crate) use run::{fail as run_fail, put_failure};

use ganger_os::{Hooks, Seat, TAKEOVER};

/// What this library does in processes that the OS layer starts.
#[linkme::distributed_slice(TAKEOVER)]
pub(crate) static HOOKS: Hooks = Hooks { worker: take_seat, preload: setup::preload };

fn take_seat(seat: Seat) -> ! {
    if seat.page.is_some() { run::work(seat) } else { process::run(seat) }
}
