//! The life of a pool: closing, ending, recycling, and what is left afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use ganger::{AsyncResult, ErrorKind, Pool, StartMethod, TaskErrorKind};
use ganger_os::fd::Fd;
use ganger_os::socket::{send_now_with, stream_pair};
use ganger_tests::{Gate, Snapshot, children, memory, wait_until, within};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, setresuid};

use crate::kit::{SOON, finish, helper, own_pid, pass_gate, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    join_before_close_is_an_error,
    submit_after_close_is_an_error,
    close_and_join_run_everything,
    close_while_a_worker_is_replaced,
    close_during_recycling_loses_nothing,
    close_then_crash_loses_nothing_else,
    terminate_with_ten_thousand_queued,
    drop_kills_what_runs,
    cancelling_the_queue_lets_running_tasks_end,
    recycling_after_so_many_tasks,
    replacement_is_started_first,
    recycling_after_every_task,
    recycling_with_jitter,
    two_hundred_pools_leave_nothing,
    creation_failure_leaves_nothing,
    gang_is_smaller_while_descriptors_are_short,
    gang_is_smaller_while_descriptors_cannot_be_sent,
    large_results_and_arguments,
    large_results_leave_no_memory,
    program_end_ends_the_pool,
    panic_of_the_program_ends_the_pool,
];

fn join_before_close_is_an_error(method: StartMethod) {
    let pool = pool(method, 1);
    assert_eq!(pool.join().unwrap_err().kind(), ErrorKind::StillRunning);
    assert_eq!(pool.apply(square, (2,)), Ok(4));
    pool.close();
    pool.close();
    pool.join().unwrap();
    pool.join().unwrap();
    pool.terminate();
}

fn submit_after_close_is_an_error(method: StartMethod) {
    let pool = pool(method, 1);
    pool.close();
    let refused = |outcome: Result<i64, ganger::TaskError>| {
        assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::NotRunning);
    };
    refused(pool.apply(square, (1,)));
    refused(pool.apply_async(square, (1,)).get());
    refused(pool.map(square, [1]).map(|values| values[0]));
    refused(pool.imap(square, [1]).next().unwrap());
    pool.try_map(square, [1, 2, 3]).into_iter().for_each(refused);
    pool.join().unwrap();
    refused(pool.apply(square, (1,)));
}

fn close_and_join_run_everything(method: StartMethod) {
    let pool = pool(method, 2);
    let handles: Vec<_> = (0..50).map(|x| pool.apply_async(square, (x,))).collect();
    let many = pool.map_async(square, 0..5000);
    finish(pool);
    assert!(handles.iter().enumerate().all(|(x, handle)| handle.ready() && handle.get() == Ok(square(x as i64))));
    assert_eq!(many.get().unwrap().len(), 5000);
}

/// Closes a pool while the successor of a dead worker starts: it must not stay.
fn close_while_a_worker_is_replaced(method: StartMethod) {
    for _ in 0..20 {
        let pool = pool(method, 2);
        let error = pool.apply(|code: i32| -> i32 { std::process::exit(code) }, (3,)).unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Exited(3));
        within("close and join", SOON, || finish(pool));
    }
}

/// Every task ends its worker's life, and the pool is closed in the midst of it.
fn close_during_recycling_loses_nothing(method: StartMethod) {
    for round in 0..10 {
        let pool = Pool::builder().workers(2).start_method(method).max_tasks_per_worker(1).build().unwrap();
        let many = pool.map_async(square, 0..20 + round);
        let single: Vec<_> = (0..5).map(|x| pool.apply_async(square, (x,))).collect();
        // A different moment each time: some workers have ended by then, some begin.
        (0..round % 5).for_each(|x| assert_eq!(single[x as usize].get(), Ok(x * x)));
        within("close and join", SOON, || finish(pool));
        assert_eq!(many.get().unwrap(), (0..20 + round).map(square).collect::<Vec<_>>());
        assert!((0..).zip(&single).all(|(x, handle)| handle.get() == Ok(square(x))));
    }
}

