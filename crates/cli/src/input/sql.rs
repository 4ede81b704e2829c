//! Reads the rows of a query.

use super::reader::RecordError;
use super::row::{CellKind, Row};
use crate::config::Database;
use crate::exit::{self, Abort};
use crate::halt::Halt;
use ganger_db::{ErrorKind, Query, Value};
use std::sync::Arc;

/// Reads rows.
pub(crate) struct SqlReader {
    query: Query,
    row: Row,
    number: u64,
    key: Option<Value>,
}

impl SqlReader {
    /// Runs the query; it ends early when `halt` is raised.
    pub(crate) fn open(database: &Database, halt: &Arc<Halt>) -> Result<Self, Abort> {
        let Database { url, query, destination } = database;
        let halt = halt.clone();
        let query = Query::open(url, query, destination.as_ref(), Arc::new(move || halt.is_raised()));
        let query = query.map_err(|error| abort(&error))?;
        Ok(Self { query, row: Row::default(), number: 0, key: None })
    }

    /// Returns the names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        self.query.columns()
    }

    /// Reads the next row; `false` is the end.
    pub(super) fn advance(&mut self) -> Result<bool, RecordError> {
        let Some(row) = self.query.next().map_err(|error| RecordError::Ended(abort(&error)))? else {
            return Ok(false);
        };
        (self.number, self.key) = (row.number, None);
        self.row.clear();
        for (value, name) in row.values.iter().zip(self.query.columns()) {
            match value {
                Value::Null => self.row.push_kind("", CellKind::Null),
                Value::Json(text) => self.row.push_kind(text, CellKind::Json),
                Value::Text(text) => self.row.push(text),
                Value::Bytes(count) => {
                    let problem =
                        format!("column {name:?}: {count} bytes that are no text: the query may take hex({name})");
                    return Err(RecordError::Bad(problem));
                }
                number => self.row.push(&number.to_string()),
            }
        }
        self.key = self.query.key().and_then(|column| row.values.into_iter().nth(column));
        match (&self.key, self.query.key()) {
            (Some(Value::Null), Some(column)) => {
                let name = &self.query.columns()[column];
                Err(RecordError::Bad(format!(
                    "column {name:?}: the key is NULL, and its result could not be found again"
                )))
            }
            _ => Ok(true),
        }
    }

    /// Returns the current row.
    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    /// Returns the place of the current row among those of the query, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn take_key(&mut self) -> Option<Value> {
        self.key.take()
    }

    pub(super) fn present(&self) -> u64 {
        self.query.present()
    }
}

/// What the user can change is wrong usage, everything else an input that cannot be read.
fn abort(error: &ganger_db::Error) -> Abort {
    match error.kind() {
        ErrorKind::Refused => Abort::usage(format!("--input-sql: {error}")),
        ErrorKind::Unreachable => Abort::new(exit::NO_INPUT, error.to_string()),
        _ => Abort::new(exit::NO_INPUT, format!("--input-sql: {error}")),
    }
}
