//! How many workers there are: resizing, idle workers, and fifty threads with one pool. And which task comes first.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use ganger::{ErrorKind, Pool, StartMethod, TaskErrorKind};
use ganger_tests::{Gate, Log, wait_until, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Deserializer, Serialize};

use crate::kit::{SOON, finish, own_pid, pass_gate, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    resized_while_busy,
    given_up_worker_ends_what_it_runs,
    chained_resizes_settle_at_the_last,
    resized_under_deaths,
    sizes_that_make_no_sense_are_refused,
    idle_workers_leave_and_come_back,
    a_pool_without_any_worker_serves,
    slow_to_take_in_is_not_idle,
    dismissing_races_with_submitting,
    idle_settings_that_make_no_sense_are_refused,
    urgent_tasks_come_first,
    urgent_lazy_input_comes_first,
    fifty_threads_and_a_shutdown,
];

/// Waits until exactly so many workers are there, ready, and none of them on its way out.
fn settle(pool: &Pool, workers: usize) -> BTreeSet<u32> {
    let settled = |seen: &Vec<ganger::WorkerStatus>| {
        seen.len() == workers && seen.iter().all(|worker| worker.is_ready() && !worker.is_leaving())
    };
    let seen = wait_until("the gang has its size", SOON, || pool.workers(), settled);
    seen.iter().map(ganger::WorkerStatus::pid).collect()
}

fn slowly(x: u64) -> (u64, u32) {
    std::thread::sleep(Duration::from_micros(300));
    (x, std::process::id())
}

fn resized_while_busy(method: StartMethod) {
    let pool = pool(method, 2);
    let first = settle(&pool, 2);
    let tasks = pool.map_async(slowly, 0..3000);
    for size in [4, 1, 3] {
        pool.resize(size).unwrap();
        assert_eq!(pool.size(), size);
        let now = settle(&pool, size);
        assert!(size == 3 || now.is_subset(&first) || first.is_subset(&now), "those that stay are not disturbed");
    }
    let outcomes = tasks.get().unwrap();
    assert!(outcomes.iter().map(|(x, _)| *x).eq(0..3000), "each ran once, in order");
    // Whoever was given up gets nothing more.
    pool.resize(1).unwrap();
    let left = settle(&pool, 1);
    let ran: BTreeSet<u32> = pool.with_chunksize(1).unwrap().map(own_pid, 0..50).unwrap().into_iter().collect();
    assert_eq!(ran, left);
    let same = pool.worker_pids();
    pool.resize(1).unwrap();
    assert_eq!(pool.worker_pids(), same, "what is there already changes nothing");
    finish(pool);
}

fn given_up_worker_ends_what_it_runs(method: StartMethod) {
    let pool = pool(method, 2);
    settle(&pool, 2);
    let busy: Vec<_> = (0..2).map(|_| pool.apply_async(pass_gate, ("end".to_owned(),))).collect();
    let running = |pool: &Pool| pool.workers().iter().filter(|worker| worker.running().is_some()).count();
    wait_until("both run", SOON, || running(&pool), |count| *count == 2);
    let behind = pool.map_async(square, 0..100);
    pool.resize(1).unwrap();
    let states: Vec<_> = pool.workers().iter().map(|worker| (worker.slot(), worker.is_leaving())).collect();
    assert_eq!(states, [(0, false), (1, true)], "both are listed while they run");
    assert!(busy.iter().all(|task| !task.ready()));
    Gate::new("end").open();
    assert!(busy.iter().all(|task| task.get() == Ok(())), "a task that runs is not ended for it");
    assert_eq!(behind.get().unwrap().len(), 100);
    settle(&pool, 1);
    finish(pool);
}

fn chained_resizes_settle_at_the_last(method: StartMethod) {
    let pool = pool(method, 1);
    let tasks = pool.map_async(slowly, 0..2000);
    std::thread::scope(|scope| {
        for first in 1..4_usize {
            let pool = &pool;
            scope.spawn(move || (0..10).for_each(|step| pool.resize(1 + (first + step) % 5).unwrap()));
        }
    });
    for size in [5, 1, 4, 2, 6, 3] {
        pool.resize(size).unwrap();
    }
    assert_eq!(settle(&pool, 3).len(), 3);
    assert_eq!(tasks.get().unwrap().len(), 2000);
    settle(&pool, 3);
    finish(pool);
}

fn resized_under_deaths(method: StartMethod) {
    let builder = Pool::builder().workers(3).start_method(method);
    let pool = builder.restart_intensity(1000, Duration::from_secs(1)).build().unwrap();
    let outcomes = std::thread::scope(|scope| {
        let tasks = scope.spawn(|| pool.try_map(slowly, 0..1500));
        for size in [1, 4, 2, 5, 1, 3] {
            pool.resize(size).unwrap();
            wait_until("somebody is there", SOON, || pool.worker_pids().len(), |count| *count > 0);
            if let Some(worker) = pool.workers().first() {
                // It may have left since.
                let _ = kill(Pid::from_raw(worker.pid().cast_signed()), Signal::SIGKILL);
            }
        }
        within("the outcomes", 3 * SOON, || tasks.join().unwrap())
    });
    let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let kinds: BTreeSet<_> = lost.map(|error| format!("{:?}", error.kind())).collect();
    assert_eq!(outcomes.len(), 1500);
    assert!(kinds.iter().all(|kind| kind == "Killed(9)"), "{kinds:?}");
    settle(&pool, 3);
    finish(pool);
}

