//! The line at the end of a run.

use super::flight::{Skipped, Tally};
use std::fmt;
use std::time::Duration;

/// Holds what a finished run did.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) skipped: Skipped,
    pub(crate) elapsed: Duration,
    pub(crate) description: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { ok, failed, not_run, killed, present } = self.tally;
        write!(f, "{ok} ok, {failed} failed")?;
        for (count, what) in [(killed, "killed"), (not_run, "not run")].into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if present > 0 {
            write!(f, ", {present} there already")?;
        }
        if self.skipped.count > 0 {
            write!(f, ", {}", Rows(&self.skipped))?;
        }
        write!(f, " in {:.2} s, {}", self.elapsed.as_secs_f64(), self.description)
    }
}

struct Rows<'a>(&'a Skipped);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Skipped { count, places } = self.0;
        let rows = if *count == 1 { "row" } else { "rows" };
        let named: Vec<String> = places.iter().map(ToString::to_string).collect();
        let more = if *count > places.len() as u64 { ", ..." } else { "" };
        write!(f, "{count} short {rows} skipped ({}{more})", named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::flight::{Flight, Place};
    use super::*;

    const DONE: Tally = Tally { ok: 26_115, failed: 2, not_run: 0, killed: 0, present: 0 };

    fn summary(skipped: u64, tally: Tally) -> String {
        let flight = Flight::default();
        for line in 0..skipped {
            flight.skip(Place { file: "a.csv".into(), line: line + 2 });
        }
        let elapsed = Duration::from_millis(1_234);
        Summary { tally, skipped: flight.skipped(), elapsed, description: "serial".to_owned() }.to_string()
    }

    #[test]
    fn skipped_rows_are_counted_and_named() {
        for (skipped, expected) in [
            (0, "26115 ok, 2 failed in 1.23 s, serial"),
            (1, "26115 ok, 2 failed, 1 short row skipped (a.csv:2) in 1.23 s, serial"),
            (
                6,
                "26115 ok, 2 failed, 6 short rows skipped (a.csv:2, a.csv:3, a.csv:4, a.csv:5, a.csv:6, ...) in 1.23 s, serial",
            ),
        ] {
            assert_eq!(summary(skipped, DONE), expected);
        }
    }

    #[test]
    fn what_was_stopped_is_counted() {
        for (not_run, killed, expected) in [
            (5, 0, "26115 ok, 2 failed, 5 not run in 1.23 s, serial"),
            (5, 1, "26115 ok, 2 failed, 1 killed, 5 not run in 1.23 s, serial"),
        ] {
            assert_eq!(summary(0, Tally { not_run, killed, ..DONE }), expected);
        }
    }
}
