//! What does the machine's examination say?

use crate::harness::{METHODS, Place};

#[test]
fn the_machine_is_examined_and_left_as_it_was() {
    let place = Place::new("doctor");
    let finished = place.run(&["doctor"], "");
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let has = |start: &str| finished.out.lines().any(|line| line.starts_with(start));
    for method in METHODS {
        assert!(has(&format!("  yes {method:<20} a worker was started, and has run a task")), "{}", finished.out);
    }
    for start in [
        "workers:",
        "what workers start:",
        "limits:",
        "      --memory             measured in /proc",
        "      open files           ",
        "  no  death of both ",
    ] {
        assert!(has(start), "{start:?} is missing in {}", finished.out);
    }
    for name in ["parent-death signal", "guardian", "pidfd", "process group", "subreaper"] {
        assert!(has(&format!("  yes {name:<20} ")), "{name} does not hold: {}", finished.out);
    }
    for name in ["cgroup", "pid namespace"] {
        assert!(has(&format!("  no  {name:<20} not used")), "{name}: {}", finished.out);
    }
    place.audit();
}
