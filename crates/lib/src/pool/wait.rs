//! Waiting for several handles at once.
//!
//! Each handle gets a waker that knows its place, so that whoever waits looks again at those only that have changed: a
//! thousand handles that end one after the other are not looked at a million times.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::handle::AsyncResult;
use super::job::Job;
use super::sink::{Batch, SinkState, deadline};
use crate::TaskErrorKind;

/// When [`wait`] returns, unless its time is over before. Python's `return_when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReturnWhen {
    /// As soon as one handle has ended.
    FirstCompleted,
    /// As soon as one has ended with a failure, or all have ended without. A cancelled one is no failure, as in Python.
    FirstException,
    /// When all have ended.
    AllCompleted,
}

/// What [`wait`] found: each handle is in one of the two lists, once, in the order in which it was given.
pub struct Waited<'a, V> {
    /// Those that have ended, in whatever way.
    pub done: Vec<&'a AsyncResult<V>>,
    /// Those that have not.
    pub not_done: Vec<&'a AsyncResult<V>>,
}

impl<V> std::fmt::Debug for Waited<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { done, not_done } = self;
        f.debug_struct("Waited").field("done", done).field("not_done", not_done).finish()
    }
}

/// Waits for several handles, of one pool or of many, at most `timeout`, and tells which have ended by then. A handle that
/// is given twice counts once; one that has ended before counts at once. Python's `concurrent.futures.wait`.
///
/// Without a timeout it waits as long as the tasks take. It drops and cancels nothing: what is not done goes on.
///
/// ```
/// use std::time::Duration;
/// use ganger::{ReturnWhen, wait};
///
/// fn nap(millis: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(millis));
///     millis
/// }
/// let pool = ganger::Pool::new(2)?;
/// let naps = [600_000, 1].map(|millis| pool.apply_async(nap, (millis,)));
/// let first = wait(&naps, None, ReturnWhen::FirstCompleted);
/// assert_eq!(first.done[0].get()?, 1);
/// assert_eq!(first.not_done.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait<'a, V>(
    handles: impl IntoIterator<Item = &'a AsyncResult<V>>,
    timeout: Option<Duration>,
    return_when: ReturnWhen,
) -> Waited<'a, V> {
    let until = timeout.and_then(deadline);
    let mut known = HashSet::new();
    let handles: Vec<_> = handles.into_iter().filter(|handle| known.insert(Arc::as_ptr(&handle.job))).collect();
    let mut watch = Watch::new(handles.iter().map(|handle| handle.job.clone()).collect());
    watch.wait(until, return_when);
    let (mut done, mut not_done) = (Vec::new(), Vec::new());
    for (handle, ended) in handles.into_iter().zip(&watch.ended) {
        if *ended { done.push(handle) } else { not_done.push(handle) }
    }
    Waited { done, not_done }
}

/// Where the wakers say which handles have changed.
#[derive(Debug, Default)]
struct Bell {
    changed: Mutex<Vec<usize>>,
    rung: Condvar,
}

/// Rings for the handle at `place`.
#[derive(Debug)]
struct Ring {
    bell: Arc<Bell>,
    place: usize,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.bell.changed.lock().unwrap_or_else(PoisonError::into_inner).push(self.place);
        self.bell.rung.notify_one();
    }
}

impl Bell {
    /// Waits until some have changed; none when `until` has passed. Without a deadline for a caller that asked to wait
    /// however long it takes: every task ends in an outcome.
    fn next(&self, until: Option<Instant>) -> Vec<usize> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        while changed.is_empty() {
            changed = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.rung.wait(changed).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.rung.wait_timeout(changed, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        std::mem::take(&mut *changed)
    }
}

/// The handles that are waited for.
struct Watch {
    jobs: Vec<Arc<Job>>,
    wakers: Vec<Waker>,
    bell: Arc<Bell>,
    ended: Vec<bool>,
    pending: usize,
    /// One has ended with a failure.
    failed: bool,
}

impl Watch {
    fn new(jobs: Vec<Arc<Job>>) -> Self {
        let bell = Arc::<Bell>::default();
        let waker = |place| Waker::from(Arc::new(Ring { bell: bell.clone(), place }));
        let wakers = (0..jobs.len()).map(waker).collect();
        let (ended, pending) = (vec![false; jobs.len()], jobs.len());
        Self { jobs, wakers, bell, ended, pending, failed: false }
    }

