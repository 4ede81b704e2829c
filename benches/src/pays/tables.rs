//! The tables of the page, of the records of a run.

use super::charts::methods;
use super::crossing::crossing;
use super::payload::{Kind, Payload};
use super::record::{Figure, Record, Results};
use super::units::{size, time};

/// What "worth it" is: half a processor more than the loop has.
const WORTH: f64 = 1.5;

/// All that the page has of a run: where it was, and two tables.
pub(super) fn all(results: &Results) -> String {
    let Results { about, records } = results;
    format!("Measured on {about}.\n\n{}\n{}", starts(records), tasks(records))
}

/// A row for each start method.
fn starts(records: &[Record]) -> String {
    let row = |method: String| {
        let own: Vec<_> = records.iter().filter(|record| record.start_method == method).collect();
        let of = |figure| own.iter().filter(move |record| record.figure == figure);
        let cost = of(Figure::Start).map(|record| time(record.ganger_us)).next();
        let points: Vec<_> = of(Figure::Work).filter_map(|record| record.speed_up()).collect();
        vec![format!("`{method}`"), cost.unwrap_or_default(), reached(&points, 1.0), reached(&points, WORTH)]
    };
    let head =
        ["start method", "a pool of 2: start, one task, end", "all work together: pays from", "1.5 times as fast from"];
    table(head.map(str::to_owned).into(), methods(records).into_iter().map(row))
}

/// A row for each payload.
fn tasks(records: &[Record]) -> String {
    let methods = methods(records);
    let row = |Payload { kind, bytes }: Payload| {
        let own = |figure: Figure| {
            records
                .iter()
                .filter(move |record| record.figure == figure && record.payload == kind && record.bytes == bytes)
        };
        let name = match kind {
            Kind::Bytes => format!("{}, sent", size(bytes)),
            Kind::Shared => format!("{}, shared", size(bytes)),
        };
        let mut cells = vec![name, own(Figure::Apply).map(|record| time(record.ganger_us)).next().unwrap_or_default()];
        cells.extend(methods.iter().map(|method| {
            own(Figure::Map)
                .find(|record| record.start_method == *method)
                .map_or_else(String::new, |it| time(it.ganger_us))
        }));
        let points: Vec<_> = own(Figure::Task).filter_map(Record::speed_up).collect();
        cells.extend([reached(&points, 1.0), reached(&points, WORTH)]);
        cells
    };
    let mut head = vec!["each task has".to_owned(), "`apply`".to_owned()];
    head.extend(methods.iter().map(|method| format!("`map`, {method}")));
    head.extend(["a task: pays from", "1.5 times as fast from"].map(str::to_owned));
    table(head, Payload::all().map(row))
}

fn reached(points: &[(f64, f64)], level: f64) -> String {
    crossing(points, level).map_or_else(String::new, |crossing| crossing.to_string())
}

fn table(head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    [line(&head), rule].into_iter().chain(rows.map(|row| line(&row))).collect()
}

#[cfg(test)]
mod tests {
    use ganger::StartMethod::{Fork, Spawn};

    use super::*;

    #[test]
    fn rows_are_made_of_records() {
        let record = |figure, method, time| Record::new(figure, method, Payload::SMALLEST, time);
        let records = vec![
            record(Figure::Apply, Spawn, 20.0),
            record(Figure::Map, Spawn, 0.5),
            record(Figure::Task, Spawn, 2.0).with_loop(1.0, 1.0),
            record(Figure::Task, Spawn, 50.0).with_loop(100.0, 75.0),
            record(Figure::Start, Spawn, 3_000.0),
            record(Figure::Work, Spawn, 3_000.0).with_loop(100.0, 100.0),
            record(Figure::Map, Fork, 0.6),
        ];
        let text = all(&Results { about: "today, here".to_owned(), records });
        assert!(text.starts_with("Measured on today, here.\n\n| start method |"), "{text}");
        assert!(text.contains("| `spawn` | 3 ms | above 100 us | above 100 us |\n| `fork` |  |  |  |\n"), "{text}");
        assert!(text.contains("| 8 B, sent | 20 us | 0.5 us | 0.6 us | 10 us | 100 us |\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), 1 + 2 + 1 + 10);
    }
}
