//! The supervisor's hold on its guardian.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::boot::Order;
use super::control::{Hello, Report, Request};
use super::fork::{Copied, fork_guardian};
use super::spawn::Executable;
use super::{Method, is_shortage};
use crate::cgroup::Group;
use crate::child::{PidFd, reap};
use crate::fd::Fd;
use crate::image::{self, EntryPoint, ImageError};
use crate::socket::{packet_pair, receive_packet, send_packet};
use crate::takeover::Hooks;

/// How a gang is to be started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where guardian and workers come from.
    pub method: Method,
    /// Shown by `ps`.
    pub name: String,
    /// Run once in the guardian (under `spawn` the library runs it in each worker instead).
    pub preload: Option<(EntryPoint, Vec<u8>)>,
    /// What guardian and workers are to be in.
    pub group: Option<Arc<Group>>,
    /// What guardian and workers have in their environment if the caller has not: names and values.
    pub variables: Vec<(String, String)>,
    /// What workers print must not mix with the program's own output.
    pub stdout_to_stderr: bool,
    /// The guardian starts one process, and leaves when that is dead.
    pub single: bool,
    /// The caller has promised that forking beside its threads is sound.
    pub threads_allowed: bool,
    /// How long the guardian may take until it is ready.
    pub limit: Duration,
}

/// Why there is no guardian.
#[derive(Debug)]
pub enum StartError {
    /// The program cannot be started a second time.
    Image(ImageError),
    /// `fork` beside so many of the caller's threads.
    Threads(usize),
    /// `fork` while a callback runs.
    Callback,
    /// The system refused the step named.
    System(&'static str, io::Error),
    /// The guardian says why.
    Failed(String),
    /// The guardian died before it was ready.
    Died,
    /// The guardian was not ready in time.
    Silent(Duration),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => write!(f, "cannot start processes from this program: {error}"),
            Self::Threads(count) => write!(
                f,
                "start method fork is refused: this process runs {count} other thread(s), and locks they hold would stay \
                 locked in the workers for ever; build the pool before starting threads, or use start method forkserver"
            ),
            Self::Callback => f.write_str(
                "start method fork is refused: a callback of another pool has been running for more than 5 s; \
                 build the pool when no callback runs, or use start method forkserver",
            ),
            Self::System(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Failed(text) => f.write_str(text),
            Self::Died => f.write_str("the guardian process died while it was starting"),
            Self::Silent(limit) => {
                write!(f, "the guardian process, preload included, was not ready within {limit:?} (see start_timeout)")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Image(error) => Some(error),
            Self::System(_, error) => Some(error),
            _ => None,
        }
    }
}

/// A running guardian.
#[derive(Debug)]
pub struct Guardian {
    control: Fd,
    pidfd: PidFd,
    pid: i32,
    outbox: VecDeque<Asked>,
    /// Starts that it could not even be asked for.
    refused: VecDeque<Report>,
    /// The process that started it. A forked copy of that must not dismiss the guardian.
    creator: u32,
    finished: bool,
    group: Option<Arc<Group>>,
}

/// A request for a worker that is not sent yet.
#[derive(Debug)]
struct Asked {
    slot: u32,
    generation: u32,
    /// The worker's own.
    link: Fd,
    memory: Option<Fd>,
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System(what, error)
}

impl Guardian {
    /// Starts a guardian and waits until it is ready to start workers.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left behind then.
    pub fn launch(plan: Plan, hooks: &'static Hooks) -> Result<Self, StartError> {
        let limit = plan.limit;
        let mut guardian = Self::begin(plan, hooks)?;
        // When it fails, the drop of the guardian cleans up.
        guardian.await_ready(limit)?;
        Ok(guardian)
    }

