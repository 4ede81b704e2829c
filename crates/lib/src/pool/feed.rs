//! Lazy input: a thread pulls an iterator, never further ahead of the reader than the window allows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ganger_os::thread::{OwnThread, spawn_own};

use super::job::{Chunk, Job};
use super::sink::{Batch, SinkState, wake_all};
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
    waiting: Mutex<Waiting>,
    /// The user fixed the look-ahead.
    fixed: bool,
}

/// What the driver fetches when workers are hungry. Whoever adds to it never waits for the core's lock, which the driver
/// holds while it writes to workers.
#[derive(Debug)]
struct Waiting {
    full: Vec<Chunk>,
    growing: Chunk,
}

impl Waiting {
    fn take(&mut self) -> Vec<Chunk> {
        let mut chunks = std::mem::take(&mut self.full);
        chunks.push(self.growing.take());
        chunks
    }
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Feed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands waiting tasks of priority `appetite` or a higher one to `submit`: of each feed the full chunks, or, if there is
    /// none, the one that is being filled; `all` for both, of every feed.
    pub(crate) fn collect(&self, appetite: i64, all: bool, mut submit: impl FnMut(&Arc<Job>, Chunk)) {
        for feed in self.lock().iter().filter(|feed| all || i64::from(feed.priority()) >= appetite) {
            let full = std::mem::take(&mut feed.lock().full);
            let enough = !full.is_empty() && !all;
            full.into_iter().for_each(|chunk| submit(&feed.job, chunk));
            if !enough {
                submit(&feed.job, feed.take_growing());
            }
        }
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
        let place = feeds.partition_point(|other| other.priority() >= feed.priority());
        feeds.insert(place, feed.clone());
    }

    fn remove(&self, feed: &Arc<Feed>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, feed));
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn priority(&self) -> i32 {
        self.job.terms.priority
    }

    /// Takes the chunk that is being filled. Its successor is allocated without the lock, for which its feeder would wait.
    fn take_growing(&self) -> Chunk {
        let size = self.lock().growing.size();
        if size.0 == 0 {
            return Chunk::default();
        }
        let next = Chunk::with_room(size);
        self.lock().growing.replace(next)
    }
}

/// A feed that is open: its supervisor fetches from it. It closes when it is dropped.
pub(crate) struct OpenFeed {
    supervisor: Arc<Supervisor>,
    feed: Arc<Feed>,
}

impl OpenFeed {
    /// Opens a feed; `fixed` when its window is not to be widened.
    pub(crate) fn new(supervisor: &Arc<Supervisor>, job: &Arc<Job>, fixed: bool) -> Self {
        let waiting = Waiting { full: Vec::new(), growing: Chunk::starting_at(0) };
        let feed = Arc::new(Feed { job: job.clone(), waiting: Mutex::new(waiting), fixed });
        supervisor.with_core(|core| core.handle(Event::FeedOpened(job.id)));
        supervisor.feeds.add(&feed);
        Self { supervisor: supervisor.clone(), feed }
    }

    /// Adds a task; one that cannot be encoded ends before it begins, and keeps its place in the order. Returns how many
    /// bytes its arguments have.
    pub(crate) fn add<A>(&self, item: &A, encode: Encode<A>) -> usize {
        let mut waiting = self.feed.lock();
        let pushed = waiting.growing.push(|out| encode(item, out));
        if let Some(alone) = waiting.growing.split_off_passenger() {
            let next = Chunk::starting_at(alone.next_index());
            let before = std::mem::replace(&mut waiting.growing, next);
            waiting.full.extend([before, alone]);
        } else if waiting.growing.is_full() {
            let full = waiting.growing.take();
            waiting.full.push(full);
        }
        drop(waiting);
        match pushed {
            Ok(length) => {
                self.supervisor.offer(self.feed.priority());
                length
            }
            Err((kind, text)) => {
                self.add_error(kind, text);
                0
            }
        }
    }

    fn add_error(&self, kind: TaskErrorKind, text: String) {
        let index = {
            let mut waiting = self.feed.lock();
            let before = waiting.growing.take();
            let index = before.next_index();
            waiting.full.push(before);
            waiting.growing = Chunk::starting_at(index + 1);
            index
        };
        wake_all(self.feed.job.sink.deliver(Batch::error(self.feed.job.error(kind, text, index))));
    }
}

impl Drop for OpenFeed {
    /// Submits the rest and says how many tasks there were.
    fn drop(&mut self) {
        self.supervisor.feeds.remove(&self.feed);
        let mut waiting = self.feed.lock();
        let expected = waiting.growing.next_index();
        let rest = waiting.take();
        drop(waiting);
        self.supervisor.with_core(|core| {
            rest.into_iter().for_each(|chunk| core.submit(&self.feed.job, chunk));
            core.handle(Event::FeedClosed(self.feed.job.id));
        });
        wake_all(self.feed.job.sink.expect(expected));
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
        (state.window, state.fixed) = (window, limits.tasks.is_some());
    }
    let open = OpenFeed::new(supervisor, job, limits.tasks.is_some());
    spawn_own("ganger: input", move |thread| Feeder { open, encode, bytes: limits.bytes }.run(thread, input))?;
    Ok(())
}

struct Feeder<A> {
    open: OpenFeed,
    encode: Encode<A>,
    bytes: i64,
}

impl<A> Feeder<A> {
    fn run(self, thread: &OwnThread, input: impl Iterator<Item = A>) {
        let mut input = AssertUnwindSafe(input);
        let sink = &self.open.feed.job.sink;
        while self.wait_for_room(thread) {
            match catch_unwind(AssertUnwindSafe(|| input.next())) {
                Ok(Some(item)) => {
                    let length = self.open.add(&item, self.encode);
                    let mut state = sink.lock();
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

    /// Waits until the reader is close enough; `false` when no more is wanted. Without a deadline: a reader may take its time.
    fn wait_for_room(&self, thread: &OwnThread) -> bool {
        let sink = &self.open.feed.job.sink;
        let bytes = self.bytes;
        // One task is always allowed: otherwise one that is larger than the limit would never run.
        let room =
            |state: &SinkState| state.load.tasks <= 0 || (state.load.tasks < state.window && state.load.bytes < bytes);
        let state = sink.lock();
        if state.unwanted() || room(&state) {
            return !state.unwanted();
        }
        drop(state);
        thread.park(|| drop(sink.wait(None, |state| state.unwanted() || room(state))));
        !sink.lock().unwanted()
    }
}
