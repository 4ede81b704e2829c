//! Input that is wrong: the error names the place and what was expected.

use crate::harness::Place;

#[test]
fn missing_inputs_are_found_before_anything_runs() {
    let place = Place::new("missing");
    place.file("n.txt", "3\n");
    place.map("square --input n.txt --input absent", "").gives(
        66,
        "",
        &["error: cannot read absent: No such file or directory\n"],
    );
    place.map("square --input .", "").gives(66, "", &["cannot read ."]);
    place.map("square --input - --input -", "").gives(2, "", &["standard input can be read only once"]);
    let mut command = place.command();
    command.args(["map", "square", "--serial"]).stdin(std::fs::File::open(".").unwrap());
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(66), "{err}");
    assert!(err.contains("error: cannot read stdin: Is a directory"), "{err}");
    place.map("sqaure", "").gives(2, "", &["there is no task \"sqaure\"; did you mean \"square\"?"]);
}

#[test]
fn a_bad_record_stops_after_the_results_before_it() {
    let place = Place::new("stop");
    place.file("w.csv", "temp,dewp\n1,2\n\n3,abc\n5,6\n");
    place.map("sum --input w.csv", "").gives(65, "3\n", &["error: w.csv:4: column \"dewp\": \"abc\" is not a number"]);
    place.map("count-in-range --input w.csv --arg min=0 --arg max=9", "").gives(
        65,
        "2\n",
        &["w.csv:4: column \"dewp\": \"abc\" is not a number (f64)", "1 ok, 1 failed"],
    );
    place.map("count-in-range --input w.csv --arg min=0 --arg max=9 --on-error report", "").gives(
        1,
        "2\nnull\n2\n",
        &["w.csv:4: column \"dewp\"", "2 ok, 1 failed"],
    );
    for (flags, input, out, text) in [
        ("square", "1\nx\n", "1\n", "stdin:2: \"x\" is not a whole number (i64)"),
        ("square", "1\n\n", "1\n", "stdin:2: \"\" is not a whole number (i64)"),
        ("square --missing NA", "1\nNA\n", "1\n", "stdin:2: is missing, a whole number (i64) is expected"),
        ("sum --format csv", "a,b\n1,2\n1\n", "3\n", "stdin:3: the row has 1 cell, 2 are expected"),
        ("sum --format csv", "a,b\n1,2,3\n", "", "stdin:2: the row has 3 cells, 2 are expected"),
        ("sum --format csv", "a,b\n1,\"2\n", "", "stdin:2: a quoted cell is never closed"),
        (
            "sum --format csv",
            "a,b\n\"1\"x,2\n",
            "",
            "stdin:2: cell 1: after its closing quote comes 'x' instead of ','",
        ),
        ("sum --format csv", "a,\"b\n", "", "stdin:1: a quoted cell is never closed"),
        ("sum --format jsonl", "[1]\n[1,true]\n", "1\n", "stdin:2: element 1: "),
        ("sum --format jsonl", "[1\n", "", "stdin:1: \"[1\" does not fit: EOF while parsing"),
        ("sum --format jsonl --columns a", "[1]\n", "", "stdin:1: invalid type: sequence, expected a JSON object"),
        ("square --format jsonl --columns a", "{\"b\":1}\n", "", "stdin:1: key \"a\": is missing"),
    ] {
        place.map(flags, input).gives(65, out, &[text]);
    }
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let place = Place::new("utf8");
    place.map("fail", b"\xff\n").gives(65, "", &["stdin:1: not UTF-8: byte 0xff at position 0"]);
    place.map("sum --format csv", b"a\n1\n\xc3\n").gives(65, "1\n", &["stdin:3: not UTF-8: byte 0xc3 at position 4"]);
    place.map("sum --format csv", b"a,\"b\xfe\"\n").gives(65, "", &["stdin:1: not UTF-8: byte 0xfe at position 4"]);
    place.map("sum --format jsonl --on-error report", b"[1]\n[\xff]\n[2]\n").gives(
        1,
        "1\nnull\n2\n",
        &["stdin:2: not UTF-8: byte 0xff at position 5"],
    );
    // Two halves of a character in neighbouring cells make none.
    place.map("fail --format csv --columns 1", b"a,b\n\xc3,\xa4\n").gives(65, "", &["stdin:2: not UTF-8"]);
}

#[test]
fn many_bad_records_are_reported_in_their_places() {
    let place = Place::new("many");
    let input: String = (0..10_000).map(|n| if n % 2 == 0 { format!("{n}\n") } else { "x\n".to_owned() }).collect();
    let finished = place.map("square --on-error report", input);
    assert_eq!(finished.code, Some(1));
    for (n, line) in finished.out.lines().enumerate() {
        assert_eq!(line, if n % 2 == 0 { (n * n).to_string() } else { "null".to_owned() });
    }
    assert_eq!(finished.out.lines().count(), 10_000);
    assert!(finished.err.contains("stdin:10000: ") && finished.err.contains("5000 ok, 5000 failed"));
}
