//! Rules that hold for all flags, and the help.

use crate::harness::{Place, finish};
use std::collections::BTreeSet;

/// Names each flag with a value that an innocent run takes.
const FLAGS: &[(&str, &str)] = &[
    ("--input", "n.csv"),
    ("--format", "csv"),
    ("--columns", "x"),
    ("--no-header", ""),
    ("--delimiter", ";"),
    ("--null", ""),
    ("--missing", "NA"),
    ("--short-rows", "skip"),
    ("--arg", "ms=0"),
    ("--output", "-"),
    ("--output-format", "csv"),
    ("--keep", "x"),
    ("--unordered", ""),
    ("--workers", "2"),
    ("--serial", ""),
    ("--start-method", "spawn"),
    ("--chunksize", "5"),
    ("--max-tasks-per-worker", "5"),
    ("--seed", "5"),
    ("--on-error", "report"),
    ("--fail-after", "5"),
    ("--timeout", "1.5m"),
    ("--queue-timeout", "2h"),
    ("--grace", "250ms"),
    ("--retries", "3"),
    ("--memory", "1GiB"),
    ("--memory-soft", "512M"),
    ("--capture", "64KiB"),
    ("--rlimit", "core=0,nofile=256:1024"),
    ("--nice", "19"),
    ("--pin", "auto"),
    ("--cgroup", ""),
    ("--progress", "none"),
];

/// Those that mean nothing without another.
const DEPENDENT: &[(&str, &str)] = &[
    ("--backoff", "100ms..10s"),
    ("--retry-on", "crash,timeout"),
    ("--db", "sqlite:a.db"),
    ("--input-sql", "SELECT 1"),
    ("--claim", "jobs"),
    ("--lease", "90s"),
    ("--attempts", "5"),
    ("--output-sql", "results"),
    ("--key", "id"),
];

fn help(place: &Place) -> String {
    let finished = place.run(&["map", "--help"], "");
    assert_eq!(finished.code, Some(0));
    finished.out
}

#[test]
fn the_list_is_complete() {
    let place = Place::new("complete");
    let help = help(&place);
    let words = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
    let shown: BTreeSet<&str> = words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect();
    let known: BTreeSet<&str> = FLAGS.iter().chain(DEPENDENT).map(|(flag, _)| *flag).chain(["--help"]).collect();
    assert_eq!(shown, known);
}

#[test]
fn each_flag_and_each_twin_is_accepted() {
    let place = Place::new("accepted");
    for (flag, value) in FLAGS {
        let arguments =
            [&["config", flag][..], if value.is_empty() { &[] } else { std::slice::from_ref(value) }].concat();
        let by_flag = place.run(&arguments, "");
        assert_eq!(by_flag.code, Some(0), "{flag}: {}", by_flag.err);
        assert!(by_flag.out.contains(&format!("flag {flag}\n")), "{flag}: {}", by_flag.out);

        let variable = format!("GANGER_{}", flag[2..].to_uppercase().replace('-', "_"));
        let repeatable = ["--input", "--missing", "--arg"].contains(flag);
        let text = match *value {
            "" => "true".to_owned(),
            value if repeatable => format!("[{value:?}]"),
            value => value.to_owned(),
        };
        let mut command = place.command();
        command.arg("config").env(&variable, text);
        let by_variable = finish(command, "");
        by_variable.gives(0, &by_variable.out, &[]);
        assert!(by_variable.out.contains(&format!("environment {variable}\n")), "{variable}: {}", by_variable.out);
        assert_eq!(by_variable.err, "", "{variable}");
    }
}

#[test]
fn switches_and_short_flags() {
    let place = Place::new("short");
    place
        .map(
            "square -j 3 -0 --unordered --chunksize 5 --max-tasks-per-worker 9 --seed 1 --start-method fork",
            "2\x003\x00",
        )
        .gives(0, "4\n9\n", &[]);
    place.map("square -j -1", "2\n").gives(0, "4\n", &[]);
    place.map("square -j 50%", "2\n").gives(0, "4\n", &[]);
    place.map("square --progress plain", "2\n").gives(0, "4\n", &["progress: 1 ok, 0 failed\n"]);
    place.map("square --progress bar", "2\n").gives(0, "4\n", &["progress: 1 ok, 0 failed\n"]);
    for choice in ["auto", "none"] {
        let finished = place.map(&format!("square --progress {choice}"), "2\n");
        assert_eq!(finished.err.lines().count(), 1, "{}", finished.err);
    }
}

#[test]
fn wrong_usage_has_its_code_and_a_hint() {
    let place = Place::new("usage");
    for (arguments, text) in [
        (&["map"][..], "TASK"),
        (&["map", "square", "--wrokers", "3"], "--workers"),
        (&["map", "square", "--format", "xml"], "jsonl"),
        (&["mapp"], "map"),
        (
            &["map", "square", "--serial", "-j", "0"],
            "--workers: \"0\" is no worker: at least 1 does the work; --serial",
        ),
        (&["map", "square", "--serial", "--delimiter", ";"], "--delimiter is for CSV and TSV"),
        (&["map", "square", "--serial", "--no-header"], "--no-header is for CSV and TSV"),
        (&["map", "square", "--serial", "--format", "jsonl", "-0"], "--null: only lines end with a NUL byte"),
        (&[], "Usage"),
    ] {
        place.run(arguments, "").gives(2, "", &[text]);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new("help");
    let text = help(&place).split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in ["Examples:", "Exit codes:", "GANGER_START_METHOD", "141", "[default: 100%]"] {
        assert!(text.contains(expected), "{expected}");
    }
    let version = place.run(&["--version"], "");
    assert_eq!((version.code, version.out.as_str()), (Some(0), concat!("ganger ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn tasks_are_listed_with_signature_and_description() {
    let place = Place::new("tasks");
    let finished = place.run(&["tasks"], "");
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let signatures: Vec<&str> =
        finished.out.lines().filter(|line| line.contains('(') && !line.starts_with(' ')).collect();
    let names: Vec<&str> = signatures.iter().map(|line| line.split('(').next().unwrap()).collect();
    let ordinary = ["count-in-range", "cube", "find-files", "sha256", "sleep-square", "square", "sum", "word-count"];
    let trouble = ["exit", "fail", "hang", "kill", "panic"];
    assert_eq!(names, [&ordinary[..], &trouble[..]].concat());
    assert!(
        finished
            .out
            .contains("count-in-range(row: Vec<Option<f64>>, min: f64, max: f64) -> u64\n    Counts the values")
    );
    assert!(finished.out.contains("\ntrying things out:\n"));
}