    /// Starts a guardian and does not wait: [`Report::Ready`] comes when it can start workers, or [`Report::Failed`].
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left behind then.
    pub fn begin(mut plan: Plan, hooks: &'static Hooks) -> Result<Self, StartError> {
        image::check().map_err(StartError::Image)?;
        let (ours, theirs) = packet_pair().map_err(system("make the control socket"))?;
        let (method, threads_allowed) = (plan.method, plan.threads_allowed);
        let (variables, group) = (std::mem::take(&mut plan.variables), plan.group.clone());
        let hello = hello(plan).map_err(system("read /proc/self/exe"))?;
        let pid = match method {
            Method::Fork => {
                fork_guardian(Copied { hello: &hello, variables: &variables, hooks }, &theirs, threads_allowed)?
            }
            Method::Forkserver | Method::Spawn => {
                spawn_guardian(&theirs, &variables).map_err(system("start the guardian"))?
            }
        };
        drop(theirs);
        let pidfd =
            PidFd::open(pid).inspect_err(|_| discard(pid, group.as_deref())).map_err(system("watch the guardian"))?;
        let (outbox, refused, creator) = (VecDeque::new(), VecDeque::new(), std::process::id());
        let guardian = Self { control: ours, pidfd, pid, outbox, refused, creator, finished: false, group };
        if method != Method::Fork {
            // When this fails, the drop of the guardian cleans up.
            guardian.greet(&hello)?;
        }
        Ok(guardian)
    }

    fn greet(&self, hello: &Hello) -> Result<(), StartError> {
        match send_packet(&self.control, &hello.to_packet(), &[]) {
            Ok(true) => Ok(()),
            // The socket is new, so what is short is the system's memory. The guardian would wait for the packet, and this
            // process for the guardian.
            Ok(false) => Err(StartError::System("greet the guardian", io::ErrorKind::WouldBlock.into())),
            Err(_) => Err(StartError::Died),
        }
    }

    fn await_ready(&mut self, limit: Duration) -> Result<(), StartError> {
        let end = Instant::now().checked_add(limit);
        loop {
            match self.receive().map_err(|_| StartError::Died)? {
                Some(Report::Ready) => return Ok(()),
                Some(Report::Failed(text)) => return Err(StartError::Failed(text)),
                Some(_) => return Err(StartError::Died),
                None => {}
            }
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(StartError::Silent(limit));
            }
            if self.wait(left) {
                // Dead; but what it said before comes first.
                return match self.receive() {
                    Ok(Some(Report::Failed(text))) => Err(StartError::Failed(text)),
                    _ => Err(StartError::Died),
                };
            }
        }
    }

