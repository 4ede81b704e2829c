//! Writes results into a table, in batches.

use crate::claim::Held;
use crate::error::Error;
use crate::url::{Target, Url};
use crate::value::{Value, listed};
use crate::{claim::one_machine, postgres, sqlite};
use std::time::{Duration, Instant};

/// Names a table and the column that tells its rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The table, as it is written in SQL.
    pub table: String,
    /// The column, by its exact name.
    pub key: String,
}

/// Adds rows to a table, each key at most once.
///
/// Rows are gathered, and each batch is one transaction: after a crash it is there as a whole or not at all. A row whose key is
/// there already is left as it is, which a unique constraint on the key sees to, also beside other writers.
pub struct Table {
    writer: Box<dyn Writer>,
    destination: Destination,
    /// The names of its columns that can be written, without the key's.
    columns: Vec<String>,
    batch: Batch,
    /// When the oldest row of the batch came.
    since: Option<Instant>,
    counts: Counts,
    rejected: Vec<Rejected>,
    /// What is held of the work list that the rows come from.
    held: Option<Held>,
}

/// Counts what became of rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are there since they were written here.
    pub written: u64,
    /// Rows that were not written, since their key was there already.
    pub present: u64,
}

/// Is a row that is not there although its task has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// The table refuses it.
    Violation {
        /// The text of its key.
        key: String,
        /// Which constraint, and with which code.
        error: Error,
        /// It is the row of a work list, and will be tried again.
        again: bool,
    },
    /// Its lease was lost: somebody else has the row by now, or had it.
    Lost {
        /// The text of its key.
        key: String,
        /// What it would have been.
        fate: Fate,
    },
}

/// Is what becomes of the row of a work list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its result is written.
    Done,
    /// It is free for another attempt.
    Free,
    /// It is given up.
    Dead,
}

/// Is what each kind of database does for a table.
pub(crate) trait Writer: Send {
    /// Writes a batch as one transaction. If a row is refused, the others are written all the same.
    fn write(&mut self, batch: &Batch) -> Result<Written, Error>;
}

/// Says what became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) counts: Counts,
    pub(crate) rejected: Vec<Rejected>,
}

impl Written {
    pub(crate) fn add(&mut self, other: Self) {
        self.counts.written += other.counts.written;
        self.counts.present += other.counts.present;
        self.rejected.extend(other.rejected);
    }
}

/// Holds rows with values for the same columns.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The columns beside the key.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<NewRow>,
    /// Rows of a work list that have no result.
    pub(crate) failed: Vec<Failed>,
    bytes: usize,
}

/// Is a row of a work list whose task has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The text of its key.
    pub(crate) key: String,
    pub(crate) reason: String,
}

/// Is a row that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewRow {
    pub(crate) key: Value,
    /// JSON values, one for each column.
    pub(crate) values: Vec<String>,
}

/// The column of a result that is not taken apart.
const RESULT: &str = "result";
/// So many rows are written at once.
const MOST_ROWS: usize = 500;
/// So many bytes are written at once, about.
const MOST_BYTES: usize = 1 << 20;
/// So long a row waits for others: that much of finished work a crash costs at most, and whoever looks into the table sees it grow.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Whoever claims rows has so long to find out that no more are wanted. What it claims later has to wait for the end of its lease.
const LONGEST_CLOSE: Duration = Duration::from_secs(5);

impl Table {
    /// Checks that the table can take results.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) when there is no such table or column, or nothing makes the key unique: the message
    /// has the statement that mends it.
    pub fn open(url: &Url, destination: &Destination) -> Result<Self, Error> {
        let (writer, columns): (Box<dyn Writer>, _) = match &url.target {
            Target::Sqlite(path) => {
                let (writer, columns) = sqlite::Writer::open(path, url, destination)?;
                (Box::new(writer), columns)
            }
            Target::Postgres(config, tls) => {
                let (writer, columns) = postgres::Writer::open(config, tls, url, destination)?;
                (Box::new(writer), columns)
            }
        };
        Self::new(writer, columns, destination, None)
    }

    /// Checks that the table can take the results of rows of a work list. Each is written in the transaction that marks its row as
    /// done, if the row is still held.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the work list is none.
    pub fn open_claimed(url: &Url, destination: &Destination, held: &Held) -> Result<Self, Error> {
        let Target::Postgres(config, tls) = &url.target else { return Err(one_machine()) };
        let (writer, columns) = postgres::Settler::open(config, tls, url, destination, held)?;
        Self::new(Box::new(writer), columns, destination, Some(held.clone()))
    }

    fn new(
        writer: Box<dyn Writer>,
        columns: Vec<String>,
        destination: &Destination,
        held: Option<Held>,
    ) -> Result<Self, Error> {
        let columns: Vec<String> = columns.into_iter().filter(|column| *column != destination.key).collect();
        if columns.is_empty() {
            return Err(no_column(destination, RESULT));
        }
        let destination = destination.clone();
        let (batch, counts) = (Batch::default(), Counts::default());
        Ok(Self { writer, destination, columns, batch, since: None, counts, rejected: Vec::new(), held })
    }

    /// Tells whether a result goes into one column, called `result`, rather than its fields into those of their names.
    pub fn takes_whole(&self) -> bool {
        self.columns.iter().any(|column| column == RESULT)
    }

