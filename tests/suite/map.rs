//! Maps: order, sizes, chunks, failures, bound arguments, random numbers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ganger::{ErrorKind, Pool, StartMethod, TaskErrorKind, partial, task_rng};
use ganger_tests::{Gate, Log, wait_until};
use serde::{Deserialize, Serialize, Serializer};

use crate::kit::{SOON, finish, own_pid, pool, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    map_keeps_order,
    map_runs_in_the_workers,
    map_of_nothing_ends_at_once,
    chunksize_zero_is_refused,
    starmap_unpacks_and_takes_lazy_input,
    map_waits_for_all_and_reports_the_first_failure,
    failure_in_a_chunk_spares_its_neighbours,
    long_tasks_do_not_share_a_batch,
    partial_serializes_its_bound_arguments_once,
    task_rng_depends_on_the_seed_and_the_index_alone,
    arguments_are_released_at_once,
    arguments_may_use_the_pool_while_they_are_serialized,
    worker_state_belongs_to_its_worker,
];

/// A task whose end does not follow from its place.
fn slow_square(x: i64) -> i64 {
    std::thread::sleep(Duration::from_micros(task_rng().below(400)));
    x * x
}

fn map_keeps_order(method: StartMethod) {
    let pool = pool(method, 3);
    for size in [0, 1, 7, 1000_i64] {
        let expected: Vec<i64> = (0..size).map(square).collect();
        assert_eq!(pool.map(slow_square, 0..size).unwrap(), expected, "{size} items, measured chunks");
        for chunk in [1, 6, 40, 50, size as usize + 1] {
            let pool = pool.with_chunksize(chunk).unwrap();
            assert_eq!(pool.map(slow_square, 0..size).unwrap(), expected, "{size} items, chunks of {chunk}");
        }
    }
    finish(pool);
}

fn map_runs_in_the_workers(method: StartMethod) {
    let pool = pool(method, 2);
    let workers = whole_gang(&pool, 2);
    let pids = pool.with_chunksize(1).unwrap().map(own_pid, 0..200).unwrap();
    assert!(pids.iter().all(|pid| workers.contains(pid)), "{pids:?}, {workers:?}");
    assert!(!pids.contains(&std::process::id()));
    finish(pool);
}

fn map_of_nothing_ends_at_once(method: StartMethod) {
    const NOTHING: [i64; 0] = [];
    let pool = pool(method, 1);
    assert_eq!(pool.map(square, NOTHING).unwrap(), NOTHING);
    assert!(pool.try_map(square, NOTHING).is_empty());
    let handle = pool.map_async(square, NOTHING);
    assert_eq!(handle.get().unwrap(), NOTHING);
    assert!(handle.successful().unwrap());
    assert_eq!(pool.imap(square, NOTHING).count(), 0);
    assert_eq!(pool.imap_unordered(square, NOTHING).count(), 0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let callbacks = ganger::Callbacks::new(move |values: Vec<i64>| sender.send(values).unwrap());
    pool.map_async_with(square, NOTHING, callbacks);
    assert_eq!(receiver.recv().unwrap(), NOTHING);
    finish(pool);
}

fn chunksize_zero_is_refused(method: StartMethod) {
    let refused = Pool::builder().workers(1).start_method(method).chunksize(0).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidSetting);
    let pool = pool(method, 1);
    assert_eq!(pool.with_chunksize(0).unwrap_err().kind(), ErrorKind::InvalidSetting);
    assert_eq!(pool.map(square, [3]).unwrap(), [9]);
    let none = Pool::builder().workers(0).start_method(method).build().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidSetting);
    finish(pool);
}

