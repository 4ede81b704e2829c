//! A thread in `apply` drives the pool while it waits: nobody else may notice.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::scope;
use std::time::Duration;

use ganger::{Pool, StartMethod, TaskErrorKind};
use ganger_tests::{Gate, Log, wait_until, within};
use serde::{Deserialize, Serialize};

use crate::kit::{SOON, die, finish, pass_gate, pool, square};

pub(crate) const CONTRACT: crate::Contract = table![
    many_threads_apply_at_once,
    waiting_in_apply_delays_nobody,
    apply_ends_with_its_pool,
    apply_survives_the_deaths_of_others,
    waker_may_call_apply,
    results_are_noticed_by_whoever_is_awake_and_by_whoever_sleeps,
    guest_that_goes_leaves_nobody_deaf,
    results_may_use_the_pool_while_they_are_read,
    slow_input_is_taken_in_while_nobody_drives,
];

fn many_threads_apply_at_once(method: StartMethod) {
    let pool = pool(method, 2);
    let beside = pool.map_async(square, 0..5_000);
    scope(|scope| {
        for thread in 0..8_i64 {
            let pool = &pool;
            scope.spawn(move || {
                for x in 0..200 {
                    assert_eq!(pool.apply(square, (thread * 1000 + x,)), Ok(square(thread * 1000 + x)));
                }
            });
        }
    });
    assert_eq!(beside.get_timeout(SOON).unwrap().unwrap().len(), 5_000);
    finish(pool);
}

fn waiting_in_apply_delays_nobody(method: StartMethod) {
    let pool = pool(method, 2);
    scope(|scope| {
        let long = scope.spawn(|| pool.apply(pass_gate, ("long".to_owned(),)));
        for x in 0..300 {
            let handle = pool.apply_async(square, (x,));
            assert_eq!(handle.get_timeout(SOON).unwrap(), Ok(square(x)));
        }
        let values = within("a map beside it", SOON, || pool.map(square, 0..10_000)).unwrap();
        assert_eq!(values.len(), 10_000);
        assert!(!long.is_finished());
        Gate::new("long").open();
        assert_eq!(long.join().unwrap(), Ok(()));
    });
    finish(pool);
}

fn apply_ends_with_its_pool(method: StartMethod) {
    for round in 0..20 {
        let pool = pool(method, 1);
        scope(|scope| {
            let waiting = scope.spawn(|| pool.apply(pass_gate, ("never".to_owned(),)));
            if round % 2 == 0 {
                wait_until("the worker is there", SOON, || pool.worker_pids(), |pids| pids.len() == 1);
            }
            within("terminate", SOON, || pool.terminate());
            let error = within("the waiting call", SOON, || waiting.join().unwrap()).unwrap_err();
            let kinds = [TaskErrorKind::Cancelled, TaskErrorKind::NotRunning];
            assert!(kinds.contains(&error.kind()), "{error}");
        });
        within("join", SOON, || pool.join()).unwrap();
    }
}

fn apply_survives_the_deaths_of_others(method: StartMethod) {
    let pool = pool(method, 2);
    scope(|scope| {
        let deaths = scope.spawn(|| {
            pool.try_map(|x: i64| if x % 10 == 0 { die(nix::sys::signal::Signal::SIGKILL) } else { x }, 0..100)
        });
        for x in 0..200 {
            assert_eq!(pool.apply(square, (x,)), Ok(square(x)));
        }
        let outcomes = deaths.join().unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 10);
    });
    finish(pool);
}

/// A waker that calls the pool, as an executor that polls at once might.
struct Applies(Pool, mpsc::Sender<i64>);

impl Wake for Applies {
    fn wake(self: Arc<Self>) {
        self.1.send(self.0.apply(square, (7,)).unwrap()).unwrap();
    }
}

