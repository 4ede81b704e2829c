//! System calls that fail: the kernel's answers are made up by strace, one fault at a time, in the program, its guardian and
//! its workers alike. Whatever fails, the program ends in time, with right values or with errors that say why, and leaves
//! nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ganger::StartMethod;
use ganger_tests::{Case, scratch, signal, wait_until};
use nix::sys::signal::Signal;

use crate::kit::helper;

/// Nothing that a fault can lead to takes longer, on the busiest machine. It is less than a pool's `start_timeout`: waiting
/// for that is no way out.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// What a fault may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    /// Every task ends as it does without: what failed is done again, or is done without.
    Nowhere,
    /// Tasks, or the building of the pool, may end in an error.
    ToErrors,
}

use Leads::{Nowhere, ToErrors};

/// A call, its error, and the how-many-th call of each process and thread fails so; where there are names for the same
/// thing, which the C library chooses among, it is any of them.
type Row = (&'static str, &'static str, u32, Leads);

const ROWS: &[Row] = &[
    // Descriptors and memory to share.
    ("socketpair", "EMFILE", 1, ToErrors),
    ("socketpair", "ENFILE", 2, Nowhere),
    ("socketpair", "ENOMEM", 3, Nowhere),
    ("memfd_create", "EMFILE", 1, Nowhere),
    ("memfd_create", "ENOMEM", 2, Nowhere),
    ("ftruncate", "EINTR", 1, Nowhere),
    ("ftruncate", "ENOSPC", 2, Nowhere),
    ("fcntl", "EMFILE", 1, ToErrors),
    ("fcntl", "EPERM", 2, ToErrors),
    ("?dup2,dup3", "EMFILE", 1, ToErrors),
    ("openat", "EMFILE", 1, ToErrors),
    ("openat", "ENFILE", 2, ToErrors),
    ("mmap", "ENOMEM", 1, ToErrors),
    ("mmap", "ENOMEM", 4, ToErrors),
    ("mprotect", "ENOMEM", 1, ToErrors),
    ("munmap", "ENOMEM", 1, Nowhere),
    ("madvise", "EINVAL", 1, ToErrors),
    ("membarrier", "EPERM", 1, Nowhere),
    // Processes and threads.
    ("clone,?clone3,?vfork", "EAGAIN", 1, ToErrors),
    ("clone,?clone3,?vfork", "ENOMEM", 2, ToErrors),
    ("pidfd_open", "EMFILE", 1, ToErrors),
    ("pidfd_open", "ENFILE", 2, Nowhere),
    ("pidfd_open", "ENOMEM", 3, Nowhere),
    ("prctl", "EINVAL", 1, Nowhere),
    ("prctl", "EINVAL", 2, ToErrors),
    ("setpgid", "EPERM", 1, ToErrors),
    ("kill", "EPERM", 1, ToErrors),
    ("waitid", "EINTR", 1, Nowhere),
    ("waitid", "ECHILD", 1, ToErrors),
    ("wait4", "EINTR", 1, Nowhere),
    ("wait4", "ECHILD", 1, ToErrors),
    // Waiting.
    ("epoll_create1", "EMFILE", 1, ToErrors),
    ("epoll_ctl", "ENOSPC", 1, ToErrors),
    ("epoll_ctl", "ENOMEM", 3, ToErrors),
    ("epoll_ctl", "ENOSPC", 4, Nowhere),
    ("epoll_ctl", "ENOSPC", 5, Nowhere),
    ("?epoll_wait,epoll_pwait", "EINTR", 1, Nowhere),
    ("?epoll_wait,epoll_pwait", "EINTR", 2, Nowhere),
    ("?epoll_wait,epoll_pwait", "EBADF", 1, ToErrors),
    ("eventfd2", "EMFILE", 1, ToErrors),
    ("signalfd4", "EMFILE", 1, ToErrors),
    ("?poll,ppoll", "EINTR", 1, Nowhere),
    ("?poll,ppoll", "EINTR", 2, Nowhere),
    ("?poll,ppoll", "ENOMEM", 1, ToErrors),
    // Talking.
    ("sendmsg", "EINTR", 1, Nowhere),
    ("sendmsg", "EINTR", 2, Nowhere),
    ("sendmsg", "EAGAIN", 1, ToErrors),
    ("sendmsg", "EAGAIN", 2, Nowhere),
    ("sendmsg", "EAGAIN", 3, Nowhere),
    ("sendmsg", "ENOBUFS", 1, ToErrors),
    ("sendmsg", "ENOBUFS", 3, ToErrors),
    ("sendmsg", "EPIPE", 2, ToErrors),
    ("sendmsg", "ETOOMANYREFS", 2, ToErrors),
    ("recvmsg", "EINTR", 1, Nowhere),
    ("recvmsg", "EINTR", 2, Nowhere),
    ("recvmsg", "EAGAIN", 1, ToErrors),
    ("recvmsg", "EAGAIN", 2, Nowhere),
    ("recvmsg", "ENOMEM", 1, ToErrors),
    ("recvmsg", "ENOMEM", 3, ToErrors),
    ("recvmsg", "EINTR", 3, Nowhere),
    ("recvmsg", "EINTR", 4, Nowhere),
    ("recvmsg", "EAGAIN", 3, Nowhere),
    ("recvmsg", "EAGAIN", 4, Nowhere),
    ("recvmsg", "ENOMEM", 2, ToErrors),
    ("recvmsg", "ENOMEM", 4, ToErrors),
    ("recvmsg", "ECONNRESET", 3, ToErrors),
    ("read", "EINTR", 1, ToErrors),
    ("read", "EIO", 2, ToErrors),
    ("write", "EIO", 1, Nowhere),
    ("write", "EAGAIN", 1, Nowhere),
];