    /// Adds a result that goes into the column `result`; `json` is the text of a JSON value.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_whole(&mut self, key: Value, json: &str) -> Result<(), Error> {
        self.add(key, &[(RESULT, json)])
    }

    /// Adds a row with these columns beside its key, each with the text of a JSON value.
    ///
    /// # Errors
    /// When the table has no such column, or a batch that is full cannot be written.
    pub fn add(&mut self, key: Value, fields: &[(&str, &str)]) -> Result<(), Error> {
        if let Some((name, _)) = fields.iter().find(|(name, _)| !self.columns.iter().any(|column| column == name)) {
            return Err(no_column(&self.destination, name));
        }
        if !self.batch.columns.iter().map(String::as_str).eq(fields.iter().map(|(name, _)| *name)) {
            self.write()?;
            self.batch.columns = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
        }
        self.batch.bytes += key.size() + fields.iter().map(|(_, json)| json.len()).sum::<usize>();
        if let Some(held) = &self.held {
            held.finish(&key.to_string());
        }
        let values = fields.iter().map(|(_, json)| (*json).to_owned()).collect();
        self.batch.rows.push(NewRow { key, values });
        self.write_full()
    }

    /// Sets the row of a work list free for another attempt, or gives it up for this reason if it has had its last.
    ///
    /// # Errors
    /// When a batch that is full cannot be written.
    pub fn fail(&mut self, key: &Value, reason: &str) -> Result<(), Error> {
        let key = key.to_string();
        // What was given up when it was claimed is not held.
        let Some(held) = self.held.as_ref().filter(|held| held.attempt(&key).is_some()) else { return Ok(()) };
        held.finish(&key);
        self.batch.bytes += reason.len();
        self.batch.failed.push(Failed { key, reason: reason.to_owned() });
        self.write_full()
    }

    /// Gives back the row of a work list that was not begun, or, as `begun` says, was ended with the run; with the next batch.
    pub fn put_back(&mut self, key: &Value, begun: bool) {
        if let Some(held) = &self.held {
            held.put_back(&key.to_string(), begun);
        }
    }

    /// Writes the batch, and gives back all rows of a work list that have no outcome then. Nothing may run any more.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(&mut self) -> Result<(), Error> {
        if let Some(held) = &self.held {
            held.wait_until_closed(LONGEST_CLOSE);
        }
        let written = self.write();
        if let Some(held) = &self.held {
            held.put_back_all();
        }
        written.and(self.write())
    }

    /// Writes the batch if it is large enough.
    fn write_full(&mut self) -> Result<(), Error> {
        self.since.get_or_insert_with(Instant::now);
        let rows = self.batch.rows.len() + self.batch.failed.len();
        if rows >= MOST_ROWS || self.batch.bytes >= MOST_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the batch if its oldest row has waited for a second, or others wait for what it holds.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_late(&mut self) -> Result<(), Error> {
        let is_late = self.since.is_some_and(|since| since.elapsed() >= LONGEST_WAIT);
        let is_awaited = self.held.as_ref().is_some_and(|held| held.is_urgent() || held.has_returned());
        if is_late || is_awaited { self.write() } else { Ok(()) }
    }

    /// Writes the batch.
    ///
    /// # Errors
    /// When it cannot be written: then none of its rows is there.
    pub fn write(&mut self) -> Result<(), Error> {
        self.since = None;
        let mut batch = std::mem::take(&mut self.batch);
        let returns = self.held.as_ref().is_some_and(Held::has_returned);
        if batch.rows.is_empty() && batch.failed.is_empty() && !returns {
            return Ok(());
        }
        // Two writers of the same keys wait for each other in the same order, and not each for the other.
        batch.rows.sort_by_cached_key(|row| row.key.to_string());
        let written = self.writer.write(&batch)?;
        self.counts.written += written.counts.written;
        self.counts.present += written.counts.present;
        self.rejected.extend(written.rejected);
        self.batch.columns = batch.columns;
        Ok(())
    }

    /// Takes the rows that were refused since the last call. They are in no batch any more.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// Returns what became of the rows that were written.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// Refuses a column that the table lacks.
fn no_column(destination: &Destination, name: &str) -> Error {
    let Destination { table, key } = destination;
    Error::refused(format!(
        "table {table} has no column {name:?} for the result: ALTER TABLE {table} ADD COLUMN {} TEXT; (or a column for each \
         field of the result, beside {key:?})",
        crate::value::quoted(name)
    ))
}

/// Refuses a table that is not there.
pub(crate) fn no_table(destination: &Destination) -> Error {
    let Destination { table, key } = destination;
    let key = crate::value::quoted(key);
    Error::refused(format!(
        "there is no table {table}: CREATE TABLE {table} ({key} BIGINT PRIMARY KEY, result TEXT); or with other types"
    ))
}

/// Refuses a key that the table lacks.
pub(crate) fn no_key<'a>(destination: &Destination, columns: impl IntoIterator<Item = &'a str>) -> Error {
    let Destination { table, key } = destination;
    Error::refused(format!("table {table} has no column {key:?}, which is to be the key; it has {}", listed(columns)))
}

/// Refuses a key that may be there twice.
pub(crate) fn not_unique(destination: &Destination) -> Error {
    let Destination { table, key } = destination;
    Error::refused(format!(
        "nothing keeps the key {key:?} of table {table} unique, so a row might be written twice: CREATE UNIQUE INDEX ganger_key ON {table} ({});",
        crate::value::quoted(key)
    ))
}
