//! Trying again what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use ganger::{Pool, Retry, RetryOn, StartMethod, TaskErrorKind};
use ganger_tests::{Log, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, square};

pub(crate) const CONTRACT: crate::Contract = table![
    crash_is_tried_again_alone_on_a_fresh_worker,
    poison_ends_after_its_attempts_and_hurts_nobody,
    errors_panics_and_timeouts_are_tried_again_when_that_is_asked_for,
    nothing_is_tried_again_that_was_not_asked_for,
    each_attempt_has_the_same_random_numbers,
    cancel_ends_the_attempts,
    terminate_ends_the_attempts,
    retries_keep_order_in_imap,
];

fn quick(attempts: u32) -> Retry {
    Retry::new(attempts).backoff(Duration::from_millis(1)..=Duration::from_millis(20))
}

fn pool(method: StartMethod, workers: usize, retry: Retry) -> Pool {
    Pool::builder().workers(workers).start_method(method).retry(retry).build().unwrap()
}

/// Every attempt is noted with its process; number 7 kills its worker in its first `deaths` attempts.
fn seven_dies(log: String, deaths: u32, number: u32) -> u32 {
    Log::new(&log).add(format!("{number} {}", std::process::id()));
    if number == 7 && ganger::attempt() <= deaths {
        die(Signal::SIGKILL);
    }
    number * 10 + ganger::attempt()
}

/// By process, which numbers it has run.
fn by_process(log: &str) -> BTreeMap<u32, Vec<u32>> {
    let mut processes = BTreeMap::<u32, Vec<u32>>::new();
    for line in Log::new(log).lines() {
        let (number, pid) = line.split_once(' ').unwrap();
        processes.entry(pid.parse().unwrap()).or_default().push(number.parse().unwrap());
    }
    processes
}

fn crash_is_tried_again_alone_on_a_fresh_worker(method: StartMethod) {
    let pool = pool(method, 2, quick(4));
    let values = within("all of it", SOON, || pool.map(ganger::partial(seven_dies, ("ran".to_owned(), 2)), 0..200));
    let expected: Vec<u32> = (0..200).map(|number| number * 10 + if number == 7 { 3 } else { 1 }).collect();
    assert_eq!(values.unwrap(), expected);
    let processes = by_process("ran");
    let tried: Vec<_> = processes.values().filter(|numbers| numbers.contains(&7)).collect();
    assert_eq!(tried.len(), 3, "each attempt in a process of its own: {processes:?}");
    let second = tried.iter().filter(|numbers| ***numbers == [7]).count();
    assert!(second >= 1, "the second attempt died alone: {processes:?}");
    let first = tried.iter().filter(|numbers| numbers.first() != Some(&7)).count();
    assert!(first <= 1, "the second and third began with it: {processes:?}");
    finish(pool);
}

fn poison_ends_after_its_attempts_and_hurts_nobody(method: StartMethod) {
    let pool = pool(method, 2, quick(3));
    let outcomes = pool.try_map(ganger::partial(seven_dies, ("ran".to_owned(), u32::MAX)), 0..20);
    for (number, outcome) in outcomes.iter().enumerate().filter(|(number, _)| *number != 7) {
        assert_eq!(*outcome, Ok(number as u32 * 10 + 1));
    }
    let error = outcomes[7].clone().unwrap_err();
    assert_eq!((error.kind(), error.attempt()), (TaskErrorKind::Killed(9), 3));
    let before = error.attempts_before();
    assert_eq!(before.iter().map(ganger::TaskError::kind).collect::<Vec<_>>(), [TaskErrorKind::Killed(9); 2]);
    assert!(before[0].pid() != before[1].pid() && before[1].pid() != error.pid());
    assert!(error.to_string().contains("was killed by SIGKILL, in attempt 3 [worker "), "{error}");
    finish(pool);
}

/// Fails as it is told in its first two attempts.
fn stumble(how: String) -> Result<u32, String> {
    if ganger::attempt() < 3 {
        match how.as_str() {
            "error" => return Err("not yet".to_owned()),
            "panic" => panic!("not yet"),
            "timeout" => std::thread::sleep(Duration::from_secs(1000)),
            other => panic!("{other}?"),
        }
    }
    Ok(ganger::attempt())
}

