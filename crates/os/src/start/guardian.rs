//! The guardian: the one process that creates workers, their parent and subreaper.
//!
//! It has one thread and one wait. It is not in the data path. Its rules:
//!
//! 1. A worker's process group is killed *before* the worker is reaped, so that no reused id is ever hit.
//! 2. When the supervisor is dead (its pidfd says so: the socket may be held open by any child that the user forked), it
//!    kills every descendant and leaves.
//! 3. An error that it does not expect is fatal: it sweeps and leaves, rather than spin or serve half-blind.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};

use super::boot::{Order, WorkerOrder, worker_title};
use super::control::{Hello, Request, WorkerExit, reports};
use super::forkserver::{Birth, fork_worker};
use super::spawn::Executable;
use super::sweep::sweep;
use super::{Method, is_shortage};
use crate::cgroup;
use crate::child::{PidFd, reap};
use crate::fd::{self, Fd, Listed};
use crate::mutant::{Protection, without};
use crate::socket::{Packet, receive_packet, send_packet};
use crate::takeover::Hooks;

/// Joins the control group that the supervisor has made for the gang, before anything of the user's runs.
pub(crate) fn join_group(hello: &Hello) -> Result<(), String> {
    if hello.group.is_empty() {
        return Ok(());
    }
    cgroup::join(Path::new(&hello.group)).map_err(|error| format!("cannot join control group {}: {error}", hello.group))
}

/// How long a supervisor may take to die that has closed its end of the control socket.
const DYING: Duration = Duration::from_secs(1);

/// Serves until the supervisor asks it to leave or dies; returns the exit code.
pub(crate) fn serve(control: Fd, hello: Hello, hooks: &'static Hooks) -> i32 {
    match Guardian::new(control, hello, hooks) {
        Ok(mut guardian) => {
            let code = guardian.run();
            sweep();
            guardian.remove_group();
            code
        }
        Err(_) => 1,
    }
}

struct Guardian {
    control: Fd,
    hello: Hello,
    hooks: &'static Hooks,
    supervisor: PidFd,
    deaths: SignalFd,
    executable: Option<Executable>,
    workers: HashMap<i32, (u32, u32)>,
    outbox: VecDeque<(Vec<u8>, Option<PidFd>)>,
    /// It has started a process.
    served: bool,
    /// The supervisor has asked it to leave, and lives on.
    dismissed: bool,
    _deaths_listed: Listed,
}

/// What a turn of the loop leads to.
enum Next {
    Continue,
    Leave,
}

impl Guardian {
    fn new(control: Fd, hello: Hello, hooks: &'static Hooks) -> io::Result<Self> {
        nix::sys::prctl::set_child_subreaper(!without(Protection::Subreaper))?;
        let supervisor = PidFd::open(hello.supervisor)?;
        // Only now is it certain that the descriptor is the supervisor's, and not that of a later process of that number.
        if getppid().as_raw() != hello.supervisor {
            return Err(io::ErrorKind::NotFound.into());
        }
        if hello.stdout_to_stderr {
            fd::place(io::stderr().as_fd(), 1)?;
        }
        let executable = (hello.method == Method::Spawn).then(Executable::open).transpose()?;
        let deaths = deaths()?;
        let outbox = VecDeque::from([(reports::ready(), None)]);
        let workers = HashMap::new();
        let (served, dismissed, _deaths_listed) = (false, false, Listed::new(&deaths));
        Ok(Self {
            control,
            hello,
            hooks,
            supervisor,
            deaths,
            executable,
            workers,
            outbox,
            served,
            dismissed,
            _deaths_listed,
        })
    }

    fn run(&mut self) -> i32 {
        loop {
            match self.turn() {
                Ok(Next::Continue) => {}
                Ok(Next::Leave) => return 0,
                Err(_) => return 1,
            }
        }
    }

    /// Does what a supervisor that has been killed cannot do any more.
    fn remove_group(&self) {
        // Whoever hangs up without a word is dying: the kernel closes its descriptors before it is dead, and may do other things
        // in between.
        let limit = if self.dismissed { Duration::ZERO } else { DYING };
        if !self.hello.group.is_empty() && self.supervisor.dead_within(limit) {
            cgroup::abandon(Path::new(&self.hello.group));
        }
    }

    fn turn(&mut self) -> io::Result<Next> {
        self.send()?;
        let [control, supervisor, deaths] = self.wait()?;
        if supervisor {
            return Ok(Next::Leave);
        }
        if deaths {
            self.clear_deaths()?;
            self.bury()?;
            if self.hello.single && self.served && self.workers.is_empty() {
                // Two packets fit into any socket.
                self.send()?;
                return Ok(Next::Leave);
            }
        }
        if control { self.obey_next() } else { Ok(Next::Continue) }
    }

