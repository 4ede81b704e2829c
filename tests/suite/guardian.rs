//! The guardian dies or says nothing: under `spawn` and `forkserver` another takes its place, under `fork` the pool is
//! broken.

use std::collections::BTreeMap;
use std::os::unix::process::parent_id;
use std::time::Duration;

use ganger::{Pool, StartMethod, TaskError, TaskErrorKind, partial};
use ganger_os::scheduling;
use ganger_tests::{Gate, Log, marked, own_mark, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, pass_gate, pool, processor_time, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    killed_guardian_is_replaced_or_breaks_the_pool,
    guardian_killed_in_a_map_costs_a_task_per_worker,
    twenty_guardians_killed_in_one_run,
    guardian_killed_at_rest_is_replaced,
    guardian_is_deaf_to_polite_signals,
    guardian_killed_in_a_pool_that_closes,
    silent_guardian_is_killed,
    successor_is_as_nice_as_the_thread_that_built_the_pool,
    stopped_guardian_does_not_hold_up_drop,
    worker_that_a_stopped_guardian_does_not_bury_keeps_nobody_awake,
];

pub(crate) const ONCE: crate::Once = table![successor_whose_preload_fails_breaks_the_pool_with_that];

fn kill_guardian(pool: &Pool) {
    signal(pool.guardian_pid().unwrap(), Signal::SIGKILL);
}

#[track_caller]
fn nothing_is_left() {
    wait_until("nothing is left", Duration::from_secs(1), || marked(&own_mark()), Vec::is_empty);
}

fn begin_and_pass(gate: String) {
    Log::new("begun").add(&gate);
    Gate::new(&gate).pass();
}

fn killed_guardian_is_replaced_or_breaks_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    let running = pool.map_async(begin_and_pass, (0..100).map(|_| "open".to_owned()));
    let mut lazy = pool.imap(pass_gate, (0..).map(|_| "open".to_owned()));
    wait_until("a task has begun", SOON, || Log::new("begun").lines(), |lines| !lines.is_empty());
    let first = pool.guardian_pid();
    kill_guardian(&pool);
    if method == StartMethod::Fork {
        let error = running.get_timeout(SOON).unwrap().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::PoolBroken, "{error}");
        let error = lazy.next_timeout(SOON).unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::PoolBroken, "{error}");
        drop(lazy);
        let error = within("a late call", SOON, || pool.apply(square, (1,))).unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::PoolBroken, "{error}");
        assert!(pool.broken().unwrap().contains("guardian"), "{:?}", pool.broken());
        nothing_is_left();
        within("close and join", Duration::from_secs(3), || finish(pool));
        return;
    }
    wait_until("there is another", SOON, || pool.guardian_pid(), |now| now.is_some() && *now != first);
    assert_eq!(pool.broken(), None);
    Gate::new("open").open();
    // What ran is lost, everything else goes on.
    let error = running.get_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Lost, "{error}");
    assert!(error.to_string().contains("guardian process died"), "{error}");
    lazy.next_timeout(SOON).unwrap().unwrap().unwrap();
    drop(lazy);
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    within("close and join", SOON, || finish(pool));
    nothing_is_left();
}

/// Returns its number, and the guardian of its worker.
fn note(log: String, number: u32) -> (u32, u32) {
    Log::new(&log).add(number);
    std::thread::sleep(Duration::from_micros(300));
    (number, parent_id())
}

/// Checks that no task was begun twice, that those with a value were begun, and that few enough were lost.
#[track_caller]
fn check(log: &str, outcomes: &[Result<(u32, u32), TaskError>], most_lost: usize) {
    let mut begun = BTreeMap::<u32, usize>::new();
    for line in Log::new(log).lines() {
        *begun.entry(line.parse().unwrap()).or_default() += 1;
    }
    assert!(begun.values().all(|count| *count == 1), "begun more than once: {begun:?}");
    let mut lost = 0;
    for (number, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok((value, _)) => assert!(*value == number && begun.contains_key(value), "{number}: {value}"),
            Err(error) => {
                assert_eq!((error.kind(), error.index()), (TaskErrorKind::Lost, u64::from(number)), "{error}");
                assert!(error.message().contains("guardian process died"), "{error}");
                lost += 1;
            }
        }
    }
    assert!(lost <= most_lost, "{lost} tasks were lost, of at most {most_lost}");
}

