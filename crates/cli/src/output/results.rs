//! One face for results that are written to a file, and those that become rows.

use super::format::Stream;
use super::stdout::Stdout;
use super::table::Rows;
use crate::config::OutputOptions;
use crate::exit::Abort;
use crate::run::{Context, TaskFailure};
use ganger_db::{Destination, Url};

/// Takes results.
pub(crate) enum Output {
    Stream(Stream),
    Rows(Box<Rows>),
}

impl Output {
    /// Opens the output; a file is emptied.
    pub(crate) fn open(options: &OutputOptions, stdout: Stdout) -> Result<Self, Abort> {
        Stream::open(options, stdout).map(Self::Stream)
    }

    /// Connects to the database whose table takes the results.
    pub(crate) fn table(url: &Url, destination: &Destination) -> Result<Self, Abort> {
        Rows::open(url, destination).map(|rows| Self::Rows(Box::new(rows)))
    }

    /// Tells whether the order of results shows.
    pub(crate) fn has_order(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Writes the result of record `index`.
    pub(crate) fn value(&mut self, index: u64, context: Context, json: &[u8]) -> Result<(), Abort> {
        match self {
            Self::Stream(stream) => stream.value(index, &context, json),
            Self::Rows(rows) => rows.value(context, json),
        }
    }

    /// Writes what stands in the place of a result. A table has no row then: the next run tries again.
    pub(crate) fn failure(&mut self, index: u64, context: &Context, failure: &TaskFailure) -> Result<(), Abort> {
        match self {
            Self::Stream(stream) => stream.failure(index, context, failure),
            Self::Rows(_) => Ok(()),
        }
    }

    /// Returns a line for each result that the table has refused since the last call.
    pub(crate) fn take_refused(&mut self) -> Vec<String> {
        match self {
            Self::Stream(_) => Vec::new(),
            Self::Rows(rows) => rows.take_refused(),
        }
    }

    /// Fails when an earlier result could not be written, or the next could not be because its reader has gone.
    pub(crate) fn check(&mut self) -> Result<(), Abort> {
        match self {
            Self::Stream(stream) => stream.check(),
            Self::Rows(rows) => rows.write_late(),
        }
    }

    /// Writes what is left; `names` are the kept columns, for the header of an output without records.
    pub(crate) fn finish(&mut self, names: &[String]) -> Result<(), Abort> {
        match self {
            Self::Stream(stream) => stream.finish(names),
            Self::Rows(rows) => rows.finish(),
        }
    }
}
