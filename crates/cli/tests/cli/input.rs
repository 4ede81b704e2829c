//! Formats of the input.

use crate::harness::Place;

#[test]
fn lines() {
    let place = Place::new("lines");
    place.map("square", "1\n2\n3").gives(0, "1\n4\n9\n", &["3 ok, 0 failed in ", " s, serial"]);
    place.map("square", "").gives(0, "", &["0 ok, 0 failed"]);
    place.map("square", "\u{feff}1\r\n2\r\n").gives(0, "1\n4\n", &[]);
    place.map("square --input -", "4\n").gives(0, "16\n", &[]);
    place.map("square -0", "1\x002\x00").gives(0, "1\n4\n", &[]);
    place.map("square --format lines --null", "3").gives(0, "9\n", &[]);
}

#[test]
fn auto_goes_by_the_extension_alone() {
    let place = Place::new("auto");
    place.file("n.csv", "x\n2\n");
    place.file("n.tsv", "x\ty\n3\t4\n");
    place.file("n.jsonl", "[5]\n");
    place.file("n.ndjson", "[6]\n");
    place.file("n.txt", "[7]\n");
    place.map("sum --input n.csv --input n.tsv --input n.jsonl --input n.ndjson --input n.txt", "").gives(
        0,
        "2\n7\n5\n6\n7\n",
        &["5 ok"],
    );
    place.map("sum --input n.csv --format lines", "").gives(65, "", &["n.csv:1: \"x\" is not a list"]);
}

#[test]
fn csv() {
    let place = Place::new("csv");
    let csv = |flags: &str, input: &str| place.map(format!("sum --format csv {flags}").trim_end(), input);
    csv("", "a,b\n1,2\n3,4\n").gives(0, "3\n7\n", &[]);
    csv("", "\u{feff}a,b\r\n1,2\r\n").gives(0, "3\n", &[]);
    csv("", "").gives(0, "", &["0 ok"]);
    csv("", "\u{feff}").gives(0, "", &["0 ok"]);
    csv("", "a,b\n").gives(0, "", &["0 ok"]);
    csv("", "a,\"b\nc\"\n\n1,\"2\"\n").gives(0, "3\n", &[]);
    csv("--columns b", "a,b\n1,2\n").gives(0, "2\n", &[]);
    csv("--columns 2,1", "a,b\n1,2\n").gives(0, "3\n", &[]);
    csv("--no-header", "1,2\n3,4\n").gives(0, "3\n7\n", &[]);
    csv("--no-header --columns 2", "1,2\n3,4\n").gives(0, "2\n4\n", &[]);
    csv("--delimiter ;", "a;b\n1;2\n").gives(0, "3\n", &[]);
    csv("--delimiter \\t", "a\tb\n1\t2\n").gives(0, "3\n", &[]);
    csv("--missing NA --missing -", "a,b,c\n1,NA,-\n").gives(0, "1\n", &[]);
    csv("--short-rows skip", "a,b\n1,2\n3\n4,5\n").gives(
        0,
        "3\n9\n",
        &["2 ok, 0 failed, 1 short row skipped (stdin:3) in"],
    );
}

#[test]
fn json_lines() {
    let place = Place::new("jsonl");
    let json = |flags: &str, input: &str| place.map(&format!("{flags} --format jsonl"), input);
    json("sum", "[1,2]\n\n[3,null,0.5]\n").gives(0, "3\n3.5\n", &[]);
    json("sum --columns a,b", "{\"b\":1,\"a\":2,\"c\":\"x\"}\n").gives(0, "3\n", &[]);
    json("sum --columns list", "{\"list\":[1,2]}\n").gives(0, "3\n", &[]);
    json("sum --columns a,b", "{\"b\":1}\n").gives(0, "1\n", &[]);
    json("square", "9007199254740993\n").gives(3, "", &["the square of 9007199254740993 is too large"]);
}

#[test]
fn the_main_job_on_real_data() {
    let place = Place::new("weather");
    let weather = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/weather.csv");
    let flags =
        format!("count-in-range --input {weather} --columns temp,dewp,humid --missing NA --arg min=30 --arg max=60");
    let finished = place.map(&flags, "");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(finished.err.contains("26115 ok, 0 failed"), "{}", finished.err);
    let count = |wanted: &str| finished.out.lines().filter(|line| *line == wanted).count();
    assert_eq!([count("0"), count("1"), count("2"), count("3")], reference(weather));
}

/// Counts once more with the csv crate.
fn reference(weather: &str) -> [usize; 4] {
    let mut counts = [0; 4];
    let mut reader = csv::Reader::from_path(weather).expect("the data is in the repository");
    for row in reader.records().map(|row| row.expect("the data is valid")) {
        let within = |cell: &str| cell != "NA" && (30.0..=60.0).contains(&cell.parse::<f64>().expect("a number"));
        counts[[5, 6, 7].into_iter().filter(|column| within(&row[*column])).count()] += 1;
    }
    counts
}
