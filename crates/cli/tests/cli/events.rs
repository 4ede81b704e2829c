//! Does `GANGER_LOG` show what supervisor and workers do?

use crate::harness::{METHODS, Place, finish};
use crate::running::Finished;
use std::collections::BTreeSet;

/// Two tasks of which each waits for the other: both workers get ready, however short the run is.
const MEETING: &str =
    "touch a; until [ -e b ]; do sleep 0.01; done; rm b\ntouch b; until [ -e a ]; do sleep 0.01; done; rm a\n";

fn log_meeting(place: &Place, method: &str, format: &str) -> Finished {
    let mut command = place.program_mapping(&format!("shell -j 2 --chunksize 1 --start-method {method}"));
    command.env("GANGER_LOG", "debug").env("GANGER_LOG_FORMAT", format);
    finish(command, MEETING)
}

#[test]
fn events_are_text() {
    let place = Place::new("events-text");
    for method in METHODS {
        log_meeting(&place, method, "text").gives(
            0,
            "null\nnull\n",
            &[
                "ganger::supervisor::core: starting a worker worker=1 generation=1\n",
                "INFO ganger::pool::builder: pool built pool=\"map\"",
                "DEBUG worker{slot=0 generation=1}: ganger::worker::run: ready pid=",
                "DEBUG worker{slot=1 generation=1}: ganger::worker::run: ready pid=",
                "DEBUG worker{slot=0 generation=1}: ganger::worker::run: leaving tasks=",
                "DEBUG pool{name=\"map\"}: ganger::supervisor::driver: the gang is dismissed",
                "2 ok, 0 failed",
            ],
        );
    }
}

#[test]
fn events_are_json() {
    let place = Place::new("events-json");
    for method in METHODS {
        let finished = log_meeting(&place, method, "json");
        finished.gives(0, "null\nnull\n", &["2 ok, 0 failed"]);
        let mut lines: Vec<&str> = finished.err.lines().collect();
        assert!(lines.pop().is_some_and(|summary| summary.starts_with("2 ok")), "{}", finished.err);
        let mut pids = BTreeSet::new();
        for line in lines {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(event["timestamp"].is_string() && event["fields"]["message"].is_string(), "{line}");
            if event["target"] == "ganger::worker::run" && event["fields"]["message"] == "ready" {
                pids.insert(event["fields"]["pid"].as_u64().expect(line));
            }
        }
        assert_eq!(pids.len(), 2, "{method}: {}", finished.err);
    }
}

#[test]
fn trace_shows_each_task() {
    let place = Place::new("events-trace");
    for method in METHODS {
        let mut command = place.command();
        command.args(["map", "square", "--start-method", method]).env("GANGER_LOG", "ganger::worker=trace");
        let finished = finish(command, "3\n4\n5\n");
        for index in 0..3 {
            let text = format!("ganger::worker::run: task index={index}\n");
            assert_eq!(finished.err.matches(&text).count(), 1, "{method}: {}", finished.err);
        }
        assert!(!finished.err.contains("supervisor"), "{}", finished.err);
    }
}
