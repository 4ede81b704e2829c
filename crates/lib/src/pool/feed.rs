//! Lazy input: a thread pulls an iterator, never further ahead of the reader than the window allows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ganger_os::biased::{Owner, Visitor, biased};
use ganger_os::thread::{OwnThread, spawn_own};

use super::job::{Chunk, Job};
use super::sink::{Batch, wake_all};
use crate::TaskErrorKind;
use crate::supervisor::driver::Supervisor;
use crate::supervisor::event::Event;
use crate::wire::codec::CodecError;
use crate::worker::panic_text;

/// The feeds of one supervisor whose input has not ended.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<Vec<Arc<Feed>>>);

/// One job's input: tasks that are encoded and not yet submitted.
#[derive(Debug)]
pub(crate) struct Feed {
    job: Arc<Job>,
    waiting: Visitor<Waiting>,
    /// The user fixed the look-ahead.
    fixed: bool,
}

/// What the driver fetches when workers are hungry. Adding to it takes no lock, neither the core's, which the driver
/// holds while it writes to workers, nor any other; and the driver never waits for code of users, which encodes arguments: the chunk that is
/// being filled is not here meanwhile.
#[derive(Debug, Default)]
struct Waiting {
    full: Vec<Chunk>,
    /// The one that is being filled, if it has tasks.
    growing: Option<Box<Chunk>>,
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Feed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands waiting tasks of priority `appetite` or a higher one to `submit`: of each feed the full chunks, or, if there is
    /// none, the one that is being filled; `all` for both, of every feed.
    pub(crate) fn collect(&self, appetite: i64, all: bool, mut submit: impl FnMut(&Arc<Job>, Chunk)) {
        for feed in self.lock().iter().filter(|feed| all || i64::from(feed.job.terms.priority) >= appetite) {
            let (full, growing) = feed.waiting.with(|waiting| {
                let full = std::mem::take(&mut waiting.full);
                let enough = !full.is_empty() && !all;
                (full, if enough { None } else { waiting.growing.take() })
            });
            full.into_iter().chain(growing.map(|chunk| *chunk)).for_each(|chunk| submit(&feed.job, chunk));
        }
    }

    /// Whether no input is open.
    pub(crate) fn are_none(&self) -> bool {
        self.lock().is_empty()
    }

    /// Has every feeder end its input; returns what is to be woken for it.
    pub(crate) fn end(&self) -> Vec<Waker> {
        self.lock().iter().flat_map(|feed| feed.job.sink.change(|state| state.fed_up = true)).collect()
    }

    /// Lets each feed look as far ahead as `window` says; returns what is to be woken for it.
    pub(crate) fn widen(&self, window: impl Fn(&Job) -> i64) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for feed in self.lock().iter().filter(|feed| !feed.fixed) {
            let window = window(&feed.job);
            if feed.job.sink.lock().window < window {
                wakers.extend(feed.job.sink.change(|state| state.window = window));
            }
        }
        wakers
    }

    /// The most urgent come first: what is collected first may be sent at once.
    fn add(&self, feed: &Arc<Feed>) {
        let mut feeds = self.lock();
        let place = feeds.partition_point(|other| other.job.terms.priority >= feed.job.terms.priority);
        feeds.insert(place, feed.clone());
    }

    fn remove(&self, feed: &Arc<Feed>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, feed));
    }
}

/// A feed that is open: its supervisor fetches from it. It closes when it is dropped.
pub(crate) struct OpenFeed {
    supervisor: Arc<Supervisor>,
    feed: Arc<Feed>,
    waiting: Owner<Waiting>,
    /// The index of the next task.
    next: u64,
    /// How many tasks and bytes the last chunk had when it was fetched.
    room: (usize, usize),
    /// How many tasks were added since this feeder last handed some over, and how many are enough for that.
    gathered: (u32, u32),
}

impl OpenFeed {
    /// Opens a feed; `fixed` when its window is not to be widened.
    pub(crate) fn new(supervisor: &Arc<Supervisor>, job: &Arc<Job>, fixed: bool) -> Self {
        let (owner, waiting) = biased(Waiting::default());
        let feed = Arc::new(Feed { job: job.clone(), waiting, fixed });
        let worth = supervisor.with_core(|core| {
            core.handle(Event::FeedOpened(job.id));
            core.worth(job)
        });
        supervisor.feeds.add(&feed);
        Self { supervisor: supervisor.clone(), feed, waiting: owner, next: 0, room: (0, 0), gathered: (0, worth) }
    }

    /// Adds a task; one that cannot be encoded ends before it begins, and keeps its place in the order. Returns how many
    /// bytes its arguments have.
    pub(crate) fn add<A>(&mut self, item: &A, encode: Encode<A>) -> usize {
        let mut chunk = self.take_growing();
        let added = chunk.push(|out| encode(item, out));
        self.next += u64::from(added.is_ok());
        self.put(chunk);
        let length = added.unwrap_or_else(|(kind, text)| {
            self.add_error(kind, text);
            0
        });
        // After an error as well: the driver may have looked meanwhile, in vain, for what is in the chunk.
        self.offer();
        length
    }