fn guardian_killed_in_a_map_costs_a_task_per_worker(method: StartMethod) {
    if method == StartMethod::Fork {
        return killed_guardian_ends_a_map(method);
    }
    let pool = pool(method, 2);
    let mut lazy = pool.imap(partial(note, ("ran".to_owned(),)), 0..2000);
    let mut outcomes: Vec<_> = lazy.by_ref().take(500).collect();
    kill_guardian(&pool);
    outcomes.extend(lazy);
    assert_eq!(outcomes.len(), 2000);
    check("ran", &outcomes, 2);
    assert_eq!(pool.map(square, 0..100).unwrap(), (0..100).map(square).collect::<Vec<_>>());
    finish(pool);
    nothing_is_left();
}

/// Every outcome comes: values, and then errors that name the cause.
fn killed_guardian_ends_a_map(method: StartMethod) {
    let pool = pool(method, 2);
    let mut lazy = pool.imap(partial(note, ("ran".to_owned(),)), 0..2000);
    let first: Vec<_> = lazy.by_ref().take(500).collect();
    assert!(first.iter().all(Result::is_ok));
    kill_guardian(&pool);
    let rest: Vec<_> = lazy.collect();
    let broken = rest.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(broken.clone().all(|error| error.kind() == TaskErrorKind::PoolBroken), "{rest:?}");
    assert!(
        broken.clone().count() > 0 && broken.clone().all(|error| error.message().contains("guardian process died"))
    );
    finish(pool);
    nothing_is_left();
}

fn twenty_guardians_killed_in_one_run(method: StartMethod) {
    if method == StartMethod::Fork {
        // It ends with the first: see the other cases.
        return;
    }
    let pool = pool(method, 2);
    let mut killed = Vec::new();
    let mut outcomes = Vec::new();
    for outcome in pool.imap(partial(note, ("ran".to_owned(),)), 0..10_000) {
        // One whose worker has worked: its death is no failed start.
        if let Ok((_, guardian)) = outcome
            && killed.len() < 20
            && pool.guardian_pid() == Some(guardian)
            && !killed.contains(&guardian)
        {
            killed.push(guardian);
            signal(guardian, Signal::SIGKILL);
        }
        outcomes.push(outcome);
    }
    assert_eq!((outcomes.len(), killed.len()), (10_000, 20));
    check("ran", &outcomes, 2 * killed.len());
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    finish(pool);
    nothing_is_left();
}

fn guardian_killed_at_rest_is_replaced(method: StartMethod) {
    if method == StartMethod::Fork {
        let pool = pool(method, 2);
        kill_guardian(&pool);
        let broken = || pool.apply(square, (1,)).err().map(|error| error.kind());
        wait_until("the pool is broken", SOON, broken, |kind| *kind == Some(TaskErrorKind::PoolBroken));
        return;
    }
    let pool = pool(method, 2);
    let pids = whole_gang(&pool, 2);
    kill_guardian(&pool);
    let replaced = |now: &Vec<u32>| now.len() == 2 && now.iter().all(|pid| !pids.contains(pid));
    wait_until("both workers are replaced", SOON, || pool.worker_pids(), replaced);
    assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
    finish(pool);
    nothing_is_left();
}

/// Those that a terminal sends, or whoever wants a program to end: it has to be there afterwards, to sweep.
fn guardian_is_deaf_to_polite_signals(method: StartMethod) {
    use Signal::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
    let pool = pool(method, 1);
    let guardian = pool.guardian_pid().unwrap();
    let running = pool.apply_async(pass_gate, ("open".to_owned(),));
    for polite in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE] {
        signal(guardian, polite);
    }
    Gate::new("open").open();
    assert_eq!(running.get_timeout(SOON).unwrap(), Ok(()));
    // It starts workers as before.
    let worker = pool.worker_pids();
    signal(worker[0], Signal::SIGKILL);
    wait_until("the worker is replaced", SOON, || pool.worker_pids(), |now| now.len() == 1 && *now != worker);
    assert_eq!((pool.apply(square, (7,)), pool.guardian_pid()), (Ok(49), Some(guardian)));
    finish(pool);
}

/// A closed pool still does what it has; with nothing left to do it needs no guardian.
fn guardian_killed_in_a_pool_that_closes(method: StartMethod) {
    let pool = pool(method, 2);
    let running = pool.map_async(pass_gate, (0..10).map(|_| "open".to_owned()));
    whole_gang(&pool, 2);
    pool.close();
    kill_guardian(&pool);
    Gate::new("open").open();
    let kind = running.get_timeout(SOON).unwrap().map_err(|error| error.kind());
    let kinds = [Ok(vec![(); 10]), Err(TaskErrorKind::Lost), Err(TaskErrorKind::PoolBroken)];
    assert!(kinds.contains(&kind), "{kind:?}");
    within("join", SOON, || pool.join()).unwrap();
    nothing_is_left();
}

