//! Workers that are killed, stopped, or go mad.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use ganger::{Pool, StartMethod, TaskErrorKind, WorkerStatus};
use ganger_tests::faults::links;
use ganger_tests::{Gate, Log, marked, own_mark, process_state, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, pass_gate, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    killed_worker_costs_its_task_and_none_is_started_twice,
    killed_idle_workers_are_replaced_and_nothing_is_lost,
    workers_that_die_for_nothing_too_often_break_the_pool,
    all_workers_killed_again_and_again,
    worker_killed_while_it_writes_ten_megabytes,
    results_that_a_dead_worker_has_left_are_delivered,
    worker_that_closes_its_link_and_returns,
    worker_that_closes_its_link_and_ends_later_has_its_exit_code,
    stopped_worker_does_not_hold_up_terminate,
    stopped_worker_does_not_hold_up_drop,
    daemons_of_tasks_end_with_the_pool,
    every_exit_code_and_every_signal_is_told,
];

fn note(log: String, number: u32) -> u32 {
    Log::new(&log).add(number);
    std::thread::sleep(Duration::from_micros(300));
    number
}

/// Every line of the log, and how often it is there.
fn counts(log: &str) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for line in Log::new(log).lines() {
        *counts.entry(line.parse().unwrap()).or_default() += 1;
    }
    counts
}

/// Checks the log against the outcomes: exactly once where there is a value, at most once anywhere.
#[track_caller]
fn none_ran_twice(log: &str, outcomes: &[Result<u32, ganger::TaskError>], most_failures: usize) {
    let counts = counts(log);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!((*value, counts.get(value)), (number as u32, Some(&1))),
            Err(error) => assert_eq!(error.kind(), TaskErrorKind::Killed(9), "{error}"),
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(failed <= most_failures, "{failed} tasks failed, at most {most_failures} were killed");
}

fn killed_worker_costs_its_task_and_none_is_started_twice(method: StartMethod) {
    let pool = pool(method, 2);
    let mut lazy = pool.imap(ganger::partial(note, ("ran".to_owned(),)), 0..2000);
    let mut outcomes: Vec<_> = lazy.by_ref().take(500).collect();
    signal(pool.worker_pids()[0], Signal::SIGKILL);
    outcomes.extend(lazy);
    assert_eq!(outcomes.len(), 2000);
    none_ran_twice("ran", &outcomes, 1);
    finish(pool);
}

/// More are killed than may die of one task: a short map's tasks are so little work that one after the other gets all of them.
fn killed_idle_workers_are_replaced_and_nothing_is_lost(method: StartMethod) {
    let pool = pool(method, 5);
    for _ in 0..5 {
        // None is killed in the midst of its birth: that is a start that failed.
        let ready = |workers: &Vec<WorkerStatus>| workers.len() == 5 && workers.iter().all(WorkerStatus::is_ready);
        let before: Vec<u32> =
            wait_until("all are ready", SOON, || pool.workers(), ready).iter().map(WorkerStatus::pid).collect();
        before.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
        assert_eq!(pool.map(square, 0..50).unwrap(), (0..50).map(square).collect::<Vec<_>>());
        wait_until(
            "all are replaced",
            SOON,
            || pool.worker_pids(),
            |now| now.len() == 5 && now.iter().all(|pid| !before.contains(pid)),
        );
    }
    finish(pool);
}

/// As OTP's supervisors do: it ends with the cause, and not never.
fn workers_that_die_for_nothing_too_often_break_the_pool(method: StartMethod) {
    let builder = Pool::builder().workers(2).start_method(method);
    let pool = builder.restart_intensity(4, Duration::from_secs(3600)).build().unwrap();
    for death in 0..5 {
        // Work that is done is a reason to go on.
        if death < 2 {
            assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
        }
        let pids = whole_gang(&pool, 2);
        signal(pids[0], Signal::SIGKILL);
        let replaced = |now: &Vec<u32>| now.len() == 2 && !now.contains(&pids[0]);
        wait_until("it is replaced", SOON, || pool.worker_pids(), replaced);
        assert_eq!(pool.broken(), None);
    }
    signal(whole_gang(&pool, 2)[1], Signal::SIGKILL);
    wait_until("the gang is gone", SOON, || pool.worker_pids(), Vec::is_empty);
    let error = pool.apply(square, (3,)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::PoolBroken);
    let cause = pool.broken().unwrap();
    assert!(error.message().ends_with(&cause), "{cause:?} is not why {error}");
    for part in
        ["more than 4 times within 3600s", "restart_intensity", "worker 1 was killed by SIGKILL while it had no task"]
    {
        assert!(error.message().contains(part), "{part:?} is missing in {error}");
    }
    wait_until("nothing is left", SOON, || marked(&own_mark()), Vec::is_empty);
}

