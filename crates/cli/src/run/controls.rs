//! How signals act on workers.

use super::flight::Flight;
use crate::halt::Halt;
use crate::signals::Controls;
use ganger::{Pool, WorkerStatus};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::sync::Arc;
use std::time::Instant;

/// Acts on a gang.
pub(super) struct GangControls {
    pool: Pool,
    flight: Arc<Flight>,
    halt: Arc<Halt>,
    started: Instant,
}

impl GangControls {
    pub(super) fn new(pool: Pool, flight: Arc<Flight>, halt: Arc<Halt>) -> Self {
        Self { pool, flight, halt, started: Instant::now() }
    }

    fn signal(&self, signal: Signal) {
        for worker in self.pool.workers() {
            // ESRCH: it has died since, which is no trouble.
            let _ = killpg(Pid::from_raw(worker.pid().cast_signed()), signal);
        }
    }

    fn sentence(&self, worker: &WorkerStatus) -> String {
        let state = state_of(worker.pid());
        let what = match worker.running() {
            Some(task) => {
                let place = self.flight.place(task.index()).map_or("a record".to_owned(), |place| place.to_string());
                format!("runs {place} for {:.2} s", task.elapsed().as_secs_f64())
            }
            None if worker.is_ready() => "waits for work".to_owned(),
            None => "is getting ready".to_owned(),
        };
        format!("state: worker {} (pid {}, {state}) {what}", worker.slot(), worker.pid())
    }
}

impl Controls for GangControls {
    fn stop(&self) -> usize {
        self.halt.raise();
        self.pool.cancel_queued();
        self.pool.workers().iter().filter(|worker| worker.running().is_some()).count()
    }

    fn kill(&self) -> bool {
        self.flight.kill(self.pool.workers().iter().filter_map(|worker| Some(worker.running()?.index())));
        self.pool.terminate();
        true
    }

    fn pause(&self, stop: &mut dyn FnMut()) {
        self.signal(Signal::SIGSTOP);
        self.pool.stand_still(stop);
        self.signal(Signal::SIGCONT);
    }

    fn describe(&self) -> Vec<String> {
        let workers = self.pool.workers();
        let running = workers.iter().filter(|worker| worker.running().is_some()).count() as u64;
        let mut lines = vec![self.flight.state_line(running, self.started.elapsed())];
        lines.extend(workers.iter().map(|worker| self.sentence(worker)));
        if let Some(guardian) = self.pool.guardian_pid() {
            lines.push(format!("state: guardian (pid {guardian}, {})", state_of(guardian)));
        }
        lines
    }
}

/// Says what the kernel thinks of a process, as in proc(5).
fn state_of(pid: u32) -> &'static str {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything, parentheses included.
    match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
        Some('R') => "on the processor",
        Some('S' | 'I') => "sleeping",
        Some('D') => "in uninterruptible sleep",
        Some('T') => "stopped",
        Some('t') => "stopped by a debugger",
        Some('Z' | 'X') | None => "dead",
        Some(_) => "in a state of its own",
    }
}
