//! The supervisor's end of one worker: its socket, its page, and what is known of its process.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ganger_os::child::{Exit, PidFd, Usage};
use ganger_os::fd::Fd;
use ganger_os::huge::make_room;
use ganger_os::page::{Page, Results};
use ganger_os::poll::Poller;
use ganger_os::socket::{self, Arrivals, Received};

use super::core::Stored;
use super::event::{JobId, WorkerId};
use super::farewells::Farewell;
use super::haul::Haul;
use super::health::Pulse;
use super::memory::Memory;
use super::output::{Both, Output};
use crate::pool::job::Job;
use crate::wire::aside::Aside;
use crate::wire::bell;
use crate::wire::claim;
use crate::wire::descriptor::Descriptor;
use crate::wire::frame::{HEADER, Header, Inbox, Kind, MOST_BYTES, ROOM};
use crate::wire::message::{MARKS, untag};

/// Bytes on their way to the worker.
#[derive(Debug)]
enum Outgoing {
    Own(Vec<u8>),
    /// A part of a chunk; shared, as a large one must not be copied.
    Shared(Arc<Vec<u8>>, Range<usize>),
    /// A header, and the descriptors that travel with it.
    With([u8; HEADER], Vec<Descriptor>),
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes, range) => &bytes[range.clone()],
            Self::With(bytes, _) => bytes,
        }
    }

    fn descriptors(&self) -> &[Descriptor] {
        match self {
            Self::Own(_) | Self::Shared(..) => &[],
            Self::With(_, descriptors) => descriptors,
        }
    }
}

/// The supervisor's end of one worker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: WorkerId,
    pub(super) socket: Fd,
    pub(super) results: Results,
    inbox: Inbox,
    arrivals: Arrivals,
    /// Those of the next result.
    descriptors: Vec<Descriptor>,
    outbox: VecDeque<Outgoing>,
    /// How much of the outbox's first entry is sent.
    sent: usize,
    /// When something was last sent.
    sent_at: Instant,
    /// Whether the poller watches for room to write.
    pub(super) watched_for_room: bool,
    pub(super) readable: bool,
    /// It knows that its bell is looked at.
    pub(super) watched: bool,
    /// How often it had rung when its results were last read.
    pub(super) heard: u64,
    /// The poller has reported the socket, for whatever reason, since it was last found full.
    pub(super) stirred: bool,
    /// When the guardian was asked for it.
    pub(super) asked: Instant,
    /// It is to be killed as soon as it is known.
    pub(super) doomed: bool,
    pub(super) pid: Option<i32>,
    pub(super) pidfd: Option<PidFd>,
    pub(super) dead_since: Option<Instant>,
    pub(super) exit: Option<(Exit, Usage)>,
    /// Why it did not get ready.
    pub(super) unready: Option<String>,
    /// What it did that made us kill it.
    pub(super) violation: Option<String>,
    /// Its guardian is dead: it dies as well, and nobody will report how.
    pub(super) orphaned: bool,
    /// When its end of the socket was closed.
    pub(super) ended_since: Option<Instant>,
    /// When its claim word was first seen as nobody can have left it who follows the rules.
    pub(super) scribbled_since: Option<Instant>,
    /// It is to be killed for one of those two.
    pub(super) lived_on: bool,
    /// When it was told to leave.
    pub(super) told: Option<Instant>,
    /// It took too long for that, and was killed.
    pub(super) overstayed: bool,
    /// How many tokens the pools in it hold, at most.
    pub(super) lent: u32,
    /// What its exit hook has made.
    pub(super) farewell: Option<Farewell>,
    /// It has said that it is ready.
    pub(super) ready: bool,
    /// How many bytes it held for itself then, if it was to say.
    pub(super) base: u64,
    /// How long the user's own part of getting ready took.
    pub(super) init: Duration,
    /// The state machine knows that.
    pub(super) counted: bool,
    /// Since when it does.
    pub(super) ready_since: Option<Instant>,
    pub(super) epoch: u16,
    /// The position of the next result, and the end of those that may come.
    pub(super) expected: u32,
    pub(super) limit: u32,
    defined: HashMap<JobId, Weak<Job>>,
    /// It has descriptors of the bound arguments of one of these.
    keeps_descriptors: bool,
    /// When it last began or ended a task, as far as can be seen from here.
    pub(super) moved: Instant,
    pub(super) pulse: Pulse,
    pub(super) memory: Memory,
    /// If it is captured.
    output: Option<Box<Output>>,
}