/// A row under a start method.
#[derive(Clone, Copy, Debug)]
struct Cell {
    row: Row,
    method: StartMethod,
}

/// All cells; the reason why none of them can run here is each one's.
pub(crate) fn cells() -> impl Iterator<Item = Case> {
    let skip = missing();
    let rows = ROWS.iter().flat_map(move |row| {
        StartMethod::ALL.into_iter().map(move |method| {
            let cell = Cell { row: *row, method };
            Case { skip, ..Case::new(cell.name(), Box::new(move || cell.run())) }
        })
    });
    let watched = StartMethod::ALL.into_iter().map(move |method| {
        let name = format!("syscalls::a_start_that_fails_leaves_nothing_watched::{method}");
        Case { skip, ..Case::new(name, Box::new(move || a_start_that_fails_leaves_nothing_watched(method))) }
    });
    rows.chain(watched)
}

/// Two of the three descriptors of a worker whose output is captured are watched, and the third cannot be. When its place is
/// tried again, they have the same numbers, and are not watched already.
fn a_start_that_fails_leaves_nothing_watched(method: StartMethod) {
    let mut program = Program::start_with(method, &["capture"]);
    // Those before are of the waker, the guardian, and the pipes' own set.
    let mut strace = trace(program.child.id(), "epoll_ctl", &["-e", "inject=epoll_ctl:error=ENOSPC:when=8"]);
    signal(program.child.id(), Signal::SIGUSR1);
    let status = wait_until("the program ends", LIMIT, || program.child.try_wait().unwrap(), Option::is_some);
    wait_until("strace leaves with the last process", LIMIT, || strace.try_wait().unwrap(), Option::is_some);
    let (trace, said) = (fs::read_to_string(scratch("trace")).unwrap(), program.said());
    let seen = format!("{status:?}\n{said}\n{trace}");
    assert!(trace.contains("ENOSPC (No space left on device) (INJECTED)") && said.is_empty(), "{seen}");
    let calls = trace.lines().filter_map(|line| line.split_once("epoll_ctl(")).map(|(_, call)| call);
    let calls: Vec<Vec<&str>> = calls.map(|call| call.split([',', ')']).map(str::trim).collect()).collect();
    let (mut watched, mut added) = (BTreeSet::new(), 0);
    // The first set is the driver's. What another thread's call has cut in two counts as not added, or as removed.
    for call in calls.iter().filter(|call| call[0] == calls[0][0]) {
        match call[1] {
            "EPOLL_CTL_ADD" if call.ends_with(&["= 0"]) => {
                assert!(watched.insert(call[2]), "{} is watched already: {seen}", call[2]);
                added += 1;
            }
            "EPOLL_CTL_DEL" => drop(watched.remove(call[2])),
            _ => {}
        }
    }
    assert!(added > 8, "both places were filled after all: {seen}");
}

