//! Formats of the output.

use crate::harness::Place;

#[test]
fn tables_have_a_header_and_kept_columns() {
    let place = Place::new("tables");
    place.file("p.csv", "id,name,path\n1,\"a, b\",x\n2,NA,y\n");
    let map = |flags: &str| place.map(&format!("fail --input p.csv --columns path --on-error report {flags}"), "");
    map("--output-format csv").gives(1, "value\n\"\"\n\"\"\n", &["p.csv:2: failed: x", "p.csv:3: failed: y"]);
    map("--output-format csv --keep id,name").gives(1, "id,name,value\n1,\"a, b\",\n2,NA,\n", &[]);
    map("--output-format tsv --keep name --missing NA").gives(1, "name\tvalue\na, b\t\nNA\t\n", &[]);
    map("--output-format jsonl --keep 1,name --missing NA").gives(
        1,
        "{\"id\":\"1\",\"name\":\"a, b\",\"value\":null}\n{\"id\":\"2\",\"name\":null,\"value\":null}\n",
        &[],
    );
    place.map("square --input p.csv --columns id --keep all --output-format csv", "").gives(
        0,
        "id,name,path,value\n1,\"a, b\",x,1\n2,NA,y,4\n",
        &[],
    );
    place.map("square --format csv --output-format csv --keep all", "x\n").gives(0, "x,value\n", &[]);
    place.map("square --output-format csv", "").gives(0, "value\n", &[]);
    place.map("square --output-format csv --keep all", "3\n").gives(0, "line,value\n3,9\n", &[]);
    place.map("square --format csv --output-format csv --keep all --columns value", "value\n3\n").gives(
        0,
        "value,value_2\n3,9\n",
        &[],
    );
}

#[test]
fn json_keys_are_kept_as_they_are() {
    let place = Place::new("keys");
    let line = "{\"b\": 1.50,\"x\":3}\n";
    place.map("square --format jsonl --columns x --keep all", line).gives(0, "{\"b\":1.50,\"x\":3,\"value\":9}\n", &[]);
    place.map("square --format jsonl --columns x --keep b,c --output-format csv", line).gives(
        0,
        "b,c,value\n1.50,,9\n",
        &[],
    );
    place.map("square --format jsonl --keep all --output-format tsv", line).gives(2, "", &["name the keys to keep"]);
}

#[test]
fn one_header_needs_the_same_columns_in_all_inputs() {
    let place = Place::new("headers");
    place.file("a.csv", "x\n1\n");
    place.file("b.csv", "y\n2\n");
    let flags = "square --input a.csv --input b.csv --columns 1 --keep all --output-format";
    place.map(&format!("{flags} csv"), "").gives(2, "", &["b.csv has other columns"]);
    place.map(&format!("{flags} jsonl"), "").gives(0, "{\"x\":\"1\",\"value\":1}\n{\"y\":\"2\",\"value\":4}\n", &[]);
}

#[test]
fn raw_is_bare() {
    let place = Place::new("raw");
    place.file("empty", "");
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
    place.map("sha256 --output-format raw", "empty\n").gives(0, digest, &[]);
    place.map("sha256", "empty\n").gives(0, &format!("\"{}\"\n", digest.trim_end()), &[]);
    place.map("word-count --output-format raw --on-error report", "absent\nempty\n").gives(
        1,
        "null\n0\n",
        &["stdin:1: failed: absent: No such file"],
    );
    place.file("a.txt", "one two\nthree");
    place.map("word-count", "a.txt\n").gives(0, "3\n", &[]);
    place.map("find-files --arg extension=txt", ".\n").gives(0, "[\"./a.txt\"]\n", &[]);
}

#[test]
fn records_say_everything() {
    let place = Place::new("records");
    place.file("n.csv", "x,y\n2,a\nz,b\n9999999999,c\n");
    let finished = place.map("square --input n.csv --columns x --keep y --output-format records --on-error report", "");
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    let records: Vec<serde_json::Value> =
        finished.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(records[0], serde_json::json!({"index": 0, "file": "n.csv", "line": 2, "keep": {"y": "a"}, "value": 4}));
    assert_eq!((&records[1]["index"], &records[1]["line"]), (&1.into(), &3.into()));
    assert_eq!(records[1]["error"]["kind"], "bad-record");
    assert_eq!(records[1]["error"]["message"], "column \"x\": \"z\" is not a whole number (i64)");
    let error = &records[2]["error"];
    assert_eq!((&error["kind"], &error["attempt"], &error["worker"]), (&"failed".into(), &1.into(), &().into()));
    assert_eq!(error["message"], "the square of 9999999999 is too large");
    assert!(error["pid"].is_u64() && error["duration_s"].is_f64(), "{error}");
}

#[test]
fn a_file_is_written_and_an_input_is_not() {
    let place = Place::new("file");
    place.file("n.txt", "3\n");
    place.map("square --input n.txt --output out", "").gives(0, "", &["1 ok"]);
    assert_eq!(std::fs::read_to_string(place.path("out")).unwrap(), "9\n");
    place.map("square --input n.txt --output ./n.txt", "").gives(2, "", &["./n.txt is an input as well"]);
    assert_eq!(std::fs::read_to_string(place.path("n.txt")).unwrap(), "3\n");
    place.map("square --output -", "3\n").gives(0, "9\n", &[]);
    place.map("square --output absent/out", "3\n").gives(
        74,
        "",
        &["cannot write absent/out: No such file or directory"],
    );
}
