//! Callbacks: one thread per pool runs them, one at a time, in completion order.
//!
//! It is not the thread that receives results: a slow callback delays other callbacks, never a result.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

use ganger_os::thread::{OwnThread, spawn_own};

use crate::TaskError;
use crate::worker::panic_text;

/// What to do with the outcome of an asynchronous call: a function for its value, and one for its error.
///
/// Exactly one of them is called, once, after the handle has resolved, on the pool's callback thread. They may call any
/// method of the pool, submit more work, or wait for other handles; only `join` they cannot, as it would wait for
/// themselves. When one panics, the handle knows ([`callback_panic`](crate::AsyncResult::callback_panic)), and nothing
/// stops. Python's `callback` and `error_callback`.
///
/// ```
/// use std::sync::mpsc;
/// let (sender, receiver) = mpsc::channel();
/// let pool = ganger::Pool::new(1)?;
/// let callbacks = ganger::Callbacks::new(move |value: i64| sender.send(value).unwrap())
///     .on_error(|error| eprintln!("{error}"));
/// pool.apply_async_with(|x: i64| x * x, (7,), callbacks);
/// assert_eq!(receiver.recv()?, 49);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Callbacks<V> {
    on_value: Box<dyn FnOnce(V) + Send>,
    on_error: Box<dyn FnOnce(TaskError) + Send>,
}

impl<V> std::fmt::Debug for Callbacks<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

impl<V> Callbacks<V> {
    /// Has `on_value` called with the value.
    pub fn new(on_value: impl FnOnce(V) + Send + 'static) -> Self {
        Self { on_value: Box::new(on_value), on_error: Box::new(drop) }
    }

    /// Has `on_error` called with the error.
    #[must_use]
    pub fn on_error(mut self, on_error: impl FnOnce(TaskError) + Send + 'static) -> Self {
        self.on_error = Box::new(on_error);
        self
    }

    /// Calls the one that fits.
    pub(crate) fn call(self, outcome: Result<V, TaskError>) {
        match outcome {
            Ok(value) => (self.on_value)(value),
            Err(error) => (self.on_error)(error),
        }
    }
}

/// Where a callback's panic is noted.
pub(crate) type PanicNote = Arc<OnceLock<String>>;

struct Callback {
    run: Box<dyn FnOnce() + Send>,
    note: PanicNote,
}

/// The queue of one pool's callbacks, and its thread.
#[derive(Default)]
pub(crate) struct CallbackThread {
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for CallbackThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackThread").field("waiting", &self.lock().queue.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Callback>,
    thread: Option<ThreadId>,
    busy: bool,
    /// Nothing comes any more: the thread may leave when the queue is empty.
    closed: bool,
}

impl CallbackThread {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the thread exists; called when a callback is registered, not when it is due.
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let mut state = self.lock();
        if state.thread.is_none() {
            let this = self.clone();
            let handle = spawn_own("ganger: callback", move |thread| this.run(thread))?;
            state.thread = Some(handle.thread().id());
        }
        Ok(())
    }

    /// Queues a callback; where its panic would be noted goes with it.
    pub(crate) fn push(&self, run: impl FnOnce() + Send + 'static, note: PanicNote) {
        self.lock().queue.push_back(Callback { run: Box::new(run), note });
        self.changed.notify_all();
    }

    /// Whether the current thread is this one.
    pub(crate) fn is_current(&self) -> bool {
        self.lock().thread == Some(std::thread::current().id())
    }

    /// Lets the thread leave once it has run what is queued.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until everything that is queued has run. Without a deadline: `join` was asked to wait for the user's code.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        while state.busy || !state.queue.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until everything that is queued has run, until `until` at most.
    pub(crate) fn drain_until(&self, until: Instant) {
        let mut state = self.lock();
        while state.thread.is_some() && (state.busy || !state.queue.is_empty()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn run(&self, thread: &OwnThread) {
        while let Some(callback) = thread.park(|| self.next()) {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(callback.run)) {
                let text = panic_text(payload);
                tracing::error!(panic = text.as_str(), "a callback panicked");
                // It is set once, as a callback runs once.
                let _ = callback.note.set(text);
            }
            self.lock().busy = false;
            self.changed.notify_all();
        }
    }

    /// Waits for the next callback; without a deadline, as `close` ends it.
    fn next(&self) -> Option<Callback> {
        let mut state = self.lock();
        loop {
            if let Some(callback) = state.queue.pop_front() {
                state.busy = true;
                return Some(callback);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
