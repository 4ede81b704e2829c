//! Reads records: lines, CSV or TSV rows, JSON values.
//!
//! Everything is streamed; at most one record is held.

mod csv;
mod json;
mod line;
mod reader;
mod row;
mod source;
mod sql;

pub(crate) use csv::split_list;
pub(crate) use json::entries;
pub(crate) use reader::{Reader, Record, RecordError};
pub(crate) use row::{CellKind, Row};
pub(crate) use source::{FileId, Format, Source, sources};
pub(crate) use sql::SqlReader;
