//! A worker that gets nowhere is named, and left alone.

use crate::harness::{METHODS, Place};
use crate::processes::wait_until;
use crate::running::Running;
use nix::pty::openpty;
use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

/// Stops its worker until there is a file `enough`.
const STOP: &str = "kill -STOP $PPID; until [ -e enough ]; do sleep 0.05; done; kill -CONT $PPID";

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn without_a_terminal_a_line_names_it_once() {
    for method in METHODS {
        let place = Place::new("trouble");
        let mut running = Running::start(place.program_mapping(&format!("shell -j 2 --start-method {method}")));
        running.write(&format!("true\n{STOP}\n"));
        running.close();
        wait_until(LIMIT, || if running.err().contains("warning: ") { Ok(()) } else { Err(running.err()) });
        place.file("enough", "");
        let finished = running.finish(LIMIT);
        finished.gives(0, "null\nnull\n", &["warning: worker ", " (pid ", ") stopped for ", " s in task 1\n"]);
        assert_eq!(finished.err.matches("warning: ").count(), 1, "{}", finished.err);
    }
}

#[test]
fn the_bar_shows_it_while_it_lasts() {
    let place = Place::new("trouble-bar");
    let pty = openpty(None, None).expect("there are terminals left");
    let mut command = place.program_mapping("shell -j 1");
    place.file("lines", format!("true\n{STOP}\n"));
    command
        .args(["--input", "lines"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(pty.slave);
    let child = command.spawn().expect("the program was built");
    drop(command);
    let mut master = File::from(pty.master);
    let (mut screen, mut block) = (String::new(), [0; 4096]);
    // Ends with an error when the last user of the terminal has gone.
    while let Ok(read @ 1..) = master.read(&mut block) {
        screen.push_str(&String::from_utf8_lossy(&block[..read]));
        if screen.contains("stopped for") {
            place.file("enough", "");
        }
    }
    let output = child.wait_with_output().expect("nobody else waits for it");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"null\nnull\n"[..]), "{screen:?}");
    assert!(screen.contains("1 ok, 0 failed, worker 0 (pid "), "{screen:?}");
    assert!(!screen.contains("warning: "), "{screen:?}");
}
