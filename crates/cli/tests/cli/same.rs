//! Do workers give what `--serial` gives, byte for byte?

use crate::harness::{METHODS, Place, example_data};
use crate::running::Finished;

/// Runs with `flags` under every start method, and compares each with the serial run.
fn compare(place: &Place, flags: &str, input: &str, ways: &[&str]) {
    let serial = place.map(flags, input);
    assert_eq!(serial.code, Some(0), "{}", serial.err);
    for method in METHODS {
        for way in ways {
            let finished = place.gang(&format!("{flags} --start-method {method} {way}"), input);
            finished.equals(&serial, &format!("{method} {way}"));
            assert!(finished.err.ends_with(&format!(", {method}\n")), "{}", finished.err);
        }
    }
}

fn sorted(finished: &Finished) -> Vec<&str> {
    let mut lines: Vec<&str> = finished.out.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn weather() {
    let place = Place::new("same-weather");
    let flags = format!(
        "count-in-range --input {} --columns temp,dewp,humid --missing NA --arg min=30 --arg max=60",
        example_data("weather.csv")
    );
    compare(
        &place,
        &flags,
        "",
        &["-j 1", "-j 2", "-j 8", "--chunksize 1", "--chunksize 7", "-j 8 --chunksize 1000000"],
    );
}

#[test]
fn airports_with_all_their_columns() {
    let place = Place::new("same-airports");
    for format in ["csv", "tsv", "jsonl", "records"] {
        let flags = format!(
            "count-in-range --input {} --columns lat,lon,alt --arg min=0 --arg max=50 --keep all --output-format {format}",
            example_data("airports.csv")
        );
        compare(&place, &flags, "", &["", "-j 8 --chunksize 7", "--max-tasks-per-worker 300"]);
    }
}

#[test]
fn a_million_lines() {
    let place = Place::new("same-million");
    let numbers: String = (0..1_000_000).map(|n: i64| format!("{}\n", (n * 7919) % 1_000_003 - 500_000)).collect();
    compare(&place, "square", &numbers, &["-j 2"]);
    let serial = place.map("square", &numbers);
    let unordered = place.gang("square --unordered -j 8", &numbers);
    assert_eq!(unordered.code, Some(0), "{}", unordered.err);
    assert!(sorted(&serial) == sorted(&unordered), "other results, not only another order");
}

#[test]
fn fields_of_a_struct() {
    let place = Place::new("same-struct");
    let flags = format!("antipode --input {} --columns faa,lat,lon", example_data("airports.csv"));
    let serial = place.program_map(&format!("{flags} --serial"), "");
    assert!(serial.out.starts_with("{\"faa\":\"04g\",\"lat\":-41.1304722,"), "{}", serial.err);
    for method in METHODS {
        let finished = place.program_map(&format!("{flags} --start-method {method}"), "");
        finished.equals(&serial, method);
    }
}

#[test]
fn random_numbers_depend_on_seed_and_record_alone() {
    let place = Place::new("same-random");
    let input = "1000000\n".repeat(2_000);
    let serial = place.program_map("roll --serial --seed 7", &input);
    assert_eq!(serial.code, Some(0), "{}", serial.err);
    for method in METHODS {
        for way in ["-j 1", "-j 3 --chunksize 1", "-j 8 --chunksize 7", "--max-tasks-per-worker 500"] {
            let finished = place.program_map(&format!("roll --seed 7 --start-method {method} {way}"), &input);
            finished.equals(&serial, &format!("{method} {way}"));
        }
    }
    assert_ne!(place.program_map("roll --seed 8", &input).out, serial.out);
    assert_ne!(place.program_map("roll", &input).out, place.program_map("roll", &input).out);
}