    #[inline]
    fn offer(&mut self) {
        let (gathered, enough) = &mut self.gathered;
        *gathered = gathered.saturating_add(1);
        if self.supervisor.offer(self.feed.job.terms.priority, *gathered >= *enough) {
            // Workers have something to do meanwhile: the next piece may be larger.
            self.gathered = (0, enough.saturating_mul(2));
        }
    }

    /// The chunk to add the next task to: the one that was last added to, or a new one, when that was fetched or is full.
    #[inline]
    fn take_growing(&mut self) -> Box<Chunk> {
        let growing = self.waiting.with(|waiting| waiting.growing.take());
        growing.unwrap_or_else(|| Box::new(Chunk::with_room(self.next, self.room)))
    }

    /// Lets the driver have a chunk, if it fetches it before the next task is added to it.
    #[inline]
    fn put(&mut self, mut chunk: Box<Chunk>) {
        self.room = chunk.size();
        let passenger = chunk.split_off_passenger();
        // An empty one among the full ones would hide that the other is all there is.
        let filled = (chunk.len() > 0).then_some(chunk);
        if passenger.is_none() && !filled.as_ref().is_some_and(|chunk| chunk.is_full()) {
            self.waiting.with(|waiting| waiting.growing = filled);
        } else {
            self.waiting.with(|waiting| waiting.full.extend(filled.map(|chunk| *chunk).into_iter().chain(passenger)));
        }
    }

    /// Adds a task that has ended before it began.
    fn add_error(&mut self, kind: TaskErrorKind, text: String) {
        // What is in one chunk has indices that follow each other.
        self.waiting.with(|waiting| waiting.full.extend(waiting.growing.take().map(|chunk| *chunk)));
        let index = self.next;
        self.next += 1;
        wake_all(self.feed.job.sink.deliver(Batch::error(self.feed.job.error(kind, text, index))));
    }
}

impl Drop for OpenFeed {
    /// Submits the rest and says how many tasks there were.
    fn drop(&mut self) {
        self.supervisor.feeds.remove(&self.feed);
        let Waiting { full, growing } = self.waiting.with(std::mem::take);
        let rest = full.into_iter().chain(growing.map(|chunk| *chunk));
        self.supervisor.with_core(|core| {
            rest.for_each(|chunk| core.submit(&self.feed.job, chunk));
            core.handle(Event::FeedClosed(self.feed.job.id));
        });
        wake_all(self.feed.job.sink.expect(self.next));
    }
}

/// How far an input may be ahead of its reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookAhead {
    /// Tasks; measured when not given.
    pub(crate) tasks: Option<i64>,
    pub(crate) bytes: i64,
}

/// Encodes one item's arguments.
pub(crate) type Encode<A> = fn(&A, &mut Vec<u8>) -> Result<(), CodecError>;

/// Pulls `input` on a thread of its own and submits it as tasks of `job`, until it ends or the reader goes.
pub(crate) fn feed<I>(
    supervisor: &Arc<Supervisor>,
    job: &Arc<Job>,
    input: I,
    encode: Encode<I::Item>,
    limits: LookAhead,
) -> std::io::Result<()>
where
    I: Iterator + Send + 'static,
{
    let window = limits.tasks.unwrap_or_else(|| supervisor.with_core(|core| core.look_ahead(job)));
    {
        let mut state = job.sink.lock();
        (state.window, state.fixed, state.most_bytes) = (window, limits.tasks.is_some(), limits.bytes);
    }
    let open = OpenFeed::new(supervisor, job, limits.tasks.is_some());
    spawn_own("ganger: input", move |thread| Feeder { open, encode }.run(thread, input))?;
    Ok(())
}

struct Feeder<A> {
    open: OpenFeed,
    encode: Encode<A>,
}

impl<A> Feeder<A> {
    fn run(mut self, thread: &OwnThread, input: impl Iterator<Item = A>) {
        let mut input = AssertUnwindSafe(input);
        let job = self.open.feed.job.clone();
        while self.wait_for_room(thread) {
            match catch_unwind(AssertUnwindSafe(|| input.next())) {
                Ok(Some(item)) => {
                    let length = self.open.add(&item, self.encode);
                    let mut state = job.sink.lock();
                    state.load.tasks += 1;
                    state.load.bytes += length as i64;
                    drop(state);
                    // The item just taken ends with the reason; an endless input would give that for ever.
                    if self.open.supervisor.over() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(payload) => {
                    let text = format!("has no input: its iterator panicked: {}", panic_text(payload));
                    self.open.add_error(TaskErrorKind::InputPanicked, text);
                    break;
                }
            }
        }
        // The user's iterator may panic once more while it is dropped; nobody is left whom that would concern.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(input)));
    }

    /// Waits until the reader is close enough; `false` when no more is wanted.
    fn wait_for_room(&self, thread: &OwnThread) -> bool {
        let sink = &self.open.feed.job.sink;
        let at_once = sink.lock().may_feed();
        at_once.unwrap_or_else(|| thread.park(|| sink.wait_for_room()))
    }
}
