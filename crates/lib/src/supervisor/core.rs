//! The state machine together with what its actions act upon. One lock protects all of it.
//!
//! Whoever submits work holds the lock for a moment, handles the event, and carries out the actions that follow: so a
//! task is on its way to a worker when `apply_async` returns. The driver thread does the same for everything that
//! arrives. Nothing that happens under the lock waits.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use ganger_os::child::PidFd;
use ganger_os::page::Page;
use ganger_os::poll::{Interest, Poller};
use ganger_os::signal;
use ganger_os::socket::{send_now_with, stream_pair};
use ganger_os::start::{Guardian, Plan, is_shortage};

use super::budget::Budget;
use super::event::{Action, Breakdown, ChunkId, Ending, Event, JobId, Span, WorkerId};
use super::farewells::Departure;
use super::guardian::{Post, watch};
use super::haul::Haul;
use super::ledger::Ledger;
use super::link::Link;
use super::memory::MemoryLimits;
use super::outfit::{ExitTerms, Outfit};
use super::output::Output;
use super::staffing::Intensity;
use super::state::{Phase, Settings, State};
use super::timeline::Recorder;
use super::token::Token;
use crate::TaskError;
use crate::pool::job::{Chunk, Job};
use crate::pool::output::Outlet;
use crate::wire::descriptor::{Descriptor, Parcel};
use crate::wire::frame::{HEADER, Header, Kind};
use crate::wire::message::tag;

/// A chunk whose tasks are not all completed.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) job: Arc<Job>,
    pub(super) first: u64,
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) offsets: Vec<u32>,
    /// What travels with its only task, if anything does. It stays until that is completed: it may have to be sent again.
    pub(super) descriptors: Vec<Descriptor>,
    /// How many bytes of its arguments are in the last of these.
    pub(super) aside: usize,
    /// Tasks that are not completed.
    pub(super) left: u32,
}

