//! Queues between real processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use ganger::{Descriptor, ErrorKind, JoinableQueue, Pool, Queue, Retry, RetryOn, SimpleQueue, StartMethod};
use ganger_tests::{Gate, Log, wait_until, within};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Deserializer, Serialize};

use crate::kit::{SOON, finish, pool, signal};

pub(crate) const CONTRACT: crate::Contract = table![
    queue_keeps_the_order_of_each_producer,
    queue_with_a_bound_makes_producers_wait,
    queue_that_is_closed_ends_iterations,
    queue_counts_what_is_done,
    queue_takes_much_without_a_reader_and_gives_its_memory_back,
    queue_of_dead_processes_is_disconnected,
    queue_knows_what_died_with_its_consumer,
    queue_survives_a_storm_of_kills,
];

pub(crate) const ONCE: crate::Once = table![
    forked_processes_use_captured_queues,
    the_first_wait_after_a_fork_ends_with_the_others,
    bad_items_are_the_callers_business,
    threads_that_share_a_handle_wait_for_each_other,
];

fn queue_keeps_the_order_of_each_producer(method: StartMethod) {
    fn produce(queue: Queue<(u32, u32, String)>, name: u32) {
        for number in 0..300 {
            let length = if number % 50 == 0 { 100_000 } else { number as usize };
            queue.put(&(name, number, "x".repeat(length))).unwrap();
        }
    }
    let pool = pool(method, 3);
    let queue = Queue::new().unwrap();
    let tasks: Vec<_> = (0..3).map(|name| pool.apply_async::<_, _, ()>(produce, (queue.clone(), name))).collect();
    let mut next = [0; 3];
    for _ in 0..900 {
        let (name, number, text) = queue.get_timeout(SOON).unwrap();
        assert_eq!(number, next[name as usize], "of producer {name}");
        assert!(text.bytes().all(|byte| byte == b'x'));
        next[name as usize] += 1;
    }
    assert!(queue.is_empty().unwrap());
    assert_eq!(queue.try_get().unwrap_err().kind(), ErrorKind::Empty);
    let _other = queue.clone();
    assert_eq!(queue.get_timeout(Duration::from_millis(5)).unwrap_err().kind(), ErrorKind::Empty);
    tasks.iter().for_each(|task| task.get().unwrap());
    finish(pool);
}

fn queue_with_a_bound_makes_producers_wait(method: StartMethod) {
    fn consume(queue: Queue<u32>, gate: String) -> u32 {
        Gate::new(&gate).pass();
        queue.iter().map(Result::unwrap).sum()
    }
    let pool = pool(method, 1);
    let queue = Queue::bounded(3).unwrap();
    let task = pool.apply_async::<_, _, u32>(consume, (queue.clone(), "consume".to_owned()));
    (1..=3).for_each(|number| queue.try_put(&number).unwrap());
    assert!(queue.is_full().unwrap() && queue.len().unwrap() == 3);
    assert_eq!(queue.try_put(&4).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(queue.put_timeout(&4, Duration::from_millis(30)).unwrap_err().kind(), ErrorKind::Full);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.put(&4).unwrap());
        Gate::new("consume").open();
        within("room", SOON, || waiting.join().unwrap());
    });
    (5..=100).for_each(|number| queue.put_timeout(&number, SOON).unwrap());
    queue.close().unwrap();
    assert_eq!(task.get().unwrap(), 5050);
    assert_eq!(Queue::<u8>::bounded(0).unwrap_err().kind(), ErrorKind::InvalidSetting);
    finish(pool);
}

fn queue_that_is_closed_ends_iterations(method: StartMethod) {
    fn consume(queue: SimpleQueue<u64>) -> u64 {
        let mut sum = 0;
        loop {
            match queue.get() {
                Ok(number) => sum += number,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                    return sum;
                }
            }
        }
    }
    let pool = pool(method, 2);
    let queue = SimpleQueue::new().unwrap();
    let tasks = [(); 2].map(|()| pool.apply_async::<_, _, u64>(consume, (queue.clone(),)));
    (1..=1000).for_each(|number| queue.put(&number).unwrap());
    queue.close().unwrap();
    assert_eq!(tasks.iter().map(|task| task.get().unwrap()).sum::<u64>(), 500_500);
    assert_eq!(queue.put(&1).unwrap_err().kind(), ErrorKind::Closed);
    assert!(queue.is_empty().unwrap());
    finish(pool);
}

