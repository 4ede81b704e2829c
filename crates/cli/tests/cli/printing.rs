//! Can a task that prints spoil the results?

use crate::harness::{METHODS, Place};

/// Maps 1,000 records; every result must be in its place, and every print on standard error.
fn print(task: &str, records: u64, flags: &str) {
    let place = Place::new(task);
    let input: String = (0..records).map(|n| format!("{n}\n")).collect();
    let results: String = (0..records).map(|n| format!("{}\n", n * n)).collect();
    for method in METHODS {
        let finished = place.program_map(&format!("{task} --start-method {method} {flags}"), &input);
        finished.gives(0, &results, &[&format!("{records} ok, 0 failed")]);
        for n in 0..records {
            // The last one stands before a line feed or, if it is not finished, before whatever comes next.
            assert!(finished.err.contains(&format!("noise {n}")), "{method}: {n} is not printed");
        }
    }
}

#[test]
fn lines() {
    print("print-line", 1_000, "");
}

#[test]
fn unfinished_lines() {
    print("print-unfinished", 1_000, "");
}

#[test]
fn unfinished_lines_of_workers_that_are_replaced() {
    print("print-unfinished", 200, "--max-tasks-per-worker 10");
}

#[test]
fn programs_that_tasks_start() {
    print("print-by-child", 1_000, "");
}

#[test]
fn a_serial_task_is_no_exception() {
    let place = Place::new("print-serial");
    for task in ["print-line", "print-unfinished", "print-by-child"] {
        place.program_map(&format!("{task} --serial"), "3\n4\n").gives(0, "9\n16\n", &["noise 3", "noise 4"]);
    }
}

#[test]
fn a_file_of_results_leaves_standard_output_empty() {
    let place = Place::new("print-file");
    for method in METHODS {
        place.program_map(&format!("print-line --output out --start-method {method}"), "3\n").gives(
            0,
            "",
            &["noise 3\n"],
        );
        assert_eq!(std::fs::read_to_string(place.path("out")).unwrap(), "9\n");
    }
}

#[test]
fn captured_output_is_whole_and_in_its_records_error() {
    let place = Place::new("print-captured");
    for method in METHODS {
        let input: String =
            (0..200).map(|n| format!("echo a{n}; echo b{n} >&2; echo c{n}; exit {}\n", n % 2)).collect();
        let flags = format!("--capture 1K --output-format records --on-error report --start-method {method}");
        let finished = place.program_map(&format!("shell {flags}"), &input);
        assert_eq!(finished.code, Some(1), "{}", finished.err);
        for (n, line) in finished.out.lines().enumerate() {
            assert!(finished.err.contains(&format!("a{n}\nc{n}\n")), "{method}: {n} is torn apart: {}", finished.err);
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let printed = [&record["error"]["stdout"], &record["error"]["stderr"]].map(|text| text.as_str());
            let expected = [format!("a{n}\nc{n}\n"), format!("b{n}\n")];
            let expected = if n % 2 == 1 { [Some(&expected[0][..]), Some(&expected[1][..])] } else { [None; 2] };
            assert_eq!(printed, expected, "{method}: {line}");
        }
    }
}

#[test]
fn captured_output_has_a_limit() {
    let place = Place::new("print-cut");
    let finished = place.program_map("shell --capture 20 --on-error report", "yes | head -c 100000; kill -9 $PPID\n");
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    assert!(finished.err.contains("y\ny\n[99980 bytes cut]\ny\ny\n"), "{}", finished.err);
}
