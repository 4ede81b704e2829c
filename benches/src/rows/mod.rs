//! The rows of the table, one promise each.

mod apply;
mod broadcast;
mod bytes;
mod imap;
mod manager;
mod map;
mod pipe;
mod queue;
mod shared;
mod start;
mod stream;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::Serialize;

use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

/// Which promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row {
    Apply,
    Imap,
    Map,
    Start,
    Stream,
    Bytes,
    Shared,
    Broadcast,
    Pipe,
    Queue,
    Manager,
}

/// What was found out about it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    /// Printed below the table.
    pub(crate) notes: Vec<String>,
    pub(crate) runs: Vec<Series>,
}

impl Report {
    /// The report about a row that could not be measured.
    pub(crate) fn failed(row: Row, why: &str) -> Self {
        let lines = vec![Line::without_ratio(row.as_str(), "failed", "-", Bound::None)];
        Self { lines, notes: vec![format!("FAILED: {why}")], runs: Vec::new() }
    }
}

impl Row {
    pub(crate) const ALL: [Self; 11] = [
        Self::Apply,
        Self::Imap,
        Self::Map,
        Self::Start,
        Self::Stream,
        Self::Bytes,
        Self::Shared,
        Self::Broadcast,
        Self::Pipe,
        Self::Queue,
        Self::Manager,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Imap => "imap",
            Self::Map => "map",
            Self::Start => "start",
            Self::Stream => "stream",
            Self::Bytes => "bytes",
            Self::Shared => "shared",
            Self::Broadcast => "broadcast",
            Self::Pipe => "pipe",
            Self::Queue => "queue",
            Self::Manager => "manager",
        }
    }

    /// Measures it; `quick` asks for fewer rounds.
    pub(crate) fn measure(self, quick: bool) -> Result<Report> {
        match self {
            Self::Apply => apply::measure(quick),
            Self::Imap => imap::measure(quick),
            Self::Map => map::measure(quick),
            Self::Start => start::measure(quick),
            Self::Stream => stream::measure(quick),
            Self::Bytes => bytes::measure(quick),
            Self::Shared => shared::measure(quick),
            Self::Broadcast => broadcast::measure(quick),
            Self::Pipe => pipe::measure(quick),
            Self::Queue => queue::measure(quick),
            Self::Manager => manager::measure(quick),
        }
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Row {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut rows = (1..).zip(Self::ALL);
        let found = rows.find(|(number, row)| text == row.as_str() || text == number.to_string());
        found.map(|(_, row)| row).ok_or_else(|| format!("there is no row {text:?}"))
    }
}
