//! Limits of memory.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

use ganger::{ErrorKind, Pool, Rlimit, StartMethod, TaskErrorKind};
use ganger_tests::{wait_until, within};
use nix::sys::resource::{Resource, setrlimit};

use crate::kit::{SOON, finish, own_pid, square};

pub(crate) const CONTRACT: crate::Contract = table![
    task_that_takes_too_much_is_killed_and_costs_nobody_else,
    worker_that_leaks_is_replaced_between_tasks,
    worker_that_rests_above_its_limit_is_replaced_and_no_task_pays,
    what_is_shared_with_the_guardian_does_not_count_until_it_is_written_to,
    arguments_that_no_worker_has_room_for_end_their_task_and_no_other,
    arguments_of_which_three_workers_die_end_their_task_and_no_other,
    worker_that_cannot_measure_itself_does_not_get_ready,
];

pub(crate) const ONCE: crate::Once = table![senseless_limits_of_memory_are_refused];

const MIB: u64 = 1 << 20;

fn hold(mebibytes: usize) -> Vec<u8> {
    black_box(vec![1; mebibytes << 20])
}

/// 7 takes much, and waits.
fn seven_takes(number: u64) -> u64 {
    if number == 7 {
        let _held = hold(300);
        std::thread::sleep(Duration::from_secs(1000));
    }
    number
}

fn task_that_takes_too_much_is_killed_and_costs_nobody_else(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).memory_limit(128 * MIB).build().unwrap();
    let outcomes = pool.try_map(seven_takes, 0..20);
    for (number, outcome) in outcomes.iter().enumerate().filter(|(number, _)| *number != 7) {
        assert_eq!(*outcome, Ok(number as u64));
    }
    let error = outcomes[7].clone().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::MemoryExceeded, "{error}");
    assert!(error.peak_memory().unwrap() > 128 * MIB, "{error:?}");
    assert!(error.message().ends_with("above its limit, and was killed by SIGKILL"), "{error}");
    finish(pool);
}

thread_local! {
    static LEAK: std::cell::RefCell<Vec<Vec<u8>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Holds on to more memory for ever, and takes long enough to be measured while it does.
fn leak(mebibytes: usize) -> u32 {
    LEAK.with_borrow_mut(|leak| leak.push(hold(mebibytes)));
    std::thread::sleep(Duration::from_millis(100));
    std::process::id()
}

fn worker_that_leaks_is_replaced_between_tasks(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).memory_soft_limit(100 * MIB).build().unwrap();
    let pids = pool.map(leak, [60; 8]).unwrap();
    let mut distinct = pids.clone();
    distinct.dedup();
    assert!(distinct.len() >= 2, "{pids:?}");
    finish(pool);
}

fn leak_quickly(mebibytes: usize) -> u32 {
    LEAK.with_borrow_mut(|leak| leak.push(hold(mebibytes)));
    std::process::id()
}

fn worker_that_rests_above_its_limit_is_replaced_and_no_task_pays(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).memory_limit(64 * MIB).build().unwrap();
    // Either it is measured while the task runs, or when the worker rests.
    let outcome = pool.apply(leak_quickly, (100,));
    if let Err(error) = &outcome {
        assert_eq!(error.kind(), TaskErrorKind::MemoryExceeded);
    }
    wait_until(
        "it is replaced",
        SOON,
        || pool.worker_pids(),
        |pids| outcome.as_ref().map_or(true, |pid| pids != &[*pid]),
    );
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    finish(pool);
}

/// What the guardian has loaded for all workers.
static TABLE: OnceLock<Vec<u8>> = OnceLock::new();

fn load() {
    TABLE.get_or_init(|| hold(200));
}

fn read_table(_: u32) -> (usize, u32) {
    let sum: usize = TABLE.get().unwrap().iter().step_by(4096).map(|byte| usize::from(*byte)).sum();
    std::thread::sleep(Duration::from_millis(150));
    (sum, own_pid(0))
}

