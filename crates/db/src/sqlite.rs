//! SQLite.

mod cursor;
mod open;
mod schema;
mod writer;

pub(crate) use cursor::Cursor;
pub(crate) use writer::Writer;
