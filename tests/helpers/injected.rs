//! A program with a pool, whose system calls somebody makes fail once SIGUSR1 has come: `injected METHOD [capture]`.
//!
//! It ends with 0 when every task has ended as it does without a fault, with 3 when some have ended in an error instead,
//! with 4 when there is no pool; and with 1 when a value is wrong, or a process is left of a pool that there is not.

use std::fmt::Write;
use std::process::ExitCode;

use ganger::{Pool, StartMethod, TaskError, TaskErrorKind};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, waitpid};

const TASKS: u64 = 24;

fn square(x: u64) -> u64 {
    x * x
}

/// Arguments and result are larger than a socket and than a page.
fn twice(text: String) -> String {
    text.repeat(2)
}

fn dies(_: u32) {
    // No call that this one depends on is among those that fail.
    std::process::abort();
}

/// Whoever makes calls fail has to be there first. Without a deadline: the suite kills a program that it does not need.
fn wait_for_the_fault() -> nix::Result<()> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGUSR1);
    mask.thread_block()?;
    println!("waiting");
    mask.wait()?;
    mask.thread_unblock()
}

fn main() -> ExitCode {
    let method = std::env::args().nth(1).and_then(|name| name.parse().ok()).expect("a start method");
    wait_for_the_fault().expect("a signal that can be waited for");
    let mut report = Report::default();
    let code = match pool(method) {
        Ok(pool) => use_up(pool, &mut report),
        Err(error) => {
            report.line(&format!("no pool: {:?}: {error}", error.kind()));
            report.no_child();
            if report.wrong { ExitCode::FAILURE } else { ExitCode::from(4) }
        }
    };
    // At the end, in one piece: this write may be the one that fails, and the code says enough.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), report.text.as_bytes());
    code
}

fn pool(method: StartMethod) -> Result<Pool, ganger::Error> {
    let builder = Pool::builder().workers(2).start_method(method);
    if std::env::args().nth(2).is_some() { builder.capture_output(100).build() } else { builder.build() }
}

fn use_up(pool: Pool, report: &mut Report) -> ExitCode {
    for (x, outcome) in (0..TASKS).zip(pool.try_map(square, 0..TASKS)) {
        report.value("square", outcome, |value| *value == x * x);
    }
    // A worker dies: it is buried, and another takes its place.
    report.death(pool.apply(dies, (0,)));
    report.value("twice", pool.apply(twice, ("x".repeat(1 << 20),)), |twice| twice.len() == 2 << 20);
    pool.close();
    if let Err(error) = pool.join() {
        report.error("join", &error.to_string());
    }
    if report.wrong { ExitCode::FAILURE } else { ExitCode::from(if report.failed { 3 } else { 0 }) }
}

/// What came of the tasks.
#[derive(Default)]
struct Report {
    text: String,
    failed: bool,
    wrong: bool,
}

impl Report {
    fn line(&mut self, text: &str) {
        writeln!(self.text, "{text}").expect("a string takes everything");
    }

    fn error(&mut self, what: &str, error: &str) {
        self.failed = true;
        self.line(&format!("{what}: {error}"));
    }

    /// This program has no other children than a pool's guardian.
    fn no_child(&mut self) {
        let left = waitpid(None, Some(WaitPidFlag::WNOHANG));
        if left != Err(nix::Error::ECHILD) {
            self.wrong = true;
            self.line(&format!("a child is left: {left:?}"));
        }
    }

    fn value<T>(&mut self, task: &str, outcome: Result<T, TaskError>, right: impl Fn(&T) -> bool) {
        match outcome {
            Ok(value) if right(&value) => {}
            Ok(_) => {
                self.wrong = true;
                self.line(&format!("{task}: a wrong value"));
            }
            Err(error) => self.error(task, &error.to_string()),
        }
    }

    fn death(&mut self, outcome: Result<(), TaskError>) {
        match outcome {
            Err(error) if error.kind() == TaskErrorKind::Killed(Signal::SIGABRT as i32) => {}
            Err(error) => self.error("dies", &error.to_string()),
            Ok(()) => {
                self.wrong = true;
                self.line("dies: it lives");
            }
        }
    }
}