impl Link {
    pub(super) fn new(id: WorkerId, socket: Fd, page: Page) -> Self {
        Self {
            id,
            socket,
            results: Results::new(page),
            inbox: Inbox::default(),
            arrivals: Arrivals::new(),
            descriptors: Vec::new(),
            outbox: VecDeque::new(),
            sent: 0,
            sent_at: Instant::now(),
            watched_for_room: false,
            readable: false,
            watched: false,
            heard: 0,
            stirred: false,
            asked: Instant::now(),
            doomed: false,
            pid: None,
            pidfd: None,
            dead_since: None,
            exit: None,
            unready: None,
            violation: None,
            orphaned: false,
            ended_since: None,
            scribbled_since: None,
            lived_on: false,
            told: None,
            overstayed: false,
            lent: 0,
            farewell: None,
            ready: false,
            base: 0,
            init: Duration::ZERO,
            counted: false,
            ready_since: None,
            epoch: 0,
            expected: 0,
            limit: 0,
            defined: HashMap::new(),
            keeps_descriptors: false,
            moved: Instant::now(),
            pulse: Pulse::default(),
            memory: Memory::default(),
            output: None,
        }
    }

    // Output.

    pub(super) fn set_output(&mut self, output: Output) -> &mut Output {
        self.output.insert(Box::new(output))
    }

    pub(super) fn output(&mut self) -> Option<&mut Output> {
        self.output.as_deref_mut()
    }

    /// Takes out what is there of the streams that were reported, then reads all results, and gives their tasks what is
    /// theirs.
    pub(super) fn collect_with_output(&mut self, haul: &mut Haul) -> Result<(), String> {
        let Some(mut output) = self.output.take() else { return self.collect(haul) };
        let begun = output.drain(self.results.page());
        // A result that explains what was drained may have come after the poller looked.
        self.readable |= begun.is_some();
        let sound = self.collect(haul);
        output.divide(self.results.page(), haul, begun);
        self.output = Some(output);
        sound
    }

    /// Stops watching what would be reported as readable for ever: pipes at their end, and the socket when nothing more
    /// [is read](Self::is_read) from it. `was_read` tells whether that was so before.
    pub(super) fn unwatch_ended(&mut self, poller: &Poller, was_read: bool) {
        if was_read && !self.is_read() {
            poller.remove(&self.socket);
        }
        self.output.iter_mut().flat_map(|output| output.newly_ended()).for_each(|drain| poller.remove(drain));
    }

    /// Whether its socket may have something to say: it is not at its end, and its worker has not broken the protocol.
    pub(super) fn is_read(&self) -> bool {
        self.ended_since.is_none() && self.violation.is_none()
    }

    /// What the worker, which is dead, has written and no result has explained.
    pub(super) fn last_output(&mut self) -> Option<Both> {
        self.output.as_mut().map(|output| output.last(self.results.page()))
    }

    /// What it has written that is nobody's.
    pub(super) fn take_strays(&mut self) -> Vec<Both> {
        self.output.as_mut().map_or_else(Vec::new, |output| std::mem::take(&mut output.strays))
    }

    /// Says that it has no task yet: what it has written is nobody's.
    pub(super) fn disown_output(&mut self) {
        if let Some(output) = &mut self.output {
            output.nobodys(self.results.page());
        }
    }

    // Sending.

    /// Queues a frame of the supervisor's own.
    pub(super) fn push(&mut self, header: Header, body: &[u8]) {
        let bytes = [&header.to_bytes(), body].concat();
        self.outbox.push_back(Outgoing::Own(bytes));
    }

