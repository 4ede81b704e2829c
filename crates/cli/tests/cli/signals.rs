//! What do signals do to a run, and what is left of it?

use crate::harness::{METHODS, Place};
use crate::processes::{marked, wait_until};
use crate::running::{Finished, Running, signal_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{ErrorKind, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Prepares a run of the task `shell` that heeds all signals, even if these tests were started by something that ignores them,
/// as a shell's `&` does.
fn mapping(place: &Place, flags: &str) -> Command {
    let mut command = place.command_of("env");
    command.arg("--default-signal").arg(place.program().get_program()).args(["map", "shell"]);
    command.args(flags.split_whitespace());
    command
}

/// Starts a run in which two tasks have begun, and wait for the file `go`; two more wait for a worker.
fn started(place: &Place, flags: &str) -> Running {
    let mut command = mapping(place, &format!("-j 2 --chunksize 1 {flags}"));
    // A group of its own, whose parent is in another one: only such a process can be stopped by SIGTSTP.
    command.process_group(0);
    let mut running = Running::start(command);
    for name in ["a", "b", "c", "d"] {
        running.write(&format!("touch {name}; until [ -e go ]; do sleep 0.01; done\n"));
    }
    wait_for_files(place, &running, &["a", "b"]);
    // All have been read.
    wait_until(LIMIT, || {
        running.signal(Signal::SIGUSR1);
        let err = running.err();
        if err.contains("state: 0 ok, 0 failed, 2 running, 2 waiting after ") { Ok(()) } else { Err(err) }
    });
    running
}

#[track_caller]
fn wait_for_files(place: &Place, running: &Running, names: &[&str]) {
    wait_until(LIMIT, || match names.iter().find(|name| !place.path(name).exists()) {
        None => Ok(()),
        Some(name) => Err(format!("{name:?} has not begun: {}", running.err())),
    });
}

#[track_caller]
fn dies_by(finished: &Finished, signal: Signal, out: &str, summary: &str) {
    assert_eq!((finished.signal, finished.out.as_str()), (Some(signal), out), "{}", finished.err);
    assert!(finished.err.contains(summary), "{summary:?} is missing in {:?}", finished.err);
}

#[test]
fn the_first_interrupt_lets_running_tasks_end_and_begins_no_other() {
    for method in METHODS {
        let place = Place::new("int-once");
        let running = started(&place, &format!("--start-method {method}"));
        running.signal(Signal::SIGINT);
        running.wait_for_message("stopping: 2 tasks still run; press Ctrl-C again to kill them\n", LIMIT);
        place.file("go", "");
        let finished = running.finish(LIMIT);
        dies_by(&finished, Signal::SIGINT, "null\nnull\n", "\n2 ok, 0 failed, 2 not run in ");
        assert!(!place.path("c").exists());
        place.audit();
    }
}

#[test]
fn the_second_interrupt_kills() {
    for method in METHODS {
        let place = Place::new("int-twice");
        let running = started(&place, &format!("--start-method {method}"));
        running.signal(Signal::SIGINT);
        running.wait_for_message("press Ctrl-C again", LIMIT);
        let second = Instant::now();
        running.signal(Signal::SIGINT);
        let finished = running.finish(LIMIT);
        // A second, with room for a machine that does other things as well.
        assert!(second.elapsed() < Duration::from_secs(10), "{:?}", second.elapsed());
        dies_by(&finished, Signal::SIGINT, "", "\n0 ok, 0 failed, 2 killed, 2 not run in ");
        place.audit();
    }
}

/// Makes a pipe that has no room left.
fn full_pipe() -> (std::io::PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("there are descriptors");
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("it is open");
    let full = loop {
        if let Err(error) = writer.write(b"x") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).expect("it is open");
    (reader, writer)
}

fn has_pending(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).expect("a hexadecimal number") & (1 << (signal as i32 - 1)) != 0
}

/// Sends a signal to a run in which nobody reads the messages so often that it ends, whatever is stuck.
fn end_what_is_stuck(method: &str, signal: Signal, times: u32) -> std::process::ExitStatus {
    let place = Place::new("stuck");
    // Whoever writes a message waits for ever: nobody reads them.
    let (_reader, writer) = full_pipe();
    let mut command = mapping(&place, &format!("--start-method {method}"));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(writer);
    let mut child = command.spawn().expect("the program was built");
    drop(command);
    let stdin = child.stdin.as_mut().expect("it is a pipe");
    stdin.write_all(b"touch a; sleep 1000\n").expect("the command reads");
    wait_until(LIMIT, || if place.path("a").exists() { Ok(()) } else { Err("it has not begun".to_owned()) });
    for _ in 0..times {
        assert!(child.try_wait().expect("nobody else waits for it").is_none());
        kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it is not waited for yet");
        wait_until(LIMIT, || if has_pending(child.id(), signal) { Err("pending".to_owned()) } else { Ok(()) });
    }
    let status = child.wait().expect("nobody else waits for it");
    place.audit();
    status
}

#[test]
fn the_third_interrupt_leaves_even_when_everything_is_stuck() {
    for method in METHODS {
        let status = end_what_is_stuck(method, Signal::SIGINT, 3);
        assert_eq!((status.code(), signal_of(status)), (Some(130), None), "{method}");
    }
}

#[test]
fn the_second_quit_leaves_even_when_everything_is_stuck() {
    for method in METHODS {
        let status = end_what_is_stuck(method, Signal::SIGQUIT, 2);
        assert_eq!((status.code(), signal_of(status)), (None, Some(Signal::SIGQUIT)), "{method}");
    }
}

#[test]
fn a_quit_says_how_things_are_and_leaves_nothing() {
    for method in METHODS {
        let place = Place::new("quit");
        let running = started(&place, &format!("--start-method {method}"));
        // It has been asked before: all of those answers end with the guardian's line.
        wait_until(LIMIT, || {
            let err = running.err();
            if err.matches("state: 0 ok").count() == err.matches("state: guardian").count() { Ok(()) } else { Err(err) }
        });
        let before = running.err().matches("state: guardian (pid ").count();
        running.signal(Signal::SIGQUIT);
        let finished = running.finish(LIMIT);
        assert_eq!((finished.signal, finished.out.as_str()), (Some(Signal::SIGQUIT), ""), "{}", finished.err);
        assert!(finished.err.matches("state: guardian (pid ").count() > before, "{}", finished.err);
        assert!(finished.err.matches(" runs stdin:").count() >= 4, "{}", finished.err);
        place.audit();
    }
}

#[test]
fn a_request_to_end_gives_running_tasks_time() {
    for method in METHODS {
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            let place = Place::new("term");
            let running = started(&place, &format!("--start-method {method}"));
            running.signal(signal);
            running.wait_for_message(&format!("stopping ({signal}): 2 tasks still run and have 10 s to end\n"), LIMIT);
            place.file("go", "");
            dies_by(&running.finish(LIMIT), signal, "null\nnull\n", "\n2 ok, 0 failed, 2 not run in ");
            place.audit();
        }
    }
}

