//! Writes results: one for each record.

mod cells;
mod format;
mod json;
mod results;
mod stdout;
mod table;
mod writer;

pub(crate) use results::Output;
pub(crate) use stdout::Stdout;
pub(crate) use table::{Refusal, RefusalKind};