fn errors_panics_and_timeouts_are_tried_again_when_that_is_asked_for(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
    for (how, on) in [("error", RetryOn::Error), ("panic", RetryOn::Panic), ("timeout", RetryOn::Timeout)] {
        // The first panic of a process takes long: it reads all symbols for its backtrace.
        let limit = if how == "timeout" { Duration::from_millis(200) } else { Duration::from_secs(500) };
        let pool = pool.with_timeout(limit).unwrap();
        let patient = pool.with_retry(&quick(3).on([on])).unwrap();
        assert_eq!(patient.map(stumble, [how.to_owned(), how.to_owned()]), Ok(vec![3_u32, 3]), "{how}");
        let impatient = pool.with_retry(&quick(2).on([on])).unwrap();
        let error = impatient.apply::<_, _, u32>(stumble, (how.to_owned(),)).unwrap_err();
        assert_eq!((error.attempt(), error.attempts_before().len()), (2, 1), "{error}");
    }
    finish(pool);
}

fn nothing_is_tried_again_that_was_not_asked_for(method: StartMethod) {
    let pool = pool(method, 1, quick(5).on([RetryOn::Timeout]));
    for how in ["error", "panic"] {
        let error = pool.apply::<_, _, u32>(stumble, (how.to_owned(),)).unwrap_err();
        assert_eq!((error.attempt(), error.attempts_before().len()), (1, 0), "{error}");
    }
    let error = pool.apply(ganger::partial(seven_dies, ("ran".to_owned(), 9)), (7,)).unwrap_err();
    assert_eq!((error.attempt(), error.kind()), (1, TaskErrorKind::Killed(9)));
    finish(pool);
}

fn draw(_: u32) -> Result<u64, String> {
    let drawn = ganger::task_rng().below(1 << 60);
    Log::new("drawn").add(drawn);
    if ganger::attempt() < 2 { Err("again".to_owned()) } else { Ok(drawn) }
}

fn each_attempt_has_the_same_random_numbers(method: StartMethod) {
    let pool = pool(method, 1, quick(2).on([RetryOn::Error]));
    let drawn: u64 = pool.apply(draw, (1,)).unwrap();
    assert_eq!(Log::new("drawn").lines(), [drawn.to_string(), drawn.to_string()]);
    finish(pool);
}

fn fail(log: String, number: u32) -> Result<u32, String> {
    Log::new(&log).add(number);
    Err("no".to_owned())
}

/// Far longer than the case may take.
fn slow() -> Retry {
    Retry::new(3).on([RetryOn::Error]).backoff(Duration::from_secs(500)..=Duration::from_secs(1000)).jitter(0.1)
}

fn cancel_ends_the_attempts(method: StartMethod) {
    let pool = pool(method, 1, slow());
    let handle = pool.apply_async::<_, _, u32>(ganger::partial(fail, ("ran".to_owned(),)), (1,));
    Log::new("ran").wait_for(1);
    pool.apply(square, (1,)).unwrap();
    assert!(!handle.ready() && handle.cancel());
    let error = handle.get().unwrap_err();
    assert_eq!((error.kind(), error.attempt()), (TaskErrorKind::Cancelled, 2));
    assert_eq!(error.attempts_before()[0].message(), "no");
    finish(pool);
}

fn terminate_ends_the_attempts(method: StartMethod) {
    let pool = pool(method, 1, slow());
    let handle = pool.apply_async::<_, _, u32>(ganger::partial(fail, ("ran".to_owned(),)), (1,));
    Log::new("ran").wait_for(1);
    within("terminate", SOON, || {
        pool.terminate();
        pool.join().unwrap();
    });
    assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::Cancelled);
}

fn retries_keep_order_in_imap(method: StartMethod) {
    let pool = pool(method, 2, quick(3).on([RetryOn::Error]));
    let values: Vec<u32> = pool.imap(stumble_at_threes, 0..300).map(Result::unwrap).collect();
    assert_eq!(values, (0..300).collect::<Vec<_>>());
    finish(pool);
}

fn stumble_at_threes(number: u32) -> Result<u32, String> {
    if number.is_multiple_of(3) && ganger::attempt() < 3 { Err("not yet".to_owned()) } else { Ok(number) }
}
