//! Do results come while input is still to come, and does memory stay small?

use crate::harness::{METHODS, Place};
use crate::running::Running;
use std::time::Duration;

/// A result comes at most so long after its record.
const LATENCY: Duration = Duration::from_secs(1);

#[test]
fn a_slow_input_gets_each_result_at_once() {
    for method in METHODS {
        for way in ["", "--chunksize 1000", "-j 1"] {
            let place = Place::new("slow");
            let mut command = place.command();
            command.args(["map", "square", "--start-method", method]).args(way.split_whitespace());
            let mut running = Running::start(command);
            running.write("1\n");
            // The first includes the start of the workers.
            running.wait_for_lines(1, Duration::from_secs(20));
            for n in 2..=5 {
                running.write(&format!("{n}\n"));
                running.wait_for_lines(n, LATENCY);
            }
            running.close();
            running.finish(LATENCY).gives(0, "1\n4\n9\n16\n25\n", &["5 ok"]);
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_input() {
    const LINES: usize = 3_000_000;
    const LIMIT_KIB: u64 = 64 * 1024;
    let place = Place::new("memory");
    let mut command = place.command();
    command.args(["map", "square", "-j", "2"]);
    let mut running = Running::start(command);
    let block = "12345\n".repeat(10_000);
    for _ in 0..LINES / 10_000 {
        running.write(&block);
    }
    // Its input is still open: it lives, and can be asked.
    running.wait_for_lines(LINES, Duration::from_secs(120));
    let peak = running.peak_memory();
    running.close();
    let finished = running.finish(Duration::from_secs(20));
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}
