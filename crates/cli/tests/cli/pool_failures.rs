//! What becomes of the run when a task fails in a worker?

use crate::harness::{METHODS, Place};
use crate::processes::wait_until;
use crate::running::Running;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// Names what a task does and what is said of it.
const TROUBLES: [(&str, &str, &str); 5] = [
    ("fail", "failed", "failed: no 9"),
    ("panic", "panicked", "panicked: not 9 (crates/cli/tests/helpers/program.rs:"),
    ("exit", "exited", "ended its process with exit code 9"),
    ("kill", "killed", "was killed by SIGKILL"),
    ("abort", "killed", "was killed by SIGABRT"),
];

/// Returns a file of 20 records; record 7 starts on line 9, record 8 on line 11, and both are in trouble.
fn records(what: &str) -> String {
    let (what, n) = if what == "abort" { ("kill", Signal::SIGABRT as i32) } else { (what, 9) };
    let row = |index: u32| match index {
        7 => format!("{what},{n},\"two\nlines\"\n"),
        8 => format!("{what},{n},one\n"),
        _ => format!("return,{index},one\n"),
    };
    (0..20).map(row).fold("what,n,note\n".to_owned(), |file, row| file + &row)
}

fn results(range: std::ops::Range<u32>) -> String {
    range.map(|index| if [7, 8].contains(&index) { "null\n".to_owned() } else { format!("{index}\n") }).collect()
}

#[test]
fn under_report_each_failure_is_one_line_and_the_others_are_right() {
    let place = Place::new("report");
    for (what, _, cause) in TROUBLES {
        place.file("w.csv", records(what));
        for method in METHODS {
            for way in ["", "--chunksize 1", "-j 1 --chunksize 20"] {
                let flags = format!("act --input w.csv --on-error report --start-method {method} {way}");
                let finished = place.program_map(&flags, "");
                finished.gives(1, &results(0..20), &["18 ok, 2 failed in "]);
                let lines: Vec<&str> = finished.err.lines().collect();
                assert_eq!(lines.len(), 3, "{what} {flags}: {lines:#?}");
                for (line, place) in lines.iter().zip(["w.csv:9: ", "w.csv:11: "]) {
                    let said = line.strip_prefix(place).is_some_and(|line| line.starts_with(cause));
                    assert!(said && line.contains("(attempt 1, worker "), "{what} {flags}: {line}");
                }
            }
        }
    }
}

#[test]
fn under_stop_exactly_the_results_before_the_failure_are_written() {
    let place = Place::new("stop");
    for (what, _, cause) in TROUBLES {
        place.file("w.csv", records(what));
        for method in METHODS {
            for way in ["", "--chunksize 1", "-j 1 --chunksize 20"] {
                let flags = format!("act --input w.csv --start-method {method} {way}");
                place.program_map(&flags, "").gives(
                    3,
                    &results(0..7),
                    &[&format!("error: w.csv:9: {cause}"), "\n7 ok, 1 failed in "],
                );
            }
        }
    }
}

#[test]
fn records_carry_everything_that_is_known() {
    let place = Place::new("known");
    for (what, kind, cause) in TROUBLES {
        place.file("w.csv", records(what));
        for method in METHODS {
            let flags = format!("act --input w.csv --on-error report --output-format records --start-method {method}");
            let finished = place.program_map(&flags, "");
            let line = finished.out.lines().nth(8).expect("each record has a line");
            let record: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            assert_eq!((&record["index"], &record["file"], &record["line"]), (&8.into(), &"w.csv".into(), &11.into()));
            let error = &record["error"];
            assert_eq!((&error["kind"], &error["attempt"]), (&kind.into(), &1.into()), "{line}");
            let message = error["message"].as_str().expect("it is a text");
            assert!(message.starts_with(cause.trim_start_matches(&format!("{kind}: "))), "{line}");
            assert!(error["worker"].is_u64() && error["pid"].as_u64() > Some(1), "{line}");
            assert!(error["duration_s"].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{line}");
        }
    }
}

#[test]
fn stock_tasks_kill_and_exit_alone() {
    let place = Place::new("stock");
    for method in METHODS {
        let flags = format!("--on-error report --start-method {method}");
        place.gang(&format!("kill {flags}"), "0\n9\n0\n11\n0\n").gives(
            1,
            "0\nnull\n0\nnull\n0\n",
            &["stdin:2: was killed by SIGKILL (", "stdin:4: was killed by SIGSEGV (", "3 ok, 2 failed in "],
        );
        place.gang(&format!("exit {flags}"), "0\n7\n").gives(
            1,
            "null\nnull\n",
            &["stdin:1: ended its process with exit code 0 (", "stdin:2: ended its process with exit code 7 ("],
        );
    }
}

#[test]
fn a_stop_does_not_wait_for_what_hangs() {
    for method in METHODS {
        for order in ["", "--unordered"] {
            let place = Place::new("hanging");
            // The second fails once the third hangs.
            let input = "true\nuntil [ -e begun ]; do sleep 0.01; done; exit 7\ntouch begun; sleep 1000\n";
            let started = Instant::now();
            let flags = format!("shell -j 2 --chunksize 1 --start-method {method} {order}");
            place.program_map(&flags, input).gives(3, "null\n", &["error: stdin:2: failed: exit status: 7 ("]);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(10), "{method} {order}: {took:?}");
            place.audit();
        }
    }
}

#[test]
fn a_stop_does_not_wait_for_more_input() {
    for method in METHODS {
        let place = Place::new("waiting");
        let mut running = Running::start(place.program_mapping(&format!("act --format csv --start-method {method}")));
        running.write("what,n\nreturn,1\nfail,2\n");
        let finished = running.finish(Duration::from_secs(10));
        finished.gives(3, "1\n", &["error: stdin:3: failed: no 2 ("]);
    }
}

#[test]
fn a_worker_that_somebody_kills_costs_the_task_that_it_runs() {
    for method in METHODS {
        let place = Place::new("killed");
        let flags = format!("shell -j 2 --chunksize 1 --on-error report --start-method {method}");
        let mut running = Running::start(place.program_mapping(&flags));
        // Its file has content once the shell has written all of it: a name appears at once.
        running.feed(b"true\necho $PPID > pid.new; mv pid.new pid; sleep 1000\ntrue\ntrue\n".to_vec());
        let pid = wait_until(Duration::from_secs(20), || {
            std::fs::read_to_string(place.path("pid")).map_err(|error| error.to_string())
        });
        kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
        running.finish(Duration::from_secs(10)).gives(
            1,
            "null\nnull\nnull\nnull\n",
            &[
                "stdin:2: was killed by SIGKILL (attempt 1, worker ",
                &format!(", pid {})", pid.trim()),
                "3 ok, 1 failed",
            ],
        );
    }
}
