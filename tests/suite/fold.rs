//! Reductions: nothing is lost or counted twice, and errors name the item.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use ganger::{Descriptor, Pool, Retry, RetryOn, StartMethod, TaskErrorKind, WorkerStatus, partial};
use ganger_tests::{Log, scratch, wait_until};
use nix::sys::signal::Signal;

use crate::kit::{SOON, die, finish, pool, signal, square};

pub(crate) const CONTRACT: crate::Contract = table![
    fold_is_the_sequential_fold,
    fold_of_nothing_is_init,
    fold_keeps_the_order_of_items,
    fold_runs_each_item_once,
    fold_of_partials_and_large_values,
    failing_item_of_a_fold_is_named,
    item_of_a_fold_that_kills_its_worker_is_named,
    deaths_during_a_fold_cost_nothing_with_retries,
    item_of_a_fold_has_the_time_of_a_task,
    merge_that_panics_is_an_error,
    fold_of_what_cannot_be_sent,
    fold_on_a_pool_that_does_not_run,
    fold_has_random_numbers_by_item,
    fold_of_items_and_values_with_descriptors,
];

fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn fold_is_the_sequential_fold(method: StartMethod) {
    let pool = pool(method, 3);
    for count in [1, 2, 3, 100, 5000] {
        let expected = (0..count).map(|x| x * x).sum::<i64>() + 5;
        assert_eq!(pool.fold(square, 0..count, 5, add), Ok(expected), "{count} items");
        let unknown_length = (0..count).filter(|_| true);
        assert_eq!(pool.fold(square, unknown_length, 5, add), Ok(expected), "{count} items");
        let given = pool.with_chunksize(7).unwrap();
        assert_eq!(given.fold(square, 0..count, 5, add), Ok(expected), "{count} items");
    }
    finish(pool);
}

fn fold_of_nothing_is_init(method: StartMethod) {
    let pool = pool(method, 1);
    assert_eq!(pool.fold(square, [], 42, add), Ok(42));
    finish(pool);
}

fn fold_keeps_the_order_of_items(method: StartMethod) {
    let pool = pool(method, 3);
    let text = |x: u32| x.to_string();
    let join = |a: String, b: String| a + "," + &b;
    let expected = (0..500).fold("init".to_owned(), |all, x: u32| all + "," + &x.to_string());
    assert_eq!(pool.fold(text, 0..500, "init".to_owned(), join), Ok(expected));
    finish(pool);
}

fn note(x: u32) -> u64 {
    Log::new("ran").add(x);
    1
}

fn fold_runs_each_item_once(method: StartMethod) {
    let pool = pool(method, 3);
    assert_eq!(pool.fold(note, 0..200, 0, |a, b| a + b), Ok(200));
    let mut ran: Vec<u32> = Log::new("ran").lines().iter().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..200).collect::<Vec<_>>());
    finish(pool);
}

fn fold_of_partials_and_large_values(method: StartMethod) {
    type Counts = BTreeMap<String, u64>;
    fn count(most: usize, text: String) -> Counts {
        let mut counts = Counts::new();
        text.split_whitespace().take(most).for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
        counts
    }
    fn merge(mut a: Counts, b: Counts) -> Counts {
        b.into_iter().for_each(|(word, count)| *a.entry(word).or_default() += count);
        a
    }
    let pool = pool(method, 2);
    let lines = (0..1000).map(|line| format!("a{} b c", line % 10));
    let counts = pool.fold(partial(count, (2,)), lines, Counts::new(), merge).unwrap();
    assert_eq!((counts["a3"], counts["b"], counts.get("c")), (100, 1000, None));
    let bytes = pool.fold(|x: u8| vec![x; 1 << 20], [1, 2, 3], Vec::new(), |a, b| [a, b].concat()).unwrap();
    assert_eq!((bytes.len(), bytes[0], bytes[(3 << 20) - 1]), (3 << 20, 1, 3));
    // Items of the size at which the arguments of a task are put aside.
    let large = (1..=4).map(|x: u8| vec![x; usize::from(x) << 20]);
    assert_eq!(pool.fold(|bytes: Vec<u8>| bytes.len() as i64, large, 0, add), Ok(10 << 20));
    finish(pool);
}

fn failing_item_of_a_fold_is_named(method: StartMethod) {
    fn fail(x: i64) -> Result<i64, String> {
        if x == 777 || x == 900 { Err(format!("{x} is bad")) } else { Ok(x) }
    }
    let pool = pool(method, 2);
    let error = pool.fold(fail, 0..2000, 0, add).unwrap_err();
    assert_eq!((error.kind(), error.index(), error.message()), (TaskErrorKind::Failed, 777, "777 is bad"));
    assert!(error.task().contains("fail"), "{error}");
    let panics = |x: i64| if x == 1234 { panic!("no {x}") } else { x };
    let error = pool.fold(panics, 0..2000, 0, add).unwrap_err();
    assert_eq!((error.kind(), error.index(), error.message()), (TaskErrorKind::Panicked, 1234, "no 1234"));
    assert!(error.location().unwrap().contains("fold.rs"));
    assert_eq!(pool.fold(square, 0..3, 0, add), Ok(5), "the pool is as before");
    finish(pool);
}

fn item_of_a_fold_that_kills_its_worker_is_named(method: StartMethod) {
    let pool = pool(method, 2);
    let dies = |x: i64| if x == 1234 { die(Signal::SIGSEGV) } else { x };
    let error = pool.fold(dies, 0..2000, 0, add).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::Killed(Signal::SIGSEGV as i32), 1234), "{error}");
    assert!(!error.message().contains("one of the items"), "{error}");
    assert_eq!(pool.fold(square, 0..3, 0, add), Ok(5), "the pool is as before");
    finish(pool);
}

