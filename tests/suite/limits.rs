//! Limits of time, and cancelling what runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ganger::{AsyncResult, ErrorKind, Pool, StartMethod, TaskError, TaskErrorKind};
use ganger_tests::{Gate, Log, process_state, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, own_pid, pass_gate, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    task_that_sleeps_for_ever_times_out_and_costs_nobody_else,
    one_of_many_tiny_tasks_times_out,
    time_is_measured_from_the_begin,
    task_that_ignores_sigterm_is_killed,
    without_grace_it_is_killed_at_once,
    stopped_worker_times_out,
    task_that_looks_ends_itself_and_keeps_its_worker,
    value_of_a_task_that_was_asked_to_end_is_its_value,
    timeout_of_one_call,
    what_waits_too_long_is_not_run,
    what_waits_behind_a_long_task_on_its_worker_is_not_run_either,
    cancel_stops_what_runs_and_what_waits,
    cancel_of_one_call_leaves_the_others_alone,
    cancel_wakes_its_callback,
    what_a_stopped_task_has_started_ends_with_it,
];

pub(crate) const ONCE: crate::Once = table![senseless_limits_are_refused];

const SHORT: Duration = Duration::from_millis(100);
/// No machine is so busy that what takes no time takes so long.
const LONG: Duration = Duration::from_secs(20);

fn limited(method: StartMethod, workers: usize, timeout: Duration) -> Pool {
    Pool::builder().workers(workers).start_method(method).timeout(timeout).build().unwrap()
}

/// Squares its number; 7 sleeps for ever.
fn seven_sleeps(number: u64) -> u64 {
    if number == 7 {
        for_ever();
    }
    number * number
}

fn for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

#[track_caller]
fn only_seven_failed(outcomes: &[Result<u64, TaskError>], kind: TaskErrorKind) -> TaskError {
    for (number, outcome) in outcomes.iter().enumerate().filter(|(number, _)| *number != 7) {
        assert_eq!(*outcome, Ok((number * number) as u64));
    }
    let error = outcomes[7].clone().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

fn task_that_sleeps_for_ever_times_out_and_costs_nobody_else(method: StartMethod) {
    let pool = limited(method, 2, SHORT);
    let before = whole_gang(&pool, 2);
    let outcomes = within("all of it", SOON, || pool.try_map(seven_sleeps, 0..20));
    let error = only_seven_failed(&outcomes, TaskErrorKind::TimedOut);
    assert_eq!(error.message(), "ran longer than 100ms, and was killed by SIGTERM");
    assert!(before.contains(&error.pid().unwrap()) && error.duration().unwrap() >= SHORT, "{error:?}");
    let after = pool.map(own_pid, 0..20).unwrap();
    assert!(!after.contains(&error.pid().unwrap()));
    finish(pool);
}

fn one_of_many_tiny_tasks_times_out(method: StartMethod) {
    let pool = limited(method, 2, Duration::from_millis(300));
    // They travel hundreds at a time, and no single one is announced.
    pool.map(square, 0..20_000).unwrap();
    let outcomes = pool.try_map(seven_sleeps, 0..20_000);
    only_seven_failed(&outcomes, TaskErrorKind::TimedOut);
    finish(pool);
}

fn nap(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

fn time_is_measured_from_the_begin(method: StartMethod) {
    let pool = limited(method, 1, Duration::from_millis(1500));
    // Longer than the limit together; the last waits for most of that.
    assert_eq!(pool.map(nap, [500; 4]).unwrap(), [500; 4]);
    finish(pool);
}

/// Has SIGTERM do nothing, and sleeps.
fn ignore_sigterm(_: u32) {
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::new(AtomicBool::new(false))).unwrap();
    for_ever();
}

fn task_that_ignores_sigterm_is_killed(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method);
    let pool = builder.timeout(SHORT).grace(Duration::from_millis(200)).build().unwrap();
    let error = pool.apply(ignore_sigterm, (1,)).unwrap_err();
    assert_eq!(error.message(), "ran longer than 100ms, and was killed by SIGKILL");
    assert_eq!(error.kind(), TaskErrorKind::TimedOut);
    finish(pool);
}

fn without_grace_it_is_killed_at_once(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).timeout(SHORT).grace(Duration::ZERO).build().unwrap();
    let error = pool.apply(seven_sleeps, (7,)).unwrap_err();
    assert_eq!(error.message(), "ran longer than 100ms, and was killed by SIGKILL");
    finish(pool);
}

fn stop_oneself(_: u32) {
    signal(std::process::id(), Signal::SIGSTOP);
}

