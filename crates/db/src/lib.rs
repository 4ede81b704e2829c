//! Rows of a database as tasks, and results as rows: what `ganger map --db` is made of.
//!
//! A [`Url`] names a database of SQLite or PostgreSQL. A [`Query`] streams the rows of a `SELECT`, and leaves out those whose key
//! is in a table already. A [`Table`] takes results in batches, each of which is there as a whole or not at all. [`Claims`] are the
//! rows of a table that the gangs of several machines share.
//!
//! Every connection belongs to the thread that uses it, is closed in programs that this one starts, and must be opened after
//! the last `fork` of its process. PostgreSQL is spoken by tokio-postgres on a runtime that runs on the caller's thread and
//! only while the caller waits: nobody outside of this crate meets it.

mod claim;
mod error;
mod postgres;
mod query;
mod sqlite;
mod table;
mod url;
mod value;

pub use claim::{Claim, Claimed, Claims, Heart, Held};
pub use error::{Error, ErrorKind};
pub use query::{Query, Row, Stop};
pub use table::{Counts, Destination, Fate, Rejected, Table};
pub use url::Url;
pub use value::Value;
