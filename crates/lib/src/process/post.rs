//! A guardian that starts processes, and what it has reported.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ganger_os::child::{Exit, PidFd, Usage};
use ganger_os::fd::Fd;
use ganger_os::start::{Guardian, Plan, Report, StartError};

use crate::StartMethod;
use crate::worker::HOOKS;

/// How long a guardian may take to start a process, its own start included.
const START: Duration = Duration::from_secs(30);

/// How long a guardian may take to report a death that its process's pidfd has announced.
const LOST: Duration = Duration::from_secs(1);

/// How long a guardian that is not needed any more gets to leave.
const LEAVE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Post {
    desk: Mutex<Desk>,
}

#[derive(Debug)]
struct Desk {
    guardian: Guardian,
    /// How processes have ended after which nobody has asked yet.
    exits: HashMap<u32, (Exit, Usage)>,
    /// It is dead, or was dismissed.
    gone: bool,
    /// It serves one process.
    single: bool,
}

/// Why no process was started.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The guardian is dead, and nothing of the user's has run.
    Gone,
    Guardian(StartError),
    Process(io::Error),
}

impl Post {
    /// Starts a guardian; whether it can serve is known when it has started something.
    pub(super) fn open(method: StartMethod, threads_allowed: bool) -> Result<Self, StartError> {
        let single = method == StartMethod::Fork;
        let plan = Plan {
            method: method.method(),
            name: "of processes".to_owned(),
            preload: None,
            group: None,
            variables: Vec::new(),
            stdout_to_stderr: false,
            single,
            threads_allowed,
            limit: START,
        };
        let guardian = Guardian::begin(plan, &HOOKS)?;
        Ok(Self { desk: Mutex::new(Desk { guardian, exits: HashMap::new(), gone: false, single }) })
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can be asked for a process.
    pub(super) fn serves(&self) -> bool {
        let mut desk = self.lock();
        if !desk.gone && desk.guardian.pidfd().dead_within(Duration::ZERO) {
            desk.close();
        }
        !desk.gone
    }

    /// Has process `number` started with this link, which is all that it gets to know.
    pub(super) fn start(&self, number: u32, link: Fd) -> Result<(i32, PidFd), Refusal> {
        let mut desk = self.lock();
        if desk.gone {
            return Err(Refusal::Gone);
        }
        if desk.guardian.start(number, 0, link, None).is_err() {
            desk.close();
            return Err(Refusal::Gone);
        }
        desk.await_start(number)
    }

    /// How process `number`, which is dead, has ended; `None` when that will never be known.
    pub(super) fn exit_of(&self, number: u32) -> Option<(Exit, Usage)> {
        let mut desk = self.lock();
        let until = Instant::now() + LOST;
        while !desk.exits.contains_key(&number) && !desk.gone {
            // Under the lock: whoever else waits for a report would take this one away, and it comes in microseconds.
            match desk.guardian.receive_until(until) {
                Ok(Some(report)) => desk.note(report),
                Ok(None) => break,
                Err(_) => desk.close(),
            }
        }
        let exit = desk.exits.remove(&number);
        if desk.single {
            desk.close();
        }
        exit
    }

    /// Has the guardian leave.
    pub(super) fn dismiss(&self) {
        self.lock().close();
    }
}

impl Desk {
    fn await_start(&mut self, number: u32) -> Result<(i32, PidFd), Refusal> {
        let until = Instant::now() + START;
        loop {
            match self.guardian.receive_until(until) {
                Ok(Some(Report::Started { slot, pid, pidfd, .. })) if slot == number => {
                    // Without it the process cannot be watched. It has not been told anything, and leaves with its link.
                    return pidfd.map(|pidfd| (pid, pidfd)).ok_or_else(|| Refusal::Process(full()));
                }
                Ok(Some(Report::StartFailed { slot, errno, .. })) if slot == number => {
                    return Err(Refusal::Process(io::Error::from_raw_os_error(errno)));
                }
                Ok(Some(Report::Failed(text))) => {
                    self.close();
                    return Err(Refusal::Guardian(StartError::Failed(text)));
                }
                Ok(Some(report)) => self.note(report),
                Ok(None) => {
                    self.guardian.pidfd().kill();
                    self.close();
                    return Err(Refusal::Guardian(StartError::Silent(START)));
                }
                Err(_) => {
                    self.close();
                    return Err(Refusal::Gone);
                }
            }
        }
    }

    fn note(&mut self, report: Report) {
        if let Report::Exited(exit) = report {
            self.exits.insert(exit.slot, (exit.exit, exit.usage));
        }
    }

    /// Notes what it has said to the last, and lets go of it.
    fn close(&mut self) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        self.guardian.finish(LEAVE);
        while let Ok(Some(report)) = self.guardian.receive() {
            self.note(report);
        }
    }
}

/// The kernel says so when a table of descriptors is full.
fn full() -> io::Error {
    const EMFILE: i32 = 24;
    io::Error::from_raw_os_error(EMFILE)
}
