//! Lazy maps: infinite input, bounds, input that panics, half-read results, streams.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use futures_core::Stream;
use ganger::{Pool, StartMethod, TaskErrorKind, Timeout};
use ganger_tests::{Gate, Log, memory, wait_until, within};
use serde::{Deserialize, Serialize, Serializer};

use crate::kit::{SOON, finish, pass_gate, pool, square};

pub(crate) const CONTRACT: crate::Contract = table![
    imap_is_lazy_and_takes_infinite_input,
    imap_never_exceeds_its_look_ahead,
    imap_with_a_stalled_reader_stops_pulling,
    imap_keeps_memory_flat_over_a_million_items,
    imap_stops_at_a_look_ahead_of_bytes,
    imap_reports_a_panic_of_its_input_in_its_place,
    imap_does_not_leave_the_neighbours_of_what_cannot_be_encoded_lying,
    imap_unordered_yields_a_fast_late_item_first,
    imap_next_times_out_and_loses_nothing,
    imap_dropped_half_way_cancels_and_frees,
    imap_is_a_stream,
    async_result_is_a_future,
];

fn imap_is_lazy_and_takes_infinite_input(method: StartMethod) {
    let pool = pool(method, 2);
    let first: Result<Vec<i64>, _> = pool.imap(square, 0..).take(10).collect();
    assert_eq!(first.unwrap(), (0..10).map(square).collect::<Vec<_>>());
    assert_eq!(pool.imap_unordered(square, 0..).take(1000).filter(Result::is_ok).count(), 1000);
    let mut all: Vec<i64> = pool.imap_unordered(square, 0..2000).map(Result::unwrap).collect();
    all.sort_unstable();
    assert_eq!(all, (0..2000).map(square).collect::<Vec<_>>());
    let indexed: Vec<(u64, i64)> =
        pool.imap_unordered(square, 0..100).indexed().map(|(i, v)| (i, v.unwrap())).collect();
    assert!(indexed.iter().all(|(index, value)| square(*index as i64) == *value));
    finish(pool);
}

/// Counts what is pulled of an infinite input.
fn counted(pulled: &Arc<AtomicU64>) -> impl Iterator<Item = i64> + Send + 'static {
    let pulled = pulled.clone();
    (0..).inspect(move |_| {
        pulled.fetch_add(1, Ordering::SeqCst);
    })
}

fn imap_never_exceeds_its_look_ahead(method: StartMethod) {
    for ahead in [1, 2, 10, 100] {
        let pool = Pool::builder().workers(2).start_method(method).look_ahead(ahead).build().unwrap();
        let pulled = Arc::new(AtomicU64::new(0));
        let mut lazy = pool.imap(square, counted(&pulled));
        for read in 0..500 {
            let now = pulled.load(Ordering::SeqCst);
            assert!(now <= read + ahead as u64, "{now} pulled, {read} read, {ahead} ahead allowed");
            assert_eq!(lazy.next().unwrap().unwrap(), square(read as i64));
        }
        drop(lazy);
        finish(pool);
    }
}

/// Waits until a counter stands still.
fn settled(counter: &AtomicU64) -> u64 {
    let mut seen = Vec::new();
    let look = || {
        seen.push(counter.load(Ordering::SeqCst));
        (seen.iter().rev().take_while(|value| Some(*value) == seen.last()).count(), seen.last().copied())
    };
    // Half a second without a change: there is no event for something not happening.
    wait_until("the input rests", SOON, look, |(same, value)| *same > 500 && value.is_some_and(|value| value > 0))
        .1
        .unwrap()
}

fn imap_with_a_stalled_reader_stops_pulling(method: StartMethod) {
    let pool = pool(method, 2);
    let pulled = Arc::new(AtomicU64::new(0));
    let mut lazy = pool.imap(square, counted(&pulled));
    assert_eq!(lazy.next().unwrap().unwrap(), 0);
    let ahead = settled(&pulled);
    assert!(ahead < 1_000_000, "{ahead} items for a reader that has read one");
    // Another function: what is learned of one, that it is quick, widens the look-ahead of all its calls.
    assert_eq!(pool.map(|x: i64| x + 1, 0..100).unwrap().len(), 100, "others are served meanwhile");
    assert_eq!(pulled.load(Ordering::SeqCst), ahead);
    assert_eq!(lazy.next().unwrap().unwrap(), 1);
    drop(lazy);
    finish(pool);
}

