//! What was measured, as it stands in the results file.

use std::path::Path;

use ganger::StartMethod;
use serde::{Deserialize, Serialize};

use super::payload::{Kind, Payload};
use crate::Result;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Figure {
    /// The round trip of one task that does nothing.
    Apply,
    /// One of many tasks that do nothing, in a `map`.
    Map,
    /// One of many tasks that take so long, in a loop and in a `map`.
    Task,
    /// The start of a pool, to its first result, and its end.
    Start,
    /// Work that takes so long altogether, in a loop, and with a pool that is started and ended for it.
    Work,
}

/// One line of the results file. Times are medians in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) figure: Figure,
    pub(crate) start_method: String,
    pub(crate) payload: Kind,
    pub(crate) bytes: usize,
    /// How long a task was meant to compute, or all work together.
    pub(crate) length_us: Option<f64>,
    /// How long it took in a loop, which also looks at the payload.
    pub(crate) loop_us: Option<f64>,
    pub(crate) ganger_us: f64,
}

/// A whole run.
#[derive(Debug, PartialEq)]
pub(crate) struct Results {
    /// When and where.
    pub(crate) about: String,
    pub(crate) records: Vec<Record>,
}

impl Record {
    pub(crate) fn new(figure: Figure, method: StartMethod, payload: Payload, ganger_us: f64) -> Self {
        let Payload { kind, bytes } = payload;
        let (start_method, ganger_us) = (method.as_str().to_owned(), nanoseconds(ganger_us));
        Self { figure, start_method, payload: kind, bytes, length_us: None, loop_us: None, ganger_us }
    }

    /// Beside a loop.
    pub(crate) fn with_loop(self, length_us: f64, loop_us: f64) -> Self {
        Self { length_us: Some(length_us), loop_us: Some(nanoseconds(loop_us)), ..self }
    }

    /// The length, and how many times as fast as the loop it is.
    pub(crate) fn speed_up(&self) -> Option<(f64, f64)> {
        Some((self.length_us?, self.loop_us? / self.ganger_us))
    }
}

/// Nobody measures picoseconds.
fn nanoseconds(microseconds: f64) -> f64 {
    (microseconds * 1e3).round() / 1e3
}

/// Writes the file: a comment about the run, a header, a line for each record.
pub(super) fn write(path: &Path, results: &Results) -> Result<()> {
    let text = to_text(results)?;
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Reads what [`write()`] has written.
pub(super) fn read(path: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    from_text(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn to_text(Results { about, records }: &Results) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    records.iter().try_for_each(|record| writer.serialize(record))?;
    Ok(format!("# {about}\n{}", String::from_utf8(writer.into_inner()?)?))
}

fn from_text(text: &str) -> Result<Results> {
    let about = text.lines().next().and_then(|line| line.strip_prefix("# ")).ok_or("line 1 is no comment")?.to_owned();
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let records = reader.deserialize().collect::<std::result::Result<_, _>>()?;
    Ok(Results { about, records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let start = Record::new(Figure::Start, StartMethod::Spawn, Payload::SMALLEST, 2500.5);
        let task = Record::new(Figure::Task, StartMethod::Fork, Payload { kind: Kind::Shared, bytes: 1024 }, 6.0);
        let results = Results { about: "today, here".to_owned(), records: vec![start, task.with_loop(10.0, 12.0)] };
        let text = to_text(&results).expect("plain data");
        assert!(text.ends_with("\ntask,fork,shared,1024,10.0,12.0,6.0\n"), "{text}");
        let read = from_text(&text).expect("its own text");
        assert_eq!(read, results);
        assert_eq!(read.records.iter().map(Record::speed_up).collect::<Vec<_>>(), [None, Some((10.0, 2.0))]);
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "figure\n", "# here\nfigure,start_method\nlunch,fork\n"] {
            assert!(from_text(text).is_err(), "{text:?}");
        }
    }
}
