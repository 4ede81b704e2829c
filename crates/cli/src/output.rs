//! Writes results: one for each record.

mod cells;
mod format;
mod json;
mod stdout;
mod writer;

pub(crate) use format::Output;
pub(crate) use stdout::Stdout;
