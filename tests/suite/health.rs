//! Workers that get nowhere: they are reported by name, and left alone.

use std::sync::mpsc;

use ganger::{Pool, StartMethod, Trouble, TroubleKind};
use ganger_tests::{Gate, scratch, wait_until};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::kit::{SOON, finish, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    stopped_task_is_reported_and_goes_on,
    worker_stopped_at_rest_is_reported,
    sleeping_task_is_stuck_and_a_busy_one_is_not,
    traced_worker_is_reported,
    dead_worker_has_no_trouble,
];

/// Waits until there is exactly one trouble.
#[track_caller]
fn trouble(pool: &Pool) -> Trouble {
    let one = |troubles: &Vec<Trouble>| troubles.len() == 1;
    wait_until("a trouble is reported", SOON, || pool.troubles(), one).remove(0)
}

/// Stops its process if it is task 5; the value tells who went on.
fn stop_at_five(number: u32) -> u32 {
    if number == 5 {
        signal(std::process::id(), Signal::SIGSTOP);
    }
    number
}

fn stopped_task_is_reported_and_goes_on(method: StartMethod) {
    let pool = pool(method, 2);
    let handle = pool.map_async(stop_at_five, 0..20);
    let trouble = trouble(&pool);
    assert_eq!((trouble.what(), trouble.index()), (TroubleKind::Stopped, Some(5)));
    assert!(trouble.task().unwrap().ends_with("stop_at_five"), "{trouble:?}");
    assert_eq!(whole_gang(&pool, 2)[trouble.worker() as usize], trouble.pid());
    assert!(trouble.to_string().ends_with(" s in task 5"), "{trouble}");
    signal(trouble.pid(), Signal::SIGCONT);
    assert_eq!(handle.get_timeout(SOON).unwrap().unwrap(), (0..20).collect::<Vec<_>>());
    assert!(pool.troubles().is_empty(), "it is over: {:?}", pool.troubles());
    finish(pool);
}

/// What it is sent is taken back again and again, so that it never has a task for long.
fn worker_stopped_at_rest_is_reported(method: StartMethod) {
    [0, 1].into_iter().for_each(|place| one_stopped_at_rest(method, place));
}

fn one_stopped_at_rest(method: StartMethod, place: usize) {
    let pool = pool(method, 2);
    let pids = whole_gang(&pool, 2);
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    signal(pids[place], Signal::SIGSTOP);
    let look = || {
        assert_eq!(pool.map(square, 0..10).unwrap().len(), 10, "the other worker serves");
        pool.troubles()
    };
    let troubles = wait_until("it is reported", SOON, look, |troubles| !troubles.is_empty());
    assert_eq!((troubles[0].what(), troubles[0].pid()), (TroubleKind::Stopped, pids[place]));
    signal(pids[place], Signal::SIGCONT);
    wait_until("it is over", SOON, look, Vec::is_empty);
    finish(pool);
}

/// Reads what somebody writes into the named pipe; until then it uses no processor.
fn read_pipe(path: String) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn work_until_open(gate: String) -> u32 {
    let gate = Gate::new(&gate);
    let mut rounds = 0_u32;
    while !gate.is_open() {
        rounds = rounds.wrapping_add(1);
    }
    rounds
}

fn sleeping_task_is_stuck_and_a_busy_one_is_not(method: StartMethod) {
    let (path, gate) = (scratch("pipe"), Gate::new("enough"));
    nix::unistd::mkfifo(path.as_str(), Mode::S_IRWXU).unwrap();
    let pool = pool(method, 2);
    let busy = pool.apply_async(work_until_open, ("enough".to_owned(),));
    let sleeping = pool.apply_async(read_pipe, (path.clone(),));
    let trouble = trouble(&pool);
    assert_eq!((trouble.what(), trouble.index()), (TroubleKind::Stuck, Some(0)), "{trouble}");
    assert!(trouble.task().unwrap().ends_with("read_pipe"), "{trouble:?}");
    assert!(trouble.elapsed().as_secs() >= 4, "it is given some time: {trouble}");
    std::fs::write(&path, "good morning").unwrap();
    assert_eq!(sleeping.get_timeout(SOON).unwrap().unwrap(), "good morning");
    assert!(pool.troubles().is_empty(), "it is over: {:?}", pool.troubles());
    gate.open();
    busy.get_timeout(SOON).unwrap().unwrap();
    finish(pool);
}

fn traced_worker_is_reported(method: StartMethod) {
    let path = scratch("pipe");
    nix::unistd::mkfifo(path.as_str(), Mode::S_IRWXU).unwrap();
    let pool = pool(method, 1);
    let handle = pool.apply_async(read_pipe, (path.clone(),));
    let worker = Pid::from_raw(pool.worker_pids()[0].cast_signed());
    // A tracer is a thread, and lets go with its end.
    let (let_go, hold) = mpsc::channel::<()>();
    let tracer = std::thread::spawn(move || {
        nix::sys::ptrace::seize(worker, nix::sys::ptrace::Options::empty()).unwrap();
        hold.recv().unwrap_err();
    });
    let trouble = trouble(&pool);
    assert_eq!((trouble.what(), trouble.pid()), (TroubleKind::Traced, worker.as_raw().cast_unsigned()));
    drop(let_go);
    tracer.join().unwrap();
    std::fs::write(&path, "done").unwrap();
    assert_eq!(handle.get_timeout(SOON).unwrap().unwrap(), "done");
    assert!(pool.troubles().is_empty(), "it is over: {:?}", pool.troubles());
    finish(pool);
}

fn dead_worker_has_no_trouble(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.map_async(stop_at_five, 5..6);
    let trouble = trouble(&pool);
    signal(trouble.pid(), Signal::SIGKILL);
    let error = handle.get_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(error.kind(), ganger::TaskErrorKind::Killed(9), "{error}");
    assert!(pool.troubles().is_empty(), "it is dead: {:?}", pool.troubles());
    finish(pool);
}