fn imap_keeps_memory_flat_over_a_million_items(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).look_ahead(2000).build().unwrap();
    let mut lazy = pool.imap_unordered(square, 0..1_000_000);
    let own = std::process::id();
    assert_eq!(lazy.by_ref().take(100_000).filter(Result::is_ok).count(), 100_000);
    let early = memory(own, "VmRSS");
    assert_eq!(lazy.filter(Result::is_ok).count(), 900_000);
    let grown = memory(own, "VmRSS").saturating_sub(early);
    assert!(grown < 8 << 20, "{grown} bytes more after a million items than after a tenth of them");
    finish(pool);
}

fn imap_stops_at_a_look_ahead_of_bytes(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).look_ahead_bytes(1 << 20).build().unwrap();
    let pulled = Arc::new(AtomicU64::new(0));
    let input = counted(&pulled).map(|_| "x".repeat(100_000));
    let mut lazy = pool.imap(|text: String| text.len(), input);
    assert_eq!(lazy.next().unwrap().unwrap(), 100_000);
    let ahead = settled(&pulled);
    let outcomes: Vec<_> = lazy.by_ref().take(50).collect();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref() == Ok(&100_000)));
    // Results are small: those that are done make room, and at most ten arguments are under way.
    assert!(ahead < 100_000, "{ahead} pulled");
    drop(lazy);
    finish(pool);
}

fn imap_reports_a_panic_of_its_input_in_its_place(method: StartMethod) {
    let pool = pool(method, 2);
    let input = || (0..1000_i64).inspect(|item| assert!(*item < 137, "no item {item}"));
    let outcomes: Vec<_> = pool.imap(square, input()).collect();
    assert_eq!(outcomes.len(), 138);
    assert!(outcomes[..137].iter().enumerate().all(|(index, value)| value == &Ok(square(index as i64))));
    let error = outcomes[137].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::InputPanicked, 137));
    assert!(error.message().contains("no item 137"), "{error}");
    assert_eq!(pool.imap_unordered(square, input()).count(), 138);
    assert_eq!(pool.map(square, [5]).unwrap(), [25], "the pool is usable");
    finish(pool);
}

fn wait_if_first(item: u32) -> u32 {
    if item == 0 {
        Gate::new("first").pass();
    }
    item
}

/// A number, or what takes a while to turn out not to be serializable.
#[derive(Deserialize)]
struct Choosy(Option<i64>);

impl Serialize for Choosy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_none() {
            std::thread::sleep(Duration::from_millis(10));
            return Err(serde::ser::Error::custom("no number"));
        }
        self.0.serialize(serializer)
    }
}

/// The input waits until the only outcome is read that workers have a part in. The driver looks around once a second by itself: each of
/// the rounds would take as long if it were not called.
fn imap_does_not_leave_the_neighbours_of_what_cannot_be_encoded_lying(method: StartMethod) {
    let pool = pool(method, 2);
    within("forty rounds", Duration::from_secs(20), || {
        for round in 0..40 {
            let is_read = Arc::new(AtomicBool::new(false));
            let items = if round % 2 == 0 { [Some(round), None] } else { [None, Some(round)] };
            let seen = is_read.clone();
            let rest = std::iter::from_fn(move || {
                wait_until("the number is read", SOON, || seen.load(Ordering::SeqCst), |seen| *seen);
                None
            });
            let input = items.into_iter().map(Choosy).chain(rest);
            let mut outcomes = pool.imap_unordered(|item: Choosy| item.0.unwrap_or_default(), input);
            assert_eq!(outcomes.find_map(Result::ok), Some(round));
            is_read.store(true, Ordering::SeqCst);
            assert!(outcomes.all(|outcome| outcome.is_err_and(|error| error.message().contains("no number"))));
        }
    });
    finish(pool);
}

