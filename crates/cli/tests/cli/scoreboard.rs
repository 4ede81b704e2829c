//! The faults that are run against Python's engines, run through the binary: exit code, results, messages, and what is left.

use crate::harness::{METHODS, Place, finish};
use crate::processes::{marked, wait_until};
use crate::running::{Finished, Running};
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;

/// Names each fault as `tests/src/faults/table.rs` does, the kind of its error, and what is said of it.
const FAULTS: [(&str, &str, &str); 9] = [
    ("sigkill", "killed", "was killed by SIGKILL"),
    ("sigsegv", "killed", "was killed by SIGSEGV"),
    ("_exit-0", "exited", "ended its process with exit code 0"),
    ("exit-3", "exited", "ended its process with exit code 3"),
    ("garbage-text", "protocol-violation", "lost its worker, which was killed: a frame is malformed"),
    ("closes-everything", "protocol-violation", "lost its worker, which was killed: it closed its link"),
    ("grandchild-holds-the-link", "killed", "was killed by SIGKILL"),
    ("result-not-serializable", "not-serializable", "not this one"),
    ("returns-err", "failed", "failed: not today"),
];

/// Of twenty records the eighth commits the fault.
fn twenty() -> String {
    (0..20).map(|index| format!("{index}\n")).collect()
}

fn values(range: impl Iterator<Item = u32>) -> String {
    let line = |index| if index == 7 { "null\n".to_owned() } else { format!("{{\"Plain\":{index}}}\n") };
    range.map(line).collect()
}

fn mapping(place: &Place, fault: &str, flags: &str) -> Command {
    let mut command = place.program_mapping(&format!("commit -j 2 --arg fault={fault} {flags}"));
    // Where such tasks leave word for each other.
    command.env("GANGER_TEST_DIR", place.path(""));
    command
}

fn run(place: &Place, fault: &str, flags: &str) -> Finished {
    finish(mapping(place, fault, flags), twenty())
}

#[test]
fn under_report_nineteen_of_twenty_end_well() {
    for (fault, _, said) in FAULTS {
        for method in METHODS {
            let place = Place::new("board-report");
            let finished = run(&place, fault, &format!("--on-error report --start-method {method}"));
            finished.gives(1, &values(0..20), &["stdin:8: ", said, "19 ok, 1 failed in "]);
            assert_eq!(finished.err.lines().count(), 2, "{fault}: {}", finished.err);
            place.audit();
        }
    }
}

#[test]
fn under_stop_the_seven_before_it_are_written() {
    for (fault, _, said) in FAULTS {
        for method in METHODS {
            let place = Place::new("board-stop");
            let finished = run(&place, fault, &format!("--start-method {method}"));
            finished.gives(3, &values(0..7), &["error: stdin:8: ", said, "\n7 ok, 1 failed"]);
            place.audit();
        }
    }
}

#[test]
fn records_name_the_kind() {
    for (fault, kind, _) in FAULTS {
        let place = Place::new("board-records");
        let finished = run(&place, fault, "--on-error report --output-format records");
        let lines: Vec<serde_json::Value> =
            finished.out.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        assert_eq!((finished.code, lines.len()), (Some(1), 20), "{fault}: {}", finished.err);
        for (index, line) in (0_u64..).zip(&lines) {
            assert_eq!((&line["index"], &line["line"]), (&index.into(), &(index + 1).into()), "{fault}: {line}");
            assert_eq!(line.get("error").is_some(), index == 7, "{fault}: {line}");
        }
        assert_eq!(lines[7]["error"]["kind"], kind, "{fault}: {}", lines[7]);
    }
}

#[test]
fn what_stands_still_ends_with_its_time() {
    for fault in ["stopped-and-killed", "sleeps-and-killed", "ignores-sigterm-and-killed"] {
        for method in METHODS {
            let place = Place::new("board-time");
            let flags = format!("--on-error report --timeout 500ms --grace 0 --start-method {method}");
            let said = "stdin:8: ran longer than 500ms, and was killed by SIGKILL (attempt 1, worker ";
            run(&place, fault, &flags).gives(1, &values(0..20), &[said, "19 ok, 1 failed in "]);
            place.audit();
        }
    }
}

#[test]
fn a_killed_run_leaves_nothing() {
    for fault in ["sleeps-and-killed", "stopped-and-killed", "ignores-sigterm-and-killed", "daemon"] {
        for method in METHODS {
            let place = Place::new("board-parent");
            let mut running = Running::start(mapping(&place, fault, &format!("--unordered --start-method {method}")));
            running.write(&twenty());
            // The input stays open, so that it does not end by itself.
            running.wait_for_lines(19, Duration::from_secs(20));
            assert!(marked(&place.mark()).len() >= 4, "the run, its guardian, two workers");
            running.signal(Signal::SIGKILL);
            let finished = running.finish(Duration::from_secs(20));
            assert_eq!((finished.code, finished.signal), (None, Some(Signal::SIGKILL)));
            wait_until(Duration::from_secs(1), || match marked(&place.mark()) {
                left if left.is_empty() => Ok(()),
                left => Err(format!("{fault}, {method}: {left:?}")),
            });
        }
    }
}