fn starmap_unpacks_and_takes_lazy_input(method: StartMethod) {
    let pool = pool(method, 2);
    let pulled = AtomicUsize::new(0);
    let lazy = (0..500_i64).map(|number| {
        pulled.fetch_add(1, Ordering::Relaxed);
        (number, number.to_string(), Some(2.0))
    });
    let lengths = pool.starmap(|a: i64, b: String, c: Option<f64>| (a, b.len(), c), lazy).unwrap();
    assert_eq!(lengths[120], (120, 3, Some(2.0)));
    assert_eq!((lengths.len(), pulled.load(Ordering::Relaxed)), (500, 500));
    assert_eq!(pool.starmap_async(i64::pow, [(2, 5), (3, 3)]).get().unwrap(), [32, 27]);
    finish(pool);
}

fn fail_at_seven(x: i64) -> Result<i64, String> {
    Log::new("ran").add(x);
    if x == 7 || x == 40 { Err(format!("no {x}")) } else { Ok(x) }
}

fn map_waits_for_all_and_reports_the_first_failure(method: StartMethod) {
    let pool = pool(method, 2);
    let outcome: Result<Vec<i64>, _> = pool.map(fail_at_seven, 0..100);
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.index(), error.message()), (TaskErrorKind::Failed, 7, "no 7"));
    assert_eq!(Log::new("ran").lines().len(), 100, "all have run when the failure is reported");
    let handle: ganger::AsyncResult<Vec<i64>> = pool.map_async(fail_at_seven, 0..100);
    assert_eq!(handle.get().unwrap_err().index(), 7);
    assert!(!handle.successful().unwrap());
    finish(pool);
}

fn failure_in_a_chunk_spares_its_neighbours(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).chunksize(10).build().unwrap();
    let outcomes: Vec<Result<i64, _>> = pool.try_map(fail_at_seven, 0..10);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
    assert_eq!(outcomes[7].as_ref().unwrap_err().message(), "no 7");
    assert_eq!(Log::new("ran").lines().len(), 10);
    finish(pool);
}

/// Quick, unless it is told to wait for its twin.
fn meet_twin(twin: u32) {
    if twin < 2 {
        Gate::new(&format!("twin{twin}")).open();
        Gate::new(&format!("twin{}", 1 - twin)).pass();
    }
}

/// Two tasks of a function known to be quick each wait until the other runs: in one batch they would wait for ever.
fn long_tasks_do_not_share_a_batch(method: StartMethod) {
    let pool = pool(method, 2);
    pool.map(meet_twin, (0..2000).map(|_| 9)).unwrap();
    pool.map(meet_twin, [0, 1]).unwrap();
    finish(pool);
}

/// Counts in this process how often it is serialized.
#[derive(Clone, Copy, Deserialize)]
struct Counted(#[expect(dead_code, reason = "it only travels")] u32);

static SERIALIZED: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SERIALIZED.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_newtype_struct("Counted", &7_u32)
    }
}

fn name(_: Counted, width: u32, prefix: String, number: u32) -> String {
    format!("{prefix}{number}_{width}")
}

fn partial_serializes_its_bound_arguments_once(method: StartMethod) {
    let pool = pool(method, 2);
    let task = partial(name, (Counted(1), 100_u32, "image_".to_owned()));
    let names = pool.map(task, 0..2000).unwrap();
    assert_eq!((names.len(), names[1999].as_str()), (2000, "image_1999_100"));
    let times = SERIALIZED.load(Ordering::Relaxed);
    assert!(times <= 2, "once, or once per worker, not {times} times");
    finish(pool);
}

fn draw(_: u32) -> (u64, u64, u64) {
    let mut rng = task_rng();
    (rng.next_u64(), rng.next_u64(), task_rng().next_u64())
}

fn task_rng_depends_on_the_seed_and_the_index_alone(method: StartMethod) {
    let draws = |method, workers, chunk: Option<usize>, seed| {
        let builder = Pool::builder().workers(workers).start_method(method).seed(seed);
        let builder = if let Some(chunk) = chunk { builder.chunksize(chunk) } else { builder };
        let pool = builder.build().unwrap();
        let drawn = pool.map(draw, 0..300).unwrap();
        finish(pool);
        drawn
    };
    let expected = draws(StartMethod::Forkserver, 1, Some(300), 42);
    for (workers, chunk) in [(1, None), (2, Some(1)), (3, Some(7))] {
        assert_eq!(draws(method, workers, chunk, 42), expected, "{workers} workers, chunks {chunk:?}");
    }
    assert_ne!(draws(method, 2, None, 43), expected);
    let different: std::collections::HashSet<_> = expected.iter().collect();
    assert_eq!(different.len(), 300);
}

