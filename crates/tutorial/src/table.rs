//! The rows as text: one line each, so that they can be printed as they come.

use std::time::Duration;

use crate::row::Row;
use crate::run::Report;

/// Room for the longest name of a workload.
const WIDTH: usize = 44;

/// The names of the columns, with a line feed.
#[must_use]
pub fn header() -> String {
    let workload = "workload";
    format!("    {workload:<WIDTH$} {:>10} {:>10} {:>9}  answer\n", "sequential", "parallel", "speed-up")
}

/// One row, with a line feed.
#[must_use]
pub fn line(row: &Row) -> String {
    let speed_up = row.speed_up().map_or("-".to_owned(), times);
    let [sequential, parallel] = [row.sequential, row.parallel].map(time);
    format!(
        "{}  {:<WIDTH$} {sequential:>10} {parallel:>10} {speed_up:>9}  {}\n",
        row.tutorial,
        row.workload,
        row.answer.as_str()
    )
}

/// What is to be said of all rows: how many are right, what is not in their times, and why some are slower in parallel.
#[must_use]
pub fn footer(report: &Report, workers: usize) -> String {
    let (all, wrong) = (report.rows.len(), report.wrong().count());
    let mut text = format!("\n{} of {all} answers are equal.", all - wrong);
    if let Some(start) = report.typical_start() {
        let (method, start) = (ganger::start_method(), time(start));
        text += &format!(
            " Pools have {workers} workers, unless the row says otherwise, and are started before\ntheir rows: under {method} that took \
             {start} (the median of {}).",
            report.starts.len()
        );
    }
    text.push('\n');
    if report.rows.iter().any(|row| row.speed_up().is_some_and(|times| times < 1.0)) {
        text += "Below 1x the parallel run is slower: the work is less than its way to a worker and back.\n\
                 docs/guide/when-it-pays.md tells from where on it pays.\n";
    }
    text
}

/// A time with three digits.
pub(crate) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..999.5 => (nanos, "ns"),
        ..999.5e3 => (nanos / 1e3, "us"),
        ..999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", digits(value, 3))
}

/// How many times as fast, with two digits: `0.021x`. Below a thousandth nobody cares how slow it is.
pub(crate) fn times(factor: f64) -> String {
    if factor < 0.001 { "<0.001x".to_owned() } else { digits(factor, 2) + "x" }
}

/// A number with so many significant digits, and all of those before the point.
fn digits(value: f64, significant: i32) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let places = |value: f64| (significant - 1 - value.log10().floor() as i32).max(0) as usize;
    // Rounding may add a digit: 9.996 is 10.0 and not 10.00.
    let rounded = format!("{value:.*}", places(value)).parse().unwrap_or(value);
    format!("{value:.*}", places(rounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tutorial;
    use crate::row::Answer;

    fn row(answer: Answer, sequential: u64, parallel: u64) -> Row {
        let [sequential, parallel] = [sequential, parallel].map(Duration::from_micros);
        let workload = "200,000 rows in shared memory".to_owned();
        Row { tutorial: Tutorial::T2, workload, sequential, parallel, answer, gang: None }
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0 ns"),
            (7, "7.00 ns"),
            (139_400, "139 us"),
            (9_996, "10.0 us"),
            (999_600, "1.00 ms"),
            (81_230_000, "81.2 ms"),
            (1_349_000_000, "1.35 s"),
            (12_345_678_000_000, "12346 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text, "{nanos}");
        }
    }

    #[test]
    fn factors_are_honest() {
        for (factor, text) in [
            (0.0213, "0.021x"),
            (0.001_04, "0.0010x"),
            (0.000_47, "<0.001x"),
            (0.996, "1.0x"),
            (1.94, "1.9x"),
            (7.96, "8.0x"),
            (250.4, "250x"),
        ] {
            assert_eq!(times(factor), text, "{factor}");
        }
    }

    #[test]
    fn columns_stand_below_their_names() {
        let lines = [header(), line(&row(Answer::Equal, 1_000, 4_000)), line(&row(Answer::Different, 1, 1))];
        let ends = |text: &str| lines.iter().map(|line| line.find(text)).collect::<Vec<_>>();
        assert_eq!(ends("sequential")[0].map(|at| at + 10), ends("1.00 ms")[1].map(|at| at + 7));
        assert_eq!(ends("speed-up")[0].map(|at| at + 8), ends("0.25x")[1].map(|at| at + 5));
        assert_eq!((ends("answer")[0], ends("DIFFERENT")[2]), (ends("equal")[1], ends("equal")[1]));
        assert!(lines.iter().all(|line| line.ends_with('\n') && line.lines().count() == 1));
    }

    #[test]
    fn the_footer_counts_what_is_wrong_and_points_to_what_pays() {
        let wrong = Answer::Failed("no room".to_owned());
        let rows = vec![row(Answer::Equal, 9, 3), row(Answer::Different, 3, 9), row(wrong, 3, 9)];
        let mut report = Report { rows, starts: Vec::new() };
        assert_eq!(footer(&report, 2), "\n1 of 3 answers are equal.\n");
        report.rows.push(row(Answer::Equal, 3, 9));
        report.starts = [9, 5, 7].map(Duration::from_millis).to_vec();
        let text = footer(&report, 2);
        assert!(text.contains("2 of 4 answers") && text.contains("7.00 ms (the median of 3)"), "{text}");
        assert!(text.contains("docs/guide/when-it-pays.md"), "{text}");
    }
}