fn imap_unordered_yields_a_fast_late_item_first(method: StartMethod) {
    let pool = pool(method, 2);
    let mut lazy = pool.imap_unordered(wait_if_first, 0..50);
    let mut values: Vec<u32> = lazy.by_ref().take(49).map(Result::unwrap).collect();
    assert!(!values.contains(&0), "all others are there while the first still runs");
    Gate::new("first").open();
    values.extend(lazy.map(Result::unwrap));
    assert_eq!(values.last(), Some(&0));
    values.sort_unstable();
    assert_eq!(values, (0..50).collect::<Vec<_>>());
    finish(pool);
}

fn imap_next_times_out_and_loses_nothing(method: StartMethod) {
    let pool = pool(method, 2);
    let mut ordered = pool.imap(wait_if_first, 0..3);
    assert_eq!(ordered.next_timeout(Duration::from_millis(5)), Err(Timeout));
    assert_eq!(ordered.next_timeout(Duration::ZERO), Err(Timeout));
    Gate::new("first").open();
    assert_eq!(ordered.next_timeout(SOON), Ok(Some(Ok(0))));
    assert_eq!(ordered.map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
    finish(pool);
}

/// An input that tells when it is let go of.
struct Guarded(Arc<AtomicBool>, u32);

impl Iterator for Guarded {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.1 += 1;
        Some(self.1.to_string())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn note_and_wait(item: String) -> String {
    Log::new("began").add(&item);
    if item.parse::<u32>().is_ok_and(|number| number > 3) {
        pass_gate("drop".to_owned());
    }
    item
}

fn imap_dropped_half_way_cancels_and_frees(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).look_ahead(500).build().unwrap();
    let freed = Arc::new(AtomicBool::new(false));
    let mut lazy = pool.imap(note_and_wait, Guarded(freed.clone(), 0));
    assert_eq!(lazy.by_ref().take(3).filter(Result::is_ok).count(), 3);
    wait_until("two more have begun", SOON, || Log::new("began").lines(), |lines| lines.len() == 5);
    drop(lazy);
    wait_until("the input is dropped", SOON, || freed.load(Ordering::SeqCst), |freed| *freed);
    Gate::new("drop").open();
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    assert_eq!(Log::new("began").lines().len(), 5, "what had not begun never does");
    finish(pool);
}

/// Wakes the thread that polls.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: polls, and parks until woken. A wake-up that is lost would be noticed by the watchdog.
fn drive<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    drive(|context| future.as_mut().poll(context))
}

fn imap_is_a_stream(method: StartMethod) {
    let pool = pool(method, 2);
    let mut stream = pool.imap(square, 0..3000);
    for expected in 0..3000 {
        assert_eq!(drive(|context| Pin::new(&mut stream).poll_next(context)), Some(Ok(square(expected))));
    }
    assert_eq!(drive(|context| Pin::new(&mut stream).poll_next(context)), None);
    let mut stream = pool.imap_unordered(wait_if_first, 0..100);
    let mut count = 0;
    while let Some(outcome) = drive(|context| Pin::new(&mut stream).poll_next(context)) {
        count += u32::from(outcome.is_ok());
        if count == 99 {
            Gate::new("first").open();
        }
    }
    assert_eq!(count, 100);
    finish(pool);
}

fn async_result_is_a_future(method: StartMethod) {
    let pool = pool(method, 2);
    for x in 0..300 {
        assert_eq!(block_on(pool.apply_async(square, (x,))), Ok(x * x));
    }
    assert_eq!(block_on(pool.map_async(square, 0..500)).unwrap().len(), 500);
    let dead = block_on(pool.apply_async(|_: u8| -> u8 { crate::kit::die(nix::sys::signal::Signal::SIGKILL) }, (1,)));
    assert_eq!(dead.unwrap_err().kind(), TaskErrorKind::Killed(9));
    finish(pool);
}
