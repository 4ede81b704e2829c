//! A table as a work list that the gangs of several machines share.
//!
//! 1. A row is *claimed* for a while, its lease, and its attempt is counted before anybody runs it.
//! 2. The [`Heart`] extends the leases of what is held. When a gang is no more, its leases run out, and others claim its rows.
//! 3. A row is *settled*: done, in the transaction that writes its result; free for another attempt; or dead, with the reason.
//!    That counts only if the row is still held by the attempt that settles it. Otherwise the lease was lost, and whoever has
//!    the row now has the say.
//! 4. The clock is always the server's.

mod appetite;
mod heart;
mod held;
mod reader;

pub use heart::Heart;
pub use held::Held;
pub use reader::{Claimed, Claims};

pub(crate) use reader::one_machine;

use std::time::Duration;

/// Says which table is the work list, and how its rows are claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The table, as it is written in SQL.
    pub table: String,
    /// The column that tells its rows apart, by its exact name.
    pub key: String,
    /// So long a row is held without news of its holder.
    pub lease: Duration,
    /// A row that was claimed so many times, and is not done, is given up.
    pub attempts: u32,
    /// So many tasks run at a time, which is what decides how many rows are claimed ahead.
    pub workers: usize,
    /// Each outcome is written by itself, as is needed where one thread claims rows and writes outcomes.
    pub at_once: bool,
}

/// Is a column that a work list has beside those of its owner.
pub(crate) struct Bookkeeping {
    pub(crate) name: &'static str,
    /// The type, as `format_type` of PostgreSQL calls it.
    pub(crate) kind: &'static str,
    /// The definition, for a statement that adds it.
    pub(crate) definition: &'static str,
}

const fn column(name: &'static str, kind: &'static str, definition: &'static str) -> Bookkeeping {
    Bookkeeping { name, kind, definition }
}

/// The columns of a work list: who has claimed the row last, until when it is held, how often it was claimed, since when it is
/// done, and why it was given up.
pub(crate) const BOOKKEEPING: [Bookkeeping; 5] = [
    column("claimed_by", "text", "text"),
    column("claimed_until", "timestamp with time zone", "timestamptz"),
    column("attempts", "integer", "int NOT NULL DEFAULT 0"),
    column("done_at", "timestamp with time zone", "timestamptz"),
    column("dead", "text", "text"),
];
