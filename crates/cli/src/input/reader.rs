//! One face for all formats.

use super::csv::CsvReader;
use super::line::LineReader;
use super::row::Row;
use super::source::Format;
use super::sql::SqlReader;
use crate::exit::Abort;
use ganger_db::Value;
use std::io::{self, BufRead};

/// Reads records of one input.
pub(crate) enum Reader {
    Lines(LineReader),
    Csv(CsvReader),
    Json(LineReader),
    Sql(SqlReader),
}

/// Is one record as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Record<'a> {
    Line(&'a str),
    Row(&'a Row),
    /// The text of a JSON value, not checked.
    Json(&'a str),
}

/// Says why there is no record.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// The record is wrong; the next one may be right.
    Bad(String),
    /// The input cannot be read.
    Unreadable(io::Error),
    /// The database gives no more rows.
    Ended(Abort),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl Reader {
    /// Reads records of `format`.
    pub(crate) fn new(input: Box<dyn BufRead + Send>, format: Format) -> Self {
        match format {
            Format::Lines => Self::Lines(LineReader::new(input, b'\n')),
            Format::Null => Self::Lines(LineReader::new(input, 0)),
            Format::Json => Self::Json(LineReader::new(input, b'\n')),
            Format::Sql => unreachable!("a query has no bytes to read"),
            Format::Csv(dialect) => Self::Csv(CsvReader::new(LineReader::new(input, b'\n'), dialect)),
        }
    }

    /// Reads the next record.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        match self {
            Self::Lines(lines) => match lines.advance()? {
                true => lines.text().map(|line| Some(Record::Line(line))).map_err(RecordError::Bad),
                false => Ok(None),
            },
            Self::Csv(rows) => Ok(rows.advance()?.then(|| Record::Row(rows.row()))),
            Self::Json(lines) => {
                while lines.advance()? {
                    if !lines.bytes().trim_ascii().is_empty() {
                        return lines.text().map(|line| Some(Record::Json(line))).map_err(RecordError::Bad);
                    }
                }
                Ok(None)
            }
            Self::Sql(rows) => Ok(rows.advance()?.then(|| Record::Row(rows.row()))),
        }
    }

    fn current_row(&self) -> Option<Record<'_>> {
        match self {
            Self::Csv(rows) => Some(Record::Row(rows.row())),
            Self::Lines(_) | Self::Json(_) | Self::Sql(_) => None,
        }
    }

    /// Reads the row that was read last once more if it is pending, else the next record.
    pub(crate) fn next_or_pending(&mut self, pending: &mut bool) -> Result<Option<Record<'_>>, RecordError> {
        if std::mem::take(pending) {
            return Ok(self.current_row());
        }
        self.next()
    }

    /// Takes the key of the current row, where rows have one.
    pub(crate) fn take_key(&mut self) -> Option<Value> {
        match self {
            Self::Sql(rows) => rows.take_key(),
            Self::Lines(_) | Self::Csv(_) | Self::Json(_) => None,
        }
    }

    /// Names the current record where that says more than its number.
    pub(crate) fn label(&self) -> Option<String> {
        match self {
            Self::Sql(rows) => rows.label(),
            Self::Lines(_) | Self::Csv(_) | Self::Json(_) => None,
        }
    }

    /// Returns how many rows were left out since their results are there.
    pub(crate) fn present(&self) -> u64 {
        match self {
            Self::Sql(rows) => rows.present(),
            Self::Lines(_) | Self::Csv(_) | Self::Json(_) => 0,
        }
    }

    /// Returns the physical line on which the current record starts; for NUL-terminated records their number.
    pub(crate) fn line(&self) -> u64 {
        match self {
            Self::Lines(lines) | Self::Json(lines) => lines.number(),
            Self::Csv(rows) => rows.line(),
            Self::Sql(rows) => rows.number(),
        }
    }

    /// Returns how many bytes have been read.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Lines(lines) | Self::Json(lines) => lines.end(),
            Self::Csv(rows) => rows.end(),
            // The progress bar counts bytes, and nobody knows how many a query gives.
            Self::Sql(_) => 0,
        }
    }
}