fn close_then_crash_loses_nothing_else(method: StartMethod) {
    let pool = pool(method, 2);
    let gate: AsyncResult<()> = pool.apply_async(pass_gate, ("crash".to_owned(),));
    let many = pool.map_async(square, 0..1000);
    let crash = pool.apply_async(|x: i64| -> i64 { if x > 0 { crate::kit::die(Signal::SIGKILL) } else { x } }, (1,));
    pool.close();
    Gate::new("crash").open();
    within("join", SOON, || pool.join().unwrap());
    assert_eq!(crash.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
    assert_eq!((gate.get(), many.get().unwrap().len()), (Ok(()), 1000));
}

/// Gives much back, so that links are full.
fn blow_up(text: String) -> String {
    text.repeat(64)
}

fn terminate_with_ten_thousand_queued(method: StartMethod) {
    let pool = pool(method, 2);
    let busy = pool.map_async(pass_gate, (0..2).map(|_| "never".to_owned()));
    let many = pool.map_async(blow_up, (0..10_000).map(|_| "x".repeat(1000)));
    let single: Vec<_> = (0..100).map(|x| pool.apply_async(square, (x,))).collect();
    within("terminate and join", Duration::from_secs(2), || {
        pool.terminate();
        pool.join().unwrap();
    });
    for kind in [busy.get().unwrap_err().kind(), many.get().unwrap_err().kind()] {
        assert_eq!(kind, TaskErrorKind::Cancelled);
    }
    for handle in single {
        assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
    }
}

fn cancelling_the_queue_lets_running_tasks_end(method: StartMethod) {
    let pool = pool(method, 2);
    let gate = Gate::new("cancel-queued");
    let eager = pool.map_async(pass_gate, vec!["cancel-queued".to_owned(); 1000]);
    let lazy = pool.imap(pass_gate, std::iter::repeat_with(|| "cancel-queued".to_owned()));
    let running =
        || pool.workers().iter().filter_map(|worker| worker.running().map(ganger::RunningTask::index)).count();
    wait_until("two tasks run", SOON, running, |count| *count == 2);
    pool.cancel_queued();
    gate.open();
    let outcomes = within("the eager map ends", SOON, move || eager.get());
    assert_eq!(outcomes.unwrap_err().kind(), TaskErrorKind::Cancelled);
    // Its input has no end of its own.
    let lazy: Vec<_> = within("the lazy map ends", SOON, move || lazy.collect());
    assert!(lazy.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.kind() == TaskErrorKind::Cancelled)));
    assert_eq!(pool.map(square, 0..3), Ok(vec![0, 1, 4]), "later calls run");
    finish(pool);
}

fn drop_kills_what_runs(method: StartMethod) {
    let pool = pool(method, 2);
    let before = whole_gang(&pool, 2);
    let handle = pool.map_async(pass_gate, (0..100).map(|_| "never".to_owned()));
    let copy = pool.clone();
    drop(pool);
    assert!(!handle.ready(), "another handle of the pool lives");
    within("drop", Duration::from_secs(3), || drop(copy));
    assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
    for pid in before {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "worker {pid} is left");
    }
}

fn recycling_after_so_many_tasks(method: StartMethod) {
    let recycling = |workers| Pool::builder().workers(workers).start_method(method).max_tasks_per_worker(2).build();
    let pool = recycling(1).unwrap();
    let pids: Vec<u32> = (0..6).map(|number| pool.apply(own_pid, (number,)).unwrap()).collect();
    assert!(pids[0] == pids[1] && pids[2] == pids[3] && pids[4] == pids[5], "{pids:?}");
    assert!(pids[1] != pids[2] && pids[3] != pids[4], "{pids:?}");
    finish(pool);
    let pool = recycling(2).unwrap();
    let pids = pool.map(own_pid, 0..8).unwrap();
    let mut counts = BTreeMap::<u32, u32>::new();
    pids.iter().for_each(|pid| *counts.entry(*pid).or_default() += 1);
    assert!(counts.values().all(|count| *count <= 2), "{pids:?}");
    finish(pool);
}

/// With its only worker in its last task, the pool has the next one started already; it gets nothing before its time.
fn replacement_is_started_first(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).max_tasks_per_worker(1).build().unwrap();
    let guardian = pool.guardian_pid().unwrap();
    let workers = whole_gang(&pool, 1);
    let last = pool.apply_async(pass_gate, ("last".to_owned(),));
    let next = pool.apply_async(own_pid, (1,));
    let both = wait_until("a second worker is there", SOON, || children(guardian), |pids| pids.len() == 2);
    assert!(both.contains(&workers[0]));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!next.ready(), "no two tasks run in a gang of one");
    assert_eq!(pool.worker_pids(), workers, "it is no worker yet");
    Gate::new("last").open();
    let successor = next.get_timeout(SOON).unwrap().unwrap();
    assert!(successor != workers[0] && both.contains(&successor), "{successor} is not of {both:?}");
    last.get().unwrap();
    finish(pool);
}

