//! The driver: one thread per pool, one loop, one wait.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker as TaskWaker;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use ganger_os::child::PidFd;
use ganger_os::poll::{Interest, Poller, Waker};
use ganger_os::start::{Guardian, Plan};
use ganger_os::thread::{OwnThread, spawn_own};

use super::core::Core;
use super::dispatch::FULL;
use super::event::Event;
use super::guardian::unwatch;
use super::guest::{GuestRoom, Watch};
use super::memory::{MemoryLimits, Sample};
use super::outfit::Outfit;
use super::state::{Phase, Settings};
use super::token::Token;
use crate::pool::feed::Feeds;
use crate::pool::output::Outlet;
use crate::pool::sink::wake_all;

/// How long the guardian gets to kill and bury everything when the gang is dismissed.
const DISMISSAL: Duration = Duration::from_secs(1);

/// What is known of the gang from outside of the lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// A worker has been ready; it may have been dismissed since.
    pub(crate) served: bool,
    pub(crate) broken: Option<String>,
    /// The gang is dismissed: no process is left.
    pub(crate) dismissed: bool,
}

/// A supervisor: the core, and the thread that drives it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    core: Mutex<Core>,
    pub(super) poller: Arc<Poller>,
    pub(super) waker: Waker,
    /// Whoever has tasks of this priority or a higher one shall hand them over; see [`Core::appetite`].
    appetite: AtomicI64,
    pub(crate) feeds: Feeds,
    pub(super) guests: GuestRoom,
    /// Nothing will run any more.
    over: AtomicBool,
    /// When the driver looks next, in nanoseconds since `started`; zero while it is awake.
    asleep_until: AtomicU64,
    started: Instant,
    status: Mutex<Status>,
    status_changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Supervisor {
    /// Takes over a guardian, and the plan for its successors if there may be some, and starts workers.
    pub(crate) fn start(
        settings: Settings,
        memory_limits: MemoryLimits,
        outlet: Option<Outlet>,
        outfit: Outfit,
        guardian: (Guardian, Option<Plan>),
        name: &str,
    ) -> io::Result<Arc<Self>> {
        let poller = Arc::new(Poller::new()?);
        let waker = Waker::new()?;
        poller.add(&waker, Token::Wake.to_u64(), Interest::Read)?;
        let this = Arc::new(Self {
            core: Mutex::new(Core::new(settings, memory_limits, outlet, outfit, guardian, poller.clone())?),
            poller,
            waker,
            appetite: AtomicI64::new(i64::MIN),
            feeds: Feeds::default(),
            guests: GuestRoom::default(),
            over: AtomicBool::new(false),
            asleep_until: AtomicU64::new(0),
            started: Instant::now(),
            status: Mutex::default(),
            status_changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        // Before the thread exists: its first wait then sees the workers.
        this.with_core(|core| core.handle(Event::DeadlinePassed));
        let driven = this.clone();
        let span = tracing::info_span!("pool", name);
        let thread = spawn_own(&format!("ganger: {name}"), move |thread| span.in_scope(|| driven.drive(thread)))?;
        *this.lock_thread() = Some(thread);
        Ok(this)
    }

    fn lock_thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the core, and what has to follow without the lock.
    pub(crate) fn with_core<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let (result, wakers) = self.change_core(act);
        if self.guests.is_taken() {
            // What it waits for may be among what has just changed.
            self.waker.wake();
        }
        wake_all(wakers);
        result
    }

    /// Runs `stop`, during which this process stands still, and takes the time as if it had not passed. This one thing waits
    /// under the core's lock: a driver that went on first would find every limit passed.
    pub(crate) fn stand_still(&self, stop: impl FnOnce()) {
        let mut core = self.lock();
        let before = Instant::now();
        stop();
        core.skip(before.elapsed());
    }

    /// Changes the core; the wakers are to be woken by the caller.
    fn change_core<T>(&self, act: impl FnOnce(&mut Core) -> T) -> (T, Vec<TaskWaker>) {
        let mut core = self.lock();
        let result = act(&mut core);
        self.publish(&mut core);
        if core.share_out() {
            self.publish(&mut core);
        }
        core.flush();
        let (wakers, readers) = (core.take_wakers(), core.take_readers());
        let look = core.next_look();
        let calls = calls_driver(&core);
        drop(core);
        readers.into_iter().for_each(|job| job.sink.stir());
        if self.oversleeps(look) || (calls && self.sleeps()) {
            self.waker.wake();
        }
        if calls {
            self.guests.recall_driver();
        }
        (result, wakers)
    }

    /// Whether the driver would wake up too late.
    fn oversleeps(&self, look: Option<Instant>) -> bool {
        let until = self.asleep_until.load(Ordering::SeqCst);
        look.is_some_and(|look| until != 0 && self.nanos(look) < until)
    }

    /// Whether the driver sleeps, or is about to, and has said until when. To be asked under the core's lock.
    pub(super) fn sleeps(&self) -> bool {
        self.asleep_until.load(Ordering::SeqCst) != 0
    }

    fn nanos(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.started).as_nanos() as u64 + 1
    }

    /// Makes known what changed in the core, and fetches tasks if workers wait for some.
    fn publish(&self, core: &mut Core) {
        let appetite = core.appetite();
        let over = matches!(core.phase(), Phase::Finished | Phase::Broken);
        self.appetite.store(appetite, Ordering::SeqCst);
        self.over.store(over, Ordering::SeqCst);
        if appetite < FULL || over {
            // Stored first, then looked: a feeder that adds a task sees it, or is seen here.
            self.feeds.collect(appetite, over, |job, chunk| core.submit(job, chunk));
            self.appetite.store(core.appetite(), Ordering::SeqCst);
        }
        let widened = self.feeds.widen(|job| core.look_ahead(job));
        core.wake_later(widened);
        let served = core.has_served();
        let broken = (core.phase() == Phase::Broken).then(|| core.cause.clone().unwrap_or_default());
        let mut status = self.lock_status();
        if (served && !status.served) || status.broken != broken {
            status.served |= served;
            status.broken = broken;
            self.status_changed.notify_all();
        }
    }

    /// Whether nothing will run any more: the pool is terminated, broken or done.
    pub(crate) fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A feed has a task of this priority that is not submitted. If workers wait for some, or only less urgent ones wait, the
    /// driver comes and fetches it, with all that have gathered until it is there: so a fast input is taken in large pieces,
    /// and a slow one at once. If nobody would come now, the caller hands over what there is and is wanted, if that is `enough`;
    /// returns whether it has.
    pub(crate) fn offer(&self, priority: i32, enough: bool) -> bool {
        if self.guests.is_deserted() {
            if enough {
                self.with_core(|_| ());
            }
            return enough;
        }
        let wanted = |appetite: i64| (i64::from(priority) >= appetite).then_some(FULL);
        if self.appetite.fetch_update(Ordering::SeqCst, Ordering::SeqCst, wanted).is_ok() {
            self.waker.wake();
        }
        false
    }

    /// Fetches what was offered while nobody was here who could be woken for it.
    fn fetch_offered(&self) {
        if self.appetite.load(Ordering::SeqCst) < FULL && !self.feeds.are_none() {
            self.with_core(|_| ());
        }
    }

    fn lock_status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `enough` says so, or until `until`; returns what is known then.
    pub(crate) fn wait_status(&self, until: Option<Instant>, enough: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.lock_status();
        while !enough(&status) {
            status = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                // Only `join` waits without a deadline: it was asked to wait for the user's tasks.
                None => self.status_changed.wait(status).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.status_changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        status.clone()
    }

    /// The thread that drives, to recognise it.
    pub(crate) fn thread_id(&self) -> Option<ThreadId> {
        self.lock_thread().as_ref().map(|thread| thread.thread().id())
    }

    /// Takes the thread's handle, to wait for its end once the gang is dismissed.
    pub(crate) fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.lock_thread().take()
    }

    pub(super) fn take_turn(&self, tokens: &[u64]) -> Vec<TaskWaker> {
        if tokens.contains(&Token::Wake.to_u64()) {
            self.waker.reset();
        }
        let mut samples = self.lock().due_measurements();
        samples.iter_mut().for_each(Sample::make);
        let turn = |core: &mut Core| {
            samples.iter().for_each(|sample| core.measured(sample));
            core.turn(tokens);
        };
        self.change_core(turn).1
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(&self, thread: &OwnThread) {
        let mut tokens = Vec::new();
        let mut watch = Watch::default();
        loop {
            if let Some(nap) = self.guests.nap(&mut watch) {
                let recalled = thread.park(|| self.guests.sleep(nap));
                self.fetch_offered();
                if !recalled && !calls_driver(&self.lock()) {
                    continue;
                }
            }
            if self.guests.end_nap() {
                self.fetch_offered();
            }
            let mut core = self.lock();
            if core.wants_guardian() {
                drop(core);
                self.with_core(Core::start_guardian);
                continue;
            }
            // Under the lock: whoever changes the core after this sees when the driver wakes up.
            let (may_sleep, look, finishing) = (core.may_sleep(), core.next_look(), core.finishing);
            self.asleep_until.store(look.map_or(u64::MAX, |look| self.nanos(look)), Ordering::SeqCst);
            drop(core);
            if finishing {
                break;
            }
            let limit = look.map(|look| look.saturating_duration_since(Instant::now()));
            let limit = if may_sleep { limit } else { Some(Duration::ZERO) };
            let waited = thread.park(|| self.poller.wait(limit, &mut tokens));
            self.asleep_until.store(0, Ordering::SeqCst);
            if waited.is_err() {
                // The poller itself is broken: no event will ever come again.
                self.with_core(|core| core.handle(Event::GuardianLost));
                break;
            }
            let wakers = self.take_turn(&tokens);
            if self.guests.is_taken() {
                self.waker.wake();
            }
            wake_all(wakers);
        }
        self.dismiss();
    }

    fn dismiss(&self) {
        let guardian = self.with_core(|core| core.guardian.take());
        if let Some(mut guardian) = guardian {
            unwatch(&self.poller, &guardian);
            guardian.finish(DISMISSAL);
        }
        // Those whose guardian was gone may have lived on until now.
        let workers = self.with_core(Core::dismissed);
        workers.iter().for_each(PidFd::kill);
        let end = Instant::now() + DISMISSAL;
        for worker in workers {
            // One that a signal does not end now is in uninterruptible sleep: nobody can wait for that.
            let _ = worker.dead_within(end.saturating_duration_since(Instant::now()));
        }
        // Outside of the lock: the group waits for the last to be gone.
        drop(self.with_core(Core::abandon_post));
        self.lock_status().dismissed = true;
        self.status_changed.notify_all();
        tracing::debug!("the gang is dismissed");
    }
}

/// Whether there is something that the driver's own thread has to do, guest or not.
fn calls_driver(core: &Core) -> bool {
    core.finishing || core.wants_guardian()
}
