//! How many workers are there, and for how long?

use crate::harness::{METHODS, Place};
use std::collections::BTreeMap;

#[test]
fn a_worker_is_replaced_after_its_tasks() {
    let place = Place::new("replaced");
    let input = "1\n".repeat(100);
    for method in METHODS {
        for (most, workers) in [(10, 2), (1, 3), (1000, 1)] {
            let flags = format!("pid -j {workers} --max-tasks-per-worker {most} --start-method {method}");
            let finished = place.program_map(&flags, &input);
            assert_eq!(finished.code, Some(0), "{}", finished.err);
            let mut tasks = BTreeMap::new();
            for pid in finished.out.lines() {
                *tasks.entry(pid).or_insert(0) += 1;
            }
            assert!(tasks.values().all(|count| *count <= most), "{flags}: {tasks:?}");
            assert!(tasks.len() >= 100_usize.div_ceil(most), "{flags}: {tasks:?}");
            assert!(tasks.len() <= 100_usize.div_ceil(most) + workers, "{flags}: {tasks:?}");
            assert_eq!(tasks.values().sum::<usize>(), 100, "{flags}");
        }
    }
}

#[test]
fn no_more_workers_run_than_were_asked_for() {
    let place = Place::new("asked");
    for method in METHODS {
        let finished =
            place.program_map(&format!("pid -j 4 --chunksize 1 --start-method {method}"), "1\n".repeat(2000));
        let mut pids: Vec<&str> = finished.out.lines().collect();
        pids.sort_unstable();
        pids.dedup();
        assert!((1..=4).contains(&pids.len()), "{pids:?}");
        let ours = pids.iter().any(|pid| **pid == std::process::id().to_string());
        assert!(!ours && finished.err.ends_with(&format!("4 workers, {method}\n")), "{}", finished.err);
    }
}

#[test]
fn their_number_is_written_in_three_ways() {
    let place = Place::new("number");
    let processors = std::thread::available_parallelism().unwrap().get();
    let plural = |workers: usize| if workers == 1 { "1 worker,".to_owned() } else { format!("{workers} workers,") };
    for (way, workers) in [
        ("-j 4", 4),
        ("--workers=1", 1),
        ("-j 100%", processors),
        ("-j 50%", (processors / 2).max(1)),
        ("-j -1", (processors - 1).max(1)),
        ("-j -1000000", 1),
        ("", processors),
    ] {
        let finished = place.gang(&format!("square {way}"), "3\n");
        finished.gives(0, "9\n", &["1 ok, 0 failed in ", &format!(" s, {} forkserver\n", plural(workers))]);
    }
}

#[test]
fn none_are_refused_and_the_ways_out_named() {
    let place = Place::new("none");
    for way in ["-j 0", "-j0", "--workers 0", "-j 0%"] {
        place.gang(&format!("square {way}"), "3\n").gives(2, "", &["error: --workers: ", "--serial", "-j 100%"]);
    }
}
