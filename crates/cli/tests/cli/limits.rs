//! Do the flags that limit tasks reach the workers?

use crate::harness::{METHODS, Place, finish};

#[test]
fn a_task_that_takes_too_long_is_ended_and_the_others_are_right() {
    for method in METHODS {
        let place = Place::new("timeout");
        let flags = format!("hang --timeout 200ms --grace 0 --on-error report --start-method {method}");
        place.gang(&flags, "0\n1000\n0\n").gives(
            1,
            "null\nnull\nnull\n",
            &["stdin:2: ran longer than 200ms, and was killed by SIGKILL (attempt 1, worker ", "2 ok, 1 failed in "],
        );
        place.audit();
    }
}

#[test]
fn a_task_that_waits_too_long_is_not_run() {
    for method in METHODS {
        // The wait begins when the record is handed over, which may be as late as when the worker is free again: it is tried
        // until it was handed over together with the first.
        let late = (0..50).any(|_| {
            let place = Place::new("queue-timeout");
            let flags = format!("shell -j 1 --queue-timeout 50ms --on-error report --start-method {method}");
            let finished = place.program_map(&flags, "sleep 0.3\ntouch b\n");
            if place.path("b").exists() {
                return false;
            }
            finished.gives(1, "null\nnull\n", &["1 ok, 1 failed in ", "stdin:2: "]);
            true
        });
        assert!(late, "{method}");
    }
}

#[test]
fn what_fails_is_tried_again_as_often_as_was_asked() {
    for method in METHODS {
        let place = Place::new("retries");
        // Each attempt leaves a line; the third is the one that works.
        let try_it = |how: &str| format!("echo >> {how}; test $(wc -l < {how}) -ge 3 || {how}\n");
        let flags = format!("shell -j 1 --backoff 1ms..2ms --start-method {method}");
        place.program_map(&format!("{flags} --retries 2 --retry-on error"), try_it("false")).gives(
            0,
            "null\n",
            &["1 ok"],
        );
        std::fs::remove_file(place.path("false")).unwrap();
        let finished = place.program_map(&format!("{flags} --retries 1 --retry-on error"), try_it("false"));
        finished.gives(3, "", &["(attempt 2, worker 0"]);
        std::fs::remove_file(place.path("false")).unwrap();
        // Returning an error is not among what is tried again, if nothing else is said.
        let finished = place.program_map(&format!("{flags} --retries 2"), try_it("false"));
        finished.gives(3, "", &["(attempt 1, worker 0"]);
    }
}

#[test]
fn a_task_that_takes_too_much_memory_is_ended_and_the_others_are_right() {
    for method in METHODS {
        let place = Place::new("memory");
        let flags = format!("hoard -j 2 --memory 100MiB --arg millis=600000 --start-method {method}");
        let finished = place.program_map(&format!("{flags} --on-error report"), "0\n300\n0\n0\n");
        let lines: Vec<&str> = finished.out.lines().collect();
        assert_eq!((finished.code, lines.len(), lines[1]), (Some(1), 4, "null"), "{}", finished.err);
        assert_eq!(lines.iter().filter(|line| line.parse::<u32>().is_ok()).count(), 3, "{lines:?}");
        let said = "above its limit, and was killed by SIGKILL (attempt 1, worker ";
        assert!(finished.err.starts_with("stdin:2: had its worker hold ") && finished.err.contains(said));
        assert!(finished.err.contains("\n3 ok, 1 failed in "), "{}", finished.err);
        let finished = place.program_map(&format!("{flags} --output-format records"), "300\n");
        finished.gives(3, "", &["error: stdin:1: had its worker hold ", said]);
        place.audit();
    }
}

#[test]
fn a_worker_that_leaks_is_replaced_and_no_task_pays() {
    for method in METHODS {
        let place = Place::new("memory-soft");
        let flags = format!("hoard -j 1 --memory-soft 100MiB --arg millis=300 --start-method {method}");
        let finished = place.program_map(&flags, "60\n".repeat(6));
        let mut pids: Vec<&str> = finished.out.lines().collect();
        assert_eq!((finished.code, pids.len()), (Some(0), 6), "{}", finished.err);
        pids.dedup();
        assert!(pids.len() >= 2, "one worker has taken 360 MiB: {pids:?}");
    }
}

#[test]
fn a_run_ends_after_so_many_failures() {
    for way in ["--serial", "--start-method forkserver", "--start-method spawn", "--start-method fork"] {
        let place = Place::new("fail-after");
        place.gang(&format!("square --fail-after 2 {way}"), "1\nx\n3\ny\n5\n").gives(
            3,
            "1\nnull\n9\nnull\n",
            &["stdin:2: ", "stdin:4: ", "error: 2 records have failed (--fail-after 2)\n", "2 ok, 2 failed in "],
        );
        place.gang(&format!("square --fail-after 3 {way}"), "1\nx\n3\ny\n5\n").gives(
            1,
            "1\nnull\n9\nnull\n25\n",
            &["3 ok, 2 failed in "],
        );
    }
}

#[test]
fn twins_count_where_flags_would_be_refused_as_idle() {
    let place = Place::new("twins");
    let mut command = place.command();
    command.args(["map", "square"]).env("GANGER_BACKOFF", "1s..2s").env("GANGER_FAIL_AFTER", "1");
    finish(command, "2\nx\n").gives(3, "4\nnull\n", &["error: 1 record has failed (--fail-after 1)\n"]);
    let mut command = place.command();
    command.args(["map", "square"]).env("GANGER_TIMEOUT", "soon");
    finish(command, "2\n").gives(2, "", &["error: GANGER_TIMEOUT: \"soon\" is not a time such as 250ms"]);
}