fn stopped_worker_times_out(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).timeout(SHORT).grace(LONG).build().unwrap();
    // A stopped process keeps SIGTERM for later, and so is continued: it needs no SIGKILL.
    let error = pool.apply(stop_oneself, (1,)).unwrap_err();
    assert_eq!(error.message(), "ran longer than 100ms, and was killed by SIGTERM");
    finish(pool);
}

/// Waits until it is asked to end, and says so, as a value or as an error.
fn obey(value: bool) -> Result<u32, String> {
    while !ganger::cancel_requested() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if value { Ok(std::process::id()) } else { Err("cleaned up".to_owned()) }
}

fn task_that_looks_ends_itself_and_keeps_its_worker(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).timeout(SHORT).grace(LONG).build().unwrap();
    let worker = pool.worker_pids();
    for _ in 0..2 {
        let error = pool.apply::<_, _, u32>(obey, (false,)).unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::TimedOut);
        assert_eq!(error.message(), "ran longer than 100ms, and ended when it was asked to: cleaned up");
    }
    assert_eq!(pool.worker_pids(), worker);
    finish(pool);
}

fn value_of_a_task_that_was_asked_to_end_is_its_value(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).timeout(SHORT).grace(LONG).build().unwrap();
    let worker = pool.worker_pids()[0];
    assert_eq!(pool.apply(obey, (true,)), Ok(worker));
    assert!(!pool.apply(|_: u32| ganger::cancel_requested(), (1,)).unwrap(), "the next one is not asked");
    finish(pool);
}

fn timeout_of_one_call(method: StartMethod) {
    let pool = pool(method, 2);
    let quick = pool.with_timeout(SHORT).unwrap();
    let unlimited = pool.apply_async(pass_gate, ("late".to_owned(),));
    assert_eq!(quick.apply(seven_sleeps, (7,)).unwrap_err().kind(), TaskErrorKind::TimedOut);
    let lazy: Vec<_> = quick.imap(seven_sleeps, 0..20).collect();
    only_seven_failed(&lazy, TaskErrorKind::TimedOut);
    Gate::new("late").open();
    unlimited.get().unwrap();
    drop(quick);
    finish(pool);
}

fn note(log: String, number: u32) {
    Log::new(&log).add(number);
}

fn what_waits_too_long_is_not_run(method: StartMethod) {
    let pool = pool(method, 1);
    let long = pool.apply_async(pass_gate, ("long".to_owned(),));
    let impatient = pool.with_queue_timeout(SHORT).unwrap();
    let errors = impatient.try_map(ganger::partial(note, ("ran".to_owned(),)), 0..5);
    for error in errors.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.kind(), TaskErrorKind::QueueTimedOut);
        assert_eq!(error.message(), "waited longer than 100ms, and was not run");
    }
    Gate::new("long").open();
    long.get().unwrap();
    pool.map(square, 0..10).unwrap();
    assert_eq!(Log::new("ran").lines(), [""; 0], "none was run later");
    drop(impatient);
    finish(pool);
}

/// Waits at the gate if it is the first; all are noted.
fn first_waits(log: String, number: u32) -> u32 {
    Log::new(&log).add(number);
    if number == 0 {
        Gate::new("first").pass();
    }
    number
}

fn what_waits_behind_a_long_task_on_its_worker_is_not_run_either(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method).chunksize(5);
    let pool = builder.queue_timeout(Duration::from_millis(300)).build().unwrap();
    let all = pool.map_async(ganger::partial(first_waits, ("ran".to_owned(),)), 0..5);
    Log::new("ran").wait_for(1);
    let errors = || pool.map_async(square, [1, 2]).get().unwrap_err();
    assert_eq!(errors().kind(), TaskErrorKind::QueueTimedOut);
    Gate::new("first").open();
    let error = all.get().unwrap_err();
    assert_eq!((error.index(), error.kind()), (1, TaskErrorKind::QueueTimedOut), "{error}");
    assert_eq!(Log::new("ran").lines(), ["0"]);
    finish(pool);
}

fn cancel_stops_what_runs_and_what_waits(method: StartMethod) {
    let pool = pool(method, 2);
    let all = pool.map_async(ganger::partial(note_and_sleep, ("ran".to_owned(),)), 0..100);
    Log::new("ran").wait_for(2);
    assert!(all.cancel());
    let error = within("its end", SOON, || all.get()).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::Cancelled, 0));
    assert_eq!(error.message(), "was cancelled while it ran, and was killed by SIGTERM");
    assert_eq!(pool.map(square, 0..10).unwrap()[9], 81);
    assert_eq!(Log::new("ran").lines().len(), 2);
    finish(pool);
}

fn note_and_sleep(log: String, number: u32) {
    note(log, number);
    for_ever();
}

