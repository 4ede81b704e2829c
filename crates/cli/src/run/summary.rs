//! The line at the end of a run.

use super::flight::{Lost, Skipped, Tally};
use std::fmt;
use std::time::Duration;

/// Holds what a finished run did.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) skipped: Skipped,
    pub(crate) lost: Lost,
    pub(crate) elapsed: Duration,
    pub(crate) description: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { ok, failed, not_run, killed, present, again, doubtful } = self.tally;
        write!(f, "{ok} ok, {failed} failed")?;
        let others = [
            (again, "to be tried again"),
            (killed, "killed"),
            (not_run, "not run"),
            (present, "there already"),
            (doubtful, "in doubt (others may have run them before)"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if self.lost.count > 0 {
            write!(f, ", {}", Leases(&self.lost))?;
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
        write!(f, "{count} short {rows} skipped ({})", some_of(*count, &named))
    }
}

struct Leases<'a>(&'a Lost);

impl fmt::Display for Leases<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lost { count, rows } = self.0;
        let leases = if *count == 1 { "lease" } else { "leases" };
        write!(f, "{count} {leases} lost ({})", some_of(*count, rows))
    }
}

/// Lists the first of so many.
fn some_of(count: u64, named: &[String]) -> String {
    let more = if count > named.len() as u64 { ", ..." } else { "" };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::flight::{Flight, Place};
    use super::*;

    const DONE: Tally = Tally { ok: 26_115, failed: 2, not_run: 0, killed: 0, present: 0, again: 0, doubtful: 0 };

    fn summary(skipped: u64, tally: Tally) -> String {
        let flight = Flight::default();
        for line in 0..skipped {
            flight.skip(Place { file: "a.csv".into(), line: line + 2, label: None });
        }
        let elapsed = Duration::from_millis(1_234);
        let (skipped, lost) = (flight.skipped(), flight.lost());
        Summary { tally, skipped, lost, elapsed, description: "serial".to_owned() }.to_string()
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
    fn what_became_of_a_work_list_is_counted() {
        let flight = Flight::default();
        let said = |flight: &Flight| {
            let (skipped, lost, elapsed) = (flight.skipped(), flight.lost(), Duration::from_secs(1));
            let tally = Tally { again: 3, doubtful: 4, ..DONE };
            Summary { tally, skipped, lost, elapsed, description: "serial".to_owned() }.to_string()
        };
        let rest = "3 to be tried again, 4 in doubt (others may have run them before)";
        assert_eq!(said(&flight), format!("26115 ok, 2 failed, {rest} in 1.00 s, serial"));
        flight.lose("id = 5".to_owned());
        assert_eq!(said(&flight), format!("26115 ok, 2 failed, {rest}, 1 lease lost (id = 5) in 1.00 s, serial"));
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
