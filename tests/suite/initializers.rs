//! Initializers that fail, die or hang: the pool says so, or tries again.

use std::time::Duration;

use ganger::{ErrorKind, Pool, StartMethod, TaskErrorKind};
use ganger_tests::{Gate, Log, process_state, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, own_pid, signal, square};

pub(crate) const CONTRACT: crate::Contract = table![
    failing_initializer_is_reported_after_three_starts,
    initializer_that_fails_once_is_tried_again,
    dying_initializer_is_reported_too,
    initializer_that_hangs_is_given_up,
    hanging_successor_is_killed_and_another_started,
];

fn refuse(log: String) -> Result<u32, String> {
    Log::new(&log).add(std::process::id());
    Err("no licence".to_owned())
}

fn failing_initializer_is_reported_after_three_starts(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method).try_initializer(refuse, ("starts".to_owned(),));
    let error = within("giving up", SOON, || builder.build()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken, "{error}");
    assert!(error.to_string().contains("no licence"), "{error}");
    let starts = Log::new("starts").lines().len();
    assert!((1..=3).contains(&starts), "{starts} starts");
}

fn initializer_that_fails_once_is_tried_again(method: StartMethod) {
    fn fail_once(log: String) -> Result<u32, String> {
        let log = Log::new(&log);
        log.add("start");
        if log.lines().len() == 1 { Err("not yet".to_owned()) } else { Ok(5) }
    }
    let builder = Pool::builder().workers(1).start_method(method).try_initializer(fail_once, ("starts".to_owned(),));
    let pool = builder.build().unwrap();
    assert_eq!(pool.apply(|x: u32| ganger::with_worker_state(|state: &mut u32| *state + x), (1,)).unwrap(), 6);
    assert_eq!(pool.map(own_pid, 0..10).unwrap().len(), 10);
    assert_eq!(Log::new("starts").lines().len(), 2);
    finish(pool);
}

fn dying_initializer_is_reported_too(method: StartMethod) {
    fn die_at_once(log: String) {
        Log::new(&log).add("start");
        crate::kit::die(Signal::SIGSEGV)
    }
    let builder = Pool::builder().workers(1).start_method(method).initializer(die_at_once, ("starts".to_owned(),));
    let error = within("giving up", SOON, || builder.build()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken, "{error}");
    assert!(error.to_string().contains("SIGSEGV"), "{error}");
    assert!(Log::new("starts").lines().len() <= 3);
}

fn hang() {
    Gate::new("never").pass();
}

fn initializer_that_hangs_is_given_up(method: StartMethod) {
    let builder = || Pool::builder().workers(2).start_method(method).start_timeout(Duration::from_millis(300));
    for builder in [builder().initializer(hang, ()), builder().preload(hang)] {
        let error = within("giving up", SOON, || builder.build()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::CannotStart | ErrorKind::Broken), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("was ready in time") || text.contains("was not ready within 300ms (see start_timeout)"),
            "{error}"
        );
    }
}

fn second_hangs(log: String) {
    let log = Log::new(&log);
    log.add(std::process::id());
    if log.lines().len() == 2 {
        hang();
    }
}

fn hanging_successor_is_killed_and_another_started(method: StartMethod) {
    let builder = Pool::builder().workers(1).start_method(method).start_timeout(Duration::from_secs(2));
    let pool = builder.initializer(second_hangs, ("starts".to_owned(),)).build().unwrap();
    signal(pool.worker_pids()[0], Signal::SIGKILL);
    let waiting = pool.apply_async(|x: i64| x, (3,));
    Log::new("starts").wait_for(2);
    let second = Log::new("starts").lines()[1].parse().unwrap();
    wait_until("the second is killed", SOON, || process_state(second), Option::is_none);
    // It may have been sent to the first, which was about to die.
    let kinds = [Ok(3), Err(TaskErrorKind::Killed(9))];
    let kind = waiting.get_timeout(SOON).unwrap().map_err(|error| error.kind());
    assert!(kinds.contains(&kind), "{kind:?}");
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert_eq!(Log::new("starts").lines().len(), 3);
    finish(pool);
}
