//! The worker's loop: receive, claim, run, publish.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ganger_os::child::{leave, own_peak_memory};
use ganger_os::fd::Fd;
use ganger_os::image::{EntryPoint, Shim};
use ganger_os::page::Page;
use ganger_os::socket::{self, Arrivals, Received};
use ganger_os::thread::ForkCheck;
use ganger_os::{Seat, ending};

use tracing::span::EnteredSpan;

use super::leaving::ExitHook;
use super::output::{Output, flush};
use super::panics::caught;
use super::stopwatch::Stopwatch;
use super::uplink::Uplink;
use super::{context, leaving, purse, setup};
use crate::wire::aside::{ASIDE, Aside, LARGE};
use crate::wire::bell;
use crate::wire::claim;
use crate::wire::codec::{decode, encode};
use crate::wire::descriptor::{Beside, Descriptor, MOST, let_results_have_gaps, receiving_call, take_result};
use crate::wire::frame::{HEADER, Header, Inbox, Kind, MOST_BYTES};
use crate::wire::gap::put_aside;
use crate::wire::message::{Definition, Failure, MARKS, Marks, PRINTED, Setup, Status, tag, untag};

/// The exit code of a worker that could not get ready, or could not go on.
pub(super) const UNABLE: i32 = 1;

/// Works until the supervisor says goodbye or is gone.
pub(super) fn work(seat: Seat) -> ! {
    let Ok(fork_check) = ForkCheck::new() else { leave(UNABLE) };
    // For the life of the process, so that tasks can look at its flags from wherever they are.
    let Some(page) = seat.page else { leave(UNABLE) };
    let page: &'static Page = Box::leak(Box::new(page));
    context::set_flags(page.stop(), page.listens());
    context::set_place(seat.slot);
    context::set_item_word(page.item());
    let uplink = Arc::new(Uplink::new(seat.link));
    purse::install(page.tokens(), uplink.clone());
    let_results_have_gaps(true);
    let mut worker = Worker {
        name: (seat.slot, seat.generation),
        uplink,
        page,
        fork_check,
        inbox: Inbox::default(),
        arrivals: Arrivals::new(),
        descriptors: Vec::new(),
        jobs: HashMap::new(),
        out: Vec::new(),
        unannounced: false,
        rung: false,
        stopwatch: Stopwatch::default(),
        output: None,
        span: None,
        exit: None,
        tasks: 0,
    };
    let code = worker.run();
    tracing::debug!(tasks = worker.tasks, code, "leaving");
    flush();
    // For the processes that tasks have started.
    ending::end();
    leave(code)
}

/// What a job calls.
struct Job {
    shim: Option<Shim>,
    bound: Vec<u8>,
    /// Those of the bound arguments.
    descriptors: Vec<Descriptor>,
    number: u64,
}

struct Worker {
    /// Its place in the gang, and the how-many-th worker of that place it is.
    name: (u32, u32),
    uplink: Arc<Uplink>,
    page: &'static Page,
    fork_check: ForkCheck,
    inbox: Inbox,
    arrivals: Arrivals,
    /// Those of the next frame.
    descriptors: Vec<OwnedFd>,
    jobs: HashMap<u32, Rc<Job>>,
    out: Vec<u8>,
    /// Results are in the ring of which the supervisor may not know.
    unannounced: bool,
    /// A ring that is half full was announced as such.
    rung: bool,
    stopwatch: Stopwatch,
    /// When it is captured.
    output: Option<Output>,
    /// What all events of a worker that is ready are within.
    span: Option<EnteredSpan>,
    /// What to run when it is told to leave.
    exit: Option<ExitHook>,
    /// How many it has run.
    tasks: u64,
}

/// Where a task's arguments are.
enum Arguments {
    /// The next so many bytes of the inbox.
    Here(usize),
    /// In memory of their own, or why not.
    Aside(Result<Aside, String>),
}

/// Why the loop ends.
enum End {
    /// The supervisor said goodbye, or is gone.
    Done,
    /// Something that must not happen.
    Unable,
}

impl Worker {
    fn run(&mut self) -> i32 {
        match self.serve() {
            Ok(never) => match never {},
            Err(End::Done) => 0,
            Err(End::Unable) => UNABLE,
        }
    }

    fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            let header = self.header()?;
            match header.kind {
                Kind::Setup => self.get_ready(header)?,
                Kind::Define => self.define(header)?,
                Kind::Forget => drop(self.jobs.remove(&header.job)),
                Kind::Tasks => self.run_tasks(header)?,
                Kind::Descriptors => self.descriptors.extend(self.arrivals.pop_front().unwrap_or_default()),
                Kind::Goodbye => return Err(self.depart()),
                Kind::Ready | Kind::Unready | Kind::Bell | Kind::Result | Kind::LargeResult | Kind::Farewell => {
                    return Err(End::Unable);
                }
            }
        }
    }

    fn get_ready(&mut self, header: Header) -> Result<(), End> {
        let body = self.take(header.length as usize)?;
        let setup = decode::<Setup>(&body).map_err(|_| End::Unable)?;
        // The first of them are the pipes for captured output.
        let pipes = header.job as usize;
        if pipes > 0 {
            let pipes: Vec<Fd> = self.descriptors.drain(..pipes.min(self.descriptors.len())).map(Fd::from).collect();
            self.output = Some(Output::install(pipes).map_err(|_| End::Unable)?);
        }
        let tell_memory = setup.tell_memory;
        let begun = Instant::now();
        let ready = setup::get_ready(setup, self.name.0, self.take_descriptors());
        match ready.and_then(|exit| Ok((exit, setup::own_memory(tell_memory)?))) {
            Ok((exit, index)) => {
                // Before the initializer has run there is nobody who could listen, except under `fork`.
                let (slot, generation) = self.name;
                self.span = Some(tracing::info_span!("worker", slot, generation).entered());
                tracing::debug!(pid = std::process::id(), "ready");
                // What getting ready has printed is not the first task's.
                flush();
                // In microseconds: more than an hour of them is no start.
                let init = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
                self.exit = exit;
                self.send(Header { index, job: init, ..Header::plain(Kind::Ready, 0) }, &[])
            }
            Err(text) => {
                self.send(Header::plain(Kind::Unready, text.len()), text.as_bytes())?;
                Err(End::Unable)
            }
        }
    }

    /// Leaves in order: this worker was told to.
    fn depart(&mut self) -> End {
        if let Some(hook) = self.exit.take() {
            // Its result is in the farewell's frame.
            let_results_have_gaps(false);
            let farewell = leaving::run_hook(hook, self.name.0);
            if !self.fork_check.same_process() {
                // The hook forked, and this is the child.
                leave(0);
            }
            flush();
            let (job, index) = (farewell.status.into(), farewell.nanos);
            let header = Header { job, index, ..Header::plain(Kind::Farewell, farewell.bytes.len()) };
            if self.send(header, &farewell.bytes).is_err() {
                return End::Done;
            }
        }
        leaving::drop_state();
        End::Done
    }

    fn define(&mut self, header: Header) -> Result<(), End> {
        claim::begin_to_take(self.page.taking(), header.epoch, header.position);
        let body = self.take(header.length as usize)?;
        let Definition { call, number } = decode(&body).map_err(|_| End::Unable)?;
        let shim = EntryPoint::from_wire(call.entry).resolve();
        let descriptors = self.take_descriptors();
        self.jobs.insert(header.job, Rc::new(Job { shim, bound: call.bound, descriptors, number }));
        Ok(())
    }

    fn take_descriptors(&mut self) -> Vec<Descriptor> {
        std::mem::take(&mut self.descriptors).into_iter().map(Descriptor::from).collect()
    }

    fn run_tasks(&mut self, header: Header) -> Result<(), End> {
        let job = self.jobs.get(&header.job).cloned().ok_or(End::Unable)?;
        let mut left = header.length as usize;
        let ((failed, mut position), mut index) = (untag(header.position), header.index);
        while left > 0 {
            claim::begin_to_take(self.page.taking(), header.epoch, position);
            let from = match self.length()? {
                length if length == ASIDE as usize => Arguments::Aside(self.open_aside()),
                length => {
                    self.wait_for(length)?;
                    Arguments::Here(length)
                }
            };
            if claim::claim(self.page.claim(), header.epoch, position) {
                self.run_task(&job, position, (index, failed), &from)?;
            }
            // Taken, claimed or not: what was taken back runs elsewhere. So are its descriptors.
            self.descriptors.clear();
            let length = if let Arguments::Here(length) = from { length } else { 0 };
            self.inbox.take(length);
            left = left.saturating_sub(4 + length);
            position += 1;
            index += 1;
        }
        Ok(())
    }

    /// Opens the arguments that are in the last descriptor; the reason when they cannot be had.
    fn open_aside(&mut self) -> Result<Aside, String> {
        let missing = "they have not come (is this process's table of descriptors full?)";
        let memory = self.descriptors.pop().ok_or(missing)?;
        Aside::open(&Descriptor::from(memory)).map_err(|error| error.to_string())
    }

    /// Runs a task.
    fn run_task(&mut self, job: &Job, position: u32, task: (u64, u8), from: &Arguments) -> Result<(), End> {
        let arguments = match from {
            Arguments::Here(length) => Ok(self.inbox.unread().get(..*length).unwrap_or_default()),
            Arguments::Aside(aside) => aside.as_ref().map(Aside::bytes),
        };
        let (index, failed) = task;
        context::enter(job.number, index, failed.into());
        self.tasks += 1;
        // Not enabled, it is one comparison.
        tracing::trace!(index, "task");
        self.out.clear();
        let out = &mut self.out;
        let called = match (job.shim, arguments) {
            (Some(shim), Ok(arguments)) => {
                let fds = std::mem::take(&mut self.descriptors);
                caught(|| with_descriptors(fds, &job.descriptors, || shim(&job.bound, arguments, out)))
            }
            (_, Err(why)) => {
                let text = format!("has arguments that cannot be read: {why}");
                Ok(fail(out, Status::NotDeserializable, &text))
            }
            (None, _) => Ok(fail(out, Status::NotDeserializable, "calls a function that is not in this executable")),
        };
        let status = called.unwrap_or_else(|failure| {
            self.out.clear();
            put_failure(&mut self.out, failure, Status::Panicked as u8)
        });
        if !self.fork_check.same_process() {
            // The task forked, and this is the child: its parent will answer.
            leave(0);
        }
        let marks = self.output.as_mut().and_then(|output| output.marks(self.page));
        let beside = take_result();
        if status == Status::Value as u8 && (beside.is_some() || self.out.len() >= LARGE) {
            return self.publish_with(position, marks, beside);
        }
        self.publish(position, status, marks, true)
    }

    /// Makes a result known before the next task is claimed: from here on the task has run, whatever happens.
    ///
    /// A result with which descriptors were sent must follow them: it does not take the `ring`.
    fn publish(&mut self, position: u32, status: u8, marks: Option<Marks>, ring: bool) -> Result<(), End> {
        let nanos = self.stopwatch.lap();
        let mut status = status;
        if self.out.len() > MOST_BYTES - MARKS {
            let text = format!("has a result of {} bytes; the limit is {}", self.out.len(), MOST_BYTES - MARKS);
            self.out = Vec::new();
            status = fail(&mut self.out, Status::TooLarge, &text);
        }
        if let Some(marks) = marks {
            marks.append(&mut self.out);
            status |= PRINTED;
        }
        if ring && self.page.push(tag(status, position), nanos, &self.out) {
            self.announce()?;
        } else {
            // Too large for the ring, or the supervisor is slow: the socket makes this worker wait for it.
            let header =
                Header { position, job: status.into(), index: nanos, ..Header::plain(Kind::Result, self.out.len()) };
            let out = std::mem::take(&mut self.out);
            self.send(header, &out)?;
            self.unannounced = false;
            self.out = if out.len() > KEEP { Vec::new() } else { out };
        }
        Ok(())
    }

    /// Makes a value known with which descriptors travel, or that is so large that it is put aside.
    #[cold]
    fn publish_with(&mut self, position: u32, marks: Option<Marks>, beside: Option<Box<Beside>>) -> Result<(), End> {
        let Beside { mut descriptors, gap } = beside.map_or_else(Beside::default, |beside| *beside);
        let value = Status::Value as u8;
        let length = self.out.len() + gap.as_ref().map_or(0, |gap| gap.len());
        // Where it cannot be put aside, and where it is too large, the usual way does.
        let fits = (LARGE..=MOST_BYTES - MARKS).contains(&length) && descriptors.len() < MOST;
        let Ok(aside) = put_aside(gap, &mut self.out, 0, fits) else {
            let status = fail(&mut self.out, Status::NotSerializable, "has a result that cannot be read back");
            return self.publish(position, status, marks, true);
        };
        let Some(memory) = aside else {
            self.send_descriptors(&descriptors)?;
            return self.publish(position, value, marks, descriptors.is_empty());
        };
        descriptors.push(memory.into());
        self.send_descriptors(&descriptors)?;
        self.out = Vec::new();
        let status = if let Some(marks) = marks {
            marks.append(&mut self.out);
            value | PRINTED
        } else {
            value
        };
        let index = self.stopwatch.lap();
        let plain = Header::plain(Kind::LargeResult, self.out.len());
        let header = Header { position, job: status.into(), index, ..plain };
        let out = std::mem::take(&mut self.out);
        self.unannounced = false;
        self.send(header, &out)
    }

    fn send_descriptors(&mut self, descriptors: &[Descriptor]) -> Result<(), End> {
        if descriptors.is_empty() {
            return Ok(());
        }
        self.uplink.send_descriptors(descriptors).map_err(|_| End::Done)
    }

    /// Rings when the supervisor wants to know of every result, or when the ring fills up.
    fn announce(&mut self) -> Result<(), End> {
        self.unannounced = true;
        let half_full = self.page.half_full();
        let fills_up = half_full && !self.rung;
        self.rung = half_full;
        if fills_up || self.page.eager().load(Ordering::Relaxed) != 0 { self.ring() } else { Ok(()) }
    }

    fn ring(&mut self) -> Result<(), End> {
        self.unannounced = false;
        let sleeps = bell::ring(self.page.bell(), self.page.watched(), bell::barrier);
        if sleeps { self.send(Header::plain(Kind::Bell, 0), &[]) } else { Ok(()) }
    }

    fn send(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        self.uplink.send(header, body).map_err(|_| End::Done)
    }

    // Receiving.

    fn header(&mut self) -> Result<Header, End> {
        self.wait_for(HEADER)?;
        let header = self.inbox.peek_header().ok().flatten().ok_or(End::Unable)?;
        self.inbox.take(HEADER);
        Ok(header)
    }

    fn length(&mut self) -> Result<usize, End> {
        self.wait_for(4)?;
        let bytes = self.inbox.take(4).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(End::Unable)?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        self.wait_for(count)?;
        self.inbox.take(count).map(<[u8]>::to_vec).ok_or(End::Unable)
    }

    /// Receives until `count` bytes are there, which nearly always they are: of a tiny task's time a call is a part.
    #[inline(always)]
    fn wait_for(&mut self, count: usize) -> Result<(), End> {
        if self.inbox.unread().len() >= count { Ok(()) } else { self.receive_until(count) }
    }

    #[cold]
    fn receive_until(&mut self, count: usize) -> Result<(), End> {
        while self.inbox.unread().len() < count {
            // With results that nobody knows of it matters whether there is more to do; without, waiting tells.
            let received = if self.unannounced { self.receive_now()? } else { Received::Nothing };
            let received = if received == Received::Nothing { self.rest()? } else { received };
            if received == Received::End {
                return Err(End::Done);
            }
        }
        Ok(())
    }

    fn receive_now(&mut self) -> Result<Received, End> {
        let Self { inbox, uplink, arrivals, .. } = self;
        inbox.receive(|room| socket::receive_now_with(uplink.link(), room, arrivals)).map_err(|_| End::Done)
    }

    /// Nothing is left to be done: says so, and waits for more.
    fn rest(&mut self) -> Result<Received, End> {
        if self.unannounced {
            self.ring()?;
        }
        flush();
        let Self { inbox, uplink, arrivals, .. } = self;
        let received =
            inbox.receive(|room| socket::receive_waiting_with(uplink.link(), room, arrivals)).map_err(|_| End::Done);
        if let Some(output) = &mut self.output {
            output.resume(self.page);
        }
        self.stopwatch.start();
        received
    }
}

/// Calls a shim with what has come with its arguments; nearly always that is nothing.
#[inline]
fn with_descriptors<R>(own: Vec<OwnedFd>, bound: &[Descriptor], call: impl FnOnce() -> R) -> R {
    if own.is_empty() && bound.is_empty() {
        return call();
    }
    receiving_call(own.into_iter().map(Descriptor::from).collect(), bound.to_vec(), call)
}

/// Result buffers above this size are not kept.
const KEEP: usize = 1 << 20;

/// Writes a failure that has nothing but a text.
pub(crate) fn fail(out: &mut Vec<u8>, status: Status, message: &str) -> u8 {
    out.clear();
    put_failure(out, Failure { message: message.to_owned(), ..Failure::default() }, status as u8)
}

pub(crate) fn put_failure(out: &mut Vec<u8>, failure: Failure, status: u8) -> u8 {
    let failure = Failure { peak_memory: own_peak_memory(), ..failure };
    encode(&failure, out).expect("plain text and numbers can always be encoded");
    status
}
