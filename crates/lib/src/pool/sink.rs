//! Where the outcomes of one job arrive, and where its reader waits for them.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::TaskError;
use crate::supervisor::haul::Haul;
use crate::wire::descriptor::Descriptor;

/// Outcomes of tasks that follow each other. Values stay bytes until somebody wants them, in that reader's thread.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The index of the first.
    pub(crate) first: u64,
    haul: Arc<Haul>,
    /// Which results of the haul are this batch's; those that are no values are in `errors`.
    places: Range<u32>,
    /// In the order of their tasks.
    errors: Vec<TaskError>,
}

impl Batch {
    /// A batch of what tasks have delivered.
    pub(crate) fn delivered(first: u64, haul: Arc<Haul>, places: Range<u32>, errors: Vec<TaskError>) -> Self {
        Self { first, haul, places, errors }
    }

    /// A batch of tasks that have no values.
    pub(crate) fn errors(first: u64, errors: Vec<TaskError>) -> Self {
        Self { first, haul: Arc::default(), places: 0..errors.len() as u32, errors }
    }

    /// A batch of one task that has no value.
    pub(crate) fn error(error: TaskError) -> Self {
        Self::errors(error.index(), vec![error])
    }

    /// How many outcomes there are.
    pub(crate) fn count(&self) -> u32 {
        self.places.end - self.places.start
    }

    /// Those that are errors.
    pub(crate) fn all_errors(&self) -> &[TaskError] {
        &self.errors
    }

    /// The same, to be changed.
    pub(crate) fn all_errors_mut(&mut self) -> &mut [TaskError] {
        &mut self.errors
    }

    /// How many bytes the values have together.
    pub(crate) fn bytes_of_values(&self) -> i64 {
        if self.errors.is_empty() {
            let aside = self.haul.bytes_aside(self.places.start, self.places.end);
            return (self.haul.start(self.places.end) - self.haul.start(self.places.start) + aside) as i64;
        }
        (0..self.count()).filter_map(|place| Some(self.get(place)?.ok()?.len() as i64)).sum()
    }

    /// The bytes or the error of the outcome at `place`.
    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<Result<&[u8], &TaskError>> {
        if place >= self.count() {
            return None;
        }
        if !self.errors.is_empty()
            && let Ok(found) = self.errors.binary_search_by_key(&(self.first + u64::from(place)), TaskError::index)
        {
            return Some(Err(&self.errors[found]));
        }
        Some(Ok(self.haul.get(self.places.start + place)))
    }

    /// The descriptors that have come with the outcome at `place`.
    #[inline]
    pub(crate) fn descriptors(&self, place: u32) -> &[Descriptor] {
        self.haul.descriptors(self.places.start + place)
    }
}

/// How much of a lazily fed job is under way. Signed, as a task may be read before its feeder has counted it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Tasks that were taken from the input and not yet handed to the reader.
    pub(crate) tasks: i64,
    /// Bytes of their arguments or results.
    pub(crate) bytes: i64,
}

/// What the thread that feeds a job does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Feeder {
    #[default]
    Feeds,
    Waits,
    /// It was called, and has not come yet.
    Called,
}

/// The meeting point of one job.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    state: Mutex<SinkState>,
    /// For readers.
    changed: Condvar,
    /// For the feeder.
    room: Condvar,
}