fn waker_may_call_apply(method: StartMethod) {
    let pool = pool(method, 2);
    let (sender, receiver) = mpsc::channel();
    let mut handle = pin!(pool.apply_async(pass_gate, ("first".to_owned(),)));
    let waker = Waker::from(Arc::new(Applies(pool.clone(), sender)));
    assert!(matches!(handle.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
    scope(|scope| {
        // This thread drives when the first task ends, and so it is the one that wakes.
        let driving = scope.spawn(|| pool.apply(pass_gate, ("second".to_owned(),)));
        Gate::new("first").open();
        assert_eq!(receiver.recv_timeout(SOON), Ok(49));
        Gate::new("second").open();
        assert_eq!(driving.join().unwrap(), Ok(()));
    });
    drop(waker);
    assert!(within("the handle", Duration::from_secs(1), || handle.wait_timeout(SOON)));
    finish(pool);
}

fn nap(micros: u64) -> u64 {
    std::thread::sleep(Duration::from_micros(micros));
    micros
}

/// Around the time for which whoever drives stays awake, workers ring now by a word in memory and now by a frame.
fn results_are_noticed_by_whoever_is_awake_and_by_whoever_sleeps(method: StartMethod) {
    let pool = pool(method, 2);
    for round in 0..40 {
        for micros in [0, 20, 70, 90, 110, 180, 400] {
            assert_eq!(within("apply", SOON, || pool.apply(nap, (micros,))), Ok(micros));
            // A few, and more than end while one stays awake.
            let count = 1 + round % 4 * 3;
            let naps = within("map", SOON, || pool.map(nap, (0..count).map(|_| micros)));
            assert_eq!(naps.unwrap(), vec![micros; count as usize]);
        }
    }
    finish(pool);
}

/// The driver sleeps beside the guest; whoever rang for the guest has to wake the driver when that has gone. Otherwise it would
/// sleep to its next deadline, a second later, each second time.
fn guest_that_goes_leaves_nobody_deaf(method: StartMethod) {
    let pool = pool(method, 1);
    within("all of them", SOON, || {
        for x in 0..100 {
            assert_eq!(pool.apply(square, (x,)), Ok(square(x)));
            assert_eq!(pool.apply_async(square, (x,)).get(), Ok(square(x)));
            std::thread::sleep(Duration::from_micros(x.cast_unsigned() % 4 * 700));
        }
    });
    finish(pool);
}

/// A result that asks a pool while it is read.
#[derive(Serialize)]
struct Curious(i64);

static ASKED: Mutex<Option<Pool>> = Mutex::new(None);

impl<'de> Deserialize<'de> for Curious {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let pool = ASKED.lock().unwrap().clone();
        let squared = pool.map_or(Ok(number), |pool| pool.apply(square, (number,)));
        squared.map(Self).map_err(serde::de::Error::custom)
    }
}

fn results_may_use_the_pool_while_they_are_read(method: StartMethod) {
    let pool = pool(method, 2);
    *ASKED.lock().unwrap() = Some(pool.clone());
    for _ in 0..5 {
        let curious = within("map", SOON, || pool.map(|x: i64| Curious(x), 0..300)).unwrap();
        assert!(curious.iter().zip(0..).all(|(curious, x)| curious.0 == square(x)));
    }
    *ASKED.lock().unwrap() = None;
    finish(pool);
}

/// A short map hands its tasks over in pieces. An input that waits for the first to have run, which are no piece yet, gets its way.
fn slow_input_is_taken_in_while_nobody_drives(method: StartMethod) {
    fn note(number: i64) -> i64 {
        Log::new("noted").add(number);
        number
    }
    let pool = pool(method, 2);
    assert_eq!(pool.map(square, 0..1000).unwrap().len(), 1000, "now it is known that they are tiny");
    assert_eq!(pool.map(note, 0..200).unwrap().len(), 200);
    let before = Log::new("noted").lines().len();
    let waits = |number: i64| {
        wait_until(
            "those before have run",
            SOON,
            || Log::new("noted").lines().len() - before,
            |ran| *ran == number as usize,
        );
        // The driver naps while the next task is added, as a guest has just been here.
        assert_eq!(pool.apply(square, (number,)), Ok(square(number)));
        number
    };
    // One that had to wait for the driver's next deadline would often take a tenth of a second or more.
    let numbers = within("all of them", SOON, || pool.map(note, (0..600).map(waits))).unwrap();
    assert_eq!(numbers, (0..600).collect::<Vec<_>>());
    finish(pool);
}