    /// Queues descriptors that belong to the next frame.
    pub(super) fn push_descriptors(&mut self, descriptors: &[Descriptor]) {
        if !descriptors.is_empty() {
            let header = Header::of_descriptors(descriptors.len()).to_bytes();
            self.outbox.push_back(Outgoing::With(header, descriptors.to_vec()));
        }
    }

    /// Queues tasks, after what the worker must know of their job, and allows them.
    pub(super) fn push_tasks(&mut self, stored: &Stored, header: Header, range: Range<usize>, limit: u32) {
        let Stored { job, bytes, .. } = stored;
        if !self.defined.contains_key(&job.id) {
            self.forget_old_jobs();
            self.keeps_descriptors |= !job.definition.descriptors.is_empty();
            self.defined.insert(job.id, Arc::downgrade(job));
            let define = Header { job: job.id.0, ..Header::plain(Kind::Define, job.definition.bytes.len()) };
            self.push_descriptors(&job.definition.descriptors);
            self.push(define, &job.definition.bytes);
        }
        if !self.busy() {
            self.moved = Instant::now();
            self.pulse.asked(self.moved);
            self.measure_soon();
        }
        // First the permission, then the frame: see the rules of the claim word.
        claim::raise(self.results.page().claim(), limit - self.limit);
        self.limit = limit;
        self.push_descriptors(&stored.descriptors);
        if range.len() <= SMALL {
            self.push(header, &bytes[range]);
        } else {
            self.outbox.push_back(Outgoing::Own(header.to_bytes().to_vec()));
            self.outbox.push_back(Outgoing::Shared(bytes.clone(), range));
        }
    }

    /// Tells the worker, when it has learnt many or keeps what others may wait for the end of, which jobs are over.
    fn forget_old_jobs(&mut self) {
        if self.defined.len() < 64 && !self.keeps_descriptors {
            return;
        }
        let over: Vec<JobId> =
            self.defined.iter().filter(|(_, job)| job.strong_count() == 0).map(|(id, _)| *id).collect();
        for id in over {
            self.defined.remove(&id);
            self.push(Header { job: id.0, ..Header::plain(Kind::Forget, 0) }, &[]);
        }
        let keeps = |job: Arc<Job>| !job.definition.descriptors.is_empty();
        self.keeps_descriptors = self.defined.values().filter_map(Weak::upgrade).any(keeps);
    }

    pub(super) fn set_eager(&self, eager: bool) {
        self.results.page().eager().store(eager.into(), Ordering::Relaxed);
    }

    /// Sets or clears the flag that says that its task shall end; whether a task has ever looked at it.
    pub(super) fn ask(&mut self, wanted: bool) -> bool {
        let page = self.results.page();
        page.stop().store(wanted.into(), Ordering::Release);
        page.listens().load(Ordering::Acquire) != 0
    }

    /// Whether it is still taking in what it was sent. One that takes in nothing for a second is stopped.
    pub(super) fn is_receiving(&self) -> bool {
        !self.outbox.is_empty() && self.sent_at.elapsed() < Duration::from_secs(1)
    }