fn recycling_after_every_task(method: StartMethod) {
    // A fresh image each takes longer; what is tested is that none of the changes of guard is missed.
    let tasks = if method == StartMethod::Spawn { 1000 } else { 5000 };
    let pool = Pool::builder().workers(2).start_method(method).max_tasks_per_worker(1).build().unwrap();
    let pids = pool.map(own_pid, 0..tasks).unwrap();
    assert_eq!(pids.len(), tasks as usize);
    assert!(pids.windows(2).all(|pair| pair[0] != pair[1]));
    finish(pool);
}

fn recycling_with_jitter(method: StartMethod) {
    let builder = Pool::builder().workers(2).start_method(method).max_tasks_per_worker(10).max_tasks_jitter(5);
    let pool = builder.build().unwrap();
    let mut counts = BTreeMap::<u32, u32>::new();
    pool.map(own_pid, 0..300).unwrap().into_iter().for_each(|pid| *counts.entry(pid).or_default() += 1);
    assert!(counts.values().all(|count| *count <= 10), "{counts:?}");
    assert!(counts.len() >= 30, "{counts:?}");
    finish(pool);
}

fn two_hundred_pools_leave_nothing(method: StartMethod) {
    // The first one makes what the process keeps.
    finish(pool(method, 1));
    let before = Snapshot::take();
    for round in 0..200 {
        let pool = pool(method, 1);
        if round % 2 == 0 {
            assert_eq!(pool.apply(square, (round,)), Ok(round * round));
            finish(pool);
        }
    }
    before.compare();
}

/// Building fails for want of descriptors, at every possible place. (`RLIMIT_NPROC` would be the other way to fail, but
/// it does not hold for root.)
fn creation_failure_leaves_nothing(method: StartMethod) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let before = Snapshot::take();
    let used = ganger_tests::descriptors().len() as u64;
    let (mut failed, mut built) = (0, 0);
    for room in 0..40 {
        setrlimit(Resource::RLIMIT_NOFILE, used + room, hard).unwrap();
        let builder = Pool::builder().workers(4).start_method(method).start_timeout(SOON);
        let outcome = within("building, or failing to", SOON, || builder.build());
        match outcome {
            Ok(pool) => {
                built += 1;
                let value = within("a task", SOON, || pool.apply(square, (room as i64,)));
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
                // Workers that cannot be started are missed, but those that could do the work.
                assert_eq!(value, Ok(square(room as i64)), "room for {room}");
                within("the end", SOON, || finish(pool));
            }
            Err(error) => {
                failed += 1;
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
                assert!(matches!(error.kind(), ErrorKind::CannotStart | ErrorKind::Broken), "{error}");
                assert!(error.to_string().len() > 10, "{error}");
            }
        }
        before.compare();
    }
    assert!(failed > 0 && built > 0, "{failed} failed, {built} built");
    finish(pool(method, 4));
}

/// Descriptors for some workers only: those do the work, others are killed and replaced, and the rest come when they can.
fn gang_is_smaller_while_descriptors_are_short(method: StartMethod) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let small = |room: u64| {
        setrlimit(Resource::RLIMIT_NOFILE, ganger_tests::descriptors().len() as u64 + room, hard).unwrap();
        let pool = pool(method, 8);
        assert_eq!(pool.map(square, 0..500).unwrap(), (0..500).map(square).collect::<Vec<_>>());
        pool
    };
    let pool = small(16);
    let pids = pool.worker_pids();
    assert!((1..8).contains(&pids.len()), "{pids:?}");
    // An idle one that dies is no reason to give up, whatever has failed before.
    for pid in &pids {
        signal(*pid, Signal::SIGKILL);
    }
    let survives = || pool.map(square, 0..50).map(|values| values.len());
    assert_eq!(within("a map by replaced workers", SOON, survives), Ok(50));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    wait_until("all are there", Duration::from_secs(20), || pool.worker_pids().len(), |count| *count == 8);
    assert_eq!(pool.map(square, 0..500).unwrap().len(), 500);
    finish(pool);
}

/// Makes this process one of a user whom the kernel allows as many descriptors under way as it may have open.
fn become_a_common_user() {
    let (soft, hard) = (64, getrlimit(Resource::RLIMIT_NOFILE).unwrap().1);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    if Uid::effective().is_root() {
        // Nobody else's: all processes of a user are counted together.
        let user = Uid::from_raw(1_000_000 + std::process::id());
        setresuid(user, user, user).unwrap();
        // With its rights it lost the right to its own files in /proc.
        set_dumpable(true).unwrap();
    }
}

