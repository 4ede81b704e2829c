//! The fault matrix: what a worker can do wrong, and how its task has to end.
//!
//! * `table`: the rows. Each is committed by one task among nineteen that are in order.
//! * `deaths`, `answers`, `bytes` (by way of `page`), `company`, `limits`, `stops`: what the rows do.
//! * `cell`: one row under one start method with so many workers, run and judged.
//! * `machine`: which rows this machine can run.

mod answers;
mod bytes;
mod cell;
mod company;
mod deaths;
mod limits;
mod machine;
mod page;
mod stops;
mod table;

pub use answers::{Answer, Untold};
pub use bytes::links;
pub use cell::{Cell, FAULTY, WORKERS, commit};
pub use machine::{missing, skips};
pub use page::scribble_over_claims;
pub use stops::{Meddling, victim};
pub use table::{FAULTS, Fault, fault};
