//! Do the flags about worker processes reach them?

use crate::harness::{METHODS, Place, finish};

/// What a worker of the user's program says of itself, through the shell.
const ASK: &str = "echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c) $(nice) $(grep Cpus_allowed_list /proc/self/status | cut -f2) >> told\n";

/// The number of a processor that this process may use.
fn processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has one");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("Linux has it");
    allowed.trim().split(['-', ',']).next().unwrap_or_default().to_owned()
}

#[test]
fn workers_are_given_what_was_asked_for() {
    for method in METHODS {
        let place = Place::new("attributes");
        let cpu = processor();
        let flags = format!("--rlimit nofile=64:128 --rlimit core=0 --nice 17 --pin={cpu}");
        place.program_map(&format!("shell {flags} -j 2 --start-method {method}"), ASK.repeat(3)).gives(
            0,
            "null\nnull\nnull\n",
            &["3 ok"],
        );
        let told = std::fs::read_to_string(place.path("told")).unwrap();
        assert_eq!(told, format!("64 128 0 17 {cpu}\n").repeat(3), "{method}");
    }
}

/// Where a group can be made, as the library says, it is; elsewhere the flag is refused, and says why.
#[test]
fn a_gang_has_its_control_group_or_is_refused() {
    let place = Place::new("cgroup");
    let ask = "grep '^0::' /proc/self/cgroup >> told\n";
    let finished = place.program_map("shell --cgroup -j 1", ask);
    if ganger_os::probe::delegated_cgroup().is_ok() {
        finished.gives(0, "null\n", &["1 ok"]);
        let told = std::fs::read_to_string(place.path("told")).unwrap();
        assert!(told.contains("/ganger-"), "{told}");
    } else {
        finished.gives(2, "", &["error: cgroup: cannot make a control group for the gang: "]);
    }
}

#[test]
fn twins_ask_for_it_as_well() {
    let place = Place::new("twins");
    let mut command = place.program_mapping("shell -j 1");
    command.envs([("GANGER_RLIMIT", "nofile=32,core=0"), ("GANGER_NICE", "18"), ("GANGER_PIN", "auto")]);
    finish(command, ASK).gives(0, "null\n", &["1 ok"]);
    let told = std::fs::read_to_string(place.path("told")).unwrap();
    assert!(told.starts_with("32 32 0 18 ") && !told.trim_end().ends_with(['-', ',']), "{told}");
}

#[test]
fn a_bare_pin_stands_behind_the_task_or_before_a_flag() {
    let place = Place::new("bare");
    place.gang("square --pin", "3\n").gives(0, "9\n", &[]);
    place.gang("--pin -j 1 square", "3\n").gives(0, "9\n", &[]);
    place.gang("--pin square", "3\n").gives(
        2,
        "",
        &["\"square\" is neither auto nor none nor a list of processors such as 0,2-3"],
    );
}

#[test]
fn what_a_task_starts_has_its_limits() {
    let place = Place::new("beyond");
    place.program_map("shell --rlimit fsize=1K --on-error report", "head -c 5000 /dev/zero > large\n").gives(
        1,
        "null\n",
        &["1 failed"],
    );
    assert_eq!(std::fs::metadata(place.path("large")).unwrap().len(), 1000);
}

#[test]
fn what_cannot_be_had_is_refused_with_what_can() {
    let place = Place::new("refused");
    let unlimited = "error: --rlimit: rlimit nofile is unlimited: the hard limit of this process is ";
    for (flags, text) in [
        ("--rlimit nofile=4", "error: --rlimit: rlimit nofile is 4: a worker has its standard streams"),
        ("--rlimit nofile=unlimited", unlimited),
        ("--rlimit nofile", "error: --rlimit: \"nofile\" is not NAME=VALUE"),
        ("--rlimit files=3", "error: --rlimit: there is no rlimit \"files\": it is one of as, core, "),
        ("--nice 20", "error: --nice: \"20\" is not a whole number from -20 (first) to 19 (last)"),
        ("--pin=8000", "error: --pin: pin_to names processor 8000, which this process may not use: it may use 0"),
        ("--serial --nice 3", "error: --nice: needs workers, and --serial runs without them"),
    ] {
        place.gang(&format!("square {flags}"), "3\n").gives(2, "", &[text]);
    }
    for (name, value, text) in [
        (
            "GANGER_RLIMIT",
            "core=0,cpu=x",
            "error: GANGER_RLIMIT: cpu=x: \"x\" is neither a whole number of seconds nor ",
        ),
        ("GANGER_RLIMIT", "cpu=9:8", "error: GANGER_RLIMIT: rlimit cpu is 9:8: the soft limit is above the hard one"),
        ("GANGER_NICE", "low", "error: GANGER_NICE: \"low\" is not a whole number"),
        ("GANGER_PIN", "1-", "error: GANGER_PIN: \"1-\" is neither auto nor none nor a list"),
    ] {
        let mut command = place.command();
        command.args(["map", "square"]).env(name, value);
        finish(command, "3\n").gives(2, "", &[text]);
    }
}
