//! Steps through a query on a thread of its own.
//!
//! A statement of rusqlite borrows its connection, so both live on one stack: the thread's. The channel holds one batch, which
//! bounds how far it is ahead.
//!
//! A query that is stepped through keeps writers out, ourselves with the results too, unless the file's journal is a
//! write-ahead log. So where results go back into the file, its rows are copied into a temporary table first. Which keys are
//! there already is asked on a connection of its own, for the same reason: beside a statement that is stepped through, another
//! of the same connection keeps its lock after its end.

use super::open::{explain, open};
use super::schema::{Schema, inspect};
use crate::error::{Error, ErrorKind};
use crate::query::{Cursor as Face, Fetched, Row, Stop, key_column};
use crate::table::Destination;
use crate::url::Url;
use crate::value::Value;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, Statement};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Receives what the thread reads.
pub(crate) struct Cursor {
    batches: Receiver<Result<Fetched, Error>>,
}

/// So many steps of SQLite's machine are made until somebody asks whether to go on: a millisecond's worth.
const STEPS: i32 = 20_000;
/// A batch has at most so many rows,
const MOST_ROWS: usize = 500;
/// so many bytes, about,
const MOST_BYTES: usize = 1 << 20;
/// and is not waited for longer: a task may begin before the next row is found.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

impl Cursor {
    /// Starts the thread and waits until the statement is prepared; returns its columns as well.
    pub(crate) fn open(
        path: &Path,
        url: &Url,
        sql: &str,
        known: Option<&Destination>,
        stop: Stop,
    ) -> Result<(Self, Vec<String>), Error> {
        let (columns, first) = sync_channel(1);
        let (sender, batches) = sync_channel(1);
        let task = Task { path: path.to_owned(), url: url.clone(), sql: sql.to_owned(), known: known.cloned() };
        let work = move || task.run(&columns, &sender, stop);
        let started = std::thread::Builder::new().name("ganger-sqlite".to_owned()).spawn(work);
        started.map_err(|error| Error::new(ErrorKind::Unreachable, format!("cannot start a thread: {error}")))?;
        // It ends with the thread, which SQLite asks every few steps whether to go on.
        let columns =
            first.recv().map_err(|_| Error::new(ErrorKind::Lost, "the thread that reads SQLite has ended"))??;
        Ok((Self { batches }, columns))
    }
}

impl Face for Cursor {
    fn fetch(&mut self) -> Result<Fetched, Error> {
        // The sender goes when there is nothing more; a panic of its own is reported on standard error.
        self.batches.recv().unwrap_or_else(|_| Ok(Fetched::default()))
    }
}

/// Is what the thread does.
struct Task {
    path: PathBuf,
    url: Url,
    sql: String,
    known: Option<Destination>,
}

type Columns = SyncSender<Result<Vec<String>, Error>>;
type Batches = SyncSender<Result<Fetched, Error>>;

impl Task {
    fn run(&self, columns: &Columns, batches: &Batches, stop: Stop) {
        // Who has gone does not care for the error.
        if let Err(error) = self.read(columns, batches, stop) {
            let _ = columns.try_send(Err(error.clone()));
            let _ = batches.send(Err(error));
        }
    }

    fn read(&self, columns: &Columns, batches: &Batches, stop: Stop) -> Result<(), Error> {
        let mut connection = open(&self.path, &self.url)?;
        let told = |error| explain(&error);
        connection.progress_handler(STEPS, Some(move || stop())).map_err(told)?;
        let statement = single(&connection, &self.sql)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let known = match &self.known {
            Some(destination) => {
                let looking = open(&self.path, &self.url)?;
                let schema = inspect(&looking, destination)?;
                Some((looking, schema, key_column(&names, &destination.key)?))
            }
            None => None,
        };
        let statement = match &known {
            Some(_) if !has_log(&connection).map_err(told)? => copied(&connection, statement, &self.sql)?,
            _ => statement,
        };
        connection.pragma_update(None, "query_only", true).map_err(told)?;
        let lookup = known.as_ref().map(|(looking, schema, key)| Lookup::new(looking, schema, *key));
        let lookup = lookup.transpose().map_err(told)?;
        // Whoever has gone meanwhile wants no rows either.
        let _ = columns.send(Ok(names));
        let mut reading = Reading { lookup, number: 0 };
        reading.step(statement, batches).map_err(told)
    }
}

/// Prepares the only statement of `sql`, which must not write.
fn single<'a>(connection: &'a Connection, sql: &str) -> Result<Statement<'a>, Error> {
    let mut statements = Batch::new(connection, sql);
    let mut next = || statements.next().map_err(|error| explain(&error));
    let statement = next()?.ok_or_else(|| Error::refused("the query is empty"))?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(Error::refused("the query does not read rows: a SELECT is needed"));
    }
    if statement.parameter_count() > 0 {
        return Err(Error::refused("the query has a parameter, and nothing gives it a value"));
    }
    // What follows may lack a table that the first would make: that there is something is enough.
    match next() {
        Ok(None) => Ok(statement),
        _ => Err(Error::refused("the query is more than one statement")),
    }
}

fn has_log(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode == "wal")
}

/// Copies the rows aside, in their order.
fn copied<'a>(connection: &'a Connection, statement: Statement<'a>, sql: &str) -> Result<Statement<'a>, Error> {
    drop(statement);
    let told = |error| explain(&error);
    connection.execute(&format!("CREATE TEMP TABLE ganger_input AS {sql}"), []).map_err(told)?;
    connection.prepare("SELECT * FROM temp.ganger_input").map_err(told)
}

/// Finds out which keys are in the table.
struct Lookup<'a> {
    statement: Statement<'a>,
    key: usize,
}

impl<'a> Lookup<'a> {
    fn new(connection: &'a Connection, schema: &Schema, key: usize) -> rusqlite::Result<Self> {
        let Schema { table, key: column, .. } = schema;
        let statement = connection.prepare(&format!("SELECT 1 FROM main.{table} WHERE {column} = ?1"))?;
        Ok(Self { statement, key })
    }

    fn has(&mut self, key: ValueRef<'_>) -> rusqlite::Result<bool> {
        self.statement.exists([ToSqlOutput::Borrowed(key)])
    }
}

struct Reading<'a> {
    lookup: Option<Lookup<'a>>,
    number: u64,
}

impl Reading<'_> {
    /// Sends batch after batch, until the end or until nobody receives them.
    fn step(&mut self, mut statement: Statement<'_>, batches: &Batches) -> rusqlite::Result<()> {
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let (mut batch, mut bytes, mut since) = (Fetched::default(), 0, Instant::now());
        while let Some(row) = rows.next()? {
            self.number += 1;
            if self.is_present(row)? {
                batch.present += 1;
            } else {
                let values = (0..width).map(|column| row.get_ref(column).map(value)).collect::<Result<Vec<_>, _>>()?;
                bytes += values.iter().map(Value::size).sum::<usize>();
                batch.rows.push(Row { number: self.number, values });
            }
            let full = batch.rows.len() >= MOST_ROWS || bytes >= MOST_BYTES;
            if full || since.elapsed() >= LONGEST_WAIT {
                if batches.send(Ok(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
                (bytes, since) = (0, Instant::now());
            }
        }
        if batch.present > 0 || !batch.rows.is_empty() {
            // As above: nobody may be there.
            let _ = batches.send(Ok(batch));
        }
        Ok(())
    }

    fn is_present(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
        match &mut self.lookup {
            Some(lookup) => {
                let key = row.get_ref(lookup.key)?;
                lookup.has(key)
            }
            None => Ok(false),
        }
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.len()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.len()),
    }
}
