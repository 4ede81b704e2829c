//! Ending a pool that is stuck in every way at once: tasks that ignore SIGTERM, links that are full, long queues. `terminate`
//! asks nobody and is over soon, and every handle resolves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ganger::{AsyncResult, Callbacks, Pool, StartMethod, TaskErrorKind, partial};
use ganger_tests::{Gate, Log, within};
use nix::sys::signal::{SigSet, Signal};

use crate::kit::{SOON, pool, signal, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    terminate_with_deaf_tasks_and_full_links,
    terminate_with_callbacks_of_ten_thousand_tasks,
    terminate_with_a_half_read_imap,
    drop_with_deaf_tasks_and_full_links,
];

/// The grace of a pool and a second, and another for machines that do other things as well.
const LIMIT: Duration = Duration::from_secs(3);

/// Is deaf to SIGTERM, and never ends.
fn deaf(log: String, _: u32) {
    SigSet::all().thread_block().unwrap();
    signal(std::process::id(), Signal::SIGTERM);
    Log::new(&log).add(std::process::id());
    Gate::new("never").pass();
}

/// What a pool was asked for, and will not do.
struct Stuck {
    deaf: AsyncResult<Vec<()>>,
    large: Vec<AsyncResult<usize>>,
    small: Vec<AsyncResult<i64>>,
}

/// Two workers run deaf tasks; behind those wait 10,000 small ones, and large arguments that no socket takes in whole.
fn stuck(pool: &Pool) -> Stuck {
    whole_gang(pool, 2);
    // Their length is learnt first: then large ones are sent ahead, to workers that do not read.
    let length = |text: String| text.len();
    pool.map(length, ["x".to_owned(), "y".to_owned()]).unwrap();
    let deaf = pool.map_async(partial(deaf, ("deaf".to_owned(),)), 0..2);
    Log::new("deaf").wait_for(2);
    let large = (0..20).map(|_| pool.apply_async(length, ("x".repeat(4 << 20),))).collect();
    let small = (0..10_000).map(|x| pool.apply_async(square, (x,))).collect();
    Stuck { deaf, large, small }
}

#[track_caller]
fn is_cancelled<V: std::fmt::Debug>(handle: &AsyncResult<V>) {
    let error = handle.get_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Cancelled, "{error}");
}

impl Stuck {
    #[track_caller]
    fn are_cancelled(&self) {
        is_cancelled(&self.deaf);
        self.large.iter().for_each(is_cancelled);
        self.small.iter().for_each(is_cancelled);
    }
}

fn terminate_with_deaf_tasks_and_full_links(method: StartMethod) {
    let pool = pool(method, 2);
    let stuck = stuck(&pool);
    within("terminate and join", LIMIT, || {
        pool.terminate();
        pool.join().unwrap();
    });
    stuck.are_cancelled();
}

fn terminate_with_callbacks_of_ten_thousand_tasks(method: StartMethod) {
    let pool = pool(method, 2);
    let stuck = stuck(&pool);
    let (values, errors) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all_cancelled = Arc::new(AtomicBool::new(true));
    for x in 0..10_000 {
        let (values, errors, all_cancelled) = (values.clone(), errors.clone(), all_cancelled.clone());
        let callbacks =
            Callbacks::new(move |_: i64| _ = values.fetch_add(1, Ordering::SeqCst)).on_error(move |error| {
                errors.fetch_add(1, Ordering::SeqCst);
                all_cancelled.fetch_and(error.kind() == TaskErrorKind::Cancelled, Ordering::SeqCst);
            });
        pool.apply_async_with(square, (x,), callbacks);
    }
    within("terminate", LIMIT, || pool.terminate());
    // `join` waits for the callbacks as well.
    within("join", SOON, || pool.join().unwrap());
    assert_eq!((values.load(Ordering::SeqCst), errors.load(Ordering::SeqCst)), (0, 10_000));
    assert!(all_cancelled.load(Ordering::SeqCst));
    stuck.are_cancelled();
}

fn terminate_with_a_half_read_imap(method: StartMethod) {
    let pool = pool(method, 2);
    let mut ordered = pool.imap(square, 0..);
    let mut unordered = pool.imap_unordered(|x: i64| x, 0..);
    assert!((0..500).all(|x| ordered.next() == Some(Ok(square(x)))));
    assert!((0..500).all(|_| unordered.next().is_some_and(|outcome| outcome.is_ok())));
    let stuck = stuck(&pool);
    let (sender, waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        // One is read while the pool ends, by a thread that may be waiting for the next; one is left alone until then.
        scope.spawn(move || {
            let rest: Vec<_> = ordered.collect();
            sender.send(rest.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.kind())).collect::<Vec<_>>())
        });
        within("terminate and join", LIMIT, || {
            pool.terminate();
            pool.join().unwrap();
        });
        let kinds = waiting.recv_timeout(SOON).unwrap();
        assert!(kinds.iter().all(|kind| *kind == TaskErrorKind::Cancelled), "{kinds:?}");
    });
    // An input without an end has one now.
    let rest = within("the rest", SOON, || unordered.collect::<Vec<_>>());
    let errors = rest.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.kind()));
    assert!(errors.into_iter().all(|kind| kind == TaskErrorKind::Cancelled));
    stuck.are_cancelled();
}

fn drop_with_deaf_tasks_and_full_links(method: StartMethod) {
    let pool = pool(method, 2);
    let stuck = stuck(&pool);
    let lazy = pool.imap(square, 0..);
    let copy = pool.clone();
    drop(pool);
    within("drop", LIMIT, || drop(copy));
    stuck.are_cancelled();
    assert!(within("what was not read", SOON, || lazy.last()).is_none_or(|outcome| outcome.is_err()));
}