    /// Writes what fits; `Ok(true)` when something is left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while let Some(front) = self.outbox.front() {
            let count = match front.descriptors() {
                // They travel with the first byte.
                descriptors if !descriptors.is_empty() && self.sent == 0 => {
                    let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
                    socket::send_now_with(&self.socket, front.bytes(), &fds)?
                }
                _ => socket::send_now(&self.socket, &self.parts())?,
            };
            if count == 0 {
                return Ok(true);
            }
            self.sent_at = Instant::now();
            self.advance(count);
        }
        Ok(false)
    }

    /// What one system call can write: as far as to the next descriptors.
    fn parts(&self) -> Vec<&[u8]> {
        let skip = self.sent;
        let without = |(place, part): &(usize, &Outgoing)| *place == 0 || part.descriptors().is_empty();
        let parts = self.outbox.iter().take(MOST_PARTS).enumerate().take_while(without);
        parts.map(|(place, part)| if place == 0 { &part.bytes()[skip..] } else { part.bytes() }).collect()
    }

    fn advance(&mut self, count: usize) {
        self.sent += count;
        while let Some(front) = self.outbox.front() {
            let length = front.bytes().len();
            if self.sent < length {
                return;
            }
            self.sent -= length;
            self.outbox.pop_front();
        }
    }

    // The claim word.

    pub(super) fn take_back(&mut self) -> u32 {
        let next = claim::take_back(self.results.page().claim());
        // Whatever a word says that was scribbled over, what is counted here stays in order.
        self.limit = next.clamp(self.expected, self.limit);
        self.limit
    }

    pub(super) fn begin_epoch(&mut self, epoch: u16) {
        claim::begin(self.results.page().claim(), epoch);
        (self.epoch, self.expected, self.limit) = (epoch, 0, 0);
    }

    /// The first position that was not begun.
    pub(super) fn claimed(&self) -> u32 {
        let claim = claim::read(self.results.page().claim());
        // A worker publishes before it claims again: a word that says more is a lie, or scribbled over, and nobody else pays
        // for it. Of one that broke the protocol some results may be unreadable: those tasks have run, and are not run again.
        let believed = self.violation.is_some() && self.is_sound(claim);
        if believed { claim.next } else { claim.next.min(self.expected + 1) }
    }

    /// Whether it had begun to take in the task that it would have begun next.
    pub(super) fn was_taking(&self) -> bool {
        claim::has_begun_to_take(self.results.page().taking(), self.epoch, self.expected)
    }

    // Receiving.

    /// Reads every result that is there, in order of position: from the ring, and from the socket what the ring had no
    /// room for. The error says how the worker broke the protocol.
    fn collect(&mut self, haul: &mut Haul) -> Result<(), String> {
        let before = haul.len();
        // Before the results: they are what both are compared with.
        self.heard = bell::count(self.results.page().bell());
        self.check_word();
        loop {
            let next = self.collect_ring(haul)?;
            // The next result is not in the ring but a later one is: the worker had written it to the socket before.
            self.readable |= next.is_some();
            if self.collect_frame(haul)? || self.receive()? {
                continue;
            }
            match next {
                Some(position) => {
                    return Err(format!("a result for position {position} came instead of {}", self.expected));
                }
                None => break,
            }
        }
        if haul.len() > before {
            self.moved = Instant::now();
            self.answered(self.moved);
        }
        Ok(())
    }

    /// Takes results from the ring as long as they are the next ones; the position of the first that is not.
    fn collect_ring(&mut self, haul: &mut Haul) -> Result<Option<u32>, String> {
        let mut taken = false;
        let mut later = None;
        while let Some(record) = self.results.peek().map_err(|_| "the ring of results is corrupt")? {
            let (status, position) = untag(record.tag);
            if position > self.expected && position < self.limit {
                later = Some(position);
                break;
            }
            expect(&mut self.expected, self.limit, position)?;
            haul.push(status, record.extra, |bytes| self.results.take(record, bytes));
            taken = true;
        }
        if taken {
            self.results.free();
        }
        Ok(later)
    }

    /// Takes one frame from the inbox; `false` when none is whole.
    fn collect_frame(&mut self, haul: &mut Haul) -> Result<bool, String> {
        let malformed = |_| "a frame is malformed".to_owned();
        let Some(header) = self.inbox.peek_header().map_err(malformed)? else { return Ok(false) };
        check_header(&header)?;
        if matches!(header.kind, Kind::Result | Kind::LargeResult) && header.position > self.expected {
            // Results before it are in the ring: the worker had put them there before it wrote the frame.
            self.collect_ring(haul)?;
        }
        let Some((header, body)) = self.inbox.next_frame().map_err(malformed)? else { return Ok(false) };
        match header.kind {
            Kind::Bell => {}
            Kind::Ready => {
                self.ready = true;
                self.base = header.index;
                self.init = Duration::from_micros(header.job.into());
            }
            Kind::Unready => self.unready = Some(String::from_utf8_lossy(body).into_owned()),
            Kind::Result => {
                // First the question whether it is the one that is due: what has been hauled counts as an outcome.
                expect(&mut self.expected, self.limit, header.position)?;
                haul.push(header.job as u8, header.index, |bytes| {
                    make_room(bytes, body.len());
                    bytes.extend_from_slice(body);
                });
                haul.attach(std::mem::take(&mut self.descriptors));
            }
            Kind::LargeResult => {
                expect(&mut self.expected, self.limit, header.position)?;
                let memory = self.descriptors.pop().ok_or("a large result came without its memory")?;
                let aside =
                    Aside::open(&memory).map_err(|error| format!("a large result cannot be opened: {error}"))?;
                haul.push_aside(header.job as u8, header.index, body, aside);
                haul.attach(std::mem::take(&mut self.descriptors));
            }
            Kind::Descriptors => {
                // Fewer than were sent, when this process's table is full: whatever needs them cannot be decoded.
                let arrived = self.arrivals.pop_front().unwrap_or_default();
                self.descriptors = arrived.into_iter().map(Descriptor::from).collect();
            }
            Kind::Farewell if self.told.is_some() && self.farewell.is_none() => {
                let (status, nanos, bytes) = (header.job as u8, header.index, body.to_vec());
                self.farewell = Some(Farewell { status, nanos, bytes });
            }
            Kind::Farewell => return Err("it said farewell, and was not told to leave".to_owned()),
            Kind::Setup | Kind::Define | Kind::Forget | Kind::Tasks | Kind::Goodbye => {
                unreachable!("check_header refuses them")
            }
        }
        Ok(haul.size() < MOST_BYTES)
    }

    /// Reads from the socket what is there; `false` when nothing is.
    fn receive(&mut self) -> Result<bool, String> {
        if !self.readable {
            return Ok(false);
        }
        let Self { inbox, socket, arrivals, .. } = self;
        let before = arrivals.len();
        let received = inbox.receive(|room| socket::receive_now_with(&*socket, room, arrivals));
        let brought = arrivals.len() > before;
        if arrivals.len() > 1 {
            // All whole frames were used up before, so at most one batch can belong to a frame that is not whole.
            return Err("it sends descriptors that belong to nothing".to_owned());
        }
        match received {
            Ok(Received::Bytes(count)) => {
                // A read that did not fill the least room there is has emptied the socket, unless it ended behind descriptors; of
                // the dead, it is made sure.
                self.readable = count >= ROOM || brought || self.dead_since.is_some();
                Ok(true)
            }
            Ok(Received::Nothing) => {
                self.readable = false;
                Ok(false)
            }
            Ok(Received::End) | Err(_) => {
                self.readable = false;
                self.ended_since.get_or_insert_with(Instant::now);
                Ok(false)
            }
        }
    }

    /// Whether it has tasks that have no result.
    pub(super) fn busy(&self) -> bool {
        self.expected != self.limit
    }

    /// How long the task that it runs can have been running at most.
    pub(super) fn since_moved(&self) -> Duration {
        self.moved.elapsed()
    }
}

/// Counts a result that is the next one, and refuses any other.
fn expect(expected: &mut u32, limit: u32, position: u32) -> Result<(), String> {
    if position != *expected || position >= limit {
        return Err(format!("a result for position {position} came instead of {expected}"));
    }
    *expected += 1;
    Ok(())
}

/// Refuses what no worker sends as soon as its header is there: the body that a stray header claims may never come, and
/// its task would seem to run for ever.
fn check_header(header: &Header) -> Result<(), String> {
    match header.kind {
        Kind::Unready | Kind::Result | Kind::Farewell => Ok(()),
        Kind::LargeResult if header.length as usize <= MARKS => Ok(()),
        Kind::Bell | Kind::Ready | Kind::Descriptors if header.length == 0 => Ok(()),
        kind => Err(format!("a worker must not send {kind:?} with {} byte(s)", header.length)),
    }
}

/// Task frames up to this size are copied behind their header: one buffer to write instead of two.
const SMALL: usize = 4096;

/// How many pieces one system call writes; the kernel's limit is 1024.
const MOST_PARTS: usize = 64;
