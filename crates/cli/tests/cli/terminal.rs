//! What a person at a terminal sees.

use crate::harness::Place;
use nix::pty::openpty;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

/// Reads a terminal until its last user has gone, which is an error by then.
fn watch(mut master: File) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut screen = Vec::new();
        let mut block = [0; 4096];
        while let Ok(read @ 1..) = master.read(&mut block) {
            screen.extend_from_slice(&block[..read]);
        }
        String::from_utf8_lossy(&screen).into_owned()
    })
}

#[test]
fn a_terminal_as_input_gets_help_instead_of_a_wait() {
    let place = Place::new("tty");
    let pty = openpty(None, None).unwrap();
    let mut command = place.command();
    command.args(["map", "square", "--serial"]).stdin(pty.slave).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{err}");
    assert!(err.contains("no --input is given") && err.contains("ganger map [OPTIONS] <TASK>"), "{err}");
}

#[test]
fn the_bar_steps_aside_for_messages() {
    for no_color in [false, true] {
        let place = Place::new(&format!("bar-{no_color}"));
        let pty = openpty(None, None).unwrap();
        let screen = watch(pty.master.into());
        let mut command = place.command();
        command.args(["map", "sleep-square", "--serial", "--arg", "ms=60", "--on-error", "report"]);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(pty.slave);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let mut child = command.spawn().unwrap();
        // The command holds the terminal's other end; it must be the last to do so.
        drop(command);
        child.stdin.take().unwrap().write_all(b"1\n2\nx\n3\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let screen = screen.join().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"1\n4\nnull\n9\n"[..]), "{screen:?}");
        assert!(screen.contains("1 ok, 0 failed"), "no bar in {screen:?}");
        let before = screen.split("stdin:3: \"x\" is not a whole number (i64)\r\n").next().unwrap();
        assert_ne!(before, screen, "{screen:?}");
        assert!(before.ends_with(['\n', '\r', 'K']), "the message does not start a line: {screen:?}");
        assert!(screen.trim_end().ends_with("s, serial"), "{screen:?}");
        assert!(!screen.contains("\u{1b}[3"), "colour in {screen:?}");
    }
}
