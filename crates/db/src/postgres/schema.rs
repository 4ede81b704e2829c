//! Looks at tables of PostgreSQL.

use super::session::Session;
use crate::error::Error;
use crate::table::{Destination, no_key, no_table, not_unique};

/// Is a table that is there.
pub(super) struct Schema {
    /// Its name, ready for a statement.
    pub(super) table: String,
    pub(super) key: Column,
    /// Its columns that can be written, the key among them.
    pub(super) columns: Vec<Column>,
}

/// Is a column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type, ready for a cast; without a length, since a cast to one would cut silently what an assignment refuses.
    pub(super) kind: String,
}

impl Schema {
    /// Finds the columns of these names.
    pub(super) fn columns_of<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Column> {
        names.iter().filter_map(|name| self.columns.iter().find(|column| column.name == *name))
    }
}

impl Column {
    /// Tells whether it holds JSON, whose texts keep their quotes.
    pub(super) fn is_json(&self) -> bool {
        self.kind == "json" || self.kind == "jsonb"
    }
}

const TABLE: &str = "SELECT c.oid::regclass::text, c.oid FROM pg_class c WHERE c.oid = to_regclass($1)";

const COLUMNS: &str = "\
SELECT attname::text, format_type(atttypid, -1) FROM pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a' ORDER BY attnum";

/// An index of that column alone, which leaves no row out and is checked at once: one that `ON CONFLICT` can go by.
const UNIQUE: &str = "\
SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = $1 AND a.attname = $2 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indnkeyatts = 1
    AND i.indpred IS NULL LIMIT 1";

/// Finds a table: its name, ready for a statement, and its number.
pub(super) fn find(session: &Session, table: &str) -> Result<Option<(String, u32)>, Error> {
    let found = session.run(session.client().query_opt(TABLE, &[&table]))?;
    Ok(found.map(|row| (row.get(0), row.get(1))))
}

/// Tells whether a column is unique by itself.
pub(super) fn is_unique(session: &Session, id: u32, column: &str) -> Result<bool, Error> {
    Ok(session.run(session.client().query_opt(UNIQUE, &[&id, &column]))?.is_some())
}

/// Finds a table whose key is unique.
pub(super) fn inspect(session: &Session, destination: &Destination) -> Result<Schema, Error> {
    let client = session.client();
    let Some((table, id)) = find(session, &destination.table)? else {
        return Err(no_table(destination));
    };
    let columns: Vec<Column> = session
        .run(client.query(COLUMNS, &[&id]))?
        .iter()
        .map(|row| Column { name: row.get(0), kind: row.get(1) })
        .collect();
    let Some(key) = columns.iter().find(|column| column.name == destination.key) else {
        return Err(no_key(destination, columns.iter().map(|column| column.name.as_str())));
    };
    let key = key.clone();
    if !is_unique(session, id, &key.name)? {
        return Err(not_unique(destination));
    }
    Ok(Schema { table, key, columns })
}
