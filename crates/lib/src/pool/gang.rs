//! What the handles of one pool share: the supervisor, the callback thread, and the pool's identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::callbacks::{CallbackThread, Callbacks, PanicNote};
use super::exit::Returned;
use super::feed::{Encode, LookAhead, OpenFeed};
use super::handle::Read;
use super::job::{Chunk, Job};
use super::sink::{Batch, Sink, wake_all};
use super::status::WorkerStatus;
use super::terms::Terms;
use crate::supervisor::core::Core;
use crate::supervisor::driver::Supervisor;
use crate::supervisor::event::{Event, JobId, JobTerms};
use crate::supervisor::guest::Leave;
use crate::supervisor::state::Phase;
use crate::task::{Prepared, Unfit};
use crate::wire::codec::encode;
use crate::wire::descriptor::Parcel;
use crate::wire::message::Definition;
use crate::{Error, ErrorKind, TaskErrorKind};

/// A running pool, seen from inside.
#[derive(Debug)]
pub(crate) struct Gang {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) callbacks: Arc<CallbackThread>,
    pub(crate) look_ahead: LookAhead,
    /// What its exit hook returns, if it has one.
    pub(crate) exit_returns: Option<Returned>,
    /// For how many workers it was built.
    pub(crate) places: u32,
    /// The process that built it. A forked child of that has a copy which must stay still.
    creator: u32,
    next_job: AtomicU32,
    next_call: AtomicU64,
}

/// How long `Drop` waits for the gang to be dismissed: longer than the guardian is given for it.
const DROP_LIMIT: Duration = Duration::from_secs(2);

impl Gang {
    pub(crate) fn new(
        id: u64,
        name: String,
        supervisor: Arc<Supervisor>,
        callbacks: Arc<CallbackThread>,
        look_ahead: LookAhead,
        exit_returns: Option<Returned>,
        places: u32,
    ) -> Self {
        Self {
            id,
            name,
            supervisor,
            callbacks,
            look_ahead,
            exit_returns,
            places,
            creator: std::process::id(),
            next_job: AtomicU32::new(0),
            next_call: AtomicU64::new(0),
        }
    }

    pub(crate) fn foreign(&self) -> bool {
        std::process::id() != self.creator
    }

    pub(crate) fn check_process(&self) -> Result<(), Error> {
        if !self.foreign() {
            return Ok(());
        }
        let text =
            format!("pool {:?} belongs to process {}, of which this one is a forked copy", self.name, self.creator);
        Err(Error::new(ErrorKind::ForeignProcess, text))
    }

    /// Makes a job of a prepared task. A pool that does not run, or a task that cannot travel, gives a job that has ended
    /// already: the reason is its only outcome, or, where `count` tasks were asked for, that of each.
    pub(crate) fn job(&self, prepared: Result<Prepared, Unfit>, task: &str, terms: Terms) -> Result<Arc<Job>, Refusal> {
        let refusal = |kind, text: String| Refusal { kind, text, task: task.into() };
        if self.foreign() {
            let text =
                "could not be submitted: its pool belongs to another process, of which this one is a forked copy";
            return Err(refusal(TaskErrorKind::NotRunning, text.to_owned()));
        }
        let phase = self.supervisor.with_core(|core| match core.phase() {
            Phase::Running => Ok(()),
            Phase::Broken => Err(core.cause.clone()),
            Phase::Closed | Phase::Finished => Err(None),
        });
        if let Err(cause) = phase {
            return Err(match cause {
                Some(cause) => {
                    refusal(TaskErrorKind::PoolBroken, format!("could not run: the pool is broken: {cause}"))
                }
                None => refusal(TaskErrorKind::NotRunning, "could not be submitted: the pool is closed".to_owned()),
            });
        }
        let prepared = prepared.map_err(|unfit| refusal(TaskErrorKind::NotSerializable, unfit.to_string()))?;
        let number = self.next_call.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        encode(&Definition { call: prepared.call, number }, &mut bytes).expect("bytes and numbers can be encoded");
        Ok(Arc::new(Job {
            id: JobId(self.next_job.fetch_add(1, Ordering::Relaxed)),
            name: prepared.name,
            definition: Parcel { bytes, descriptors: prepared.descriptors },
            terms: terms.of(prepared.function),
            sink: Sink::default(),
        }))
    }

    /// Submits `items` as tasks of `job`.
    pub(crate) fn submit_all<A>(&self, job: &Arc<Job>, items: impl Iterator<Item = A>, encode: Encode<A>) {
        let mut open = OpenFeed::new(&self.supervisor, job, true);
        for item in items {
            open.add(&item, encode);
        }
    }

    /// Submits a single task: it is on its way to a worker, if one is free, when this returns.
    pub(crate) fn submit_one<A>(&self, job: &Arc<Job>, item: &A, encode: Encode<A>) {
        let mut chunk = Chunk::starting_at(0);
        match chunk.push(|out| encode(item, out)) {
            Ok(_) => self.supervisor.with_core(|core| core.submit(job, chunk)),
            Err((kind, text)) => wake_all(job.sink.deliver(Batch::error(job.error(kind, text, 0)))),
        }
        wake_all(job.sink.expect(1));
    }