fn all_workers_killed_again_and_again(method: StartMethod) {
    let pool = pool(method, 2);
    let lazy = pool.imap_unordered(ganger::partial(note, ("ran".to_owned(),)), 0..3000).indexed();
    let mut outcomes = BTreeMap::new();
    let mut kills = 0;
    for (index, outcome) in lazy {
        assert!(outcomes.insert(index, outcome).is_none(), "task {index} has two outcomes");
        if outcomes.len() % 200 == 0 {
            for pid in pool.worker_pids() {
                // It may have died by an earlier one of these, and not be replaced yet.
                if nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).is_ok() {
                    kills += 1;
                }
            }
        }
    }
    assert_eq!(outcomes.len(), 3000);
    assert!(kills >= 10, "only {kills} kills");
    none_ran_twice("ran", &outcomes.into_values().collect::<Vec<_>>(), kills);
    finish(pool);
}

/// Dies `micros` after it has begun to return ten megabytes, maybe.
fn write_and_die(micros: u64) -> String {
    if micros > 0 {
        std::thread::spawn(move || {
            let until = std::time::Instant::now() + Duration::from_micros(micros);
            while std::time::Instant::now() < until {}
            signal(std::process::id(), Signal::SIGKILL);
        });
    }
    "x".repeat(10 << 20)
}

fn worker_killed_while_it_writes_ten_megabytes(method: StartMethod) {
    let pool = pool(method, 2);
    let mut killed = 0;
    for micros in (0..12_000).step_by(400) {
        match pool.apply(write_and_die, (micros,)) {
            Ok(text) => assert_eq!(text.len(), 10 << 20),
            Err(error) => {
                assert_eq!(error.kind(), TaskErrorKind::Killed(9), "{error}");
                killed += 1;
            }
        }
        assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
    }
    assert!(killed > 0, "no kill met a write");
    finish(pool);
}

/// Gives four results once it may, and then dies: one that nearly fills the ring, one that has to go over the socket, and two
/// small ones that find room in the ring again.
fn leave_results(round: u32, number: u32) -> String {
    if number == 0 {
        Log::new("leaving").add(std::process::id());
        Gate::new(&format!("leave-{round}")).pass();
    }
    let length = match number {
        0 => 1_000_000,
        1 => 60_000,
        4 => crate::kit::die(Signal::SIGKILL),
        small => small as usize,
    };
    "x".repeat(length)
}

/// The supervisor stands still until the worker is dead and buried by its guardian: all that it has left is unread then.
fn results_that_a_dead_worker_has_left_are_delivered(method: StartMethod) {
    for round in 0..5 {
        let gate = |name: &str| Gate::new(&format!("{name}-{round}"));
        let pool = Pool::builder().workers(1).start_method(method).chunksize(5).build().unwrap();
        // While the worker is busy with something else all five gather, and travel together.
        let busy = pool.apply_async(pass_gate, (format!("busy-{round}"),));
        let numbers = (0..5).chain(std::iter::from_fn(|| {
            gate("read").open();
            None
        }));
        let outcomes = std::thread::scope(|scope| {
            let outcomes = scope.spawn(|| pool.try_map(ganger::partial(leave_results, (round,)), numbers));
            gate("read").pass();
            gate("busy").open();
            Log::new("leaving").wait_for(round as usize + 1);
            let pid = Log::new("leaving").lines()[round as usize].parse().unwrap();
            pool.stand_still(|| {
                gate("leave").open();
                wait_until("the worker is buried", SOON, || process_state(pid), Option::is_none);
            });
            outcomes.join().unwrap()
        });
        busy.get().unwrap();
        let lengths: Vec<_> = outcomes[..4].iter().map(|outcome| outcome.as_ref().unwrap().len()).collect();
        assert_eq!(lengths, [1_000_000, 60_000, 2, 3], "round {round}");
        let error = outcomes[4].as_ref().unwrap_err();
        assert_eq!((error.kind(), error.index()), (TaskErrorKind::Killed(9), 4), "{error}");
        assert_eq!(Log::new("leaving").lines().len(), round as usize + 1, "none is run again");
        finish(pool);
    }
}