fn queue_counts_what_is_done(method: StartMethod) {
    fn consume(queue: JoinableQueue<u32>, log: String) {
        for number in queue.iter() {
            Log::new(&log).add(number.unwrap());
            queue.task_done().unwrap();
        }
    }
    let pool = pool(method, 2);
    let queue = JoinableQueue::new().unwrap();
    assert_eq!(queue.task_done().unwrap_err().kind(), ErrorKind::NotOwner);
    within("nothing to wait for", SOON, || queue.join().unwrap());
    (0..200).for_each(|number| queue.put(&number).unwrap());
    assert_eq!(queue.join_timeout(Duration::from_millis(10)).unwrap_err().kind(), ErrorKind::TimedOut);
    let tasks = [(); 2].map(|()| pool.apply_async::<_, _, ()>(consume, (queue.clone(), "done".to_owned())));
    queue.join_timeout(SOON).unwrap();
    assert_eq!(Log::new("done").lines().len(), 200);
    assert_eq!(queue.task_done().unwrap_err().kind(), ErrorKind::NotOwner);
    queue.close().unwrap();
    tasks.iter().for_each(|task| task.get().unwrap());
    finish(pool);
}

/// How many bytes of memory all queues of this process have.
fn memory_of_queues() -> u64 {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| Some(fd.ok()?.path()));
    let of_queues =
        fds.filter(|fd| std::fs::read_link(fd).is_ok_and(|target| target.to_string_lossy().contains("ganger-queue")));
    of_queues.map(|fd| std::fs::metadata(fd).unwrap().blocks() * 512).max().unwrap()
}

