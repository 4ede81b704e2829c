//! Single runs, and what is said about them.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

/// All single runs of one contestant, in the order in which they were made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, values: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Pushes a time, in the series' unit.
    pub(crate) fn push_time(&mut self, time: Duration) {
        let scale = match self.unit {
            "us" => 1e6,
            "ms" => 1e3,
            _ => 1.0,
        };
        self.values.push(time.as_secs_f64() * scale);
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value below which `part` of the runs are, interpolated; not a number when there are no runs.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = part * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }
}

/// The median and the quartiles: `8.1 ms [7.9-8.6]`.
impl Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| short(self.quantile(part)));
        write!(f, "{middle} {} [{low}-{high}]", self.unit)
    }
}

/// A number with three digits that count, or all before the point: `0.512`, `8.13`, `260,000`.
pub(crate) fn short(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let whole = text.split('.').next().unwrap_or(&text).len();
    let mut out = String::new();
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series { name: "x".to_owned(), unit: "ms", values: values.to_vec() }
    }

    #[test]
    fn medians_and_quartiles() {
        assert_eq!(series(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
        assert_eq!(series(&[7.0]).to_string(), "7.00 ms [7.00-7.00]");
        assert_eq!(series(&[5.0, 1.0, 2.0, 4.0, 3.0]).to_string(), "3.00 ms [2.00-4.00]");
        assert!(series(&[]).median().is_nan());
    }

    #[test]
    fn numbers_are_short() {
        let table = [(0.5123, "0.512"), (8.126, "8.13"), (63.94, "63.9"), (999.6, "1,000"), (1_234_567.8, "1,234,568")];
        for (number, text) in table {
            assert_eq!(short(number), text);
        }
    }
}