/// Sends descriptors that nobody receives until no more can be sent.
fn fill_the_way() -> (Fd, Fd) {
    let (one, other) = stream_pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let fds = [null.as_fd(); 16];
    let refused = std::iter::repeat_with(|| send_now_with(&one, b"x", &fds)).find_map(Result::err).unwrap();
    assert_eq!(refused.raw_os_error(), Some(nix::Error::ETOOMANYREFS as i32), "{refused}");
    (one, other)
}

/// A worker's link can be made, and not be sent to the guardian: that one stays, and so do the others.
fn gang_is_smaller_while_descriptors_cannot_be_sent(method: StartMethod) {
    become_a_common_user();
    let pool = pool(method, 2);
    let (guardian, pids) = (pool.guardian_pid(), whole_gang(&pool, 2));
    let full = fill_the_way();
    signal(pids[0], Signal::SIGKILL);
    wait_until("one is left", SOON, || pool.worker_pids(), |now| *now == pids[1..]);
    // Long enough for some attempts.
    let pause = |_: u32| std::thread::sleep(Duration::from_millis(10));
    assert_eq!(pool.map(pause, 0..50).map(|values| values.len()), Ok(50));
    assert_eq!((pool.guardian_pid(), pool.worker_pids()), (guardian, pids[1..].to_vec()));
    drop(full);
    whole_gang(&pool, 2);
    assert_eq!((pool.guardian_pid(), pool.apply(square, (7,))), (guardian, Ok(49)));
    finish(pool);
}

fn large_results_and_arguments(method: StartMethod) {
    let pool = pool(method, 2);
    for megabytes in [1, 10, 100] {
        let size = megabytes << 20;
        let text = pool.apply(|size: usize| "y".repeat(size), (size,)).unwrap();
        assert_eq!(text.len(), size);
        assert!(text == "y".repeat(size), "the bytes are as they were");
        if megabytes < 100 {
            assert_eq!(pool.apply(|text: String| text.len(), (text,)).unwrap(), size);
        }
    }
    let texts = pool.map(|size: usize| "z".repeat(size), [1, 10 << 20, 0, 300_000, 65_536, 65_535, 262_144]).unwrap();
    assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [1, 10 << 20, 0, 300_000, 65_536, 65_535, 262_144]);
    finish(pool);
}

fn large_results_leave_no_memory(method: StartMethod) {
    let pool = pool(method, 1);
    let rounds = |count| {
        for _ in 0..count {
            assert_eq!(pool.apply(blow_up, ("x".repeat(160_000),)).unwrap().len(), 10_240_000);
        }
    };
    rounds(2);
    let of_all = || (memory(std::process::id(), "VmRSS"), memory(pool.worker_pids()[0], "VmRSS"));
    let (own, worker) = of_all();
    rounds(8);
    let (own_after, worker_after) = of_all();
    assert!(own_after < own + (40 << 20), "this process grew from {own} to {own_after}");
    assert!(worker_after < worker + (40 << 20), "the worker grew from {worker} to {worker_after}");
    finish(pool);
}

fn program_end_ends_the_pool(method: StartMethod) {
    // The runner sees to it that no marked process is left.
    for (scene, code) in [("return", 0), ("exit", 7), ("forget", 0)] {
        let mut child = helper("supervised").args([method.as_str(), scene]).spawn().unwrap();
        let status = within("the end of the program", SOON, || child.wait().unwrap());
        assert_eq!(status.code(), Some(code), "{scene}");
        let look = || ganger_tests::marked(&ganger_tests::own_mark());
        wait_until("nothing is left of it", Duration::from_secs(1), look, Vec::is_empty);
    }
}

fn panic_of_the_program_ends_the_pool(method: StartMethod) {
    let mut child =
        helper("supervised").args([method.as_str(), "panic"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let status = within("the end of the program", SOON, || child.wait().unwrap());
    assert_eq!(status.code(), Some(101));
    let look = || ganger_tests::marked(&ganger_tests::own_mark());
    wait_until("nothing is left of it", Duration::from_secs(1), look, Vec::is_empty);
    // A pool of a thread of ours that panics ends as well.
    let pool = pool(method, 1);
    let pids = pool.worker_pids();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _handle = pool.apply_async(pass_gate, ("never".to_owned(),));
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(outcome.is_err());
    let alive = || {
        pids.iter()
            .filter(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None).is_ok())
            .count()
    };
    wait_until("its workers are gone", Duration::from_secs(3), alive, |count| *count == 0);
}
