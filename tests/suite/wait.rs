//! Waiting for several handles at once.

use std::time::Duration;

use ganger::{AsyncResult, Pool, ReturnWhen, StartMethod, TaskErrorKind, Waited, wait};
use ganger_tests::{Gate, within};

use crate::kit::{SOON, finish, pool};

pub(crate) const CONTRACT: crate::Contract = table![
    wait_for_the_first_that_ends,
    wait_for_the_first_that_fails,
    wait_for_all,
    wait_takes_ended_and_repeated_handles,
    wait_without_time_tells_what_is_done,
    wait_ends_with_the_pool,
    wait_for_thousands,
];

/// Passes the gate of that name, and then fails if it is told to.
fn pass(gate: String, then: String) -> Result<String, String> {
    Gate::new(&gate).pass();
    if then == "fail" { Err(gate) } else { Ok(gate) }
}

fn gated(pool: &Pool, gate: &str, then: &str) -> AsyncResult<String> {
    pool.apply_async::<_, _, String>(pass, (gate.to_owned(), then.to_owned()))
}

/// Waits without a limit, which must not take long.
#[track_caller]
fn soon<'a, V>(handles: impl IntoIterator<Item = &'a AsyncResult<V>>, way: ReturnWhen) -> Waited<'a, V> {
    within("the wait", SOON, || wait(handles, None, way))
}

fn wait_for_the_first_that_ends(method: StartMethod) {
    let pool = pool(method, 2);
    let handles = ["never", "soon"].map(|gate| gated(&pool, gate, "return"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| soon(&handles, ReturnWhen::FirstCompleted));
        Gate::new("soon").open();
        let waited = waiting.join().unwrap();
        assert_eq!((waited.done[0].get().unwrap().as_str(), waited.not_done.len()), ("soon", 1));
    });
    pool.terminate();
    pool.join().unwrap();
}

fn wait_for_the_first_that_fails(method: StartMethod) {
    let pool = pool(method, 2);
    let handles =
        [("first", "return"), ("second", "fail"), ("last", "return")].map(|(gate, then)| gated(&pool, gate, then));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| soon(&handles, ReturnWhen::FirstException));
        Gate::new("first").open();
        assert_eq!(handles[0].get().unwrap(), "first");
        assert!(!waiting.is_finished(), "a value is no failure");
        Gate::new("second").open();
        let waited = waiting.join().unwrap();
        assert_eq!((waited.done.len(), waited.not_done.len()), (2, 1));
        assert_eq!(waited.done[1].get().unwrap_err().kind(), TaskErrorKind::Failed);
    });
    Gate::new("last").open();
    finish(pool);
}

fn wait_for_all(method: StartMethod) {
    let pool = pool(method, 2);
    let handles = [("a", "fail"), ("b", "return"), ("b", "return")].map(|(gate, then)| gated(&pool, gate, then));
    Gate::new("a").open();
    let waited = wait(&handles, Some(Duration::from_millis(50)), ReturnWhen::AllCompleted);
    assert!(waited.not_done.len() >= 2, "{waited:?}");
    Gate::new("b").open();
    for way in [ReturnWhen::AllCompleted, ReturnWhen::FirstException, ReturnWhen::FirstCompleted] {
        let waited = soon(&handles, way);
        assert!(!waited.done.is_empty(), "{way:?}: {waited:?}");
        if way == ReturnWhen::AllCompleted {
            assert_eq!((waited.done.len(), waited.not_done.len()), (3, 0));
        }
    }
    finish(pool);
}

fn wait_takes_ended_and_repeated_handles(method: StartMethod) {
    let pool = pool(method, 1);
    let ended = gated(&pool, "open", "return");
    Gate::new("open").open();
    ended.wait();
    let open = gated(&pool, "late", "return");
    for way in [ReturnWhen::FirstCompleted, ReturnWhen::FirstException, ReturnWhen::AllCompleted] {
        let waited = soon([&ended, &ended], way);
        assert_eq!((waited.done.len(), waited.not_done.len()), (1, 0), "{way:?}");
        assert_eq!(waited.done[0].get().unwrap(), "open");
    }
    let waited = soon([&open, &ended, &open], ReturnWhen::FirstCompleted);
    assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
    Gate::new("late").open();
    assert_eq!(soon([&open, &ended, &open], ReturnWhen::AllCompleted).done.len(), 2);
    let none: [&AsyncResult<String>; 0] = [];
    assert!(soon(none, ReturnWhen::AllCompleted).done.is_empty());
    finish(pool);
}

fn wait_without_time_tells_what_is_done(method: StartMethod) {
    let pool = pool(method, 1);
    let handles = ["done", "late"].map(|gate| gated(&pool, gate, "return"));
    Gate::new("done").open();
    handles[0].wait();
    for way in [ReturnWhen::FirstCompleted, ReturnWhen::FirstException, ReturnWhen::AllCompleted] {
        for _ in 0..100 {
            let waited = wait(&handles, Some(Duration::ZERO), way);
            assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1), "{way:?}");
        }
    }
    Gate::new("late").open();
    assert_eq!(wait(&handles, Some(Duration::MAX), ReturnWhen::AllCompleted).done.len(), 2);
    finish(pool);
}

fn wait_ends_with_the_pool(method: StartMethod) {
    let pool = pool(method, 2);
    let handles = ["never"; 5].map(|gate| gated(&pool, gate, "return"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| soon(&handles, ReturnWhen::FirstException));
        pool.terminate();
        // All are cancelled, which is no failure: it waits for the last.
        assert_eq!(waiting.join().unwrap().done.len(), 5);
    });
    pool.join().unwrap();
}

fn wait_for_thousands(method: StartMethod) {
    let pool = pool(method, 2);
    let handles: Vec<_> = (0..5000_i64).map(|x| pool.apply_async(crate::kit::square, (x,))).collect();
    assert_eq!(soon(&handles, ReturnWhen::FirstException).done.len(), 5000);
    finish(pool);
}
