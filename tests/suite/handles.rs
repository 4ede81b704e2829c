//! Handles and callbacks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use ganger::{AsyncResult, Callbacks, ErrorKind, Pool, StartMethod, TaskErrorKind, Timeout};
use ganger_tests::{Gate, Log, wait_until, within};

use crate::kit::{SOON, finish, pass_gate, pool, square};

pub(crate) const CONTRACT: crate::Contract = table![
    handle_before_during_and_after,
    handle_timeout_leaves_the_task_running,
    handle_dropped_lets_the_task_run,
    cancelled_before_it_began_it_never_does,
    callbacks_come_once_in_order_of_completion,
    callback_gets_value_or_error_never_both,
    callback_runs_after_its_handle_has_resolved,
    callback_that_panics_stops_nothing,
    callback_that_throws_a_bomb_stops_nothing,
    callback_may_use_the_pool,
    callback_cannot_join,
    callback_may_close_and_terminate,
    slow_callback_delays_no_result,
    join_waits_for_callbacks,
    any_duration_is_a_limit,
];

fn handle_before_during_and_after(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.apply_async(pass_gate, ("done".to_owned(),));
    let queued = pool.apply_async(square, (6,));
    for handle_ready in [handle.ready(), queued.ready(), handle.wait_timeout(Duration::from_millis(1))] {
        assert!(!handle_ready);
    }
    assert_eq!(handle.successful().unwrap_err().kind(), ErrorKind::NotReady);
    Gate::new("done").open();
    handle.wait();
    assert!(handle.ready() && handle.successful().unwrap() && handle.wait_timeout(Duration::ZERO));
    assert_eq!((queued.get(), queued.get()), (Ok(36), Ok(36)), "get twice gives the same");
    let failed: AsyncResult<i64> = pool.apply_async(|x: i64| if x > 0 { Err("no") } else { Ok(x) }, (1,));
    let (first, second) = (failed.get().unwrap_err(), failed.get().unwrap_err());
    assert_eq!(first, second);
    assert!(failed.ready() && !failed.successful().unwrap());
    finish(pool);
}

fn handle_timeout_leaves_the_task_running(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.apply_async(pass_gate, ("late".to_owned(),));
    for limit in [0, 1, 10] {
        assert_eq!(handle.get_timeout(Duration::from_millis(limit)), Err(Timeout));
    }
    Gate::new("late").open();
    assert_eq!(handle.get_timeout(SOON), Ok(Ok(())));
    finish(pool);
}

fn note(line: u32) {
    Log::new("ran").add(line);
}

fn handle_dropped_lets_the_task_run(method: StartMethod) {
    let pool = pool(method, 1);
    drop(pool.map_async(note, 0..50));
    finish(pool);
    assert_eq!(Log::new("ran").lines().len(), 50);
}

fn cancelled_before_it_began_it_never_does(method: StartMethod) {
    let pool = pool(method, 1);
    let running = pool.apply_async(pass_gate, ("busy".to_owned(),));
    let queued: Vec<_> = (0..20).map(|line| pool.apply_async(note, (line,))).collect();
    assert!(queued[3..].iter().all(AsyncResult::cancel));
    for handle in &queued[3..] {
        assert_eq!(handle.get_timeout(SOON).unwrap().unwrap_err().kind(), TaskErrorKind::Cancelled);
    }
    Gate::new("busy").open();
    assert_eq!(running.get(), Ok(()));
    assert!(queued[..3].iter().all(|handle| handle.get().is_ok()));
    assert!(!running.cancel(), "it is done");
    let many = pool.map_async(note, 100..20_000);
    assert!(many.cancel());
    let error = many.get().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Cancelled);
    let ran = Log::new("ran").lines();
    finish(pool);
    assert_eq!(Log::new("ran").lines(), ran, "nothing runs after its handle has resolved");
    assert_eq!(ran[..3], ["0", "1", "2"]);
    assert!(!ran.contains(&"3".to_owned()));
}