#[test]
fn what_does_not_end_in_time_is_killed() {
    for method in METHODS {
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            let place = Place::new("term-late");
            let running = started(&place, &format!("--grace 50ms --start-method {method}"));
            running.signal(signal);
            let finished = running.finish(LIMIT);
            dies_by(&finished, signal, "", "\n0 ok, 0 failed, 2 killed, 2 not run in ");
            assert!(finished.err.contains("2 tasks still run and have 0.05 s to end"), "{}", finished.err);
            place.audit();
        }
    }
}

/// Returns the kernel's letters for the states of all processes of a test.
fn states(place: &Place) -> Vec<(String, char)> {
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('X')
    };
    marked(&place.mark()).into_iter().map(|(pid, title)| (title, state(pid))).collect()
}

#[test]
fn a_stop_stops_all_and_does_not_count() {
    for method in METHODS {
        let place = Place::new("stopped");
        let begun = Instant::now();
        let running = started(&place, &format!("--start-method {method}"));
        running.signal(Signal::SIGTSTP);
        wait_until(LIMIT, || {
            let states = states(&place);
            // A shell whose child was stopped before it became a program waits for that, which is a D.
            let stopped = |title: &str, state| "TD".contains(state) || title.contains("guardian");
            let sleeping = states.iter().filter(|(title, state)| !stopped(title, *state));
            if sleeping.count() == 0 { Ok(()) } else { Err(format!("{states:?}")) }
        });
        let stopped = Instant::now();
        place.file("go", "");
        // What is stopped sees nothing of that, however long it lasts; longer than rounding can hide.
        std::thread::sleep(Duration::from_millis(300));
        assert!(!place.path("c").exists());
        let pause = stopped.elapsed();
        let mut running = running;
        running.signal(Signal::SIGCONT);
        running.close();
        let finished = running.finish(LIMIT);
        finished.gives(0, &"null\n".repeat(4), &["4 ok, 0 failed in "]);
        // A worker may have been named as stopped before: "stopped for 1 s in task 0".
        let time = finished.err.split("failed in ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let time = Duration::from_secs_f64(time.parse().unwrap());
        let awake = begun.elapsed().saturating_sub(pause) + Duration::from_millis(10);
        assert!(time <= awake, "{time:?} of {awake:?} awake and {pause:?} stopped");
        place.audit();
    }
}

#[test]
fn a_stop_is_no_part_of_a_tasks_time() {
    for method in METHODS {
        let place = Place::new("stopped-limit");
        let limit = Duration::from_secs(3);
        let mut running = started(&place, &format!("--timeout {}s --start-method {method}", limit.as_secs()));
        running.signal(Signal::SIGTSTP);
        wait_until(LIMIT, || {
            let states = states(&place);
            let stopped = |title: &str| states.iter().any(|(name, state)| name.contains(title) && *state == 'T');
            if stopped("map shell") && stopped("worker 0") && stopped("worker 1") {
                Ok(())
            } else {
                Err(format!("{states:?}"))
            }
        });
        // Longer than what the tasks may take.
        std::thread::sleep(limit + Duration::from_millis(300));
        place.file("go", "");
        running.signal(Signal::SIGCONT);
        running.close();
        running.finish(LIMIT).gives(0, &"null\n".repeat(4), &["4 ok, 0 failed in "]);
        place.audit();
    }
}

#[test]
fn a_question_is_answered_and_the_run_goes_on() {
    for method in METHODS {
        let place = Place::new("usr1");
        let mut running = started(&place, &format!("--start-method {method}"));
        // It was asked more than once.
        running.wait_for_message("state: guardian (pid ", LIMIT);
        let err = running.err();
        let workers: Vec<&str> = err.lines().filter(|line| line.starts_with("state: worker ")).collect();
        assert!(workers.len() >= 2 && workers.iter().all(|line| line.contains(" runs stdin:")), "{err}");
        place.file("go", "");
        running.close();
        running.finish(LIMIT).gives(0, &"null\n".repeat(4), &["4 ok, 0 failed in "]);
    }
}

#[test]
fn serial_runs_end_after_the_task_or_with_it() {
    for times in [1, 2] {
        let place = Place::new("serial-int");
        let mut running = Running::start(mapping(&place, "--serial"));
        running.write("touch a; until [ -e go ]; do sleep 0.01; done\ntouch b\n");
        wait_for_files(&place, &running, &["a"]);
        running.signal(Signal::SIGINT);
        running.wait_for_message("stopping: 1 task still runs; press Ctrl-C again to kill it\n", LIMIT);
        if times == 1 {
            place.file("go", "");
            dies_by(&running.finish(LIMIT), Signal::SIGINT, "null\n", "\n1 ok, 0 failed in ");
        } else {
            running.signal(Signal::SIGINT);
            wait_until(LIMIT, || {
                if states(&place).iter().any(|(title, _)| title.contains("map shell")) {
                    Err("it lives".to_owned())
                } else {
                    Ok(())
                }
            });
            // The task's own program is not the run's to end: a terminal's Ctrl-C would have reached it.
            place.file("go", "");
            assert_eq!(running.finish(LIMIT).signal, Some(Signal::SIGINT));
        }
        assert!(!place.path("b").exists());
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_input() {
    for way in ["--serial", "--start-method forkserver", "--start-method spawn", "--start-method fork"] {
        let place = Place::new("waiting-int");
        let mut running = Running::start(mapping(&place, way));
        // The last line is not complete, and so no record.
        running.write("true\ntouch b");
        running.wait_for_lines(1, LIMIT);
        running.signal(Signal::SIGINT);
        dies_by(&running.finish(LIMIT), Signal::SIGINT, "null\n", "stopping: no task runs\n1 ok, 0 failed in ");
        assert!(!place.path("b").exists());
    }
}

#[test]
fn an_interrupt_at_any_moment_leaves_nothing() {
    for method in METHODS {
        for millis in (0..40).step_by(4) {
            let place = Place::new("early-int");
            let running = Running::start(mapping(&place, &format!("--start-method {method}")));
            // What comes first may be told to ignore the signal. Then no synchronisation: the moment is what is varied.
            running.wait_for_exec("env");
            std::thread::sleep(Duration::from_millis(millis));
            running.signal(Signal::SIGINT);
            assert_eq!(running.finish(LIMIT).signal, Some(Signal::SIGINT), "after {millis} ms");
            place.audit();
        }
    }
}

#[test]
fn what_is_not_run_keeps_its_place_before_what_is() {
    // Which worker gets which record is nobody's promise: it is tried until the second waits behind the first.
    let waits = "until [ -e go ]; do sleep 0.01; done";
    for _ in 0..50 {
        let place = Place::new("gap");
        let mut running = Running::start(mapping(&place, "-j 2 --chunksize 2 --output-format records"));
        running.write(&format!("touch a; {waits}\ntouch b\ntouch c; {waits}\ntouch d\n"));
        wait_for_files(&place, &running, &["a", "c"]);
        running.signal(Signal::SIGINT);
        running.wait_for_message("stopping: ", LIMIT);
        place.file("go", "");
        let finished = running.finish(LIMIT);
        if place.path("b").exists() {
            continue;
        }
        let lines: Vec<serde_json::Value> =
            finished.out.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        // The last record's place is not kept, as nothing follows.
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!((&lines[1]["index"], &lines[1]["error"]["kind"]), (&1.into(), &"not-run".into()));
        assert!(lines[2].get("error").is_none(), "{lines:?}");
        dies_by(&finished, Signal::SIGINT, &finished.out, "\n2 ok, 0 failed, ");
        return;
    }
    panic!("the second record has always run");
}
