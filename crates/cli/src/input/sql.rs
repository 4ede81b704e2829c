//! Reads the rows of a query.

use super::reader::RecordError;
use super::row::{CellKind, Row};
use crate::config::{Database, RowsOf};
use crate::exit::{self, Abort};
use crate::halt::Halt;
use ganger_db::{Claimed, Claims, ErrorKind, Held, Query, Stop, Value};
use std::sync::Arc;

/// Reads rows.
pub(crate) struct SqlReader {
    rows: Rows,
    row: Row,
    number: u64,
    key: Option<Value>,
}

enum Rows {
    Query(Query),
    Claims(Box<Claims>),
}

impl Rows {
    fn columns(&self) -> &[String] {
        match self {
            Self::Query(query) => query.columns(),
            Self::Claims(claims) => claims.columns(),
        }
    }

    /// Returns the place of the key among the columns, if there is one.
    fn key(&self) -> Option<usize> {
        match self {
            Self::Query(query) => query.key(),
            Self::Claims(claims) => Some(claims.key()),
        }
    }

    /// Reads the next row, and why it is not to be run, if it is not.
    fn next(&mut self) -> Result<Option<(ganger_db::Row, Option<String>)>, ganger_db::Error> {
        match self {
            Self::Query(query) => Ok(query.next()?.map(|row| (row, None))),
            Self::Claims(claims) => Ok(claims.next()?.map(|claimed| match claimed {
                Claimed::Row(row) => (row, None),
                Claimed::GivenUp(row, reason) => (row, Some(reason)),
            })),
        }
    }

    /// Returns the flag that asks for them.
    fn flag(&self) -> &'static str {
        match self {
            Self::Query(_) => "--input-sql",
            Self::Claims(_) => "--claim",
        }
    }
}

impl SqlReader {
    /// Runs the query, or claims rows that `held` keeps account of; it ends early when `halt` is raised.
    pub(crate) fn open(database: &Database, held: Option<&Held>, halt: &Arc<Halt>) -> Result<Self, Abort> {
        let Database { url, rows, destination } = database;
        let halt = halt.clone();
        let stop: Stop = Arc::new(move || halt.is_raised());
        let rows = match (rows, held) {
            (RowsOf::Query(query), _) => Query::open(url, query, destination.as_ref(), stop)
                .map(Rows::Query)
                .map_err(|error| abort("--input-sql", &error))?,
            (RowsOf::List(_), held) => Claims::open(url, held.expect("rows of a list are held"), stop)
                .map(|claims| Rows::Claims(Box::new(claims)))
                .map_err(|error| abort("--claim", &error))?,
        };
        Ok(Self { rows, row: Row::default(), number: 0, key: None })
    }

    /// Returns the names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        self.rows.columns()
    }

    /// Reads the next row; `false` is the end.
    pub(super) fn advance(&mut self) -> Result<bool, RecordError> {
        let flag = self.rows.flag();
        let next = self.rows.next().map_err(|error| RecordError::Ended(abort(flag, &error)))?;
        let Some((row, given_up)) = next else {
            return Ok(false);
        };
        self.number = row.number;
        self.key = self.rows.key().map(|column| row.values[column].clone());
        self.row.clear();
        if let Some(reason) = given_up {
            return Err(RecordError::Bad(reason));
        }
        for (value, name) in row.values.iter().zip(self.rows.columns()) {
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
        match (&self.key, self.rows.key()) {
            (Some(Value::Null), Some(column)) => {
                let name = &self.rows.columns()[column];
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

    /// Names the current row of a work list by its key.
    pub(super) fn label(&self) -> Option<String> {
        match (&self.rows, &self.key) {
            (Rows::Claims(claims), Some(key)) => Some(format!("{} = {key}", claims.columns()[claims.key()])),
            _ => None,
        }
    }

    pub(super) fn present(&self) -> u64 {
        match &self.rows {
            Rows::Query(query) => query.present(),
            Rows::Claims(_) => 0,
        }
    }
}

/// What the user can change is wrong usage, everything else an input that cannot be read.
fn abort(flag: &str, error: &ganger_db::Error) -> Abort {
    match error.kind() {
        ErrorKind::Refused => Abort::usage(format!("{flag}: {error}")),
        ErrorKind::Unreachable => Abort::new(exit::NO_INPUT, error.to_string()),
        _ => Abort::new(exit::NO_INPUT, format!("{flag}: {error}")),
    }
}
