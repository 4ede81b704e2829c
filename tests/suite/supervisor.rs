//! The supervisor is killed: nothing that it started stays. And signals that it gets disturb nothing.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ganger::StartMethod;
use ganger_tests::{Log, MARK, dump, fresh_mark, marked, wait_until};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::kit::{SOON, finish, helper, pool, square};

pub(crate) const CONTRACT: crate::Contract =
    table![killed_supervisor_leaves_no_daemons, killed_owner_leaves_no_manager, signals_disturb_no_call,];

pub(crate) const ONCE: crate::Once =
    table![killed_supervisor_leaves_no_process, worker_whose_guardian_is_not_its_parent_leaves];

/// How long anything may live after its supervisor.
const LIMIT: Duration = Duration::from_secs(1);

/// How many supervisors are killed, unless the environment asks for more.
const KILLS: u32 = 300;

/// A supervisor with a mark of its own.
struct Victim {
    mark: String,
    child: Child,
}

impl Victim {
    fn start(method: StartMethod, scene: &str) -> Self {
        let mark = fresh_mark();
        let mut command: Command = helper("supervised");
        command.args([method.as_str(), scene]).env(MARK, &mark).stdout(Stdio::null());
        Self { mark, child: command.spawn().unwrap() }
    }

    /// Kills it and waits until nothing is left.
    #[track_caller]
    fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        let state = || marked(&self.mark).into_iter().map(dump).collect::<Vec<_>>();
        wait_until(&format!("nothing is left ({status})"), LIMIT, state, Vec::is_empty);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        ganger_tests::kill_marked(&self.mark);
    }
}

/// 300 kills at random instants of the first 50 ms, when the pool is being built or has just begun to work.
fn killed_supervisor_leaves_no_process() {
    let count = std::env::var("GANGER_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS).max(KILLS);
    for round in 0..count.div_ceil(4) {
        let scenes = [("busy", 0), ("idle", 1), ("busy", 2), ("busy", round as usize % 3)];
        let victims = scenes.map(|(scene, method)| Victim::start(StartMethod::ALL[method], scene));
        // The instant is what is random; nothing is waited for.
        std::thread::sleep(Duration::from_micros(RandomState::new().hash_one(round) % 50_000));
        let first = victims.map(|mut victim| {
            victim.child.kill().unwrap();
            victim
        });
        first.into_iter().for_each(Victim::kill);
    }
}

/// A worker whose guardian dies between its start and its wish to die with it would never learn of that. Here its guardian
/// is said to be a process that is not its parent, which is what it finds then.
fn worker_whose_guardian_is_not_its_parent_leaves() {
    let (link, theirs) = UnixStream::pair().unwrap();
    let memory = memfd_create(c"page", MFdFlags::empty()).unwrap();
    memory_of_a_page(&memory);
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let program = helper("supervised").get_program().to_owned();
    let mut worker = Command::new("sh")
        .args(["-c", "exec \"$0\" 3<&\"$1\" 4<&\"$2\""])
        .arg(program)
        .args([theirs.as_raw_fd().to_string(), memory.as_raw_fd().to_string()])
        .env("GANGER_BOOT", "worker:0:1:1:1:lost")
        .spawn()
        .unwrap();
    drop((theirs, memory));
    wait_until("it leaves", SOON, || worker.try_wait().unwrap(), Option::is_some);
    drop(link);
}

/// As large as the page that a supervisor shares with a worker: a worker refuses any other.
fn memory_of_a_page(memory: &OwnedFd) {
    nix::unistd::ftruncate(memory, 4096 + (1 << 20)).unwrap();
}

fn killed_supervisor_leaves_no_daemons(method: StartMethod) {
    let victim = Victim::start(method, "daemons");
    wait_until("the daemons live", SOON, || Log::new("daemons").lines(), |pids| pids.len() == 2);
    assert!(marked(&victim.mark).len() >= 5, "supervisor, guardian, workers, daemons");
    victim.kill();
}

fn killed_owner_leaves_no_manager(method: StartMethod) {
    let victim = Victim::start(method, "manager");
    Log::new("built").wait_for(1);
    assert!(marked(&victim.mark).len() >= 4, "owner, two guardians, manager");
    victim.kill();
}

/// A storm of signals with a handler, on this process and on its workers.
fn signals_disturb_no_call(method: StartMethod) {
    fn handle_signals() -> u32 {
        let seen = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, seen).unwrap();
        0
    }
    let seen = Arc::new(AtomicBool::new(false));
    let hook = signal_hook::flag::register(signal_hook::consts::SIGUSR1, seen.clone()).unwrap();
    let builder = ganger::Pool::builder().workers(2).start_method(method).initializer(handle_signals, ());
    let pool = builder.build().unwrap();
    let ready =
        || pool.map(|_: u32| std::process::id(), 0..50).unwrap().into_iter().collect::<std::collections::BTreeSet<_>>();
    let workers = wait_until("both workers handle signals", SOON, ready, |pids| pids.len() == 2);
    let targets = workers.iter().chain([&std::process::id()]).map(u32::to_string).collect::<Vec<_>>();
    let mut storm = helper("storm").args(targets).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the storm has come", SOON, || seen.load(Ordering::Relaxed), |seen| *seen);
    for round in 0..5 {
        assert_eq!(pool.map(square, 0..500).unwrap().len(), 500);
        let text = pool.apply(|text: String| text.repeat(2), ("x".repeat(2 << 20),)).unwrap();
        assert_eq!(text.len(), 4 << 20, "round {round}");
        assert_eq!(pool.imap(square, 0..500).filter(Result::is_ok).count(), 500);
        // A pool that is made and ended in the storm.
        finish(self::pool(method, 1));
    }
    drop(storm.stdin.take());
    assert!(storm.wait().unwrap().success());
    finish(pool);
    signal_hook::low_level::unregister(hook);
}