struct Dropped(&'static AtomicUsize);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Serialize for Dropped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Dropped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Self(&DROPPED))
    }
}

/// How many arguments this worker has dropped before this one.
fn dropped_before(argument: Dropped) -> usize {
    let before = DROPPED.load(Ordering::Relaxed);
    drop(argument);
    before
}

fn arguments_are_released_at_once(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.map_async(dropped_before, (0..100).map(|_| Dropped(&DROPPED)));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 100, "the caller's are gone once they are encoded");
    // A forked worker begins with the caller's count, of the moment of the fork: 0.
    assert_eq!(handle.get().unwrap(), (0..100).collect::<Vec<_>>());
    finish(pool);
}

/// What asks a pool for its square, and for that of another thread to be there, while it is serialized.
struct Asking(i64, Option<Pool>);

static BEING_SERIALIZED: AtomicUsize = AtomicUsize::new(0);
static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Asking {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        BEING_SERIALIZED.fetch_add(1, Ordering::SeqCst);
        wait_until("the other thread is served", SOON, || ELSEWHERE.load(Ordering::SeqCst), |served| *served > 0);
        let pool = self.1.as_ref().ok_or_else(|| serde::ser::Error::custom("no pool"))?;
        let squared = pool.apply(square, (self.0,)).map_err(serde::ser::Error::custom)?;
        serializer.serialize_i64(squared)
    }
}

impl<'de> Deserialize<'de> for Asking {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(|squared| Self(squared, None))
    }
}

fn arguments_may_use_the_pool_while_they_are_serialized(method: StartMethod) {
    let pool = pool(method, 2);
    std::thread::scope(|scope| {
        let squares = scope.spawn(|| {
            let asking = (0..50).map(|x| Asking(x, Some(pool.clone())));
            pool.map(|asking: Asking| square(asking.0), asking).unwrap()
        });
        wait_until("an argument is", SOON, || BEING_SERIALIZED.load(Ordering::SeqCst), |begun| *begun > 0);
        assert_eq!(pool.apply(square, (9,)).unwrap(), 81, "whoever takes long to serialize holds nobody up");
        ELSEWHERE.store(1, Ordering::SeqCst);
        let expected: Vec<i64> = (0..50).map(|x| x * x * x * x).collect();
        assert_eq!(squares.join().unwrap(), expected);
    });
    finish(pool);
}

fn count_calls(_: u32) -> (u32, usize) {
    let calls = ganger::with_worker_state(|calls: &mut Vec<u32>| {
        calls.push(0);
        calls.len()
    });
    (std::process::id(), calls)
}

fn worker_state_belongs_to_its_worker(method: StartMethod) {
    fn begin(log: String) -> Vec<u32> {
        Log::new(&log).add(std::process::id());
        Vec::new()
    }
    let builder = Pool::builder().workers(2).start_method(method);
    let pool = builder.initializer(begin, ("begun".to_owned(),)).build().unwrap();
    let counts = pool.map(count_calls, 0..200).unwrap();
    for pid in counts.iter().map(|(pid, _)| *pid).collect::<std::collections::BTreeSet<_>>() {
        let mut own: Vec<usize> = counts.iter().filter(|(other, _)| *other == pid).map(|(_, calls)| *calls).collect();
        own.sort_unstable();
        assert_eq!(own, (1..=own.len()).collect::<Vec<_>>(), "worker {pid} counts its own calls");
    }
    // The tasks may be over before the second worker is there.
    wait_until("both workers have begun", SOON, || Log::new("begun").lines(), |begun| begun.len() >= 2);
    finish(pool);
    assert_eq!(Log::new("begun").lines().len(), 2, "once in every worker");
}
