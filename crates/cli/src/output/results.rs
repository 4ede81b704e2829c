//! One face for results that are written to a file, and those that become rows.

use super::format::Stream;
use super::stdout::Stdout;
use super::table::{Refusal, Rows};
use crate::config::OutputOptions;
use crate::exit::Abort;
use crate::run::{Context, TaskFailure};
use ganger_db::{Destination, Held, Url};

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

    /// Connects to the database whose table takes the results of rows that are held.
    pub(crate) fn claimed(url: &Url, destination: &Destination, held: Held) -> Result<Self, Abort> {
        Rows::open_claimed(url, destination, held).map(|rows| Self::Rows(Box::new(rows)))
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

    /// Tells whether this failure is not the record's last: it is the row of a work list, which has another attempt.
    pub(crate) fn tries_again(&self, context: &Context) -> bool {
        match self {
            Self::Stream(_) => false,
            Self::Rows(rows) => rows.tries_again(context),
        }
    }

    /// Sets the row of a work list free that has failed, or gives it up for this reason.
    pub(crate) fn fail(&mut self, context: &Context, reason: &str) -> Result<(), Abort> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Rows(rows) => rows.fail(context, reason),
        }
    }

    /// Gives back the row of a work list whose task the end of the run has overtaken, before or after it was `begun`.
    pub(crate) fn put_back(&mut self, context: &Context, begun: bool) {
        match self {
            Self::Stream(_) => {}
            Self::Rows(rows) => rows.put_back(context, begun),
        }
    }

    /// Fails when the rows of a work list cannot be held any more.
    pub(crate) fn check_leases(&self) -> Result<(), Abort> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Rows(rows) => rows.check_leases(),
        }
    }

    /// Returns how many rows of a work list others may have run before.
    pub(crate) fn doubtful(&self) -> u64 {
        match self {
            Self::Stream(_) => 0,
            Self::Rows(rows) => rows.doubtful(),
        }
    }

    /// Returns the results that are not there although they were taken, since the last call.
    pub(crate) fn take_refused(&mut self) -> Vec<Refusal> {
        match self {
            Self::Stream(_) => Vec::new(),
            Self::Rows(rows) => rows.take_refused(),
        }
    }

    /// Fails when an earlier result could not be written, or the next could not be because its reader has gone.
    pub(crate) fn check(&mut self) -> Result<(), Abort> {
        match self {
            Self::Stream(stream) => stream.check(),
            Self::Rows(rows) => rows.check_leases().and_then(|()| rows.write_late()),
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