    fn clear_deaths(&self) -> io::Result<()> {
        loop {
            match self.deaths.read_signal() {
                Ok(None) => return Ok(()),
                Ok(Some(_)) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One request a turn: forking a process of many gigabytes takes seconds, and who waits for a report takes a guardian
    /// that says nothing for stuck.
    fn obey_next(&mut self) -> io::Result<Next> {
        match receive_packet(&self.control)? {
            None => Ok(Next::Continue),
            // The end of the stream: no copy of the supervisor's end is left anywhere.
            Some(packet) if packet.bytes.is_empty() => Ok(Next::Leave),
            Some(packet) => self.obey(packet),
        }
    }

    /// Which of control, supervisor and deaths is ready. Without a deadline: an idle guardian has nothing to do, and
    /// every reason to wake up is one of the three.
    fn wait(&self) -> io::Result<[bool; 3]> {
        let more = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let mut fds = [
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN | more),
            PollFd::new(self.supervisor.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.deaths.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => Ok([false; 3]),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(fds.map(|fd| fd.any().unwrap_or(true))),
        }
    }

    fn obey(&mut self, packet: Packet) -> io::Result<Next> {
        match Request::from_packet(&packet.bytes).map_err(|_| io::ErrorKind::InvalidData)? {
            Request::Shutdown => {
                self.dismissed = true;
                Ok(Next::Leave)
            }
            Request::Start { slot, generation } => {
                self.start(slot, generation, &packet.fds);
                drop(packet.fds);
                if self.hello.single && self.served {
                    self.let_go();
                }
                Ok(Next::Continue)
            }
        }
    }

    fn start(&mut self, slot: u32, generation: u32, fds: &[Fd]) {
        let report = match self.create(slot, generation, fds) {
            Ok((pid, pidfd)) => {
                self.workers.insert(pid, (slot, generation));
                self.served = true;
                (reports::started(slot, generation, pid), Some(pidfd))
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                (reports::start_failed(slot, generation, errno), None)
            }
        };
        self.outbox.push_back(report);
    }

    /// A copy of the caller that has made the one process that it was made for holds the caller's descriptors for nobody:
    /// open, they would hide from others that the process, or the caller, has closed its own.
    fn let_go(&self) {
        let own = [self.control.as_fd(), self.supervisor.as_fd(), self.deaths.as_fd()];
        let to_send = self.outbox.iter().filter_map(|(_, pidfd)| pidfd.as_ref().map(AsFd::as_fd));
        let needed: Vec<RawFd> = own.into_iter().chain(to_send).map(|fd| fd.as_raw_fd()).collect();
        fd::close_all_except(&needed);
    }

    fn create(&self, slot: u32, generation: u32, fds: &[Fd]) -> io::Result<(i32, PidFd)> {
        // They are missing when this process's table of descriptors is full.
        let (link, memory) = match fds {
            [link, memory] => (link, Some(memory)),
            [link] => (link, None),
            _ => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
        };
        let pool = self.hello.name.as_str();
        let pid = if let Some(executable) = &self.executable {
            let guardian = std::process::id().cast_signed();
            let (page, pool) = (memory.is_some(), pool.to_owned());
            let order = Order::Worker(WorkerOrder { slot, generation, guardian, page, pool });
            let fds: Vec<_> = [Some(link), memory].into_iter().flatten().map(AsFd::as_fd).collect();
            // The variables with defaults are in this process's own environment, and passed on with it.
            executable.spawn(&worker_title(slot, page), &order.to_text(), &[], &fds)?
        } else {
            fork_worker(Birth { slot, generation, method: self.hello.method, pool, hooks: self.hooks }, link, memory)?
        };
        match PidFd::open(pid) {
            Ok(pidfd) => Ok((pid, pidfd)),
            Err(error) => {
                // It is our child and not reaped: the number is still its own.
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
                Err(error)
            }
        }
    }

    /// Buries every child that is dead, workers and adopted orphans alike. One signal may stand for many deaths.
    fn bury(&mut self) -> io::Result<()> {
        loop {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
            let dead = match waitid(Id::All, flags) {
                Ok(status) => status.pid(),
                Err(nix::Error::ECHILD) => None,
                Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(pid) = dead else { return Ok(()) };
            let worker = self.workers.remove(&pid.as_raw());
            if worker.is_some() {
                // ESRCH: it left nobody behind, the usual case.
                let _ = killpg(pid, Signal::SIGKILL);
            }
            let ended = reap(pid.as_raw());
            if let (Some((slot, generation)), Some((exit, usage))) = (worker, ended) {
                let exit = WorkerExit { slot, generation, exit, usage };
                self.outbox.push_back((reports::exited(&exit), None));
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while let Some((packet, pidfd)) = self.outbox.front_mut() {
            let fds: Vec<RawFd> = pidfd.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
            match send_packet(&self.control, packet, &fds) {
                Ok(true) => drop(self.outbox.pop_front()),
                Ok(false) => break,
                // Nothing would say when it can be sent. Without it the supervisor lets the worker go, and tries again.
                Err(error) if pidfd.is_some() && is_shortage(&error) => *pidfd = None,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A descriptor that is readable while deaths of children are unseen. The signal is blocked here and unblocked again in
/// every worker.
fn deaths() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}