/// Everything that the lock protects.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) state: State,
    pub(super) started: Instant,
    pub(super) poller: Arc<Poller>,
    /// Taken away when the gang is dismissed.
    pub(super) guardian: Option<Guardian>,
    pub(super) guardian_watched_for_room: bool,
    /// When it last said something.
    pub(super) guardian_heard: Instant,
    pub(super) post: Post,
    pub(super) links: HashMap<WorkerId, Link>,
    pub(super) chunks: HashMap<ChunkId, Stored>,
    next_chunk: u64,
    /// Sent to every worker first.
    setup: Parcel,
    queue: VecDeque<Action>,
    performing: bool,
    /// The results that are being handed over, and how many of them have been. Every job that has some keeps it alive.
    pub(super) haul: Arc<Haul>,
    pub(super) haul_used: u32,
    /// How attempts of tasks have failed that are not at their end.
    pub(super) histories: HashMap<(ChunkId, u32), Vec<TaskError>>,
    pub(super) memory_limits: MemoryLimits,
    /// Where captured output goes.
    pub(super) outlet: Option<Outlet>,
    pub(super) obituary: Option<super::deaths::Obituary>,
    /// What workers do before they leave, if anything.
    pub(super) exit: Option<ExitTerms>,
    /// Those that have left, until somebody asks.
    pub(crate) departures: Vec<Departure>,
    pub(super) budget: Budget,
    pub(super) ledger: Ledger,
    /// While somebody wants to know when tasks ran.
    pub(super) recorder: Option<Recorder>,
    /// Why workers could not be started, or why the pool broke.
    pub(crate) cause: Option<String>,
    /// It was said that there are fewer workers than there should be.
    pub(super) short: bool,
    /// The gang is to be dismissed.
    pub(crate) finishing: bool,
    /// To be woken when the lock is free.
    pub(super) wakers: Vec<Waker>,
    /// Jobs for whose outcomes a thread waits that is to be woken when the lock is free, once for all of a turn.
    pub(super) readers: Vec<Arc<Job>>,
    /// Some workers know that their bells are looked at.
    pub(super) awake: bool,
    /// Links that have something to write.
    pub(super) unflushed: Vec<WorkerId>,
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        memory_limits: MemoryLimits,
        outlet: Option<Outlet>,
        outfit: Outfit,
        (guardian, successor): (Guardian, Option<Plan>),
        poller: Arc<Poller>,
    ) -> io::Result<Self> {
        watch(&poller, &guardian)?;
        let Outfit { setup, exit, source } = outfit;
        let budget = Budget::new(source);
        let mut state = State::new(settings);
        state.allowance = budget.allowance();
        if let Some(terms) = &exit {
            state.retirement = terms.limit;
        }
        Ok(Self {
            state,
            started: Instant::now(),
            poller,
            guardian: Some(guardian),
            guardian_watched_for_room: false,
            guardian_heard: Instant::now(),
            post: Post::new(successor),
            links: HashMap::new(),
            chunks: HashMap::new(),
            next_chunk: 0,
            setup,
            queue: VecDeque::new(),
            performing: false,
            haul: Arc::default(),
            haul_used: 0,
            histories: HashMap::new(),
            memory_limits,
            outlet,
            obituary: None,
            exit,
            departures: Vec::new(),
            budget,
            ledger: Ledger::default(),
            recorder: None,
            cause: None,
            short: false,
            finishing: false,
            wakers: Vec::new(),
            readers: Vec::new(),
            awake: false,
            unflushed: Vec::new(),
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.phase()
    }

    pub(crate) fn size(&self) -> u32 {
        self.state.size()
    }

    /// See [`State::appetite`].
    pub(crate) fn appetite(&self) -> i64 {
        self.state.appetite()
    }

    /// Whether there are tasks that are not completed, or inputs that are not at their end.
    pub(crate) fn has_work(&self) -> bool {
        self.state.has_work()
    }

    /// Whether one of the guardian's workers has been ready.
    pub(crate) fn has_served(&self) -> bool {
        self.state.has_served()
    }

    /// The process ids of the workers that are alive, as far as is known.
    pub(crate) fn worker_pids(&self) -> Vec<u32> {
        let mut pids: Vec<(u32, u32)> = self.living().map(|(link, pid)| (link.id.slot, pid)).collect();
        pids.sort_unstable();
        pids.into_iter().map(|(_, pid)| pid).collect()
    }

    /// The workers that are alive and have a place in the gang, with their process ids.
    pub(super) fn living(&self) -> impl Iterator<Item = (&Link, u32)> {
        let alive = self.links.values().filter(|link| link.dead_since.is_none() && !self.state.is_beside(link.id));
        alive.filter_map(|link| Some((link, link.pid?.cast_unsigned())))
    }

    pub(crate) fn guardian_pid(&self) -> Option<u32> {
        self.guardian.as_ref().map(|guardian| guardian.pid().cast_unsigned())
    }

    /// How far ahead of its reader a job's input may be.
    pub(crate) fn look_ahead(&self, job: &Job) -> i64 {
        self.state.look_ahead(job.terms.function).into()
    }

    /// How many tasks of a job are worth being handed over.
    pub(crate) fn worth(&self, job: &Job) -> u32 {
        self.state.worth(job.terms.function)
    }

    /// When the driver has to look again, if nothing happens before.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        // A deadline beyond what the clock can say never comes.
        let deadline = self.state.next_deadline().and_then(|at| self.started.checked_add(at));
        let collecting = (self.state.collects() || !self.unflushed.is_empty()).then(|| now + COLLECTING);
        let lost = self.links.values().filter_map(|link| link.dead_since).min().map(|since| since + LOST);
        let alive = self.links.values().filter(|link| link.dead_since.is_none() && link.violation.is_none());
        let doubted = alive.filter_map(|link| link.next_doubt(now)).min();
        let silent = self.guardian.as_ref().and_then(|_| self.guardian_limit());
        let (examination, measurement) = (self.next_examination(), self.next_measurement());
        let budget = self.budget.next_look();
        let refused = self.guardian.as_ref().filter(|guardian| guardian.has_refused()).map(|_| now);
        [deadline, collecting, lost, doubted, silent, examination, measurement, refused, budget]
            .into_iter()
            .flatten()
            .min()
    }

    /// Since when the guardian owes an answer and has said nothing.
    pub(super) fn unanswered(&self) -> Option<Instant> {
        let asked = self.links.values().filter(|link| link.pid.is_none()).map(|link| link.asked).min()?;
        self.guardian.as_ref().map(|_| asked.max(self.guardian_heard))
    }

    /// Takes tasks over. Their job need not have been seen before.
    pub(crate) fn submit(&mut self, job: &Arc<Job>, chunk: Chunk) {
        let count = chunk.len() as u32;
        if count == 0 {
            return;
        }
        let id = ChunkId(self.next_chunk);
        self.next_chunk += 1;
        let Chunk { first, bytes, offsets, descriptors, aside } = chunk;
        let (job_of_it, bytes) = (job.clone(), Arc::new(bytes));
        self.chunks.insert(id, Stored { job: job_of_it, first, bytes, offsets, descriptors, aside, left: count });
        let span = Span { chunk: id, job: job.id, first: 0, count, priority: job.terms.priority };
        self.handle(Event::Submitted { span, terms: job.terms });
    }

    /// Handles an event, and everything that follows from it. What is to be written is queued; whoever holds the lock
    /// [flushes](Self::flush) before giving it back, once, so that a worker is woken once.
    pub(crate) fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.state.handle(self.started.elapsed(), event, &mut actions);
        self.queue.extend(actions);
        if self.performing {
            return;
        }
        self.performing = true;
        while let Some(action) = self.queue.pop_front() {
            self.perform(action);
        }
        self.performing = false;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::StartGuardian => self.want_guardian(),
            Action::Start(worker) => self.start(worker),
            Action::Send { worker, span, epoch, position, eager } => self.send(worker, span, epoch, position, eager),
            Action::TakeBack(worker) => self.take_back(worker),
            Action::TakeBackGently(worker) => {
                if self.link(worker).is_some_and(|link| link.is_receiving()) {
                    self.handle(Event::KeptBack(worker));
                } else {
                    self.take_back(worker);
                }
            }
            Action::BeginEpoch { worker, epoch } => {
                if let Some(link) = self.link(worker) {
                    link.begin_epoch(epoch);
                }
            }
            Action::Retire(worker) => self.retire(worker),
            Action::Kill(worker) => self.kill(worker),
            Action::Ask(worker) => self.ask(worker),
            Action::Unask(worker) => {
                if let Some(link) = self.link(worker) {
                    link.ask(false);
                }
            }
            Action::Terminate(worker) => {
                if let Some(pidfd) = self.link(worker).and_then(|link| link.pidfd.as_ref()) {
                    pidfd.signal(signal::TERMINATE);
                    // A process that is stopped takes no note of it before it goes on.
                    pidfd.signal(signal::CONTINUE);
                }
            }
            Action::Retry { span, worker, ending } => self.retry(span, worker, ending),
            Action::Complete { span, worker, ending } => self.complete(span, worker, ending),
            Action::Break(why) => self.break_down(why),
            Action::Finish => self.finishing = true,
        }
    }

    pub(super) fn link(&mut self, worker: WorkerId) -> Option<&mut Link> {
        self.links.get_mut(&worker)
    }

    fn take_back(&mut self, worker: WorkerId) {
        if let Some(link) = self.link(worker) {
            let limit = link.take_back();
            self.handle(Event::TakenBack { worker, limit });
        }
    }

    fn ask(&mut self, worker: WorkerId) {
        let Some(link) = self.link(worker) else { return };
        tracing::debug!(worker = worker.slot, pid = link.pid, "asking a task to end");
        let listens = link.ask(true);
        self.handle(Event::Asked { worker, listens });
    }

    fn start(&mut self, worker: WorkerId) {
        if self.guardian.is_none() {
            // It is gone since this was decided: that is no failure of the worker's.
            return self.handle(Event::WorkerExited { worker, claimed: 0, taking: false });
        }
        if let Err(error) = self.try_start(worker) {
            self.start_prevented(worker, format!("cannot start worker {}: {error}", worker.slot), is_shortage(&error));
        }
    }

    /// Whoever hears of an error [drops the link](Self::drop_link), and so has nothing of it watched any more.
    fn try_start(&mut self, worker: WorkerId) -> io::Result<()> {
        let Some(guardian) = &mut self.guardian else { return Err(io::ErrorKind::NotConnected.into()) };
        let (ours, theirs) = stream_pair()?;
        let (page, memory) = Page::create()?;
        let output = self.outlet.as_ref().map(|outlet| Output::new(outlet.cap)).transpose()?;
        // Before anything is watched: what is not in a link is never taken out of the poller.
        let link = self.links.entry(worker).or_insert(Link::new(worker, ours, page));
        link.pulse.asked(link.asked);
        self.poller.add(&link.socket, Token::Link(worker).to_u64(), Interest::Read)?;
        let mut header = Header::plain(Kind::Setup, self.setup.bytes.len());
        if let Some((output, pipes)) = output {
            // The pipes travel with the first bytes of a new socket, which has room for them. The frame of the setup says
            // how many of its descriptors they are.
            header.job = pipes.len() as u32;
            let fds = pipes.each_ref().map(AsFd::as_fd);
            let sent = send_now_with(&link.socket, &Header::of_descriptors(pipes.len()).to_bytes(), &fds)?;
            if sent < HEADER {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            for (drain, token) in link.set_output(output).drains().zip([Token::Output(worker), Token::Errors(worker)]) {
                self.poller.add(drain, token.to_u64(), Interest::Read)?;
            }
        }
        link.push_descriptors(&self.setup.descriptors);
        link.push(header, &self.setup.bytes);
        tracing::debug!(worker = worker.slot, generation = worker.generation, "starting a worker");
        let asked = guardian.start(worker.slot, worker.generation, theirs, Some(memory));
        self.unflushed.push(worker);
        self.watch_guardian();
        // A guardian that cannot be asked is dead, which its own descriptor reports.
        asked.or(Ok(()))
    }

    /// Watches for room on the guardian's socket exactly while something waits for it.
    pub(super) fn watch_guardian(&mut self) {
        let Some(guardian) = &self.guardian else { return };
        if guardian.wants_to_write() != self.guardian_watched_for_room {
            self.guardian_watched_for_room = guardian.wants_to_write();
            let interest = if self.guardian_watched_for_room { Interest::ReadWrite } else { Interest::Read };
            // It is in the set for as long as it is here.
            let _ = self.poller.change(guardian, Token::Guardian.to_u64(), interest);
        }
    }

    /// No process, or none that got ready.
    pub(super) fn start_failed(&mut self, worker: WorkerId, why: String) {
        tracing::warn!(worker = worker.slot, why, "a worker did not start");
        self.cause = Some(why);
        self.drop_link(worker);
        self.handle(Event::StartFailed(worker));
    }

    pub(super) fn drop_link(&mut self, worker: WorkerId) -> Option<Link> {
        let mut link = self.links.remove(&worker)?;
        link.end_trouble();
        self.poller.remove(&link.socket);
        link.output().into_iter().flat_map(|output| output.drains()).for_each(|drain| self.poller.remove(drain));
        if let Some(pidfd) = &link.pidfd {
            self.poller.remove(pidfd);
        }
        Some(link)
    }

    fn send(&mut self, worker: WorkerId, span: Span, epoch: u16, position: u32, eager: bool) {
        let Some(stored) = self.chunks.get(&span.chunk) else { return };
        let Some(link) = self.links.get_mut(&worker) else { return };
        let start = stored.offsets[span.first as usize] as usize;
        let end = stored.offsets[(span.first + span.count) as usize] as usize;
        // Only a task that travels by itself can have been tried before.
        let failed = self.histories.get(&(span.chunk, span.first)).map_or(0, Vec::len);
        let header = Header {
            epoch,
            position: tag(u8::try_from(failed).unwrap_or(u8::MAX), position),
            job: span.job.0,
            index: stored.first + u64::from(span.first),
            ..Header::plain(Kind::Tasks, 0)
        };
        let header = Header { length: (end - start) as u32, ..header };
        link.set_eager(eager);
        link.push_tasks(stored, header, start..end, position + span.count);
        self.unflushed.push(worker);
        tracing::trace!(worker = worker.slot, tasks = span.count, position, "sent");
    }

    fn retire(&mut self, worker: WorkerId) {
        if let Some(link) = self.link(worker) {
            link.push(Header::plain(Kind::Goodbye, 0), &[]);
            link.told = Some(Instant::now());
            self.unflushed.push(worker);
        }
    }

    pub(super) fn kill(&mut self, worker: WorkerId) {
        let Some(link) = self.link(worker) else { return };
        if !link.ready && link.unready.is_none() && link.violation.is_none() {
            link.unready = Some(format!("worker {} was not ready in time (see start_timeout)", worker.slot));
        }
        link.overstayed |= link.told.is_some();
        match &link.pidfd {
            Some(pidfd) => pidfd.kill(),
            // It will be killed when its start is reported.
            None => link.doomed = true,
        }
    }

    fn break_down(&mut self, why: Breakdown) {
        let mut cause = self.cause.take().unwrap_or_else(|| "the gang's guardian process is gone".to_owned());
        if why == Breakdown::Unstable {
            let Intensity { most, period } = self.state.intensity();
            cause = format!(
                "its processes ended more than {most} times within {period:?} with no task to blame (see \
                 restart_intensity), lastly so: {cause}"
            );
        }
        tracing::error!(cause = cause.as_str(), "the pool is broken");
        self.cause = Some(cause);
    }

    /// Cancels a job; when this returns, all of its tasks that had not begun are completed.
    pub(crate) fn cancel(&mut self, job: JobId) {
        self.handle(Event::Cancelled(job));
    }

    /// Takes time that has passed as if it had not.
    pub(super) fn skip(&mut self, time: Duration) {
        self.started += time;
    }

    /// Cancels every job that is not over.
    pub(crate) fn cancel_all(&mut self) {
        for job in self.state.jobs() {
            self.cancel(job);
        }
    }

    /// Lets go of what belonged to the gang's processes, and returns what tells whether they are gone.
    pub(crate) fn dismissed(&mut self) -> Vec<PidFd> {
        let workers: Vec<WorkerId> = self.links.keys().copied().collect();
        let mut links: Vec<Link> = workers.into_iter().filter_map(|worker| self.drop_link(worker)).collect();
        for link in &mut links {
            self.note_interrupted(link);
            if let Some(output) = link.last_output() {
                self.put_strays_of(link);
                self.put_output(None, (link.id.slot, link.pid), output);
            }
        }
        links.into_iter().filter_map(|link| link.pidfd).collect()
    }

    /// Has these woken when the lock is free.
    pub(crate) fn wake_later(&mut self, wakers: Vec<Waker>) {
        self.wakers.extend(wakers);
    }

    pub(crate) fn take_readers(&mut self) -> Vec<Arc<Job>> {
        std::mem::take(&mut self.readers)
    }

    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    /// How tasks end that no worker had begun.
    pub(super) fn ending_text(&self, ending: Ending) -> String {
        match ending {
            Ending::Broken => {
                let cause = self.cause.as_deref().unwrap_or("its guardian process is gone");
                format!("could not run: the pool is broken: {cause}")
            }
            _ => "was cancelled".to_owned(),
        }
    }
}

/// How often results are collected that nobody announces.
const COLLECTING: Duration = Duration::from_millis(1);

/// A guardian that was asked for a worker and says nothing for so long is stopped or stuck: it is killed, as everything
/// behind it would wait for ever. (Forking a process of 100 GiB takes about half of that.)
pub(super) const SILENT: Duration = Duration::from_secs(10);

/// How long after its death the guardian may take to say how a worker ended.
pub(super) const LOST: Duration = Duration::from_secs(1);
