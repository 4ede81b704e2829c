//! Streams the rows of a query.

use crate::error::Error;
use crate::table::Destination;
use crate::url::{Target, Url};
use crate::value::{Value, listed};
use crate::{postgres, sqlite};
use std::sync::Arc;

/// Tells, asked now and then, whether the caller wants no more.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Reads the rows of a `SELECT`, some at a time.
///
/// PostgreSQL keeps the rows behind a cursor; SQLite steps through them on a thread of its own. Either way only some hundred
/// of them are in memory.
pub struct Query {
    cursor: Box<dyn Cursor>,
    columns: Vec<String>,
    key: Option<usize>,
    batch: std::vec::IntoIter<Row>,
    ended: bool,
    present: u64,
}

/// Is one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place among the rows of the query, from 1.
    pub number: u64,
    /// One for each column.
    pub values: Vec<Value>,
}

/// Is what each kind of database does for a query.
pub(crate) trait Cursor: Send {
    /// Reads some rows; none is the end.
    fn fetch(&mut self) -> Result<Fetched, Error>;
}

/// Is some rows.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Those that are wanted.
    pub(crate) rows: Vec<Row>,
    /// How many were left out, since their key is in the table.
    pub(crate) present: u64,
}

impl Query {
    /// Runs `sql` up to its first row. With `known`, rows whose key is in that table are left out.
    ///
    /// # Errors
    /// When there is no such database, or it refuses the statement, or the key is none of its columns.
    pub fn open(url: &Url, sql: &str, known: Option<&Destination>, stop: Stop) -> Result<Self, Error> {
        let (cursor, columns): (Box<dyn Cursor>, _) = match &url.target {
            Target::Sqlite(path) => {
                let (cursor, columns) = sqlite::Cursor::open(path, url, sql, known, stop)?;
                (Box::new(cursor), columns)
            }
            Target::Postgres(config, tls) => {
                let (cursor, columns) = postgres::Cursor::open(config, tls, url, sql, known, stop)?;
                (Box::new(cursor), columns)
            }
        };
        let key = known.map(|known| key_column(&columns, &known.key)).transpose()?;
        Ok(Self { cursor, columns, key, batch: Vec::new().into_iter(), ended: false, present: 0 })
    }

    /// Returns the names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the place of the key among the columns, if there is one.
    pub fn key(&self) -> Option<usize> {
        self.key
    }

    /// Returns how many rows were left out so far, since their key is in the table.
    pub fn present(&self) -> u64 {
        self.present
    }

    /// Reads the next row; `None` is the end, and stays it.
    ///
    /// # Errors
    /// When the rest cannot be read. What follows an error is the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            if self.ended {
                return Ok(None);
            }
            self.ended = true;
            let fetched = self.cursor.fetch()?;
            self.ended = fetched.rows.is_empty() && fetched.present == 0;
            self.present += fetched.present;
            self.batch = fetched.rows.into_iter();
        }
    }
}

/// Finds the key among the columns of a query.
pub(crate) fn key_column(columns: &[String], key: &str) -> Result<usize, Error> {
    columns.iter().position(|column| column == key).ok_or_else(|| {
        let names = listed(columns.iter().map(String::as_str));
        Error::refused(format!("the query has no column {key:?}, which is to be the key; it has {names}"))
    })
}