fn queue_takes_much_without_a_reader_and_gives_its_memory_back(method: StartMethod) {
    fn produce(queue: Queue<String>) {
        let text = "y".repeat(1_000_000);
        (0..100).for_each(|_| queue.put(&text).unwrap());
    }
    let pool = pool(method, 1);
    let queue = Queue::new().unwrap();
    // The producer ends, and its process, before anybody reads.
    within("100 MB", 6 * SOON, || pool.apply::<_, _, ()>(produce, (queue.clone(),)).unwrap());
    finish(pool);
    assert!(memory_of_queues() > 100_000_000);
    for _ in 0..100 {
        assert_eq!(queue.try_get().unwrap().len(), 1_000_000);
    }
    assert!(memory_of_queues() < 3 << 20, "{}", memory_of_queues());
    // Nobody else has it.
    let error = within("the end", SOON, || queue.get().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    queue.put(&"again".into()).unwrap();
    assert_eq!(queue.get().unwrap(), "again");
}

fn queue_of_dead_processes_is_disconnected(method: StartMethod) {
    fn put_and_wait(queue: Queue<u32>, full: Queue<u32>) {
        queue.put(&std::process::id()).unwrap();
        Gate::new("never").pass();
        drop(full);
    }
    let pool = pool(method, 1);
    let queue = Queue::new().unwrap();
    let full = JoinableQueue::bounded(1).unwrap();
    let task = pool.apply_async::<_, _, ()>(put_and_wait, (queue.clone(), Queue::clone(&full)));
    let pid = queue.get().unwrap();
    full.put(&1).unwrap();
    std::thread::scope(|scope| {
        let waiting =
            [scope.spawn(|| queue.get().map(|_| ())), scope.spawn(|| full.put(&2)), scope.spawn(|| full.join())];
        signal(pid, Signal::SIGKILL);
        for waiting in waiting {
            let error = within("the end", SOON, || waiting.join().unwrap().unwrap_err());
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        }
    });
    task.get().unwrap_err();
    finish(pool);
}

fn queue_knows_what_died_with_its_consumer(method: StartMethod) {
    fn take_two(queue: JoinableQueue<u32>) {
        queue.get().unwrap();
        queue.get().unwrap();
        queue.task_done().unwrap();
        Log::new("taken").add(std::process::id());
        Gate::new("never").pass();
    }
    let pool = pool(method, 1);
    let queue = JoinableQueue::new().unwrap();
    // Somebody else who could still say that it is done.
    let _other = queue.clone();
    (0..3).for_each(|number| queue.put(&number).unwrap());
    let task = pool.apply_async::<_, _, ()>(take_two, (queue.clone(),));
    Log::new("taken").wait_for(1);
    assert_eq!(queue.join_timeout(Duration::from_millis(60)).unwrap_err().kind(), ErrorKind::TimedOut);
    signal(Log::new("taken").lines()[0].parse().unwrap(), Signal::SIGKILL);
    let error = within("the news", SOON, || queue.join().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Abandoned, "{error}");
    assert!(error.to_string().contains("1 of them"), "{error}");
    // The one that is left is taken and done with as ever.
    assert_eq!(queue.join_timeout(Duration::from_millis(60)).unwrap_err().kind(), ErrorKind::TimedOut);
    queue.get().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    task.get().unwrap_err();
    finish(pool);
}

type Item = (u32, u32, u64);

/// Puts numbers in until it is told to stop; those that were put for certain are written down.
fn storm_in(queue: Queue<Item>, _place: u32) {
    let (log, stop) = (Log::new("put"), Gate::new("stop"));
    for number in 0.. {
        if stop.is_open() {
            return;
        }
        let item = (std::process::id(), ganger::attempt(), number);
        if queue.put_timeout(&item, Duration::from_millis(50)).is_ok() {
            log.add(format!("{item:?}"));
        }
    }
}

fn storm_out(queue: Queue<Item>, _place: u32) {
    let (log, stop) = (Log::new("got"), Gate::new("stop"));
    Log::new("consumers").add(std::process::id());
    loop {
        match queue.get_timeout(Duration::from_millis(50)) {
            Ok(item) => log.add(format!("{item:?}")),
            Err(error) if error.kind() != ErrorKind::Empty => panic!("{error}"),
            Err(_) if stop.is_open() => return,
            Err(_) => {}
        }
    }
}

fn queue_survives_a_storm_of_kills(method: StartMethod) {
    let retry = Retry::new(10_000).on([RetryOn::Crash]);
    let pool = Pool::builder().workers(8).start_method(method).retry(retry).build().unwrap();
    let queue = Queue::<Item>::bounded(50).unwrap();
    let ins = (0..4).map(|place| pool.apply_async::<_, _, ()>(storm_in, (queue.clone(), place)));
    let outs = (0..4).map(|place| pool.apply_async::<_, _, ()>(storm_out, (queue.clone(), place)));
    let tasks: Vec<_> = ins.chain(outs).collect();
    Log::new("consumers").wait_for(4);
    let seconds = std::env::var("GANGER_TEST_STORM").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut random, mut killed) = (u64::from(std::process::id()), Vec::new());
    while Instant::now() < end {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pids = pool.worker_pids();
        let Some(pid) = pids.get((random >> 33) as usize % pids.len().max(1)) else { continue };
        // ESRCH: it is dead already.
        if nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).is_ok() {
            killed.push(*pid);
        }
        let puts = Log::new("put").lines().len();
        wait_until("the queue moves", SOON, || Log::new("put").lines().len(), |now| *now > puts + 3);
    }
    Gate::new("stop").open();
    tasks.iter().for_each(|task| task.get().unwrap());
    let mut got = Log::new("got").lines();
    while let Ok(item) = queue.try_get() {
        got.push(format!("{item:?}"));
    }
    let put: BTreeSet<String> = Log::new("put").lines().into_iter().collect();
    let mut times = BTreeMap::<String, u32>::new();
    got.into_iter().for_each(|item| *times.entry(item).or_default() += 1);
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let lost: Vec<_> = put.iter().filter(|item| !times.contains_key(*item)).collect();
    let consumers: BTreeSet<String> = Log::new("consumers").lines().into_iter().collect();
    // A consumer may die after it has taken an item and before it has written that down.
    let deaths = killed.iter().filter(|pid| consumers.contains(&pid.to_string())).count();
    assert!(lost.len() <= deaths, "{lost:?} lost, and {deaths} consumers killed");
    assert!(killed.len() > 3 && put.len() > 100, "{} killed, {} put", killed.len(), put.len());
    println!(
        "{} put, {} got, {} lost, {} consumers of {} killed",
        put.len(),
        times.len(),
        lost.len(),
        deaths,
        killed.len()
    );
    finish(pool);
}

