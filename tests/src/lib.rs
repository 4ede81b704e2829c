//! The harness of the suite: it runs each case in a process of its own, and looks at what the case leaves behind.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod audit;
mod dump;
pub mod faults;
mod gate;
mod log;
mod marker;
mod postgres;
mod proc;
mod runner;
mod wait;

pub use audit::Snapshot;
pub use dump::dump;
pub use gate::{Gate, scratch};
pub use log::Log;
pub use marker::{MARK, fresh_mark, kill_marked, marked, own_mark};
pub use postgres::{Certificate, LOCKED, Postgres};
pub use proc::{children, descriptors, die, memory, process_state, signal, threads};
pub use runner::{Case, run};
pub use wait::{holds_within, wait_until, within};
