//! The table: what was promised, what was measured, and the ratio of both.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::stats::short;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    what: String,
    ours: String,
    reference: String,
    ratio: Option<f64>,
    bound: Bound,
    verdict: Verdict,
}

/// What is promised about a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    /// Nothing; the figure is there to be read beside others.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Verdict {
    Met,
    Missed,
    /// There is nothing to meet, or nothing was measured.
    Open,
}

impl Bound {
    fn judge(self, ratio: f64) -> Verdict {
        let met = match self {
            Self::AtMost(most) => ratio <= most,
            Self::Below(limit) => ratio < limit,
            Self::AtLeast(least) => ratio >= least,
            Self::None => return Verdict::Open,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {}x", most),
            Self::Below(limit) => write!(f, "< {}x", limit),
            Self::AtLeast(least) => write!(f, ">= {}x", least),
            Self::None => f.write_str("-"),
        }
    }
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Open => "-",
        }
    }
}

impl Line {
    pub(crate) fn new(
        what: impl Into<String>,
        ours: impl Display,
        reference: impl Display,
        ratio: f64,
        bound: Bound,
    ) -> Self {
        let verdict = bound.judge(ratio);
        Self {
            what: what.into(),
            ours: ours.to_string(),
            reference: reference.to_string(),
            ratio: Some(ratio),
            bound,
            verdict,
        }
    }

    /// A line whose reference is not there, or that could not be measured at all; `reference` says why.
    pub(crate) fn without_ratio(
        what: impl Into<String>,
        ours: impl Display,
        reference: impl Display,
        bound: Bound,
    ) -> Self {
        let (ours, reference) = (ours.to_string(), reference.to_string());
        Self { what: what.into(), ours, reference, ratio: None, bound, verdict: Verdict::Open }
    }

    fn cells(&self) -> [String; 6] {
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}x", short(ratio)));
        let verdict = self.verdict.as_str().to_owned();
        [self.what.clone(), self.ours.clone(), self.reference.clone(), ratio, self.bound.to_string(), verdict]
    }
}

/// Lays the lines out below a header, in columns.
pub(crate) fn render<'a>(lines: impl IntoIterator<Item = &'a Line>) -> String {
    let header = ["what", "ours", "reference", "ratio", "bound", "verdict"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(lines.into_iter().map(Line::cells));
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    rows.insert(1, std::array::from_fn(|column| "-".repeat(widths[column])));
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_judge() {
        let table = [
            (Bound::AtMost(5.0), 5.0, Verdict::Met),
            (Bound::AtMost(5.0), 5.1, Verdict::Missed),
            (Bound::Below(1.0), 1.0, Verdict::Missed),
            (Bound::AtLeast(3.0), 3.0, Verdict::Met),
            (Bound::AtLeast(3.0), f64::NAN, Verdict::Missed),
            (Bound::None, 9.0, Verdict::Open),
        ];
        for (bound, ratio, verdict) in table {
            assert_eq!(bound.judge(ratio), verdict, "{bound} of {ratio}");
        }
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [
            Line::new("a row", "10 us", "4 us", 2.5, Bound::AtMost(5.0)),
            Line::without_ratio("another", "-", "no python3", Bound::AtLeast(3.0)),
        ];
        let text = render(&lines);
        let places: Vec<_> = text.lines().filter_map(|line| line.find("= ")).collect();
        assert_eq!(places.len(), 2, "{text}");
        assert_eq!(places[0], places[1], "{text}");
    }
}