/// Why no call can be traced here. A case is only told to run where one can, and need not ask again.
pub(crate) fn missing() -> Option<&'static str> {
    if std::env::args().any(|argument| argument == "--case") {
        return None;
    }
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_err() {
        return Some("strace is not installed");
    }
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=none", "-e", "inject=getpid:error=EPERM"]);
    // It leaves with an error if it may not trace, and with the sleeper otherwise.
    strace.args(["-p", &sleeper.id().to_string()]).stderr(Stdio::null());
    let mut strace = strace.spawn().unwrap();
    let attached = wait_until(
        "strace has attached or left",
        LIMIT,
        || (tracer(sleeper.id()), strace.try_wait().unwrap()),
        |(tracer, left)| *tracer != 0 || left.is_some(),
    );
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    strace.wait().unwrap();
    (attached.0 == 0).then_some("strace may not trace here")
}

/// Who traces a process; 0 for nobody.
fn tracer(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap();
    line.trim().parse().unwrap()
}

impl Cell {
    fn name(&self) -> String {
        let (calls, error, number, _) = self.row;
        let call = calls.split(',').next().unwrap_or(calls).trim_start_matches('?');
        format!("syscalls::{call}-{number}-{error}::{}", self.method)
    }

    fn run(&self) {
        let mut program = Program::start(self.method);
        let mut strace = self.attach(program.child.id());
        signal(program.child.id(), Signal::SIGUSR1);
        let status = wait_until("the program ends", LIMIT, || program.child.try_wait().unwrap(), Option::is_some);
        wait_until("strace leaves with the last process", LIMIT, || strace.try_wait().unwrap(), Option::is_some);
        let trace = fs::read_to_string(scratch("trace")).unwrap();
        let said = program.said();
        let seen = format!("{self:?}: {status:?}\n{said}\n{trace}");
        assert!(trace.contains("(INJECTED)"), "no call has failed: {seen}");
        assert!(!said.contains("panicked"), "{seen}");
        let code = status.and_then(|status| status.code());
        match self.row.3 {
            Nowhere => assert_eq!(code, Some(0), "{seen}"),
            // All is well, some tasks ended in errors, or there was no pool: see the program.
            ToErrors => assert!(matches!(code, Some(0 | 3 | 4)), "{seen}"),
        }
    }

    /// Has the calls of a program, and of all that it starts, fail from now on.
    fn attach(&self, pid: u32) -> Child {
        let (calls, error, number, _) = self.row;
        trace(pid, calls, &["-e", &format!("inject={calls}:error={error}:when={number}")])
    }
}

/// Traces calls of a program, and of all that it starts, into `scratch("trace")`.
pub(crate) fn trace(pid: u32, calls: &str, more: &[&str]) -> Child {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", &scratch("trace"), "-e", &format!("trace={calls}")]);
    strace.args(more).args(["-p", &pid.to_string()]);
    // It says whom it has attached to, and once it does the program cannot go on without it.
    let strace = strace.stderr(File::create(scratch("strace")).unwrap()).spawn().unwrap();
    let say = || fs::read_to_string(scratch("strace")).unwrap();
    wait_until("strace has attached", LIMIT, say, |said| said.contains("attached"));
    strace
}

/// The program whose calls are traced, or made to fail.
pub(crate) struct Program {
    pub(crate) child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Program {
    /// Starts it, and waits until it waits.
    pub(crate) fn start(method: StartMethod) -> Self {
        Self::start_with(method, &[])
    }

    fn start_with(method: StartMethod, more: &[&str]) -> Self {
        let mut command = helper("injected");
        let errors = File::create(scratch("errors")).unwrap();
        let mut child = command.arg(method.as_str()).args(more).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "waiting\n");
        Self { child, output }
    }

    /// What it said until it ended; nothing that it has started holds its output open by then.
    pub(crate) fn said(&mut self) -> String {
        let mut text = fs::read_to_string(scratch("errors")).unwrap();
        self.output.read_to_string(&mut text).unwrap();
        text
    }
}
