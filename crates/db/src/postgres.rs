//! PostgreSQL.

mod cursor;
mod explain;
mod list;
mod schema;
mod session;
mod tls;
mod writer;

pub(crate) use cursor::Cursor;
pub(crate) use list::{Beater, Claimer, Settler, Taken, Which};
pub(crate) use writer::Writer;