/// It is asked for a worker and does not answer: after ten seconds nobody waits for it any more.
fn silent_guardian_is_killed(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pool.worker_pids()[0];
    signal(pool.guardian_pid().unwrap(), Signal::SIGSTOP);
    signal(worker, Signal::SIGKILL);
    let handle = pool.apply_async(square, (3,));
    match handle.get_timeout(Duration::from_secs(30)).unwrap() {
        Ok(value) => assert_eq!((value, method == StartMethod::Fork), (9, false)),
        // It may have been sent to the worker that was about to die; or nobody is left to run it.
        Err(error) => {
            let last = if method == StartMethod::Fork { TaskErrorKind::PoolBroken } else { TaskErrorKind::Lost };
            assert!([last, TaskErrorKind::Lost, TaskErrorKind::Killed(9)].contains(&error.kind()), "{error}");
        }
    }
    let last = wait_until(
        "it is settled",
        Duration::from_secs(30),
        || pool.apply(square, (2,)).map_err(|error| error.kind()),
        |last| matches!(last, Ok(_) | Err(TaskErrorKind::PoolBroken)),
    );
    assert_eq!(last, if method == StartMethod::Fork { Err(TaskErrorKind::PoolBroken) } else { Ok(4) });
    within("the end", SOON, || finish(pool));
    nothing_is_left();
}

fn niceness_of(pid: u32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Field 19; behind the name, which may hold anything, comes field 3.
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
}

/// A thread of another niceness waits for its results, and so does the driver's work, when the guardian dies.
fn successor_is_as_nice_as_the_thread_that_built_the_pool(method: StartMethod) {
    if method == StartMethod::Fork {
        // There is no successor.
        return;
    }
    let (pool, niceness) = (pool(method, 2), scheduling::niceness().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            scheduling::set_niceness(niceness + 5).unwrap();
            for _ in 0..5 {
                let killed = pool.guardian_pid();
                kill_guardian(&pool);
                // What the workers have begun is lost with them.
                let next = || pool.apply(square, (1,)).ok().and_then(|_| pool.guardian_pid());
                let next = wait_until("there is another", SOON, next, |now| now.is_some() && *now != killed);
                assert_eq!(niceness_of(next.unwrap()), niceness);
            }
        });
    });
    finish(pool);
}

fn stopped_guardian_does_not_hold_up_drop(method: StartMethod) {
    let pool = pool(method, 2);
    signal(pool.guardian_pid().unwrap(), Signal::SIGSTOP);
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100, "it is not in the data path");
    let handle = pool.apply_async(pass_gate, ("never".to_owned(),));
    within("drop", Duration::from_secs(5), || drop(pool));
    assert_eq!(handle.get_timeout(SOON).unwrap().unwrap_err().kind(), TaskErrorKind::Cancelled);
    nothing_is_left();
}

/// Its link is at its end for the second until nobody waits for the guardian's report any more.
fn worker_that_a_stopped_guardian_does_not_bury_keeps_nobody_awake(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.apply_async(begin_and_pass, ("open".to_owned(),));
    wait_until("the task has begun", SOON, || Log::new("begun").lines(), |lines| !lines.is_empty());
    let guardian = pool.guardian_pid().unwrap();
    signal(guardian, Signal::SIGSTOP);
    let before = processor_time();
    signal(pool.worker_pids()[0], Signal::SIGKILL);
    let error = handle.get_timeout(SOON).unwrap().unwrap_err();
    let used = processor_time() - before;
    assert_eq!(error.kind(), TaskErrorKind::Lost, "{error}");
    assert!(used < Duration::from_millis(300), "{used:?}");
    signal(guardian, Signal::SIGCONT);
    assert_eq!(pool.apply(square, (7,)), Ok(49));
    finish(pool);
}

fn successor_whose_preload_fails_breaks_the_pool_with_that() {
    fn load_once() {
        let log = Log::new("loads");
        log.add("load");
        assert!(log.lines().len() == 1, "the licence is used up");
    }
    let pool = Pool::builder().workers(2).preload(load_once).build().unwrap();
    let handle = pool.map_async(pass_gate, (0..10).map(|_| "never".to_owned()));
    whole_gang(&pool, 2);
    kill_guardian(&pool);
    handle.get_timeout(SOON).unwrap().unwrap_err();
    let error = pool.apply(square, (1,)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::PoolBroken, "{error}");
    assert!(error.message().contains("the licence is used up"), "{error}");
    assert_eq!(Log::new("loads").lines().len(), 4, "one that served, and three that did not start");
    finish(pool);
    nothing_is_left();
}