fn deaths_during_a_fold_cost_nothing_with_retries(method: StartMethod) {
    let retry = Retry::new(50).on([RetryOn::Crash]).backoff(Duration::from_millis(1)..=Duration::from_millis(2));
    let pool = Pool::builder().workers(3).start_method(method).retry(retry).build().unwrap();
    let slow = |x: i64| {
        std::thread::sleep(Duration::from_micros(500));
        x
    };
    std::thread::scope(|scope| {
        let folding = scope.spawn(|| pool.fold(slow, 0..1500, 0, add));
        let mut killed = Vec::new();
        for _ in 0..8 {
            // One that was killed goes on to be listed until the pool has heard of it.
            let busy = |it: &WorkerStatus| it.running().is_some() && !killed.contains(&it.pid());
            let busy = || pool.workers().iter().filter(|it| busy(it)).map(WorkerStatus::pid).collect();
            let pids: Vec<u32> =
                wait_until("somebody works", SOON, busy, |pids: &Vec<u32>| !pids.is_empty() || folding.is_finished());
            pids.first().into_iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
            killed.extend(pids.first());
        }
        assert_eq!(folding.join().unwrap(), Ok((0..1500).sum()));
    });
    finish(pool);
}

fn item_of_a_fold_has_the_time_of_a_task(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).grace(Duration::from_millis(50)).build().unwrap();
    let naps = |millis: u64| {
        std::thread::sleep(Duration::from_millis(millis));
        millis
    };
    let hurried = pool.with_timeout(Duration::from_millis(400)).unwrap();
    let mut naptimes = vec![10; 100];
    assert_eq!(hurried.fold(naps, naptimes.clone(), 0, |a, b| a + b), Ok(1000), "together they take longer");
    naptimes[37] = 600_000;
    let error = hurried.fold(naps, naptimes, 0, |a, b| a + b).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::TimedOut, 37), "{error}");
    finish(pool);
}

fn merge_that_panics_is_an_error(method: StartMethod) {
    let pool = pool(method, 2);
    let chunks = pool.with_chunksize(10).unwrap();
    // In a worker, where values meet within a piece.
    let merge = |a: i64, b: i64| if b == 15 { panic!("unlucky") } else { a + b };
    let error = chunks.fold(|x: i64| x, 0..100, 0, merge).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::Panicked, 15), "{error}");
    // Here, where pieces meet.
    let merge = |a: i64, b: i64| if b == 45 { panic!("unlucky") } else { a + b };
    let error = chunks.fold(|x: i64| x, 0..10, 0, merge).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::Panicked, 0), "{error}");
    assert!(error.message().contains("merging panicked: unlucky (it was one of the items 0 to 9)"), "{error}");
    finish(pool);
}

/// Says no to some numbers when it is serialized.
#[derive(Debug)]
struct Picky(i64);

impl serde::Serialize for Picky {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 50 == 49 { Err(serde::ser::Error::custom("no")) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> serde::Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

fn fold_of_what_cannot_be_sent(method: StartMethod) {
    let pool = pool(method, 2);
    let error = pool.fold(|x: Picky| x.0, (0..100).map(Picky), 0, add).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::NotSerializable, 49), "{error}");
    let fails = |x: Picky| -> Result<i64, String> { if x.0 == 30 { Err("30".to_owned()) } else { Ok(x.0) } };
    let error = pool.fold(fails, (0..100).map(Picky), 0, add).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::Failed, 30), "the first in order: {error}");
    finish(pool);
}

fn fold_on_a_pool_that_does_not_run(method: StartMethod) {
    let pool = pool(method, 1);
    pool.close();
    assert_eq!(pool.fold(square, 0..3, 0, add).unwrap_err().kind(), TaskErrorKind::NotRunning);
    assert_eq!(pool.fold(square, [], 7, add), Ok(7));
    pool.join().unwrap();
}

fn fold_has_random_numbers_by_item(method: StartMethod) {
    let draw = |_: u32| vec![ganger::task_rng().next_u64()];
    let drawn = |workers, chunksize| {
        let pool = Pool::builder().workers(workers).start_method(method).seed(5).chunksize(chunksize).build().unwrap();
        pool.fold(draw, 0..100, Vec::new(), |a, b| [a, b].concat()).unwrap()
    };
    assert_eq!(drawn(1, 3), drawn(2, 10));
}

fn fold_of_items_and_values_with_descriptors(method: StartMethod) {
    fn size(base: Descriptor, item: (u64, Option<Descriptor>)) -> (u64, Vec<Descriptor>) {
        let (extra, file) = item;
        let length = |file: &Descriptor| File::from(file.clone().into_owned().unwrap()).metadata().unwrap().len();
        (extra + length(&base) + file.as_ref().map_or(0, length), file.into_iter().collect())
    }
    fn merge(a: (u64, Vec<Descriptor>), b: (u64, Vec<Descriptor>)) -> (u64, Vec<Descriptor>) {
        (a.0 + b.0, [a.1, b.1].concat())
    }
    let path = scratch("ten");
    std::fs::write(&path, [7; 10]).unwrap();
    let file = || Descriptor::new(File::open(&path).unwrap());
    let items = (0..60).map(|item| (item, (item % 20 == 13).then(file)));
    let pool = Pool::builder().workers(2).start_method(method).chunksize(6).build().unwrap();
    let (total, files) = pool.fold(partial(size, (file(),)), items, (0, Vec::new()), merge).unwrap();
    assert_eq!((total, files.len()), ((0..60).sum::<u64>() + 63 * 10, 3));
    finish(pool);
}