/// Callbacks that send what they get.
fn sending<V: Send + 'static>(sender: &mpsc::Sender<Result<V, TaskErrorKind>>) -> Callbacks<V> {
    let (values, errors) = (sender.clone(), sender.clone());
    Callbacks::new(move |value| values.send(Ok(value)).unwrap())
        .on_error(move |error| errors.send(Err(error.kind())).unwrap())
}

fn callbacks_come_once_in_order_of_completion(method: StartMethod) {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    let pool = pool(method, 1);
    let order = Arc::new(Mutex::new(Vec::new()));
    for x in 0..200_i64 {
        let order = order.clone();
        let callbacks = Callbacks::new(move |value: i64| {
            assert!(!INSIDE.swap(true, Ordering::SeqCst), "one at a time");
            order.lock().unwrap().push(value);
            INSIDE.store(false, Ordering::SeqCst);
        });
        pool.apply_async_with(|x: i64| x, (x,), callbacks);
    }
    finish(pool);
    assert_eq!(*order.lock().unwrap(), (0..200).collect::<Vec<_>>());
}

fn callback_gets_value_or_error_never_both(method: StartMethod) {
    let pool = pool(method, 2);
    let (sender, receiver) = mpsc::channel();
    pool.map_async_with(square, 0..4, sending(&sender));
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Ok(vec![0, 1, 4, 9]), "a map's callback gets the whole list");
    pool.map_async_with(
        |x: i64| {
            assert!(x != 2);
            x
        },
        0..4,
        sending(&sender),
    );
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Err(TaskErrorKind::Panicked));
    let (sender, receiver) = mpsc::channel();
    pool.apply_async_with(square, (3,), sending(&sender));
    pool.apply_async_with(|_: u32| -> i64 { std::process::exit(4) }, (3,), sending(&sender));
    drop(sender);
    finish(pool);
    let mut all: Vec<_> = receiver.iter().collect();
    all.sort_by_key(Result::is_err);
    assert_eq!(all, [Ok(9), Err(TaskErrorKind::Exited(4))]);
}

fn callback_runs_after_its_handle_has_resolved(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = Arc::new(OnceLock::<AsyncResult<i64>>::new());
    let (sender, receiver) = mpsc::channel();
    let (of_callback, asked) = (handle.clone(), Gate::new("ask"));
    let callbacks = Callbacks::new(move |value: i64| {
        asked.pass();
        let handle = of_callback.get().unwrap();
        sender.send((handle.ready(), handle.get() == Ok(value))).unwrap();
    });
    handle.set(pool.apply_async_with(square, (5,), callbacks)).unwrap();
    Gate::new("ask").open();
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), (true, true));
    finish(pool);
}

fn callback_that_panics_stops_nothing(method: StartMethod) {
    let pool = pool(method, 1);
    let handle = pool.apply_async_with(square, (5,), Callbacks::new(|_| panic!("a bad callback")));
    let (sender, receiver) = mpsc::channel();
    let other = pool.apply_async_with(square, (6,), sending(&sender));
    assert_eq!((handle.get(), other.get()), (Ok(25), Ok(36)));
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Ok(36), "the next callback runs");
    assert_eq!((handle.callback_panic(), other.callback_panic()), (Some("a bad callback"), None));
    finish(pool);
}

/// What it throws panics when it is dropped: that must not take the callback thread along.
fn callback_that_throws_a_bomb_stops_nothing(method: StartMethod) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("when dropped");
        }
    }
    let pool = pool(method, 1);
    let handle = pool.apply_async_with(square, (5,), Callbacks::new(|_| std::panic::panic_any(Bomb)));
    let (sender, receiver) = mpsc::channel();
    pool.apply_async_with(square, (6,), sending(&sender));
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Ok(36), "the next callback runs");
    assert_eq!(handle.callback_panic(), Some("a panic without a message"));
    finish(pool);
}

