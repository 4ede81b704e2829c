//! Values that make no sense: one line names where they came from, what they are and what would do, and nothing is run.

use crate::harness::{Place, finish};

/// A whole number without an end of its own.
const WHOLE: &str = "is not a whole number from 1 to 18446744073709551615";

/// Names a flag, a value, and what is said of it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "workers",
        "0",
        "\"0\" is no worker: at least 1 does the work; --serial runs without, -j 100% uses all processors",
    ),
    ("workers", "0%", "\"0%\" is no worker: at least 1"),
    ("workers", "1e9", "\"1e9\" is neither a number (4), a share of the processors (50%) nor all but some (-1)"),
    ("workers", "1.5", "\"1.5\" is neither a number"),
    ("workers", "--1", "\"--1\" is neither a number"),
    ("workers", "99999999999", "\"99999999999\" is too many: from 1 to 1048576 workers, or from 1% to 10000%"),
    ("workers", "1000000000000%", "\"1000000000000%\" is too many"),
    ("chunksize", "0", "\"0\" is neither auto nor a whole number from 1 to 18446744073709551615"),
    ("chunksize", "-1", "\"-1\" is neither auto nor a whole number"),
    ("chunksize", "Auto", "\"Auto\" is neither auto nor a whole number"),
    ("max-tasks-per-worker", "0", WHOLE),
    ("max-tasks-per-worker", "-5", WHOLE),
    ("max-tasks-per-worker", "18446744073709551616", WHOLE),
    ("fail-after", "0", WHOLE),
    ("fail-after", "1.5", WHOLE),
    ("fail-after", "-1", WHOLE),
    ("seed", "-1", "\"-1\" is not a whole number from 0 to 18446744073709551615"),
    ("seed", "0x10", "\"0x10\" is not a whole number from 0"),
    ("timeout", "0", "\"0\" is out of range: a time is from 1ms to 24000h"),
    ("timeout", "-1s", "\"-1s\" is out of range: a time is from 1ms to 24000h"),
    ("timeout", "99999999999999999999h", "is out of range: a time is from 1ms to 24000h"),
    ("timeout", "5 s", "\"5 s\" is not a time such as 250ms, 10s, 1.5m or 2h"),
    ("timeout", "inf", "\"inf\" is not a time such as"),
    ("queue-timeout", "0.1ms", "\"0.1ms\" is out of range"),
    ("queue-timeout", "NaN", "\"NaN\" is not a time such as"),
    ("queue-timeout", "-5", "\"-5\" is out of range"),
    ("grace", "-1ms", "\"-1ms\" is out of range: a time is 0, or from 1ms to 24000h"),
    ("grace", "24001h", "\"24001h\" is out of range: a time is 0, or from 1ms to 24000h"),
    ("retries", "-1", "\"-1\" is not a whole number from 0 to 1000000"),
    ("retries", "1000001", "\"1000001\" is not a whole number from 0 to 1000000"),
    ("retries", "all", "\"all\" is not a whole number from 0 to 1000000"),
    ("backoff", "2s..1s", "\"2s..1s\" is out of order: 2s is longer than 1s"),
    ("backoff", "-1s..1s", "\"-1s\" is out of range: a time is 0, or from 1ms to 24000h"),
    ("backoff", "1s", "\"1s\" is not two times such as 100ms..10s"),
    ("retry-on", "crash,fire", "\"fire\" is none of panic, crash, timeout, error"),
    ("memory", "5", "\"5\" is out of range: a size is from 1MiB to 1024TiB, and a bare number is bytes"),
    ("memory", "0", "\"0\" is out of range: a size is from 1MiB"),
    ("memory", "-1G", "\"-1G\" is out of range: a size is from 1MiB"),
    ("memory", "9999999T", "\"9999999T\" is out of range: a size is from 1MiB to 1024TiB"),
    ("memory", "1e9", "\"1e9\" is not a size such as 512M, 1.5GiB or 64KiB"),
    ("memory-soft", "5", "\"5\" is out of range: a size is from 1MiB"),
    ("memory-soft", "5 M", "\"5 M\" is not a size such as"),
    ("columns", "a,,b", "\"a,,b\" holds an empty name"),
    ("keep", ",", "\",\" holds an empty name"),
    ("delimiter", "ab", "\"ab\" is not one ASCII character that can stand between cells"),
];

/// Of several the wrong one is named.
#[track_caller]
fn assert_named(err: &str, value: &str) {
    let named = value.split("..").chain(value.split(',')).chain([value]).any(|part| err.contains(&format!("{part:?}")));
    assert!(named, "{value:?} is not named in {err:?}");
}

#[test]
fn flags_are_refused_by_name_value_and_range() {
    let place = Place::new("wrong-flags");
    for (flag, value, said) in WRONG {
        let flag = format!("--{flag}");
        let finished = place.run(&["map", "square", &flag, value], "3\n");
        finished.gives(2, "", &[&format!("error: {flag}: \""), said]);
        assert_named(&finished.err, value);
        assert_eq!(finished.err.lines().count(), 1, "{}", finished.err);
    }
}

#[test]
fn variables_are_refused_by_their_own_names() {
    let place = Place::new("wrong-twins");
    for (flag, value, said) in WRONG {
        let variable = format!("GANGER_{}", flag.to_uppercase().replace('-', "_"));
        let mut command = place.command();
        command.args(["map", "square"]).env(&variable, value);
        let finished = finish(command, "3\n");
        finished.gives(2, "", &[&format!("error: {variable}: \""), said]);
        assert_named(&finished.err, value);
        assert_eq!(finished.err.lines().count(), 1, "{}", finished.err);
    }
}

#[test]
fn a_file_without_a_name_is_wrong_usage() {
    let place = Place::new("no-name");
    for flag in ["--input", "--output"] {
        let finished = place.run(&["map", "square", flag, ""], "3\n");
        finished.gives(2, "", &[&format!("error: {flag}: \"\" is no name of a file; - is standard input or output\n")]);
    }
}

/// A flag in the place of a forgotten value is taken for the value, and named as such.
#[test]
fn a_forgotten_value_is_noticed() {
    let place = Place::new("forgotten");
    for (arguments, said) in [
        (&["map", "square", "--timeout", "--unordered"][..], "error: --timeout: \"--unordered\" is not a time such as"),
        (&["map", "square", "--memory", "--serial"], "error: --memory: \"--serial\" is not a size such as"),
        (&["map", "square", "-j", "--serial"], "error: --workers: \"--serial\" is neither a number"),
        (&["map", "square", "--timeout"], "a value is required for '--timeout <TIME>' but none was supplied"),
        (&["map", "square", "--output", "--serial"], "a value is required for '--output <FILE>' but none was supplied"),
    ] {
        place.run(arguments, "3\n").gives(2, "", &[said]);
    }
}

#[test]
fn words_that_are_no_choice_are_refused_with_the_choices() {
    let place = Place::new("wrong-words");
    for (flag, word) in [
        ("format", "xml"),
        ("output-format", "CSV"),
        ("on-error", "ignore"),
        ("start-method", "thread"),
        ("progress", "yes"),
        ("short-rows", ""),
    ] {
        let by_flag = place.run(&["map", "square", &format!("--{flag}"), word], "3\n");
        by_flag.gives(2, "", &[&format!("--{flag}"), "[possible values: "]);
        let variable = format!("GANGER_{}", flag.to_uppercase().replace('-', "_"));
        let mut command = place.command();
        command.args(["map", "square"]).env(&variable, if word.is_empty() { "no" } else { word });
        finish(command, "3\n").gives(2, "", &[&format!("error: {variable}: "), " is none of "]);
    }
}