    /// Waits for a packet or the guardian's death; `true` for a death.
    fn wait(&self, limit: Duration) -> bool {
        let mut fds =
            [PollFd::new(self.control.as_fd(), PollFlags::POLLIN), PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let millis = i32::try_from(limit.as_millis() + 1).unwrap_or(i32::MAX);
        // An interrupted wait is no death: the caller looks at its deadline and comes back.
        let _ = poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX));
        fds[1].any().unwrap_or(false) && !fds[0].any().unwrap_or(false)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once the guardian is dead.
    #[must_use]
    pub fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    /// The control group that it and all its descendants are in.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.group.as_deref()
    }

    /// Asks for a worker with this link and this memory, or for a process that makes one call and needs none;
    /// [`Report::Started`] or [`Report::StartFailed`] is the answer.
    ///
    /// # Errors
    /// When the guardian is gone.
    pub fn start(&mut self, slot: u32, generation: u32, link: Fd, memory: Option<Fd>) -> io::Result<()> {
        self.outbox.push_back(Asked { slot, generation, link, memory });
        self.flush()
    }

    /// The next report, waiting for it until `until`; `None` when there was none by then.
    ///
    /// # Errors
    /// When the guardian is dead and has said all that it had to say, or talks nonsense.
    pub fn receive_until(&mut self, until: Instant) -> io::Result<Option<Report>> {
        loop {
            self.flush()?;
            if let Some(report) = self.receive()? {
                return Ok(Some(report));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // With requests that wait for room it comes back to them soon, as this waits for reports.
            let left = if self.wants_to_write() { left.min(Duration::from_millis(1)) } else { left };
            if self.wait(left) {
                let last = self.receive()?;
                return last.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends what the socket had no room for; it is writable again when it has. What cannot be sent for want of something
    /// that others use now, as when too many of the user's descriptors are under way, is a start that has failed: nothing
    /// would say when it can be. It is [reported](Self::receive) as the guardian reports those that fail there.
    ///
    /// # Errors
    /// When the guardian is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(Asked { slot, generation, link, memory }) = self.outbox.front() {
            let (slot, generation) = (*slot, *generation);
            let raw: Vec<RawFd> = [link].into_iter().chain(memory).map(|fd| fd.as_fd().as_raw_fd()).collect();
            match send_packet(&self.control, &Request::Start { slot, generation }.to_packet(), &raw) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_shortage(&error) => {
                    let errno = error.raw_os_error().unwrap_or(libc::ETOOMANYREFS);
                    self.refused.push_back(Report::StartFailed { slot, generation, errno });
                }
                Err(error) => return Err(error),
            }
            self.outbox.pop_front();
        }
        Ok(())
    }

    /// Whether [`receive`](Self::receive) has something to say that its descriptor does not announce.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether something waits for room on the socket.
    #[must_use]
    pub fn wants_to_write(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The next report, if there is one.
    ///
    /// # Errors
    /// When the guardian has closed its end or talks nonsense: it cannot be served any longer.
    pub fn receive(&mut self) -> io::Result<Option<Report>> {
        if let Some(report) = self.refused.pop_front() {
            return Ok(Some(report));
        }
        match receive_packet(&self.control)? {
            None => Ok(None),
            Some(packet) if packet.bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(packet) => {
                let report = Report::from_packet(packet);
                report
                    .map(Some)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "malformed packet from the guardian"))
            }
        }
    }

    /// Asks the guardian to kill everything and leave, gives it `limit` for that, and reaps it.
    ///
    /// After the limit it is killed, and its workers with it, as their parent's death is a signal to them.
    pub fn finish(&mut self, limit: Duration) {
        self.finished = true;
        // When it is gone already, there is nothing to ask.
        let _ = send_packet(&self.control, &Request::Shutdown.to_packet(), &[]);
        if !self.pidfd.dead_within(limit) {
            self.pidfd.kill();
            // A killed process is dead at once, unless the kernel itself is stuck in it.
            let _ = self.pidfd.dead_within(Duration::from_millis(500));
        }
        if self.pidfd.dead_within(Duration::ZERO) {
            // `None`: the host reaps everything itself.
            let _ = reap(self.pid);
        }
        // Whatever its sweep has missed, or what is left because it did not come to that.
        if let Some(group) = &self.group {
            group.kill();
        }
    }
}

impl Drop for Guardian {
    /// The last resort for a guardian that nobody has finished: bounded, and inert in a forked copy.
    fn drop(&mut self) {
        if !self.finished && std::process::id() == self.creator {
            self.finish(Duration::from_millis(500));
        }
    }
}

impl AsFd for Guardian {
    /// The control socket, to be watched.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

fn hello(plan: Plan) -> io::Result<Hello> {
    let group = plan.group.map(|group| group.directory().to_string_lossy().into_owned());
    Ok(Hello {
        group: group.unwrap_or_default(),
        method: plan.method,
        supervisor: std::process::id().cast_signed(),
        image: image::identity()?,
        stdout_to_stderr: plan.stdout_to_stderr,
        single: plan.single,
        preload: plan.preload,
        name: plan.name,
    })
}

/// Ends a guardian that cannot be watched. It is our child and not reaped, so the number is its own.
fn discard(pid: i32, group: Option<&Group>) {
    // ESRCH: the host reaps everything itself, and it is gone.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    // A killed process is dead at once, and without its descriptor there is no other way to wait for that.
    let _ = reap(pid);
    if let Some(group) = group {
        group.kill();
    }
}

fn spawn_guardian(control: &Fd, variables: &[(String, String)]) -> io::Result<i32> {
    Executable::open()?.spawn("ganger: guardian", &Order::Guardian.to_text(), variables, &[control.as_fd()])
}
