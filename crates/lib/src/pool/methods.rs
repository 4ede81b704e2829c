//! The calls of a pool.

use std::sync::Arc;
use std::time::Duration;

use super::builder::Builder;
use super::callbacks::{Callbacks, PanicNote};
use super::feed::{Encode, feed};
use super::gang::{Gang, Owner, Refusal};
use super::handle::{AsyncResult, Read};
use super::imap::{IMap, IMapUnordered, Source};
use super::job::Job;
use super::read::{self, InOrder, outcome};
use super::sink::{Batch, wake_all};
use super::terms::{Retry, Terms};
use crate::task::Task;
use crate::{Error, TaskError, TaskErrorKind};

/// A gang of worker processes.
///
/// Clones are handles of the same gang. When the last one is dropped, what still runs is killed; [`close`](Self::close)
/// and [`join`](Self::join) let it end first. Every method may be called from any thread.
///
/// ```
/// let pool = ganger::Pool::new(2)?;
/// let cubes = pool.map(|x: i64| x * x * x, 0..5)?;
/// assert_eq!(cubes, [0, 1, 8, 27, 64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    owner: Arc<Owner>,
    pub(super) terms: Terms,
}

impl Pool {
    /// Starts `workers` processes with start method `forkserver` and waits until the first is ready.
    ///
    /// # Errors
    /// When `workers` is 0, or processes cannot be started.
    pub fn new(workers: usize) -> Result<Self, Error> {
        Self::builder().workers(workers).build()
    }

