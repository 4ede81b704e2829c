//! What a task can ask about itself: its worker's place, its random numbers, and the state of its worker.

use std::any::{Any, TypeId, type_name};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::rng::TaskRng;

/// What the random numbers of the running task are derived from. A worker runs one task at a time, so these belong to
/// the process: threads that the task starts see them too.
static SEED: AtomicU64 = AtomicU64::new(0);
static CALL: AtomicU64 = AtomicU64::new(0);
static INDEX: AtomicU64 = AtomicU64::new(0);
/// How many attempts of it have failed.
static FAILED: AtomicU32 = AtomicU32::new(0);
/// How many generators the task has asked for.
static STREAM: AtomicU64 = AtomicU64::new(0);

/// The place in the gang of this process, and the process that it was said to: a child that a task forks is no worker.
static PLACE: Mutex<Option<(u32, u32)>> = Mutex::new(None);

pub(crate) fn set_place(slot: u32) {
    *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = Some((slot, std::process::id()));
}

/// The place in its gang of the worker that runs this, from 0 up to the number of workers; `None` outside of a worker.
///
/// A worker that is replaced, because it has run [its share of tasks](crate::Builder::max_tasks_per_worker) or died, hands
/// its place on: so there are no more numbers than places, and no two tasks that run at one time have the same. What is kept
/// for each worker (a file, a device, a part of a table) can be named by it. A successor is started while its
/// predecessor does its last task: the *initializer* of the one and the last task, or the exit hook, of the other
/// may run at one time. mpire's `pass_worker_id`.
///
/// ```
/// let pool = ganger::Pool::builder().workers(2).max_tasks_per_worker(3).build()?;
/// let places = pool.map(|_: u32| ganger::worker_id(), 0..20)?;
/// assert!(places.iter().all(|place| matches!(place, Some(0 | 1))));
/// assert_eq!(ganger::worker_id(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn worker_id() -> Option<u32> {
    let place = *PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    place.filter(|(_, pid)| *pid == std::process::id()).map(|(slot, _)| slot)
}

pub(crate) fn set_seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// Says which task runs from now on.
pub(crate) fn enter(call: u64, index: u64, failed: u32) {
    FAILED.store(failed, Ordering::Relaxed);
    CALL.store(call, Ordering::Relaxed);
    INDEX.store(index, Ordering::Relaxed);
    STREAM.store(0, Ordering::Relaxed);
}

thread_local! {
    /// Where it is said which item of a task runs. Tasks run on the worker's first thread.
    static ITEM: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

pub(crate) fn set_item_word(word: &'static AtomicU64) {
    ITEM.set(Some(word));
}

/// Says which item of the running task comes now: for its random numbers, and for whoever finds this process dead.
pub(crate) fn enter_item(index: u64) {
    INDEX.store(index, Ordering::Relaxed);
    STREAM.store(0, Ordering::Relaxed);
    if let Some(word) = ITEM.get() {
        word.store(index.saturating_add(1), Ordering::Release);
    }
}

/// Runs `task` here as a pool with this seed would run it in a worker: [`task_rng`] draws the numbers that the item with this
/// index has in the pool's first call. With it the serial run of a program gives the answer of the parallel one, randomness
/// included. Afterwards the caller's own numbers go on where they were.
///
/// What `task_rng` is derived from belongs to the process: two threads must not be in it at one time, or each draws the other's
/// numbers.
///
/// ```
/// fn throw(_: u64) -> u64 { ganger::task_rng().below(6) + 1 }
/// let serial: Vec<u64> = (0..100).map(|index| ganger::as_task(7, index, || throw(index))).collect();
/// let pool = ganger::Pool::builder().workers(2).seed(7).build()?;
/// assert_eq!(pool.map(throw, 0..100)?, serial);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_task<R>(seed: u64, index: u64, task: impl FnOnce() -> R) -> R {
    let _back = Before::note();
    set_seed(seed);
    enter(0, index, 0);
    task()
}

/// What random numbers were derived from before [`as_task`]; dropping it restores that, after a panic as well.
struct Before([u64; 4], u32);

impl Before {
    fn note() -> Self {
        let numbers = [&SEED, &CALL, &INDEX, &STREAM].map(|number| number.load(Ordering::Relaxed));
        Self(numbers, FAILED.load(Ordering::Relaxed))
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        let [seed, call, index, stream] = self.0;
        set_seed(seed);
        enter(call, index, self.1);
        STREAM.store(stream, Ordering::Relaxed);
    }
}

/// The how-many-th attempt of the running task this is, counted from 1; with [`Retry`](crate::Retry) there may be several
/// (up to 256 are told apart). Its random numbers are the same in every attempt.
#[must_use]
pub fn attempt() -> u32 {
    FAILED.load(Ordering::Relaxed) + 1
}