/// What is protected by the sink's lock. No other lock is taken while it is held, but the callback queue's.
#[derive(Default)]
pub(crate) struct SinkState {
    pub(crate) batches: VecDeque<Batch>,
    pub(crate) received: u64,
    /// How many there will be, once that is known.
    pub(crate) expected: Option<u64>,
    pub(crate) load: Load,
    /// How many tasks may be under way.
    pub(crate) window: i64,
    /// How many bytes.
    pub(crate) most_bytes: i64,
    feeder: Feeder,
    /// The user fixed the window: it is not widened for quick tasks.
    pub(crate) fixed: bool,
    /// The reader has gone.
    pub(crate) abandoned: bool,
    /// No more input is wanted; what was read has outcomes, and a reader.
    pub(crate) fed_up: bool,
    /// Readers in [`Sink::wait`]. Waking nobody would still be a system call, for every batch.
    waiting: u32,
    wakers: Vec<Waker>,
    on_done: Option<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for SinkState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { batches, received, expected, load, window, most_bytes, fixed, .. } = self;
        let Self { feeder, abandoned, fed_up, waiting, wakers, on_done, .. } = self;
        f.debug_struct("SinkState")
            .field("batches", &batches.len())
            .field("received", received)
            .field("expected", expected)
            .field("load", load)
            .field("window", window)
            .field("most_bytes", most_bytes)
            .field("feeder", feeder)
            .field("fixed", fixed)
            .field("abandoned", abandoned)
            .field("fed_up", fed_up)
            .field("waiting", waiting)
            .field("wakers", &wakers.len())
            .field("on_done", &on_done.is_some())
            .finish()
    }
}

impl SinkState {
    pub(crate) fn done(&self) -> bool {
        self.expected.is_some_and(|expected| self.received >= expected)
    }

    /// Whether the input need not be read any further.
    pub(crate) fn unwanted(&self) -> bool {
        self.abandoned || self.fed_up
    }

    /// Whether the feeder need not wait, and if so, whether more is wanted. One task is always allowed: otherwise one that is larger than
    /// the limit would never run.
    pub(crate) fn may_feed(&self) -> Option<bool> {
        let has_room = self.load.tasks <= 0 || (self.load.tasks < self.window && self.load.bytes < self.most_bytes);
        (self.unwanted() || has_room).then_some(!self.unwanted())
    }

    /// Whether the feeder waits, and it is worth the while to call it. While there is enough to do, that is when a quarter of the
    /// window is free: to wake it for every task that is read costs more than many a task takes.
    fn calls_feeder(&self) -> bool {
        let slack = if self.fixed { 1 } else { (self.window / 4).max(1) };
        let ahead = self.window - self.load.tasks;
        let enough = self.load.tasks <= 0 || ahead >= slack || self.unwanted();
        self.feeder == Feeder::Waits && enough && self.may_feed().is_some()
    }

    /// Has `waker` woken at the next change.
    pub(crate) fn wake_later(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    /// Forgets `waker`, if it has not been woken.
    pub(crate) fn wake_no_more(&mut self, waker: &Waker) {
        self.wakers.retain(|known| !known.will_wake(waker));
    }
}

impl Sink {
    pub(crate) fn lock(&self) -> MutexGuard<'_, SinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds outcomes. The wakers to wake are returned: they run code of others, and nobody may hold a lock then.
    #[must_use]
    pub(crate) fn deliver(&self, batch: Batch) -> Vec<Waker> {
        self.change(|state| {
            state.received += u64::from(batch.count());
            if !state.abandoned {
                state.batches.push_back(batch);
            }
        })
    }

    /// Says how many outcomes there will be.
    #[must_use]
    pub(crate) fn expect(&self, count: u64) -> Vec<Waker> {
        self.change(|state| state.expected = Some(count))
    }

    /// Changes the state and lets all who wait look at it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SinkState)) -> Vec<Waker> {
        let (wakers, somebody_waits) = self.change_quietly(change);
        if somebody_waits {
            self.stir();
        }
        wakers
    }

    /// As [`change`](Self::change), but threads that wait sleep on until [`stir`](Self::stir), which has to follow if this
    /// says that there are some. Who makes many changes in a row wakes a reader once: it would sleep again between them.
    pub(crate) fn change_quietly(&self, change: impl FnOnce(&mut SinkState)) -> (Vec<Waker>, bool) {
        let mut state = self.lock();
        change(&mut state);
        // The handle has resolved by now: whoever gets the lock next sees it done. Only then comes the callback.
        if state.done()
            && let Some(on_done) = state.on_done.take()
        {
            on_done();
        }
        let result = (std::mem::take(&mut state.wakers), state.waiting > 0);
        self.call_feeder(state);
        result
    }

