//! Signals: a thread waits for them from the first moment of a run to its last.
//!
//! | signal | what happens |
//! |---|---|
//! | SIGINT | first: nothing more begins, what runs may end; second: what runs is killed; third: the process leaves at once |
//! | SIGTERM, SIGHUP | nothing more begins, what runs may end within `--grace`, then it is killed |
//! | SIGTSTP | workers and this process stop; continued, all go on, and the time between does not count |
//! | SIGUSR1 | says on standard error how things are |
//! | SIGQUIT | says so as well, and ends the process at once, with a core where these are kept; the second does not ask this thread |
//!
//! A run that a signal has ended writes its finished results and its summary, and dies by that signal; one that SIGQUIT has
//! ended writes nothing. SIGPIPE is what writing to standard output says (`output`).

mod ladder;

use crate::exit::Abort;
use crate::say::say;
use ganger_os::catch::{Caught, catch, die_by, stop_here};
use ganger_os::thread::{OwnThread, spawn_own};
use ladder::{Ladder, Step};
use nix::sys::signal::Signal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Those that are caught.
const CAUGHT: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGUSR1, Signal::SIGQUIT];

/// Is how signals act on whatever calls the task.
pub(crate) trait Controls: Send + Sync {
    /// Lets nothing more begin, and returns how many tasks run.
    fn stop(&self) -> usize;

    /// Kills what runs; `false` when nobody can but the end of this process.
    fn kill(&self) -> bool;

    /// Stops what runs, then has `stop` stop this process, then continues what ran.
    fn pause(&self, stop: &mut dyn FnMut());

    /// Describes what is going on, in lines.
    fn describe(&self) -> Vec<String>;
}

/// Is the hold of a run on its signals.
#[derive(Clone)]
pub(crate) struct Signals(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Missing while nothing has begun: then there is nothing to stop, and a signal is the end.
    controls: Option<Arc<dyn Controls>>,
    ending: Option<Signal>,
    stood_still: Duration,
}

impl Signals {
    /// Catches signals from now on; SIGTERM and SIGHUP leave what runs `grace` to end. The thread is one of ganger's own, beside
    /// which the start method `fork` works.
    pub(crate) fn watch(grace: Duration) -> Result<Self, Abort> {
        let signals = Self(Arc::default());
        let theirs = signals.clone();
        on_thread(&CAUGHT, move |thread, caught| theirs.serve(thread, caught, Ladder::new(grace)))?;
        Ok(signals)
    }

    /// Says what signals act upon.
    pub(crate) fn attach(&self, controls: Arc<dyn Controls>) {
        self.state().controls = Some(controls);
    }

    /// Returns how long the run was stopped so far.
    pub(crate) fn stood_still(&self) -> Duration {
        self.state().stood_still
    }

    /// Dies by the signal that has ended the run, if one has.
    pub(crate) fn settle(&self) {
        let ending = self.state().ending;
        if let Some(signal) = ending {
            die_by(signal);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes signals until the process ends.
    fn serve(&self, thread: &OwnThread, mut caught: Caught, mut ladder: Ladder) {
        loop {
            let limit = ladder.limit(Instant::now());
            let signal = thread.park(|| caught.next(limit));
            let now = Instant::now();
            let step = match signal {
                Some(signal) => ladder.signal(signal, now),
                None => ladder.tick(now),
            };
            match step {
                Step::Nothing => {}
                Step::Stop(signal, grace) => self.stop(signal, grace),
                Step::Kill(signal) => self.kill(signal),
                Step::Leave(signal) => die_by(signal),
                Step::Pause => ladder.stood_still(self.pause()),
                Step::Dump => self.describe(),
                Step::DumpAndLeave(signal) => {
                    self.describe();
                    die_by(signal);
                }
            }
        }
    }

    fn stop(&self, signal: Signal, grace: Option<Duration>) {
        // Held until all is said: a run that has nothing left to do ends at once, and its summary, which asks how long it has
        // stood still, is to come behind this line, and its end by the signal, too.
        let mut state = self.state();
        state.ending = Some(signal);
        let Some(controls) = state.controls.clone() else { die_by(signal) };
        let running = controls.stop();
        say(&announcement(signal, grace, running));
    }

    fn kill(&self, signal: Signal) {
        let controls = self.state().controls.clone();
        if !controls.is_some_and(|controls| controls.kill()) {
            die_by(signal);
        }
    }

    /// Stands still until somebody continues this process; returns for how long that was.
    fn pause(&self) -> Duration {
        let controls = self.state().controls.clone();
        let mut time = Duration::ZERO;
        let mut stop = || {
            let before = Instant::now();
            stop_here();
            time = before.elapsed();
        };
        match controls {
            Some(controls) => controls.pause(&mut stop),
            None => stop(),
        }
        self.state().stood_still += time;
        time
    }

    fn describe(&self) {
        let controls = self.state().controls.clone();
        match controls {
            None => say("state: workers are being started"),
            Some(controls) => controls.describe().iter().for_each(|line| say(line)),
        }
    }
}

/// Has the signals that end a process do so after `tidy`, and not at once.
#[cfg(feature = "tutorial")]
pub(crate) fn end_after(tidy: impl FnOnce() + Send + 'static) -> Result<(), Abort> {
    on_thread(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP], |thread, mut caught| {
        let mut next = || thread.park(|| caught.next(None));
        let signal = loop {
            if let Some(signal) = next() {
                break signal;
            }
        };
        tidy();
        die_by(signal);
    })
}

/// Catches signals from now on, and hands them to `serve` on a thread of their own.
fn on_thread(signals: &[Signal], serve: impl FnOnce(&OwnThread, Caught) + Send + 'static) -> Result<(), Abort> {
    let (ready, begun) = mpsc::channel();
    let started = catch(signals).and_then(|caught| {
        spawn_own("ganger: signals", move |thread| {
            drop(ready);
            serve(thread, caught);
        })
    });
    // A thread that has not begun yet is not known as ganger's own, and `fork` would be refused beside it. Nothing is ever
    // sent: the end of the channel is the news.
    let _: Result<(), _> = begun.recv();
    started.map(drop).map_err(|error| Abort::new(crate::exit::BUG, format!("cannot catch signals: {error}")))
}

fn announcement(signal: Signal, grace: Option<Duration>, running: usize) -> String {
    let why = if signal == Signal::SIGINT { String::new() } else { format!(" ({})", signal.as_str()) };
    let tasks = match running {
        0 => return format!("stopping{why}: no task runs"),
        1 => "1 task still runs".to_owned(),
        count => format!("{count} tasks still run"),
    };
    let (them, have) = if running == 1 { ("it", "has") } else { ("them", "have") };
    match grace {
        None => format!("stopping{why}: {tasks}; press Ctrl-C again to kill {them}"),
        Some(grace) => format!("stopping{why}: {tasks} and {have} {} s to end", grace.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_says_what_can_be_done() {
        let grace = Some(Duration::from_millis(1_500));
        for (signal, grace, running, text) in [
            (Signal::SIGINT, None, 2, "stopping: 2 tasks still run; press Ctrl-C again to kill them"),
            (Signal::SIGINT, None, 1, "stopping: 1 task still runs; press Ctrl-C again to kill it"),
            (Signal::SIGINT, None, 0, "stopping: no task runs"),
            (Signal::SIGTERM, grace, 2, "stopping (SIGTERM): 2 tasks still run and have 1.5 s to end"),
            (Signal::SIGHUP, grace, 1, "stopping (SIGHUP): 1 task still runs and has 1.5 s to end"),
        ] {
            assert_eq!(announcement(signal, grace, running), text);
        }
    }
}
