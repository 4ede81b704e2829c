//! Runs a task over all records.

mod controls;
mod engine;
mod feed;
mod flight;
mod job;
mod opened;
mod pool;
mod serial;
mod summary;

pub(crate) use engine::TaskFailure;
pub(crate) use flight::Context;
pub(crate) use job::map;
