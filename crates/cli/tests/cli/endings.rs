//! What is left when a run with workers ends before its time?

use crate::harness::{METHODS, Place, finish};
use crate::processes::{LEAK_LIMIT, marked, wait_until};
use crate::running::Running;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;

/// Runs a line of the shell in which `$ganger` is the stock binary.
fn shell(place: &Place, line: &str) -> Command {
    let mut command = place.command_of("bash");
    command.args(["-c", line]).env("ganger", env!("CARGO_BIN_EXE_ganger"));
    command
}

#[test]
fn a_reader_that_has_seen_enough_is_met_quietly() {
    for method in METHODS {
        for input in ["seq 1000000", "yes 1"] {
            let place = Place::new("head");
            let line =
                format!("{input} | $ganger map square --start-method {method} | head -1; echo ${{PIPESTATUS[1]}}");
            let finished = finish(shell(&place, &line), "");
            assert_eq!((finished.out.as_str(), finished.err.as_str()), ("1\n141\n", ""), "{line}");
        }
    }
}

#[test]
fn what_hangs_does_not_keep_a_run_without_reader_alive() {
    for method in METHODS {
        let place = Place::new("head-hang");
        let line = format!(
            "(echo 0; yes 1000) | $ganger map hang --chunksize 1 -j 2 --start-method {method} | head -1; \
             echo ${{PIPESTATUS[1]}}"
        );
        let finished = finish(shell(&place, &line), "");
        assert_eq!((finished.out.as_str(), finished.err.as_str()), ("null\n141\n", ""), "{line}");
    }
}

#[test]
fn closed_streams_are_no_trouble() {
    let place = Place::new("closed");
    for method in METHODS {
        let run = format!("seq 3 | $ganger map square --start-method {method}");
        finish(shell(&place, &format!("{run} 2>&-")), "").gives(0, "1\n4\n9\n", &[]);
        finish(shell(&place, &format!("{run} 2>/dev/full")), "").gives(0, "1\n4\n9\n", &[]);
        finish(shell(&place, &format!("{run} --output out >&-; cat out")), "").gives(0, "1\n4\n9\n", &["3 ok"]);
        finish(shell(&place, &format!("$ganger map square --start-method {method} --input /dev/null <&-")), "").gives(
            0,
            "",
            &["0 ok"],
        );
    }
}

#[test]
fn a_full_device_is_an_error() {
    let place = Place::new("full");
    for method in METHODS {
        for way in ["--output /dev/full", "> /dev/full"] {
            let line = format!("seq 100000 | $ganger map square --start-method {method} {way}");
            finish(shell(&place, &line), "").gives(74, "", &["error: cannot write ", "No space left on device\n"]);
        }
    }
}

#[test]
fn a_run_that_somebody_ends_leaves_nothing() {
    for method in METHODS {
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGHUP, Signal::SIGQUIT] {
            if is_ignored(signal) {
                // Under `nohup`, what these tests start ignores the signal as well, and rightly so.
                continue;
            }
            let place = Place::new("ended");
            let flags = format!("shell -j 3 --chunksize 1 --grace 0 --start-method {method}");
            let mut running = Running::start(place.program_mapping(&flags));
            // One that hangs, one whose child is in a session of its own, one that does not listen.
            running.write("touch a; sleep 1000\n");
            running.write("setsid sleep 1000 & touch b; wait\n");
            running.write("trap '' TERM HUP QUIT INT; touch c; while true; do sleep 1000; done\n");
            wait_until(Duration::from_secs(20), || {
                let begun = ["a", "b", "c"].map(|name| place.path(name).exists());
                if begun == [true; 3] { Ok(()) } else { Err(format!("begun: {begun:?}; {}", running.err())) }
            });
            running.signal(signal);
            // The audit that follows allows a second.
            let finished = running.finish(LEAK_LIMIT);
            assert_eq!((finished.code, finished.out.as_str()), (None, ""), "{method} {signal}: {}", finished.err);
        }
    }
}

/// Whether this process ignores `signal`, and so everything that it starts.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has one");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line of it");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a hexadecimal number");
    mask & (1 << (signal as i32 - 1)) != 0
}

#[test]
fn what_tasks_leave_behind_ends_with_the_run() {
    for method in METHODS {
        let place = Place::new("behind");
        let flags = format!("leave-behind --chunksize 1 --max-tasks-per-worker 2 --start-method {method}");
        place.program_map(&flags, "1000\n".repeat(10)).gives(0, &"null\n".repeat(10), &["10 ok"]);
    }
}

#[test]
fn the_audit_sees_what_is_left() {
    let place = Place::new("audit");
    let mut left = place.command_of("sleep").arg("1000").spawn().unwrap();
    // Its environment can be read a moment after its start has returned: only then has the kernel set it up.
    wait_until(Duration::from_secs(10), || match marked(&place.mark()).len() {
        1 => Ok(()),
        count => Err(format!("{count} processes are marked")),
    });
    left.kill().unwrap();
    left.wait().unwrap();
}
