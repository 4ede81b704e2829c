//! What a person at a terminal sees.

use crate::harness::{METHODS, Place};
use crate::processes::wait_until;
use crate::running::signal_of;
use nix::pty::openpty;
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

const NO_PANIC: &str = "no holder panics";
const OURS: &str = "nobody else waits for it";

/// Is what a terminal shows, read until its last user has gone, which is an error by then.
struct Screen {
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Screen {
    fn watch(mut master: File) -> Self {
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let theirs = shown.clone();
        let reader = thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(read @ 1..) = master.read(&mut block) {
                theirs.lock().expect(NO_PANIC).extend_from_slice(&block[..read]);
            }
        });
        Self { shown, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect(NO_PANIC)).into_owned()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_until(LIMIT, || if self.text().contains(text) { Ok(()) } else { Err(self.text()) });
    }

    fn end(self) -> String {
        let text = self.shown.clone();
        self.reader.join().expect(NO_PANIC);
        String::from_utf8_lossy(&text.lock().expect(NO_PANIC)).into_owned()
    }
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
        let screen = Screen::watch(pty.master.into());
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
        let screen = screen.end();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"1\n4\nnull\n9\n"[..]), "{screen:?}");
        assert!(screen.contains("1 ok, 0 failed"), "no bar in {screen:?}");
        let before = screen.split("stdin:3: \"x\" is not a whole number (i64)\r\n").next().unwrap();
        assert_ne!(before, screen, "{screen:?}");
        assert!(before.ends_with(['\n', '\r', 'K']), "the message does not start a line: {screen:?}");
        assert!(screen.trim_end().ends_with("s, serial"), "{screen:?}");
        assert!(!screen.contains("\u{1b}[3"), "colour in {screen:?}");
    }
}

/// Runs two tasks that wait for a file, and more behind them, on a terminal of their own, at which `keys` presses keys once both
/// have begun. Returns what came out, and what was on the screen.
fn at_a_terminal(place: &Place, method: &str, keys: impl FnOnce(&mut File, &Screen)) -> (Output, String) {
    place.file("lines", "touch a; until [ -e go ]; do sleep 0.01; done\n".repeat(4).replacen(" a;", " b;", 1));
    let pty = openpty(None, None).expect("there are terminals left");
    let mut master = File::from(pty.master);
    let screen = Screen::watch(master.try_clone().expect("there are descriptors"));
    // The terminal is its controlling one: what is pressed there comes to its process group, as a signal.
    let mut command = place.command_of("setsid");
    command.args(["--ctty", "env", "--default-signal"]).arg(place.program().get_program());
    command.args(["map", "shell", "--input", "lines", "-j", "2", "--chunksize", "1", "--start-method", method]);
    command.stdin(pty.slave.try_clone().expect("there are descriptors")).stdout(Stdio::piped()).stderr(pty.slave);
    let mut child = command.spawn().expect("the program was built");
    drop(command);
    wait_until(LIMIT, || {
        let begun = ["a", "b"].iter().all(|name| place.path(name).exists());
        if begun { Ok(()) } else { Err(screen.text()) }
    });
    keys(&mut master, &screen);
    wait_until(LIMIT, || child.try_wait().expect(OURS).ok_or_else(|| screen.text()));
    (child.wait_with_output().expect(OURS), screen.end())
}

const CTRL_C: &[u8] = b"\x03";
const CTRL_BACKSLASH: &[u8] = b"\x1c";

#[test]
fn one_interrupt_from_the_keyboard_reaches_the_run_and_no_task() {
    for method in METHODS {
        let place = Place::new("tty-int");
        let (output, screen) = at_a_terminal(&place, method, |keyboard, screen| {
            keyboard.write_all(CTRL_C).unwrap();
            screen.wait_for("stopping: ");
            // A task that had got the signal as well would be dead by the time that it may end.
            thread::sleep(Duration::from_millis(200));
            place.file("go", "");
        });
        assert_eq!(signal_of(output.status), Some(Signal::SIGINT), "a shell says 130: {screen:?}");
        assert_eq!(output.stdout, b"null\nnull\n", "{screen:?}");
        assert_eq!(
            screen.matches("stopping: 2 tasks still run; press Ctrl-C again to kill them").count(),
            1,
            "{screen:?}"
        );
        assert!(!screen.contains("panicked"), "{screen:?}");
        place.audit();
    }
}

#[test]
fn two_interrupts_from_the_keyboard_kill() {
    for method in METHODS {
        let place = Place::new("tty-int-twice");
        let (output, screen) = at_a_terminal(&place, method, |keyboard, screen| {
            keyboard.write_all(CTRL_C).unwrap();
            screen.wait_for("press Ctrl-C again to kill them");
            keyboard.write_all(CTRL_C).unwrap();
        });
        assert_eq!(
            (signal_of(output.status), output.stdout.as_slice()),
            (Some(Signal::SIGINT), &b""[..]),
            "{screen:?}"
        );
        place.audit();
    }
}

#[test]
fn a_quit_from_the_keyboard_leaves_nothing() {
    for method in METHODS {
        let place = Place::new("tty-quit");
        let (output, screen) = at_a_terminal(&place, method, |keyboard, _| keyboard.write_all(CTRL_BACKSLASH).unwrap());
        assert_eq!(signal_of(output.status), Some(Signal::SIGQUIT), "{screen:?}");
        assert!(screen.contains("state: guardian (pid "), "{screen:?}");
        place.audit();
    }
}