fn copy_table(_: u32) -> usize {
    let copy = black_box(TABLE.get().unwrap().clone());
    std::thread::sleep(Duration::from_secs(1000));
    copy.len()
}

fn what_is_shared_with_the_guardian_does_not_count_until_it_is_written_to(method: StartMethod) {
    let builder = Pool::builder().workers(2).start_method(method).preload(load).memory_limit(64 * MIB);
    let pool = builder.build().unwrap();
    for (sum, _) in pool.map(read_table, 0..4).unwrap() {
        assert_eq!(sum, (200 << 20) / 4096);
    }
    assert_eq!(pool.apply(copy_table, (1,)).unwrap_err().kind(), TaskErrorKind::MemoryExceeded);
    finish(pool);
}

fn senseless_limits_of_memory_are_refused() {
    let builder = || Pool::builder().workers(1);
    for (error, part) in [
        (builder().memory_limit(5).build().unwrap_err(), "memory_limit is 5"),
        (builder().memory_soft_limit(0).build().unwrap_err(), "memory_soft_limit is 0"),
        (builder().memory_limit(MIB).memory_soft_limit(2 * MIB).build().unwrap_err(), "above memory_limit"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// The system's own limit, so much above what a worker has.
fn confine(room: u64) {
    let most = ganger_tests::memory(std::process::id(), "VmSize") + room;
    setrlimit(Resource::RLIMIT_AS, most, most).unwrap();
}

/// They are in memory of their own, for which a worker has no room: it says so, and lives on.
fn arguments_that_no_worker_has_room_for_end_their_task_and_no_other(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).initializer(confine, (48 * MIB,)).build().unwrap();
    let texts = (0..8).map(|number| "x".repeat(if number == 3 { 64 << 20 } else { number }));
    let outcomes = within("the map", SOON, || pool.try_map(|text: String| text.len(), texts));
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(length) => assert_eq!(*length, number),
            Err(error) => {
                assert_eq!((number, error.kind()), (3, TaskErrorKind::NotDeserializable), "{error}");
                assert!(error.to_string().contains("has arguments that cannot be read: "), "{error}");
                assert!(error.to_string().contains("Cannot allocate memory"), "{error}");
            }
        }
    }
    assert!(outcomes[3].is_err());
    finish(pool);
}

/// They are in the frame, for which a worker has no room: it dies while it takes them in, as do its successors.
fn arguments_of_which_three_workers_die_end_their_task_and_no_other(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).initializer(confine, (MIB / 4,)).build().unwrap();
    let texts = (0..8).map(|number| "x".repeat(if number == 3 { 1_000_000 } else { number }));
    let outcomes = within("the map", SOON, || pool.try_map(|text: String| text.len(), texts));
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(length) => assert_eq!((*length, number == 3), (number, false)),
            Err(error) => {
                assert_eq!((number, error.kind()), (3, TaskErrorKind::Killed(6)), "{error}");
                let text = "could not be begun: 3 workers died of it, and the last was killed by SIGABRT";
                assert_eq!(error.message(), text);
            }
        }
    }
    // So it is with what is bound to a task, which a worker takes in before its first.
    let length = |text: String, _: u32| text.len();
    let error =
        within("a call", SOON, || pool.apply(ganger::partial(length, ("x".repeat(1_000_000),)), (1,))).unwrap_err();
    assert!(error.message().starts_with("could not be begun: 3 workers died of it"), "{error}");
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    finish(pool);
}

/// Leaves no descriptor for anything.
fn use_up_descriptors() {
    let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    std::mem::forget(held);
}

fn worker_that_cannot_measure_itself_does_not_get_ready(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method).initializer(use_up_descriptors, ());
    let error = builder.rlimit(Rlimit::Nofile, 32).memory_limit(64 * MIB).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken, "{error}");
    assert!(error.to_string().contains("cannot measure its memory, which has a limit: "), "{error}");
}