/// Where the supervisor says that the running task shall end, and where it is said that tasks look there. Behind a lock,
/// as a worker that makes a pool by `fork` leaves its own to its children.
static FLAGS: Mutex<Option<[&'static AtomicU32; 2]>> = Mutex::new(None);

pub(crate) fn set_flags(stop: &'static AtomicU32, listens: &'static AtomicU32) {
    *FLAGS.lock().unwrap_or_else(PoisonError::into_inner) = Some([stop, listens]);
}

/// Whether the running task shall end: its [time](crate::Builder::timeout) is over, or it was
/// [cancelled](crate::AsyncResult::cancel). A long task that looks from time to time can clean up and return; if it does
/// not, its worker is sent SIGTERM after half of the [grace](crate::Builder::grace), and killed at its end.
///
/// Outside of a worker it is `false`.
///
/// ```
/// use std::time::Duration;
/// fn count(most: u64) -> Result<u64, String> {
///     for number in 0..most {
///         if ganger::cancel_requested() { return Err(format!("stopped at {number}")) }
///         std::thread::sleep(Duration::from_millis(1));
///     }
///     Ok(most)
/// }
/// let pool = ganger::Pool::builder().workers(1).timeout(Duration::from_millis(30)).build()?;
/// let counted: Result<u64, _> = pool.apply(count, (1_000_000,));
/// let error = counted.unwrap_err();
/// assert_eq!(error.kind(), ganger::TaskErrorKind::TimedOut);
/// assert!(error.message().contains("ended when it was asked to: stopped at"), "{error}");
/// # Ok::<(), ganger::Error>(())
/// ```
#[must_use]
pub fn cancel_requested() -> bool {
    let flags = *FLAGS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some([stop, listens]) = flags else { return false };
    listens.store(1, Ordering::Release);
    stop.load(Ordering::Acquire) != 0
}

/// A generator of random numbers for the running task.
///
/// It is derived from the pool's [seed](crate::Builder::seed), the how-many-th call of the pool it is, and the task's
/// index: so results with randomness depend neither on the worker, nor on the start method, nor on how tasks were
/// batched. (Forked workers that share one state, and so all draw the same numbers, are a classic trap.) A second
/// generator that the same task asks for is another one, and equally repeatable.
///
/// Outside of a task it is derived from seed 0, call 0, index 0.
///
/// ```
/// fn throw(_: u32) -> u64 { ganger::task_rng().below(6) + 1 }
/// let roll = |workers| -> Result<Vec<u64>, Box<dyn std::error::Error>> {
///     Ok(ganger::Pool::builder().workers(workers).seed(7).build()?.map(throw, 0..100)?)
/// };
/// assert_eq!(roll(1)?, roll(2)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn task_rng() -> TaskRng {
    let stream = STREAM.fetch_add(1, Ordering::Relaxed);
    let [seed, call, index] = [&SEED, &CALL, &INDEX].map(|number| number.load(Ordering::Relaxed));
    TaskRng::derived([seed, call, index, stream])
}

thread_local! {
    /// What the initializer returned. Tasks run on the thread that ran it.
    static STATE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Keeps what the initializer returned.
pub(crate) fn set_state<S: 'static>(state: S) {
    if TypeId::of::<S>() != TypeId::of::<()>() {
        STATE.set(Some(Box::new(state)));
    }
}

/// Drops what the initializer returned.
pub(crate) fn drop_state() {
    drop(STATE.take());
}

/// Gives the task access to the state of its worker: what the pool's [initializer](crate::Builder::initializer) returned
/// in this process.
///
/// # Panics
/// When the pool has no initializer, when that returned another type, or when it is called within itself. In a task
/// that is the outcome `Panicked`, with this reason.
///
/// ```
/// fn connect(name: String) -> Vec<String> { vec![name] }
/// fn log(line: u32) -> usize {
///     ganger::with_worker_state(|lines: &mut Vec<String>| { lines.push(line.to_string()); lines.len() })
/// }
/// let pool = ganger::Pool::builder().workers(1).initializer(connect, ("log".to_owned(),)).build()?;
/// assert_eq!(pool.map(log, 0..3)?, [2, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_worker_state<S: 'static, R>(action: impl FnOnce(&mut S) -> R) -> R {
    STATE.with_borrow_mut(|state| match state {
        None => panic!("this worker has no state: give its pool an initializer that returns a {}", type_name::<S>()),
        Some(state) => match state.downcast_mut::<S>() {
            Some(state) => action(state),
            None => panic!(
                "the state of this worker is not a {}: that is not what the initializer returned",
                type_name::<S>()
            ),
        },
    })
}