    fn wait(&mut self, until: Option<Instant>, return_when: ReturnWhen) {
        (0..self.jobs.len()).for_each(|place| self.look(place));
        while !self.enough(return_when) {
            let changed = self.bell.next(until);
            if changed.is_empty() {
                return;
            }
            changed.into_iter().for_each(|place| self.look(place));
        }
    }

    /// Notes whether the handle at `place` has ended; if not, its next change rings.
    fn look(&mut self, place: usize) {
        let mut state = self.jobs[place].sink.lock();
        if !state.done() {
            state.wake_later(&self.wakers[place]);
        } else if !std::mem::replace(&mut self.ended[place], true) {
            self.pending -= 1;
            self.failed |= has_failed(&state);
        }
    }

    fn enough(&self, return_when: ReturnWhen) -> bool {
        self.pending == 0
            || match return_when {
                ReturnWhen::FirstCompleted => self.pending < self.jobs.len(),
                ReturnWhen::FirstException => self.failed,
                ReturnWhen::AllCompleted => false,
            }
    }
}

impl Drop for Watch {
    /// Who asks again and again for a task that does not end must not leave a waker with it each time.
    fn drop(&mut self) {
        for (place, job) in self.jobs.iter().enumerate().filter(|(place, _)| !self.ended[*place]) {
            job.sink.lock().wake_no_more(&self.wakers[place]);
        }
    }
}

fn has_failed(state: &SinkState) -> bool {
    state.batches.iter().flat_map(Batch::all_errors).any(|error| error.kind() != TaskErrorKind::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::gang::Refusal;
    use crate::pool::sink::wake_all;

    /// A job that has ended in this way.
    fn ended(kind: TaskErrorKind) -> Arc<Job> {
        Refusal { kind, text: String::new(), task: "task".into() }.into_job()
    }

    /// A job of which nothing is known yet.
    fn open() -> Arc<Job> {
        let job = ended(TaskErrorKind::Failed);
        job.sink.lock().expected = None;
        job
    }

    #[test]
    fn each_way_returns_when_it_says() {
        use ReturnWhen::{AllCompleted, FirstCompleted, FirstException};
        use TaskErrorKind::{Cancelled, Failed};
        for (jobs, way, enough) in [
            (vec![], FirstCompleted, true),
            (vec![], FirstException, true),
            (vec![], AllCompleted, true),
            (vec![open(), ended(Cancelled)], FirstCompleted, true),
            (vec![open(), open()], FirstCompleted, false),
            (vec![open(), ended(Cancelled)], FirstException, false),
            (vec![open(), ended(Failed)], FirstException, true),
            (vec![ended(Cancelled), ended(Cancelled)], FirstException, true),
            (vec![open(), ended(Failed)], AllCompleted, false),
            (vec![ended(Cancelled), ended(Failed)], AllCompleted, true),
        ] {
            let mut watch = Watch::new(jobs);
            watch.wait(deadline(Duration::ZERO), way);
            assert_eq!(watch.enough(way), enough, "{way:?} of {:?}", watch.ended);
        }
    }

    #[test]
    fn a_change_that_is_no_end_is_waited_past() {
        let job = open();
        let theirs = job.clone();
        let mut watch = Watch::new(vec![job]);
        watch.look(0);
        wake_all(theirs.sink.change(|state| state.window = 7));
        let end = std::thread::spawn(move || wake_all(theirs.sink.expect(1)));
        watch.wait(None, ReturnWhen::AllCompleted);
        assert_eq!((watch.ended.as_slice(), watch.failed), (&[true][..], true));
        end.join().expect("it only wakes");
    }

    #[test]
    fn nothing_is_left_with_a_handle_that_does_not_end() {
        let job = open();
        for _ in 0..10 {
            Watch::new(vec![job.clone()]).wait(deadline(Duration::ZERO), ReturnWhen::AllCompleted);
        }
        assert!(job.sink.change(|_| ()).is_empty());
    }
}