    /// Has the callback run, on the callback thread, when the job is done.
    pub(crate) fn call_back<V: 'static>(
        &self,
        job: &Arc<Job>,
        read: &Read<V>,
        callbacks: Callbacks<V>,
        note: &PanicNote,
    ) -> std::io::Result<()> {
        self.callbacks.start()?;
        let (thread, read, note) = (self.callbacks.clone(), read.clone(), note.clone());
        let done_job = job.clone();
        let run = move || {
            let outcome = read(&done_job, &done_job.sink.lock());
            callbacks.call(outcome);
        };
        job.sink.when_done(Box::new(move || thread.push(run, note)));
        Ok(())
    }

    /// Helps a job along until it is done, if no other thread does so already.
    pub(crate) fn wait_for(&self, job: &Job) {
        if !self.foreign() {
            self.supervisor.drive_until(|| job.sink.lock().done().then_some(Leave::ForGood));
        }
    }

    /// Helps a job along until it has outcomes to be read, if no other thread does so already.
    pub(crate) fn wait_for_some(&self, job: &Job) {
        if !self.foreign() {
            self.supervisor.drive_until(|| {
                let state = job.sink.lock();
                if state.done() {
                    Some(Leave::ForGood)
                } else {
                    (!state.batches.is_empty()).then_some(Leave::ForAWhile)
                }
            });
        }
    }

    pub(crate) fn cancel(&self, job: &Job) {
        if !self.foreign() {
            self.supervisor.with_core(|core| core.cancel(job.id));
        }
    }

    /// Ends a job, what runs of it included.
    pub(crate) fn stop(&self, job: &Job) {
        if !self.foreign() {
            self.supervisor.with_core(|core| core.handle(Event::Stopped(job.id)));
        }
    }

    pub(crate) fn cancel_queued(&self) {
        if !self.foreign() {
            // Their inputs first: what is not read need not be cancelled.
            wake_all(self.supervisor.feeds.end());
            self.supervisor.with_core(Core::cancel_all);
        }
    }

    pub(crate) fn workers(&self) -> Vec<WorkerStatus> {
        if self.foreign() { Vec::new() } else { self.supervisor.with_core(Core::inspect) }
    }

    pub(crate) fn close(&self) {
        if !self.foreign() {
            self.supervisor.with_core(|core| core.handle(Event::Closed));
        }
    }

    pub(crate) fn terminate(&self) {
        if !self.foreign() {
            self.supervisor.with_core(|core| core.handle(Event::Terminated));
        }
    }

    /// Waits until no process of the gang is left and all callbacks have run.
    pub(crate) fn join(&self) -> Result<(), Error> {
        self.check_process()?;
        let current = std::thread::current().id();
        if self.callbacks.is_current() || self.supervisor.thread_id() == Some(current) {
            let text = format!("join of pool {:?} in one of its own callbacks would wait for itself", self.name);
            return Err(Error::new(ErrorKind::WouldDeadlock, text));
        }
        if self.supervisor.with_core(|core| core.phase()) == Phase::Running {
            let text = format!("pool {:?} is still running: close or terminate it before join", self.name);
            return Err(Error::new(ErrorKind::StillRunning, text));
        }
        // Without a deadline: it waits for the user's tasks, all of which end in an outcome.
        self.supervisor.wait_status(None, |status| status.dismissed);
        if let Some(thread) = self.supervisor.take_thread() {
            // The driver has said that it is done; a panic in it would have been a bug that is reported already.
            let _ = thread.join();
        }
        self.callbacks.drain();
        Ok(())
    }
}

/// The ownership of a gang, which all handles of its pool share: with the last of them it ends.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Arc<Gang>);

impl Drop for Owner {
    /// Terminates what still runs and waits, for a bounded time, until nothing is left. In a callback, in the driver or
    /// while panicking it only begins the termination.
    fn drop(&mut self) {
        let gang = &self.0;
        if gang.foreign() {
            return;
        }
        gang.terminate();
        let inside = gang.callbacks.is_current() || gang.supervisor.thread_id() == Some(std::thread::current().id());
        if inside || std::thread::panicking() {
            gang.callbacks.close();
            return;
        }
        let until = Instant::now() + DROP_LIMIT;
        let status = gang.supervisor.wait_status(Some(until), |status| status.dismissed);
        // What tasks have printed is handed over by now, and should be written before the program ends.
        gang.callbacks.close();
        gang.callbacks.drain_until(until);
        if status.dismissed
            && let Some(thread) = gang.supervisor.take_thread()
        {
            // The driver has said that it is done.
            let _ = thread.join();
        }
    }
}

/// Why nothing was submitted.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: TaskErrorKind,
    pub(crate) text: String,
    pub(crate) task: Arc<str>,
}

impl Refusal {
    pub(crate) fn to_error(&self, index: u64) -> crate::TaskError {
        crate::TaskError::new(self.kind, self.text.as_str(), self.task.clone(), index)
    }

    /// A job that has ended with this refusal as its only outcome.
    pub(crate) fn into_job(self) -> Arc<Job> {
        let job = Job {
            id: JobId(u32::MAX),
            name: self.task.clone(),
            definition: Parcel::default(),
            terms: JobTerms::default(),
            sink: Sink::default(),
        };
        wake_all(job.sink.deliver(Batch::error(self.to_error(0))));
        wake_all(job.sink.expect(1));
        Arc::new(job)
    }
}
