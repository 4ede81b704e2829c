//! Flags, variables and what `ganger config` says of them.

use crate::harness::{Place, finish};
use crate::running::Finished;

fn with(place: &Place, variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Finished {
    let mut command = place.command();
    command.args(arguments).envs(variables.iter().copied());
    finish(command, input)
}

#[test]
fn variables_set_what_flags_do_not() {
    let place = Place::new("variables");
    let serial = ("GANGER_SERIAL", "1");
    with(&place, &[serial], &["map", "square"], "3\n").gives(0, "9\n", &[]);
    let arg = ("GANGER_ARG", r#"["min=1","max=2"]"#);
    with(&place, &[serial, arg], &["map", "count-in-range"], "[1,2,3]\n").gives(0, "2\n", &[]);
    let arg = ("GANGER_OUTPUT_FORMAT", "csv");
    with(&place, &[serial, arg], &["map", "square"], "3\n").gives(0, "value\n9\n", &[]);
    with(&place, &[serial, arg], &["map", "square", "--output-format", "raw"], "3\n").gives(0, "9\n", &[]);
    with(&place, &[("GANGER_WORKERS", "0")], &["map", "square"], "").gives(
        2,
        "",
        &["error: GANGER_WORKERS: \"0\" is no worker: at least 1", "--serial", "-j 100%"],
    );
    with(&place, &[("GANGER_LOG_FORMAT", "xml")], &["tasks"], "").gives(2, "", &["GANGER_LOG_FORMAT: \"xml\""]);
    with(&place, &[("GANGER_LOG", "a=b=c")], &["tasks"], "").gives(2, "", &["error: GANGER_LOG: "]);
}

#[test]
fn config_tells_every_origin() {
    let place = Place::new("config");
    let variables = [("GANGER_SEED", "7"), ("GANGER_MISSING", r#"["NA",""]"#), ("GANGER_LOG", "off")];
    let finished = with(&place, &variables, &["config", "-j", "50%", "--unordered"], "");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let row = |name: &str| {
        let mut rows = finished.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.find(|row| row[0] == name).map(|row| row.join(" ")).unwrap_or_default()
    };
    for expected in [
        "workers 50% flag --workers",
        "unordered true flag --unordered",
        "seed 7 environment GANGER_SEED",
        "missing [\"NA\",\"\"] environment GANGER_MISSING",
        "on-error stop default",
        "columns - default",
        "log off environment GANGER_LOG",
        "log-format text default",
    ] {
        assert_eq!(row(expected.split(' ').next().unwrap()), expected);
    }
    let wrong = with(&place, &[("GANGER_SEED", "x")], &["config"], "");
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.out.contains("GANGER_SEED") && wrong.err.contains("GANGER_SEED: \"x\""), "{wrong:?}");
}

#[test]
fn unknown_variables_are_warned_about_and_reserved_ones_are_not() {
    let place = Place::new("unknown");
    let variables = [
        ("GANGER_WORKER", "1"),
        ("GANGER_TEST_A", "1"),
        ("GANGER_TASK_B", "1"),
        ("GANGER_RUN_C", "1"),
        ("GANGER_BOOT", ""),
    ];
    let finished = with(&place, &variables, &["tasks"], "");
    assert_eq!(finished.err, "warning: unknown environment variable GANGER_WORKER; did you mean \"GANGER_WORKERS\"?\n");
    assert_eq!(finished.code, Some(0));
}

#[test]
fn events_are_text_or_json() {
    let place = Place::new("log");
    let log = ("GANGER_LOG", "debug");
    let text = with(&place, &[log], &["map", "square", "--serial"], "3\n");
    text.gives(0, "9\n", &["DEBUG", "reading input=\"stdin\""]);
    assert!(!text.err.contains('\u{1b}'), "{}", text.err);
    let json = with(&place, &[log, ("GANGER_LOG_FORMAT", "json")], &["map", "square", "--serial"], "3\n");
    let first = json.err.lines().next().unwrap();
    let event: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(event["level"], "DEBUG");
}