fn forked_processes_use_captured_queues() {
    let (work, results) = (Queue::<u64>::new().unwrap(), Queue::<u64>::new().unwrap());
    let (their_work, their_results) = (work.clone(), results.clone());
    let builder = Pool::builder().workers(2).start_method(StartMethod::Fork);
    let (pool, serve) = builder
        .fork_with(move |_: u32| {
            for number in their_work.iter() {
                their_results.put(&(number.unwrap() * 2)).unwrap();
            }
        })
        .unwrap();
    let tasks = [0, 1].map(|number| pool.apply_async(serve, (number,)));
    (1..=500).for_each(|number| work.put(&number).unwrap());
    let sum: u64 = (0..500).map(|_| results.get_timeout(SOON).unwrap()).sum();
    assert_eq!(sum, 250_500);
    // While there are forked processes, there may be more.
    assert_eq!(results.get_timeout(Duration::from_millis(100)).unwrap_err().kind(), ErrorKind::Empty);
    work.close().unwrap();
    tasks.iter().for_each(|task| task.get().unwrap());
    drop(tasks);
    finish(pool);
    let error = within("the end", SOON, || results.get().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
}

fn the_first_wait_after_a_fork_ends_with_the_others() {
    let queue = Queue::<u64>::new().unwrap();
    let theirs = queue.clone();
    let builder = Pool::builder().workers(1).start_method(StartMethod::Fork);
    let (pool, look) = builder.fork_with(move |_: u32| theirs.is_empty().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.get().unwrap_err());
        assert!(pool.apply(look, (0,)).unwrap());
        finish(pool);
        let error = within("the end", SOON, || waiting.join().unwrap());
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    });
}

fn bad_items_are_the_callers_business() {
    let queue = Queue::<Result<u32, Descriptor>>::new().unwrap();
    queue.put(&Ok(1)).unwrap();
    let error = queue.put(&Err(Descriptor::new(File::open("/dev/null").unwrap()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSerializable, "{error}");
    assert!(error.to_string().contains("through a pipe"), "{error}");
    queue.put(&Ok(2)).unwrap();
    assert_eq!([1, 2].map(|_| queue.try_get().unwrap().unwrap()), [1, 2]);
    // One that the taker cannot read is taken all the same.
    let picky = Queue::<Picky>::new().unwrap();
    [7, 8].iter().for_each(|number| picky.put(&Picky(*number)).unwrap());
    let error = picky.try_get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDeserializable, "{error}");
    assert_eq!(picky.try_get().unwrap().0, 8);
}

/// A number that cannot be read when it is 7.
#[derive(Debug, Serialize)]
struct Picky(u8);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if number == 7 { Err(serde::de::Error::custom("not 7")) } else { Ok(Self(number)) }
    }
}

fn threads_that_share_a_handle_wait_for_each_other() {
    let queue = Queue::<u32>::new().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.get().unwrap());
        // Longer than it takes to notice that one is alone.
        assert_eq!(queue.get_timeout(Duration::from_millis(200)).unwrap_err().kind(), ErrorKind::Empty);
        queue.put(&7).unwrap();
        assert_eq!(waiting.join().unwrap(), 7);
    });
}
