//! Does a typical mistake get an answer that helps?

use crate::harness::Place;

#[test]
fn mistakes_on_the_command_line_are_answered_with_what_was_meant() {
    let place = Place::new("mistakes");
    for (arguments, answer) in [
        ("map sqaure", "did you mean \"square\"? (`ganger tasks` lists them)"),
        ("map sqare --serial", "did you mean \"square\"?"),
        ("square", "tip: `ganger map square` runs the task square"),
        ("map", "tip: `ganger tasks` lists the tasks"),
        ("map square weather.csv", "tip: a file is read by --input weather.csv"),
        ("map square --jobs 3", "tip: --workers N, or -j N"),
        ("map count-in-range --min 3", "tip: an argument of the task is fixed by --arg min=VALUE"),
        ("map square --wrokers 3", "tip: a similar argument exists: '--workers'"),
        ("map square --format cvs", "possible values: auto, lines, csv, tsv, jsonl"),
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        place.run(&words, "").gives(2, "", &[answer]);
    }
    let finished = place.run(&["tasks", "square"], "");
    assert!(finished.code == Some(2) && !finished.err.contains("tip: a file"), "{}", finished.err);
}

#[test]
fn mistakes_about_the_file_are_answered_with_the_flag_that_helps() {
    let place = Place::new("files");
    place.file("tabs.csv", "temp\tdewp\n1\t2\n");
    place.file("semicolons.csv", "temp;dewp\n1;2\n");
    place.file("na.csv", "temp,dewp\n1,NA\n");
    let map = |flags: &str| place.gang(&format!("count-in-range --arg min=0 --arg max=9 {flags}"), "");
    map("--input tabs.csv --columns temp").gives(2, "", &["which --format tsv would split"]);
    map("--input semicolons.csv --columns temp").gives(2, "", &["which --delimiter ';' would split"]);
    map("--input na.csv").gives(
        65,
        "",
        &["na.csv:2: column \"dewp\": \"NA\" is not a number (f64); --missing NA makes it null\n"],
    );
    map("--input na.csv --missing NA").gives(0, "1\n", &[]);
    // There it would not help: the argument cannot be null.
    let finished = place.gang("square --input na.csv --columns dewp", "");
    assert!(finished.code == Some(65) && !finished.err.contains("--missing"), "{}", finished.err);
}