    /// A pool with settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn from_gang(gang: Gang, terms: Terms) -> Self {
        Self { owner: Arc::new(Owner(Arc::new(gang))), terms }
    }

    pub(super) fn gang(&self) -> &Arc<Gang> {
        &self.owner.0
    }

    /// Another handle of the same gang, whose maps send `chunksize` tasks at a time instead of a measured number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`](crate::ErrorKind::InvalidSetting) when it is 0.
    pub fn with_chunksize(&self, chunksize: usize) -> Result<Self, Error> {
        self.with(|terms| terms.set_chunksize(chunksize))
    }

    /// Another handle of the same gang, whose tasks may run for `limit`, each from its begin; see
    /// [`Builder::timeout`](crate::Builder::timeout).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`](crate::ErrorKind::InvalidSetting) when it is 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// fn nap(millis: u64) -> u64 { std::thread::sleep(Duration::from_millis(millis)); millis }
    /// let pool = ganger::Pool::new(2)?;
    /// let error = pool.with_timeout(Duration::from_millis(50))?.apply(nap, (60_000,)).unwrap_err();
    /// assert_eq!(error.kind(), ganger::TaskErrorKind::TimedOut);
    /// assert_eq!(pool.apply(nap, (1,))?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_timeout(&self, limit: Duration) -> Result<Self, Error> {
        self.with(|terms| terms.set_timeout(limit))
    }

    /// Another handle of the same gang, whose tasks may wait for `limit` until they begin; see
    /// [`Builder::queue_timeout`](crate::Builder::queue_timeout).
    ///
    /// # Errors
    /// As of [`with_timeout`](Self::with_timeout).
    pub fn with_queue_timeout(&self, limit: Duration) -> Result<Self, Error> {
        self.with(|terms| terms.set_queue_timeout(limit))
    }

    /// Another handle of the same gang, whose tasks are tried again as `retry` says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`](crate::ErrorKind::InvalidSetting) when it makes no sense.
    pub fn with_retry(&self, retry: &Retry) -> Result<Self, Error> {
        self.with(|terms| terms.set_retry(retry))
    }

    /// Another handle of the same gang, whose tasks have this priority; without it, they have 0. Python's pools have none.
    ///
    /// What waits with a higher priority is sent to workers first, and what waits with the same in the order of its
    /// submission; that holds for tasks of all handles, and for those that `imap` has pulled from its input. What is with a
    /// worker already is not taken back for it: a more urgent task is behind the one that the worker runs and what was sent ahead
    /// of time: one or two milliseconds of work, as far as it is known how long such tasks take; or one task, if that is known to
    /// take less than 20 ms; or, where a chunk size is set, less than three chunks. A task that is tried again alone, after it killed its worker, waits apart from the others.
    ///
    /// A lower priority is no share: as long as there is more urgent work for all workers, the less urgent waits.
    /// [`queue_timeout`](crate::Builder::queue_timeout) bounds that.
    ///
    /// ```
    /// # let pool = ganger::Pool::new(1)?;
    /// fn square(x: i64) -> i64 { x * x }
    /// let background = pool.with_priority(-1).map_async(square, 0..1000);
    /// let urgent = pool.with_priority(10).apply_async(square, (7,));
    /// assert_eq!((urgent.get()?, background.get()?.len()), (49, 1000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle itself is as it was"]
    pub fn with_priority(&self, priority: i32) -> Self {
        let mut other = self.clone();
        other.terms.set_priority(priority);
        other
    }

    fn with(&self, change: impl FnOnce(&mut Terms) -> Result<(), Error>) -> Result<Self, Error> {
        let mut other = self.clone();
        change(&mut other.terms)?;
        Ok(other)
    }

    // One call.

    /// Runs one task and waits for its value. Python's `apply`.
    ///
    /// # Errors
    /// How the task ended without a value.
    ///
    /// ```
    /// # let pool = ganger::Pool::new(1)?;
    /// fn join(words: Vec<String>, between: String) -> String { words.join(&between) }
    /// assert_eq!(pool.apply(join, (vec!["a".to_owned(), "b".to_owned()], "-".to_owned()))?, "a-b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply<F, Args, R>(&self, task: F, arguments: Args) -> Result<R, TaskError>
    where
        F: Task<Args, R>,
    {
        let job = self.start_apply(&task, arguments);
        self.gang().wait_for(&job);
        let state = job.sink.wait(None, |state| state.done());
        read::single(&job, &state, F::decode)
    }

    /// Runs one task and returns at once. Python's `apply_async`.
    pub fn apply_async<F, Args, R>(&self, task: F, arguments: Args) -> AsyncResult<R>
    where
        F: Task<Args, R>,
        R: 'static,
    {
        let job = self.start_apply(&task, arguments);
        self.handle(job, Self::read_single(F::decode))
    }

    /// As [`apply_async`](Self::apply_async); afterwards one of the callbacks is called.
    pub fn apply_async_with<F, Args, R>(&self, task: F, arguments: Args, callbacks: Callbacks<R>) -> AsyncResult<R>
    where
        F: Task<Args, R>,
        R: 'static,
    {
        let job = self.start_apply(&task, arguments);
        self.handle_with(job, Self::read_single(F::decode), callbacks)
    }

    fn start_apply<F, Args, R>(&self, task: &F, arguments: Args) -> Arc<Job>
    where
        F: Task<Args, R>,
    {
        match self.job(task, self.terms.single()) {
            Ok(job) => {
                self.gang().submit_one(&job, &arguments, F::encode);
                job
            }
            Err(refusal) => refusal.into_job(),
        }
    }

    // Many calls.

    /// Runs `task` once for every item and waits for all values, in the order of the items. Python's `map`.
    ///
    /// # Errors
    /// The error of the first item, in their order, whose task failed, after all have ended.
    pub fn map<F, A, R>(&self, task: F, items: impl IntoIterator<Item = A>) -> Result<Vec<R>, TaskError>
    where
        F: Task<(A,), R>,
    {
        self.starmap(task, items.into_iter().map(|item| (item,)))
    }

    /// As [`map`](Self::map), with the outcome of every single task.
    pub fn try_map<F, A, R>(&self, task: F, items: impl IntoIterator<Item = A>) -> Vec<Result<R, TaskError>>
    where
        F: Task<(A,), R>,
    {
        let mut outcomes = Vec::new();
        let items = items.into_iter().map(|item| (item,));
        match self.collect(self.job(&task, self.terms), (items, F::encode), F::decode, |outcome| outcomes.push(outcome))
        {
            Ok(()) => outcomes,
            Err((refusal, count)) => (0..count).map(|index| Err(refusal.to_error(index))).collect(),
        }
    }

    /// As [`map`](Self::map), for functions of several arguments: each item is a tuple of them. Python's `starmap`.
    ///
    /// # Errors
    /// As of `map`.
    ///
    /// ```
    /// # let pool = ganger::Pool::new(1)?;
    /// let powers = pool.starmap(i64::pow, [(2_i64, 3_u32), (3, 2)])?;
    /// assert_eq!(powers, [8, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn starmap<F, Args, R>(&self, task: F, items: impl IntoIterator<Item = Args>) -> Result<Vec<R>, TaskError>
    where
        F: Task<Args, R>,
    {
        let items = items.into_iter();
        let mut values = Ok(Vec::with_capacity(items.size_hint().0.min(RESERVE)));
        let take = |outcome| match (&mut values, outcome) {
            (Ok(values), Ok(value)) => values.push(value),
            (Ok(_), Err(error)) => values = Err(error),
            (Err(_), _) => {}
        };
        match self.collect(self.job(&task, self.terms), (items, F::encode), F::decode, take) {
            Ok(()) => values,
            Err((_, 0)) => Ok(Vec::new()),
            Err((refusal, _)) => Err(refusal.to_error(0)),
        }
    }

    /// Runs the tasks and hands every outcome to `take`, in the order of the items, while others still run.
    pub(super) fn collect<Args, R>(
        &self,
        job: Result<Arc<Job>, Refusal>,
        (items, encode): (impl Iterator<Item = Args>, Encode<Args>),
        decode: read::Decode<R>,
        mut take: impl FnMut(Result<R, TaskError>),
    ) -> Result<(), (Refusal, u64)> {
        let job = match job {
            Ok(job) => job,
            // What the caller has to be told for every item depends on how many there are.
            Err(refusal) => return Err((refusal, items.count() as u64)),
        };
        let few = items.size_hint().1.is_some_and(|most| most <= FEW);
        self.gang().submit_all(&job, items, encode);
        let mut order = InOrder::default();
        let mut read = |batch: &Batch| (0..).map_while(|place| outcome(&job, batch, place, decode)).for_each(&mut take);
        loop {
            if few {
                // As `apply` does: the way of results through the driver's thread takes longer than tiny tasks take to run.
                self.gang().wait_for_some(&job);
            }
            let mut state = job.sink.wait(None, |state| state.done() || !state.batches.is_empty());
            let (done, batches) = (state.done(), std::mem::take(&mut state.batches));
            drop(state);
            batches.into_iter().for_each(|batch| order.add(batch, &mut read));
            if done {
                return Ok(());
            }
        }
    }

    /// As [`map`](Self::map), but returns at once. Python's `map_async`.
    pub fn map_async<F, A, R>(&self, task: F, items: impl IntoIterator<Item = A>) -> AsyncResult<Vec<R>>
    where
        F: Task<(A,), R>,
        R: 'static,
    {
        self.starmap_async(task, items.into_iter().map(|item| (item,)))
    }

    /// As [`map_async`](Self::map_async); afterwards one of the callbacks is called, once, with all values.
    pub fn map_async_with<F, A, R>(
        &self,
        task: F,
        items: impl IntoIterator<Item = A>,
        callbacks: Callbacks<Vec<R>>,
    ) -> AsyncResult<Vec<R>>
    where
        F: Task<(A,), R>,
        R: 'static,
    {
        self.starmap_async_with(task, items.into_iter().map(|item| (item,)), callbacks)
    }

    /// As [`starmap`](Self::starmap), but returns at once. Python's `starmap_async`.
    pub fn starmap_async<F, Args, R>(&self, task: F, items: impl IntoIterator<Item = Args>) -> AsyncResult<Vec<R>>
    where
        F: Task<Args, R>,
        R: 'static,
    {
        let job = self.start_map(&task, items.into_iter());
        self.handle(job, Self::read_all(F::decode))
    }

    /// As [`starmap_async`](Self::starmap_async); afterwards one of the callbacks is called, once, with all values.
    pub fn starmap_async_with<F, Args, R>(
        &self,
        task: F,
        items: impl IntoIterator<Item = Args>,
        callbacks: Callbacks<Vec<R>>,
    ) -> AsyncResult<Vec<R>>
    where
        F: Task<Args, R>,
        R: 'static,
    {
        let job = self.start_map(&task, items.into_iter());
        self.handle_with(job, Self::read_all(F::decode), callbacks)
    }

    fn start_map<F, Args, R>(&self, task: &F, items: impl Iterator<Item = Args>) -> Arc<Job>
    where
        F: Task<Args, R>,
    {
        match self.job(task, self.terms) {
            Ok(job) => {
                self.gang().submit_all(&job, items, F::encode);
                job
            }
            Err(refusal) => refusal.into_job(),
        }
    }

    // Lazy calls.

    /// Runs `task` for the items of an iterator and gives the outcomes in their order, as they come. Python's `imap`.
    ///
    /// The input is pulled on a thread of its own, only a bounded number of tasks (and bytes) ahead of the reader: an
    /// infinite iterator is fine. When it panics, the outcomes before are given, then
    /// [`InputPanicked`](TaskErrorKind::InputPanicked). Dropping the result cancels what has not begun.
    ///
    /// ```
    /// # let pool = ganger::Pool::new(2)?;
    /// let first: Result<Vec<i64>, _> = pool.imap(|x: i64| x * x, 1..).take(3).collect();
    /// assert_eq!(first?, [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn imap<F, A, R, I>(&self, task: F, items: I) -> IMap<R>
    where
        F: Task<(A,), R>,
        I: IntoIterator<Item = A>,
        I::IntoIter: Send + 'static,
        A: 'static,
    {
        self.source(&task, items).ordered()
    }

    /// As [`imap`](Self::imap), with outcomes in the order in which tasks end. Python's `imap_unordered`.
    pub fn imap_unordered<F, A, R, I>(&self, task: F, items: I) -> IMapUnordered<R>
    where
        F: Task<(A,), R>,
        I: IntoIterator<Item = A>,
        I::IntoIter: Send + 'static,
        A: 'static,
    {
        self.source(&task, items).unordered()
    }

    fn source<F, A, R, I>(&self, task: &F, items: I) -> Source<R>
    where
        F: Task<(A,), R>,
        I: IntoIterator<Item = A>,
        I::IntoIter: Send + 'static,
        A: 'static,
    {
        let job = self.job(task, self.terms).and_then(|job| {
            let input = items.into_iter().map(|item| (item,));
            let encode: Encode<(A,)> = F::encode;
            match feed(&self.gang().supervisor, &job, input, encode, self.gang().look_ahead) {
                Ok(()) => Ok(job),
                Err(error) => Err(Refusal {
                    kind: TaskErrorKind::NotRunning,
                    text: format!("could not be submitted: no thread for its input: {error}"),
                    task: job.name.clone(),
                }),
            }
        });
        Source { gang: self.gang().clone(), job, decode: F::decode }
    }

    fn job<F, Args, R>(&self, task: &F, terms: Terms) -> Result<Arc<Job>, Refusal>
    where
        F: Task<Args, R>,
    {
        self.gang().job(task.prepare(self.gang().id), std::any::type_name::<F>(), terms)
    }

    fn read_single<R: 'static>(decode: read::Decode<R>) -> Read<R> {
        Arc::new(move |job, state| read::single(job, state, decode))
    }

    fn read_all<R: 'static>(decode: read::Decode<R>) -> Read<Vec<R>> {
        Arc::new(move |job, state| read::all(job, state, decode))
    }

    fn handle<V>(&self, job: Arc<Job>, read: Read<V>) -> AsyncResult<V> {
        AsyncResult::new(self.gang().clone(), job, read, PanicNote::default())
    }

    fn handle_with<V: 'static>(&self, job: Arc<Job>, read: Read<V>, callbacks: Callbacks<V>) -> AsyncResult<V> {
        let note = PanicNote::default();
        if let Err(error) = self.gang().call_back(&job, &read, callbacks, &note) {
            // Said at the handle: the one place where the caller looks anyway.
            let text = format!("has run, but no thread could be made for its callback: {error}");
            wake_all(job.sink.deliver(Batch::error(job.error(TaskErrorKind::Lost, text, 0))));
        }
        AsyncResult::new(self.gang().clone(), job, read, note)
    }
}

/// For so many values room is made before they come; an input may claim to be longer than it is.
const RESERVE: usize = 1 << 20;

/// Who waits for so few results does the driver's work meanwhile.
const FEW: usize = 2048;