fn cancel_of_one_call_leaves_the_others_alone(method: StartMethod) {
    let pool = pool(method, 2);
    let sleeps = pool.apply_async(note_and_sleep, ("ran".to_owned(), 1));
    let stays: AsyncResult<()> = pool.apply_async(pass_gate, ("stays".to_owned(),));
    let waits: Vec<_> = (0..20).map(|number| pool.apply_async(square, (number,))).collect();
    Log::new("ran").wait_for(1);
    assert!(sleeps.cancel());
    assert_eq!(sleeps.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
    // What waited behind it runs on its worker's successor, while the other one is still at its gate.
    for (number, value) in waits.iter().enumerate() {
        assert_eq!(value.get().unwrap(), (number * number) as i64);
    }
    assert!(!stays.ready());
    Gate::new("stays").open();
    stays.get().unwrap();
    assert!(!stays.cancel(), "what has ended has ended");
    finish(pool);
}

fn cancel_wakes_its_callback(method: StartMethod) {
    let pool = pool(method, 1);
    let (send, told) = std::sync::mpsc::channel();
    let callbacks = ganger::Callbacks::new(|()| ()).on_error(move |error| send.send(error.kind()).unwrap());
    let handle = pool.apply_async_with(note_and_sleep, ("ran".to_owned(), 1), callbacks);
    Log::new("ran").wait_for(1);
    handle.cancel();
    assert_eq!(told.recv_timeout(SOON).unwrap(), TaskErrorKind::Cancelled);
    finish(pool);
}

/// Starts a program, and waits for its end.
fn wait_for_a_program(log: String, _: u32) {
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    Log::new(&log).add(child.id());
    child.wait().unwrap();
}

fn what_a_stopped_task_has_started_ends_with_it(method: StartMethod) {
    let pool = pool(method, 1);
    // Time for a shell to start a program, on a machine that does other things as well.
    let limited = pool.with_timeout(Duration::from_secs(2)).unwrap();
    let task = || ganger::partial(wait_for_a_program, ("programs".to_owned(),));
    let (timed_out, cancelled) = (limited.apply_async(task(), (1,)), pool.apply_async(task(), (2,)));
    let error = timed_out.get_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::TimedOut, "{error}");
    Log::new("programs").wait_for(2);
    assert!(cancelled.cancel());
    let error = cancelled.get_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Cancelled, "{error}");
    let programs: Vec<u32> = Log::new("programs").lines().iter().map(|pid| pid.parse().unwrap()).collect();
    for pid in programs {
        wait_until("the program is gone", SOON, || process_state(pid), Option::is_none);
    }
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    drop(limited);
    finish(pool);
}

fn senseless_limits_are_refused() {
    let zero = || Pool::builder().workers(1);
    let errors = [
        zero().timeout(Duration::ZERO).build().unwrap_err(),
        zero().queue_timeout(Duration::ZERO).build().unwrap_err(),
        zero().start_timeout(Duration::ZERO).build().unwrap_err(),
        zero().chunksize(0).build().unwrap_err(),
        zero().max_tasks_per_worker(0).build().unwrap_err(),
        zero().look_ahead(0).build().unwrap_err(),
        zero().look_ahead_bytes(0).build().unwrap_err(),
        zero().workers(0).build().unwrap_err(),
        zero().workers((1 << 20) + 1).build().unwrap_err(),
        zero().workers(usize::MAX).build().unwrap_err(),
        zero().retry(ganger::Retry::new(0)).build().unwrap_err(),
        zero().retry(ganger::Retry::new(2).backoff(LONG..=SHORT)).build().unwrap_err(),
        zero().retry(ganger::Retry::new(2).jitter(1.5)).build().unwrap_err(),
    ];
    let parts = [
        "timeout is 0",
        "queue_timeout is 0",
        "start_timeout is 0",
        "chunksize is 0: at least 1",
        "max_tasks_per_worker is 0: a worker runs at least 1",
        "look_ahead is 0: at least 1",
        "look_ahead_bytes is 0: at least 1",
        "workers is 0: a pool needs at least 1, and at most 1048576",
        "workers is 1048577: a pool needs",
        "workers is 18446744073709551615: a pool needs",
        "attempts is 0",
        "20s..=100ms",
        "1.5",
    ];
    assert_eq!(errors.len(), parts.len());
    for (error, part) in errors.iter().zip(parts) {
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.to_string().contains(part), "{error}");
    }
    // Beyond what a clock can say is no limit.
    let pool = zero().timeout(Duration::MAX).queue_timeout(Duration::MAX).grace(Duration::MAX).build().unwrap();
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    finish(pool);
}
