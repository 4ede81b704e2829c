//! The rows of the table, one question each.

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
mod tutorials;

use serde::Serialize;

pub(crate) use tutorials::squares::start_and_square;

use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

/// The name of the group of the tutorials' workloads.
const TUTORIALS: &str = "tutorials";

/// One question, and what answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    group: Option<&'static str>,
    measure: fn(quick: bool) -> Result<Report>,
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
        let lines = vec![Line::without_ratio(row.name, "failed", "-", Bound::None)];
        Self { lines, notes: vec![format!("FAILED: {why}")], runs: Vec::new() }
    }

    /// Adds what another contest about the same question has found out.
    fn append(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.notes.extend(other.notes);
        self.runs.extend(other.runs);
    }
}

/// All rows, in the order of their numbers.
pub(crate) const ROWS: [Row; 22] = [
    Row::new("apply", apply::measure),
    Row::new("imap", imap::measure),
    Row::new("map", map::measure),
    Row::new("start", start::measure),
    Row::new("stream", stream::measure),
    Row::new("bytes", bytes::measure),
    Row::new("shared", shared::measure),
    Row::new("broadcast", broadcast::measure),
    Row::new("pipe", pipe::measure),
    Row::new("queue", queue::measure),
    Row::new("manager", manager::measure),
    Row::of_tutorial("transactions", tutorials::transactions::measure),
    Row::of_tutorial("counts", tutorials::counts::measure),
    Row::of_tutorial("frame", tutorials::frame::measure),
    Row::of_tutorial("squares", tutorials::squares::measure),
    Row::of_tutorial("naps", tutorials::naps::measure),
    Row::of_tutorial("files", tutorials::files::measure),
    Row::of_tutorial("sums", tutorials::sums::measure),
    Row::of_tutorial("lists", tutorials::lists::measure),
    Row::of_tutorial("images", tutorials::images::measure),
    Row::of_tutorial("texts", tutorials::texts::measure),
    Row::of_tutorial("array", tutorials::array::measure),
];

impl Row {
    const fn new(name: &'static str, measure: fn(bool) -> Result<Report>) -> Self {
        Self { name, group: None, measure }
    }

    const fn of_tutorial(name: &'static str, measure: fn(bool) -> Result<Report>) -> Self {
        Self { name, group: Some(TUTORIALS), measure }
    }

    /// Measures it; `quick` asks for fewer rounds.
    pub(crate) fn measure(self, quick: bool) -> Result<Report> {
        (self.measure)(quick)
    }
}

/// The names of the rows that `text` stands for: of one, by its name or its number, or of a group.
pub(crate) fn named(text: &str) -> std::result::Result<Vec<&'static str>, String> {
    let rows = (1..).zip(ROWS);
    let found = rows.filter(|(number, row)| {
        text == row.name || row.group.is_some_and(|group| text == group) || text == number.to_string()
    });
    let found: Vec<_> = found.map(|(_, row)| row.name).collect();
    if found.is_empty() { Err(format!("there is no row {text:?}")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_called_by_name_number_and_group() {
        for (number, row) in (1..).zip(ROWS) {
            assert_eq!(named(row.name), Ok(vec![row.name]));
            assert_eq!(named(&number.to_string()), Ok(vec![row.name]));
        }
        assert_eq!(named(TUTORIALS).map(|rows| rows.len()), Ok(11));
        assert!(named("0").is_err());
    }
}
