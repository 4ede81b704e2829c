//! How records become arguments.

use crate::harness::Place;

#[test]
fn several_arguments_are_filled_by_name_or_in_order() {
    let place = Place::new("several");
    let csv = |flags: &str, input: &str| place.map(format!("sleep-square --format csv {flags}").trim_end(), input);
    csv("", "ms,other,x\n0,9,5\n").gives(0, "25\n", &[]);
    csv("--columns a,b", "b,a\n0,5\n").gives(0, "25\n", &[]);
    csv("--columns ms,x", "ms,x\n0,5\n").gives(0, "25\n", &[]);
    csv("--no-header", "5,0\n").gives(0, "25\n", &[]);
    csv("--arg ms=0", "x\n5\n").gives(0, "25\n", &[]);
    csv("--arg ms=0 --columns b", "a,b\n1,5\n").gives(0, "25\n", &[]);
    place.map("sleep-square --format jsonl", "{\"x\":5,\"ms\":0,\"y\":[]}\n").gives(0, "25\n", &[]);
    place.map("sleep-square --format jsonl --columns a,b", "{\"b\":0,\"a\":5}\n").gives(0, "25\n", &[]);
    place.map("count_in_range --arg min=1 --arg max=2", "[0,1,2,3]\n").gives(0, "2\n", &[]);
}

#[test]
fn text_is_converted_to_the_declared_type_and_never_guessed() {
    let place = Place::new("types");
    place.map("fail --on-error report", "007\n").gives(1, "null\n", &["stdin:1: failed: 007\n"]);
    place.map("square", "007\n").gives(0, "49\n", &[]);
    place.map("square", " 7 \n").gives(0, "49\n", &[]);
    place.map("fail --format jsonl", "7\n").gives(65, "", &["stdin:1: \"7\" does not fit", "expected a string"]);
    place.map("square --format jsonl", "\"7\"\n").gives(65, "", &["does not fit", "expected i64"]);
}

#[test]
fn wrong_bindings_are_refused_before_a_task_runs() {
    let place = Place::new("wrong");
    place.file("w.csv", "temp,dewp\n1,2\n");
    for (flags, texts) in [
        ("square --input w.csv", &["argument \"x\" of square is one value (i64)", "--columns", "temp, dewp"][..]),
        (
            "square --input w.csv --columns tmp",
            &["--columns: w.csv: there is no column \"tmp\"", "did you mean \"temp\"?"],
        ),
        ("square --input w.csv --columns 3", &["there is no column 3", "from 1 to 2"]),
        (
            "square --input w.csv --columns 1 --keep x",
            &["--keep: w.csv: there is no column \"x\"; there are temp, dewp"],
        ),
        ("sleep-square --input w.csv", &["w.csv: nothing fills argument \"x\"", "there are temp, dewp"]),
        ("sleep-square --input w.csv --columns temp", &["nothing fills argument \"x\""]),
        ("sleep-square", &["a line fills one argument, but sleep-square needs x and ms"]),
        ("sleep-square --format jsonl --columns x", &["nothing fills argument \"ms\"", "there are x"]),
        ("square --columns a", &["lines have no columns"]),
        ("square --keep a", &["lines have one column only"]),
        ("square --arg y=1", &["--arg y=...: no such argument", "square(x: i64)"]),
        ("sleep-square --arg mss=1", &["no such argument; did you mean \"ms\"?"]),
        ("sleep-square --arg ms=x", &["--arg ms=...: \"x\" is not a whole number (u64)"]),
        ("sleep-square --arg ms=1 --arg ms=2", &["given twice"]),
        ("square --arg x=1", &["--arg fixes every argument of square"]),
    ] {
        place.map(flags, "3\n").gives(2, "", texts);
    }
}
