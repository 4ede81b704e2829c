//! Tasks that fail, outputs that cannot be written.

use crate::harness::{Place, finish};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

#[test]
fn the_first_failure_stops() {
    let place = Place::new("first");
    place.map("square", "1\n2\n9999999999\n3\n").gives(
        3,
        "1\n4\n",
        &["error: stdin:3: failed: the square of 9999999999 is too large\n2 ok, 1 failed in"],
    );
    place.map("panic", "oh no\n").gives(3, "", &["error: stdin:1: panicked: oh no (", "trouble.rs:"]);
    place.map("fail --on-error report", "a\u{1b}[31m\n").gives(1, "null\n", &["stdin:1: failed: a\\u{1b}[31m\n"]);
    place.map("kill", "0\n").gives(0, "0\n", &[]);
    place.map("hang", "0\n").gives(0, "null\n", &[]);
    place.map("hang", "-1\n").gives(3, "", &["stdin:1: failed: -1 seconds"]);
    place.map("kill", "777\n").gives(3, "", &["777 is no signal"]);
    place.map("sum --on-error report", "[1,2]\n[1,\"x\"]\n").gives(1, "3\nnull\n", &["stdin:2: element 1: "]);
}

#[test]
fn serial_tasks_share_the_fate_of_the_process() {
    let place = Place::new("fate");
    assert_eq!(place.map("exit", "7\n").code, Some(7));
    assert_eq!(place.map("kill", "9\n").code, None);
}

#[test]
fn a_full_device_is_an_error() {
    let place = Place::new("full");
    let mut command = place.command();
    command.args(["map", "square", "--serial", "--output", "/dev/full"]);
    finish(command, "3\n").gives(74, "", &["error: cannot write /dev/full: No space left on device\n"]);
}

#[test]
fn a_reader_that_goes_away_is_met_quietly() {
    let place = Place::new("gone");
    let mut command = place.command();
    command.args(["map", "square", "--serial"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    // The first result comes while the input is still open: nothing waits for the end.
    stdin.write_all(b"3\n").unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "9\n");
    drop(stdout);
    // It cannot finish this input, nor need it read all of it.
    let lines = "1\n".repeat(1_000_000);
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(141), ""));
}

#[test]
fn a_closed_standard_error_is_no_trouble() {
    let place = Place::new("noerr");
    for full in [false, true] {
        let mut command = place.command();
        command
            .args(["map", "square", "--serial", "--on-error", "report"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if full {
            command.stderr(File::create("/dev/full").unwrap());
        } else {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stderr(writer);
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"2\nx\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"4\nnull\n"[..]), "{full}");
    }
}