fn callback_may_use_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    let (sender, receiver) = mpsc::channel();
    let of_callback = pool.clone();
    let callbacks = Callbacks::new(move |value: i64| {
        let handle = of_callback.apply_async(square, (value,));
        let list = of_callback.map(square, 0..100).unwrap();
        let lazy: i64 = of_callback.imap(square, 0..10).map(Result::unwrap).sum();
        sender.send((handle.get().unwrap(), list.len(), lazy)).unwrap();
    });
    pool.apply_async_with(square, (3,), callbacks);
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), (81, 100, 285));
    finish(pool);
}

fn callback_cannot_join(method: StartMethod) {
    let pool = pool(method, 1);
    let (sender, receiver) = mpsc::channel();
    let of_callback = pool.clone();
    let callbacks = Callbacks::new(move |_: i64| {
        of_callback.close();
        sender.send(of_callback.join().map_err(|error| error.kind())).unwrap();
    });
    pool.apply_async_with(square, (3,), callbacks);
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Err(ErrorKind::WouldDeadlock));
    pool.join().unwrap();
}

fn callback_may_close_and_terminate(method: StartMethod) {
    for terminate in [false, true] {
        let pool = pool(method, 2);
        let of_callback = pool.clone();
        let end = move |_: i64| if terminate { of_callback.terminate() } else { of_callback.close() };
        pool.apply_async_with(square, (3,), Callbacks::new(end));
        let state = || pool.apply(square, (1,)).is_err();
        wait_until("the pool takes no more", SOON, state, |closed| *closed);
        within("join", Duration::from_secs(3), || pool.join().unwrap());
    }
    // The last handle of a pool may die in its callback.
    let pool = pool(method, 2);
    let slot = Arc::new(Mutex::new(None::<Pool>));
    let last = slot.clone();
    let (sender, receiver) = mpsc::channel();
    let callbacks = Callbacks::new(move |_: i64| {
        drop(last.lock().unwrap().take());
        sender.send(()).unwrap();
    });
    let handle = slot.lock().unwrap().insert(pool).apply_async_with(square, (3,), callbacks);
    receiver.recv_timeout(SOON).unwrap();
    assert_eq!(handle.get(), Ok(9));
}

fn slow_callback_delays_no_result(method: StartMethod) {
    let pool = pool(method, 1);
    let (sender, receiver) = mpsc::channel::<()>();
    let slow = pool.apply_async_with(square, (1,), Callbacks::new(move |_| receiver.recv().unwrap()));
    let (late, in_order) = mpsc::channel();
    let second = pool.apply_async_with(square, (2,), sending(&late));
    assert_eq!((slow.get(), second.get()), (Ok(1), Ok(4)));
    assert_eq!(pool.map(square, 0..500).unwrap().len(), 500);
    assert!(in_order.try_recv().is_err(), "callbacks run one at a time");
    sender.send(()).unwrap();
    assert_eq!(in_order.recv_timeout(SOON).unwrap(), Ok(4));
    finish(pool);
}

fn join_waits_for_callbacks(method: StartMethod) {
    static DONE: AtomicBool = AtomicBool::new(false);
    let pool = pool(method, 1);
    let callbacks = Callbacks::new(|_: i64| {
        // Work that takes a while, not a wait for something.
        std::thread::sleep(Duration::from_millis(50));
        DONE.store(true, Ordering::SeqCst);
    });
    pool.apply_async_with(square, (1,), callbacks);
    finish(pool);
    assert!(DONE.load(Ordering::SeqCst));
}

fn any_duration_is_a_limit(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method).start_timeout(Duration::MAX);
    let pool = builder.build().unwrap();
    assert_eq!(pool.apply_async(square, (3,)).get_timeout(Duration::MAX), Ok(Ok(9)));
    assert_eq!(pool.imap(square, [4]).next_timeout(Duration::MAX), Ok(Some(Ok(16))));
    let gated = pool.apply_async(pass_gate, ("never".to_owned(),));
    assert_eq!(gated.get_timeout(Duration::ZERO), Err(Timeout));
    pool.terminate();
    pool.join().unwrap();
}
