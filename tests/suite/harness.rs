//! The harness itself: what a case leaves behind is found.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use ganger_tests::{Gate, marked, own_mark, wait_until};

pub(crate) const ONCE: crate::Once =
    table![every_leak_is_found, process_that_changes_its_program_is_found, waiting_in_vain_shows_the_last_state,];

/// Cases that must fail; the runner runs them only when it is told to by name.
pub(crate) const LEAKS: crate::Once = table![child, zombie, orphan, descriptor, thread, shared_memory];

fn every_leak_is_found() {
    let programs: Vec<_> = LEAKS
        .iter()
        .map(|(name, _)| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            // With a mark of its own: what one leaves is not to be found by another.
            command.args(["--case", &format!("leaks::{name}")]).env(ganger_tests::MARK, ganger_tests::fresh_mark());
            (name, command.stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (name, program) in programs {
        let output = program.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(101), "{name} was not found: {text}");
        assert!(text.contains("waited 2s in vain until nothing is left"), "{name}: {text}");
    }
}

fn process_that_changes_its_program_is_found() {
    const FOR_EVER: &str = "exec sh -c \"$0\" \"$0\"";
    let mut restless = lasting("sh", &["-c", FOR_EVER, FOR_EVER]);
    // Thousands of its programs: without a second look about one in a hundred is missed.
    let missed = (0..2_000).filter(|_| !marked(&own_mark()).contains(&restless.id())).count();
    restless.kill().unwrap();
    restless.wait().unwrap();
    assert_eq!(missed, 0);
}

fn waiting_in_vain_shows_the_last_state() {
    let outcome =
        std::panic::catch_unwind(|| wait_until("it is 7", Duration::from_millis(5), || 42, |state| *state == 7));
    let text = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("until it is 7") && text.contains("last seen: 42"), "{text}");
}

/// A program that ends some time after the audit, and holds nothing of ours open.
fn lasting(program: &str, arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[expect(clippy::zombie_processes, reason = "that is the leak")]
fn child() {
    lasting("sleep", &["4"]);
}

#[expect(clippy::zombie_processes, reason = "that is the leak")]
fn zombie() {
    lasting("true", &[]);
}

fn orphan() {
    lasting("sh", &["-c", "setsid sleep 4 &"]).wait().unwrap();
}

fn descriptor() {
    let _ = File::open("/dev/null").unwrap().into_raw_fd();
}

fn thread() {
    std::thread::spawn(|| Gate::new("never").pass());
}

fn shared_memory() {
    // It removes itself when the audit has seen it.
    let path = format!("/dev/shm/ganger-test-{}", own_mark());
    File::create(&path).unwrap();
    lasting("sh", &["-c", "(sleep 4; rm \"$0\") &", &path]).wait().unwrap();
}
