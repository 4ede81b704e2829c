//! Threads: ganger's own ones, counting the others, and forking beside both.
//!
//! A forked child has one thread; locks that others held stay locked in it for ever. So `fork` needs a process without
//! other threads. Ganger's own do not count, because they are *parked* while somebody forks: each of them is inside
//! [`OwnThread::park`], where it holds no lock that a child could need.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};

static GATE: Gate =
    Gate { state: Mutex::new(State { own: BTreeSet::new(), awake: 0, waiting: 0 }), changed: Condvar::new() };

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    own: BTreeSet<i32>,
    /// How many of ganger's own threads run now.
    awake: usize,
    /// How many threads wait for the others to park; while there are some, nobody wakes up.
    waiting: usize,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Proof that the current thread is one of ganger's own.
#[derive(Debug)]
pub struct OwnThread {
    id: i32,
}

/// Starts a thread of ganger's own. Signals are blocked in it: the host's handlers run on the host's threads.
///
/// # Errors
/// When the system has no room for another thread.
pub fn spawn_own<F>(name: &str, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce(&OwnThread) + Send + 'static,
{
    Builder::new().name(name.to_owned()).spawn(move || {
        // It fails only for an invalid request; without it a handler of the host may run here, which is allowed too.
        let _ = nix::sys::signal::SigSet::all().thread_block();
        let thread = OwnThread::enter();
        body(&thread);
    })
}

impl OwnThread {
    fn enter() -> Self {
        let id = nix::unistd::gettid().as_raw();
        let mut state = wake(GATE.lock());
        state.own.insert(id);
        drop(state);
        Self { id }
    }

    /// Runs `wait`, during which a fork may happen: it must only wait.
    pub fn park<T>(&self, wait: impl FnOnce() -> T) -> T {
        sleep(&mut GATE.lock());
        let result = wait();
        drop(wake(GATE.lock()));
        result
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        let mut state = GATE.lock();
        // The thread is gone from the process's list only a moment later: whoever counts looks twice.
        state.own.remove(&self.id);
        sleep(&mut state);
    }
}

fn sleep(state: &mut State) {
    AWAKE.set(false);
    state.awake -= 1;
    GATE.changed.notify_all();
}

fn wake(mut state: MutexGuard<'static, State>) -> MutexGuard<'static, State> {
    // Without a deadline: who waits for the others has one, and always leaves.
    while state.waiting > 0 {
        state = GATE.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.awake += 1;
    AWAKE.set(true);
    state
}

/// Why this process cannot be forked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// So many threads run that are not ganger's.
    Threads(usize),
    /// One of ganger's own threads did not come to rest, as a callback of the user's runs on it.
    Callback,
}

/// Holds all of ganger's own threads still for as long as it lives.
#[derive(Debug)]
pub(crate) struct Quiet {
    state: MutexGuard<'static, State>,
    /// Threads that are not ganger's run on.
    strangers: bool,
}

/// Waits until every other thread of ganger's own is parked and checks that there is no stranger's thread.
pub(crate) fn quiet(limit: Duration, strangers_allowed: bool) -> Result<Quiet, Busy> {
    let end = Instant::now() + limit;
    let mut state = GATE.lock();
    state.waiting += 1;
    while state.awake > usize::from(AWAKE.get()) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            leave_gate(&mut state);
            return Err(Busy::Callback);
        }
        state = GATE.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    match strangers(&state.own) {
        0 => Ok(Quiet { state, strangers: false }),
        _ if strangers_allowed => Ok(Quiet { state, strangers: true }),
        count => {
            leave_gate(&mut state);
            Err(Busy::Threads(count))
        }
    }
}

impl Quiet {
    /// Whether no thread runs but this one.
    pub(crate) fn alone(&self) -> bool {
        !self.strangers
    }

    /// In the forked child: there are no other threads any more.
    pub(crate) fn forget_threads(mut self) {
        self.state.own.clear();
        self.state.awake = 0;
        AWAKE.set(false);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        leave_gate(&mut self.state);
    }
}

fn leave_gate(state: &mut State) {
    state.waiting -= 1;
    GATE.changed.notify_all();
}

/// Counts the threads that are neither this one nor ganger's own.
///
/// A thread that was joined stays in the kernel's list for some microseconds, and no event says when it is gone. So a
/// count above zero is looked at again for a moment before it is believed.
fn strangers(own: &BTreeSet<i32>) -> usize {
    let end = Instant::now() + Duration::from_millis(50);
    loop {
        let count = count_strangers(own);
        if count == 0 || Instant::now() > end {
            return count;
        }
        std::thread::yield_now();
    }
}

fn count_strangers(own: &BTreeSet<i32>) -> usize {
    let this = nix::unistd::gettid().as_raw();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .filter_map(|task| task.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|id| *id != this && !own.contains(id))
        .count()
}

/// Whether this process has exactly one thread.
pub(crate) fn alone() -> bool {
    strangers(&BTreeSet::new()) == 0
}

/// Tells a process from the children that it forks, without a system call.
#[derive(Debug)]
pub struct ForkCheck {
    word: &'static AtomicU64,
}

impl ForkCheck {
    /// Marks the current process.
    ///
    /// # Errors
    /// When there is no memory, or the kernel is older than 4.14.
    pub fn new() -> io::Result<Self> {
        let word = wiped_by_fork()?;
        word.store(1, Ordering::Relaxed);
        Ok(Self { word })
    }

    /// Whether this is still the process that was marked.
    #[must_use]
    pub fn same_process(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 1
    }
}

/// A word that is 0 now, and 0 again in each forked child. It is never given back.
///
/// # Errors
/// When there is no memory, or the kernel is older than 4.14.
pub(crate) fn wiped_by_fork() -> io::Result<&'static AtomicU64> {
    let length = NonZeroUsize::new(4096).expect("a constant above zero");
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new private mapping at an address of the kernel's choice touches no existing memory.
    let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the advice covers the new mapping only: a forked child finds zeros in it.
    unsafe { madvise(start, length.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    // SAFETY: the mapping is aligned, zeroed, and never unmapped.
    Ok(unsafe { start.cast().as_ref() })
}