fn sizes_that_make_no_sense_are_refused(method: StartMethod) {
    let kind = |pool: &Pool, workers| pool.resize(workers).map_err(|error| error.kind());
    let closed = pool(method, 1);
    for wrong in [0, (1 << 20) + 1, usize::MAX] {
        let error = closed.resize(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.to_string().contains(&format!("workers is {wrong}:")), "{error}");
    }
    assert_eq!((closed.size(), closed.apply(square, (3,))), (1, Ok(9)), "it goes on as it was");
    closed.close();
    assert_eq!(kind(&closed, 2), Err(ErrorKind::Closed));
    closed.join().unwrap();
    assert_eq!(kind(&closed, 2), Err(ErrorKind::Closed));
    let broken = Pool::builder().workers(1).start_method(method).restart_intensity(0, SOON).build().unwrap();
    signal(whole_gang(&broken, 1)[0], Signal::SIGKILL);
    let _ = wait_until("it is broken", SOON, || kind(&broken, 2), |kind| *kind == Err(ErrorKind::Broken));
}

fn idling(method: StartMethod, workers: usize, least: usize) -> Pool {
    let builder = Pool::builder().workers(workers).start_method(method);
    builder.idle_timeout(Duration::from_millis(20)).min_workers(least).build().unwrap()
}

fn idle_workers_leave_and_come_back(method: StartMethod) {
    let pool = idling(method, 3, 1);
    settle(&pool, 1);
    // As many tasks as places, which wait for each other: all must run at once.
    for round in 0..3_u32 {
        let handles: Vec<_> = (0..3).map(|_| pool.apply_async(meet, (round, 3_usize))).collect();
        within("three at once", 2 * SOON, || handles.iter().for_each(|handle| handle.get().unwrap()));
        settle(&pool, 1);
    }
    // A larger gang has more of them, and a smaller one less.
    pool.resize(5).unwrap();
    settle(&pool, 1);
    assert_eq!(pool.map(square, 0..1000).unwrap().len(), 1000);
    pool.resize(1).unwrap();
    settle(&pool, 1);
    finish(pool);
}

/// Waits until so many are here.
fn meet(round: u32, all: usize) {
    let here = Log::new(&format!("here-{round}"));
    here.add("here");
    here.wait_for(all);
}

fn a_pool_without_any_worker_serves(method: StartMethod) {
    let pool = idling(method, 2, 0);
    for round in 0..5 {
        settle(&pool, 0);
        assert_eq!(pool.apply(square, (round,)), Ok(square(round)));
        settle(&pool, 0);
        let lazy: Vec<i64> = pool.imap(square, 0..20).map(Result::unwrap).collect();
        assert_eq!(lazy.len(), 20, "lazy input is asked for");
    }
    settle(&pool, 0);
    within("the end of nobody", SOON, || finish(pool));
}

/// Takes ten times the idle timeout to be taken in.
#[derive(Serialize)]
struct Slow(u32);

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u32::deserialize(deserializer)?;
        std::thread::sleep(Duration::from_millis(200));
        Ok(Self(value))
    }
}

fn slow_to_take_in_is_not_idle(method: StartMethod) {
    fn taken_in(slow: Slow) -> u32 {
        slow.0
    }
    let pool = idling(method, 1, 0);
    let stays_for = |task: &ganger::AsyncResult<u32>| {
        loop {
            let seen = pool.workers();
            if task.ready() {
                return task.get().unwrap();
            }
            assert!(!seen.iter().any(ganger::WorkerStatus::is_leaving), "{seen:?}");
            task.wait_timeout(Duration::from_millis(1));
        }
    };
    for number in 0..3 {
        settle(&pool, 0);
        let task = pool.apply_async(taken_in, (Slow(number),));
        assert_eq!(stays_for(&task), number);
    }
    // What is large is not there at once either.
    let large = vec![7_u8; 4 << 20];
    assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (large,)), Ok(4 << 20));
    finish(pool);
}

/// Submits just when the timeout is over, before and after.
fn dismissing_races_with_submitting(method: StartMethod) {
    let builder = Pool::builder().workers(2).start_method(method);
    let pool = builder.idle_timeout(Duration::from_millis(1)).min_workers(0).build().unwrap();
    for round in 0..150_u64 {
        let outcome = within("a task", SOON, || pool.apply(square, (round as i64,)));
        assert_eq!(outcome, Ok(square(round as i64)));
        std::thread::sleep(Duration::from_micros(700 + 10 * (round % 60)));
    }
    finish(pool);
}