/// It has a result in the shared ring, or finds no way to send it.
fn worker_that_closes_its_link_and_returns(method: StartMethod) {
    fn close_link(_: u32) -> u32 {
        links().into_iter().for_each(|link| nix::unistd::close(link).unwrap());
        0
    }
    let pool = pool(method, 2);
    match within("noticing the closed link", SOON, || pool.apply(close_link, (0,))) {
        Ok(value) => assert_eq!(value, 0),
        Err(error) => assert!(
            matches!(
                error.kind(),
                TaskErrorKind::ProtocolViolation | TaskErrorKind::Exited(0) | TaskErrorKind::Exited(1)
            ),
            "{error}"
        ),
    }
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    finish(pool);
}

/// Between the two it is as busy as a process that waits for a processor in the midst of its end.
fn worker_that_closes_its_link_and_ends_later_has_its_exit_code(method: StartMethod) {
    fn close_link_and_exit(_: u32) {
        links().into_iter().for_each(|link| nix::unistd::close(link).unwrap());
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(150) {
            std::hint::spin_loop();
        }
        ganger_os::child::leave(7);
    }
    let pool = pool(method, 2);
    let error = within("noticing the end", SOON, || pool.apply(close_link_and_exit, (0,))).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Exited(7), "{error}");
    finish(pool);
}

/// A pool of two whose one worker runs a task that has just stopped it.
fn with_stopped_worker(method: StartMethod) -> (Pool, ganger::AsyncResult<u32>) {
    fn stop(_: u32) -> u32 {
        Log::new("stopped").add(std::process::id());
        signal(std::process::id(), Signal::SIGSTOP);
        Gate::new("never").pass();
        0
    }
    let pool = pool(method, 2);
    let handle = pool.apply_async(stop, (0,));
    let stopped = || {
        let pid = Log::new("stopped").lines().first().cloned()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim().chars().next()
    };
    wait_until("the worker is stopped", SOON, stopped, |state| *state == Some('T'));
    (pool, handle)
}

fn stopped_worker_does_not_hold_up_terminate(method: StartMethod) {
    let (pool, handle) = with_stopped_worker(method);
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100, "the other worker serves");
    within("terminate and join", Duration::from_secs(3), || {
        pool.terminate();
        pool.join().unwrap();
    });
    assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
}

fn stopped_worker_does_not_hold_up_drop(method: StartMethod) {
    let (pool, handle) = with_stopped_worker(method);
    within("drop", Duration::from_secs(3), || drop(pool));
    assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
}

fn daemonize(_: u32) {
    // Its own session, its parent gone, and nothing of ours open.
    let script = "setsid sh -c 'echo $$ >> \"$0\"; exec sleep 1000' \"$0\" </dev/null >/dev/null 2>&1 &";
    Command::new("sh").args(["-c", script, &ganger_tests::scratch("log-daemons")]).status().unwrap();
}

fn daemons_of_tasks_end_with_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    pool.map(daemonize, 0..4).unwrap();
    wait_until("the daemons live", SOON, || Log::new("daemons").lines(), |pids| pids.len() == 4);
    assert!(marked(&own_mark()).len() > 4, "they outlive their tasks");
    finish(pool);
    assert_eq!(marked(&own_mark()), [0; 0], "they do not outlive the pool");
}

fn exit_with(code: i32) {
    std::process::exit(code)
}

fn die_by(number: i32) {
    crate::kit::die(Signal::try_from(number).unwrap())
}

/// As `Process.exitcode` is tested in Python, where a signal is a negative code.
fn every_exit_code_and_every_signal_is_told(method: StartMethod) {
    let pool = pool(method, 2);
    let codes = [
        (0, 0),
        (1, 1),
        (2, 2),
        (42, 42),
        (70, 70),
        (127, 127),
        (128, 128),
        (137, 137),
        (255, 255),
        (256, 0),
        (-1, 255),
    ];
    let outcomes = pool.try_map(exit_with, codes.map(|(code, _)| code));
    for ((_, told), outcome) in codes.iter().zip(outcomes) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Exited(*told), "{error}");
        assert!(error.message().ends_with(&format!("exit code {told}")), "{error}");
    }
    // What workers ignore, or what stops or leaves them alone, ends none.
    let harmless = "SIGPIPE SIGTTOU SIGCHLD SIGCONT SIGURG SIGWINCH SIGSTOP SIGTSTP SIGTTIN";
    let deadly: Vec<i32> =
        Signal::iterator().filter(|signal| !harmless.contains(signal.as_str())).map(|it| it as i32).collect();
    assert!(deadly.len() > 20, "{deadly:?}");
    for (number, outcome) in deadly.iter().zip(pool.try_map(die_by, deadly.clone())) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Killed(*number), "{error}");
        let name = Signal::try_from(*number).unwrap().as_str();
        assert_eq!(error.message(), format!("was killed by {name}"));
    }
    finish(pool);
}
