//! PostgreSQL.

mod cursor;
mod explain;
mod schema;
mod session;
mod tls;
mod writer;

pub(crate) use cursor::Cursor;
pub(crate) use writer::Writer;