fn idle_settings_that_make_no_sense_are_refused(method: StartMethod) {
    let builder = || Pool::builder().workers(2).start_method(method);
    let second = Duration::from_secs(1);
    for (wrong, part) in [
        (builder().idle_timeout(Duration::ZERO), "idle_timeout is 0"),
        (builder().idle_timeout(second).min_workers(3), "min_workers is 3: the pool has only 2"),
        (builder().min_workers(1), "set idle_timeout as well"),
    ] {
        let error = wrong.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.to_string().contains(part), "{error}");
    }
    // The longest there is comes never.
    let pool = builder().idle_timeout(Duration::MAX).min_workers(0).build().unwrap();
    assert_eq!(pool.apply(square, (2,)), Ok(4));
    settle(&pool, 2);
    finish(pool);
}

fn note(name: String) {
    Log::new("order").add(name);
}

fn urgent_tasks_come_first(method: StartMethod) {
    let pool = pool(method, 1);
    let held = pool.apply_async(pass_gate, ("held".to_owned(),));
    wait_until("it runs", SOON, || pool.workers()[0].running().is_some(), |runs| *runs);
    let submit = |priority: i32, name: &str| pool.with_priority(priority).apply_async(note, (name.to_owned(),));
    let handles = [
        submit(0, "usual 1"),
        submit(-5, "low 1"),
        submit(9, "high 1"),
        submit(i32::MAX, "highest"),
        submit(i32::MIN, "lowest"),
        submit(9, "high 2"),
        submit(0, "usual 2"),
        submit(-5, "low 2"),
    ];
    let many = pool.with_priority(3).map_async(note, (0..3).map(|number| format!("many {number}")));
    let unwanted = pool.with_priority(9).map_async(note, ["never".to_owned()]);
    unwanted.cancel();
    Gate::new("held").open();
    assert!(held.get().is_ok() && handles.iter().all(|handle| handle.get().is_ok()) && many.get().is_ok());
    let expected =
        ["highest", "high 1", "high 2", "many 0", "many 1", "many 2", "usual 1", "usual 2", "low 1", "low 2", "lowest"];
    assert_eq!(Log::new("order").lines(), expected);
    assert_eq!(unwanted.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
    finish(pool);
}

/// What `imap` has pulled overtakes a long queue, which wants nothing more of its own kind.
fn urgent_lazy_input_comes_first(method: StartMethod) {
    let pool = pool(method, 1);
    let background = pool.map_async(slowly, 0..20_000);
    let urgent: Vec<i64> = pool.with_priority(1).imap(square, 0..50).map(Result::unwrap).collect();
    assert_eq!(urgent, (0..50).map(square).collect::<Vec<_>>());
    assert!(!background.ready(), "that takes six seconds");
    pool.cancel_queued();
    assert_eq!(background.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
    // And less urgent input waits for it.
    let lazy = pool.with_priority(-1).imap_unordered(square, 0..100);
    assert_eq!(pool.map(square, 0..1000).unwrap().len(), 1000);
    assert_eq!(lazy.map(Result::unwrap).count(), 100);
    finish(pool);
}

/// Every handle of fifty threads resolves, whatever the pool is when they get there.
fn fifty_threads_and_a_shutdown(method: StartMethod) {
    for terminated in [false, true] {
        let pool = pool(method, 3);
        let start = Barrier::new(51);
        let outcomes: Vec<Result<i64, TaskErrorKind>> = std::thread::scope(|scope| {
            let submit = |thread: i64| {
                let (pool, start) = (pool.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    let pool = pool.with_priority(thread as i32 % 3);
                    let handles: Vec<_> = (0..40).map(|x| pool.apply_async(square, (x,))).collect();
                    let waited = pool.apply(square, (thread,)).map(|value| value - square(thread));
                    let outcomes = handles.iter().map(|handle| handle.get().map_err(|error| error.kind()));
                    outcomes.chain([waited.map_err(|error| error.kind())]).collect::<Vec<_>>()
                })
            };
            let threads: Vec<_> = (0..50).map(submit).collect();
            start.wait();
            // Some have begun by then, and others have not.
            pool.resize(2).unwrap();
            let _ = wait_until("something was done", SOON, || pool.apply(square, (1,)), |outcome| *outcome == Ok(1));
            if terminated {
                pool.terminate();
            } else {
                pool.close();
            }
            let outcomes = within("all handles", 3 * SOON, || {
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            within("join", SOON, || pool.join().unwrap());
            outcomes
        });
        assert_eq!(outcomes.len(), 50 * 41);
        for outcome in outcomes {
            let fits = match outcome {
                Ok(value) => (0..40).any(|x| square(x) == value),
                // The second when it was just being submitted.
                Err(TaskErrorKind::NotRunning | TaskErrorKind::Cancelled) => true,
                Err(_) => false,
            };
            assert!(fits, "{outcome:?}");
        }
    }
}
