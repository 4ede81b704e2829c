//! A program that uses the library stays what it was: nothing that belongs to the whole process is changed in it. Its system
//! calls are read by strace.

use std::collections::{BTreeMap, BTreeSet};

use ganger::StartMethod;
use ganger_tests::{Case, scratch, signal, wait_until};
use nix::sys::signal::Signal;

use crate::syscalls::{LIMIT, Program, missing, trace};

/// What a host would notice: handlers, waiting for any child, becoming a subreaper, limits, priorities, directories, groups, and
/// whatever makes a process reachable from outside.
const CALLS: &str = "rt_sigaction,wait4,waitid,prctl,setrlimit,prlimit64,umask,chdir,fchdir,setsid,setpgid,setuid,setgid,\
                     sched_setaffinity,setpriority,ioprio_set,kill,bind,listen,unshare,?fork,?vfork,clone,clone3";

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let skip = missing();
    StartMethod::ALL.into_iter().map(move |method| {
        let run = Box::new(move || host_keeps_what_is_its_own(method));
        Case { skip, ..Case::new(format!("host::host_keeps_what_is_its_own::{method}"), run) }
    })
}

fn host_keeps_what_is_its_own(method: StartMethod) {
    let mut program = Program::start(method);
    let pid = program.child.id();
    let mut strace = trace(pid, CALLS, &[]);
    signal(pid, Signal::SIGUSR1);
    let status = wait_until("the program ends", LIMIT, || program.child.try_wait().unwrap(), Option::is_some);
    wait_until("strace leaves with the last process", LIMIT, || strace.try_wait().unwrap(), Option::is_some);
    assert_eq!(status.unwrap().code(), Some(0), "{}", program.said());
    let text = std::fs::read_to_string(scratch("trace")).unwrap();
    let own = threads_of(pid, &text);
    assert!(own.len() >= 2, "the program has a thread that drives its pool: {text}");
    let calls: Vec<&str> = calls(&text).filter(|(tid, _)| own.contains(tid)).map(|(_, call)| call).collect();
    let forks = calls.iter().filter(|call| is_fork(call)).count();
    assert_eq!(forks > 0, method == StartMethod::Fork, "only start method fork copies the program: {calls:#?}");
    let odd: Vec<&&str> = calls.iter().filter(|call| !is_harmless(call, pid)).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

/// The thread and the text of every call.
fn calls(trace: &str) -> impl Iterator<Item = (u32, &str)> {
    trace.lines().filter_map(|line| {
        let (tid, call) = line.split_once(' ')?;
        Some((tid.parse().ok()?, call.trim_start()))
    })
}

/// The threads of one process; strace does not tell them from the processes that it follows as well.
fn threads_of(pid: u32, trace: &str) -> BTreeSet<u32> {
    let mut own = BTreeSet::from([pid]);
    // Threads start threads, and strace may write a thread's first call before its birth.
    loop {
        let known = own.clone();
        let mut unfinished = BTreeMap::new();
        for (tid, call) in calls(trace).filter(|(tid, _)| known.contains(tid)) {
            let thread = match call.strip_prefix("<... clone") {
                Some(_) => unfinished.remove(&tid).unwrap_or(false),
                None => call.starts_with("clone") && call.contains("CLONE_THREAD"),
            };
            if call.contains("<unfinished") {
                unfinished.insert(tid, thread);
            } else if thread && let Some(born) = call.rsplit_once("= ").and_then(|(_, tid)| tid.trim().parse().ok()) {
                own.insert(born);
            }
        }
        if own.len() == known.len() {
            return own;
        }
    }
}

/// Whether a call makes a copy of the process, and not a thread, nor a process that becomes another program at once.
fn is_fork(call: &str) -> bool {
    let clone = call.starts_with("clone") && !call.contains("CLONE_THREAD") && !call.contains("CLONE_VFORK");
    clone || call.starts_with("fork(")
}

/// Whether a call leaves the process as it was.
fn is_harmless(call: &str, pid: u32) -> bool {
    const HARMLESS: &[&str] = &["clone", "fork(", "vfork(", "<...", "+++", "---"];
    let harmless = HARMLESS.iter().any(|start| call.starts_with(start));
    // Names of threads; reading a handler or a limit; one child that it has started itself.
    let names = call.starts_with("prctl(PR_SET_NAME") || call.starts_with("prctl(PR_SET_VMA");
    let reads = call.starts_with("rt_sigaction(") && call.contains(", NULL, {");
    // The C library's own, with the first thread: a signal that programs cannot use.
    let library = call.starts_with("rt_sigaction(SIGRT_1,");
    let asks = call.starts_with("prlimit64(") && (call.contains(", NULL, {") || call.contains(", NULL,  <unfinished"));
    let own_child = call.starts_with("wait4(") && !call.starts_with("wait4(-1") || call.starts_with("waitid(P_PID");
    // The child's group, so that it has one before anybody asks for it.
    let group =
        call.starts_with("setpgid(") && ![0, pid].iter().any(|own| call.starts_with(&format!("setpgid({own},")));
    group || harmless || names || reads || library || asks || own_child
}