    /// Lets readers who wait look at the state.
    pub(crate) fn stir(&self) {
        self.changed.notify_all();
    }

    /// Gives the lock back, and calls the feeder if what was changed under it gives it reason to go on.
    pub(crate) fn call_feeder(&self, mut state: MutexGuard<'_, SinkState>) {
        if state.calls_feeder() {
            state.feeder = Feeder::Called;
            drop(state);
            self.room.notify_one();
        }
    }

    /// Waits until the feeder may go on, and returns whether more is wanted. Without a deadline: a reader may take its time.
    pub(crate) fn wait_for_room(&self) -> bool {
        let mut state = self.lock();
        loop {
            if let Some(wanted) = state.may_feed() {
                return wanted;
            }
            state.feeder = Feeder::Waits;
            while state.feeder == Feeder::Waits {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.feeder = Feeder::Feeds;
        }
    }

    /// Has `callback` run when all outcomes are there; at once, if they are.
    pub(crate) fn when_done(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        if state.done() {
            callback();
        } else {
            state.on_done = Some(callback);
        }
    }

    /// Waits until `ready` says so or `until` has passed; without a deadline for callers that asked to wait for a task,
    /// however long it takes: its pool completes every task.
    pub(crate) fn wait(
        &self,
        until: Option<Instant>,
        mut ready: impl FnMut(&mut SinkState) -> bool,
    ) -> MutexGuard<'_, SinkState> {
        let mut state = self.lock();
        while !ready(&mut state) {
            state.waiting += 1;
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    state.waiting -= 1;
                    break;
                }
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.waiting -= 1;
        }
        state
    }
}

/// Wakes what [`Sink::change`] returned. A waker is an executor's code: should it panic, its task is not polled, and
/// nobody else suffers.
pub(crate) fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            tracing::error!("a waker panicked");
        }
    }
}

/// When `limit` has passed; never, if that is beyond what the clock can say.
pub(crate) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_woken_once_for_many_quiet_changes() {
        let sink = Sink::default();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| sink.wait(None, |state| state.received > 0).received);
            while sink.lock().waiting == 0 {
                std::thread::yield_now();
            }
            for _ in 0..10 {
                assert!(sink.change_quietly(|state| state.received += 1).1);
            }
            sink.stir();
            assert_eq!(reader.join().expect("waiting does not panic"), 10);
        });
        assert!(!sink.change_quietly(|state| state.received += 1).1);
    }

    /// What is under way when a waiting feeder is called, from a full window of 8 on.
    fn called_at(fixed: bool) -> i64 {
        let sink = Sink::default();
        let full = Load { tasks: 8, bytes: 80 };
        let change = |load| drop(sink.change(|state| state.load = load));
        let _ = sink.change(|state| (state.window, state.most_bytes, state.fixed) = (8, 100, fixed));
        change(full);
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| sink.wait_for_room());
            while sink.lock().feeder != Feeder::Waits {
                std::thread::yield_now();
            }
            let mut left = full;
            while sink.lock().feeder == Feeder::Waits {
                left.tasks -= 1;
                change(left);
            }
            assert!(feeder.join().expect("waiting does not panic"));
            left.tasks
        })
    }

    #[test]
    fn a_feeder_is_called_for_a_quarter_of_its_window_or_for_each_task_of_a_fixed_one() {
        assert_eq!((called_at(false), called_at(true)), (6, 7));
    }

    #[test]
    fn a_feeder_goes_on_for_its_first_task_and_ends_when_nothing_more_is_wanted() {
        let sink = Sink::default();
        assert_eq!(sink.lock().may_feed(), Some(true), "one task is always allowed");
        let _ = sink.change(|state| state.load = Load { tasks: 1, bytes: 1 });
        assert_eq!(sink.lock().may_feed(), None);
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| sink.wait_for_room());
            while sink.lock().feeder != Feeder::Waits {
                std::thread::yield_now();
            }
            let _ = sink.change(|state| state.fed_up = true);
            assert!(!feeder.join().expect("waiting does not panic"));
        });
    }
}
