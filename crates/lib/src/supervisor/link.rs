//! The supervisor's end of one worker: its socket, its page, and what is known of its process.

use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::time::{Duration, Instant};

use ganger_os::child::{Exit, PidFd, Usage};
use ganger_os::fd::Fd;
use ganger_os::page::{Page, Results};
use ganger_os::poll::Poller;
use ganger_os::socket::Arrivals;

use super::event::{JobId, WorkerId};
use super::farewells::Farewell;
use super::haul::Haul;
use super::health::Pulse;
use super::memory::Memory;
use super::output::{Both, Output};
use super::sending::Outgoing;
use crate::pool::job::Job;
use crate::wire::claim;
use crate::wire::descriptor::Descriptor;
use crate::wire::frame::Inbox;

/// The supervisor's end of one worker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: WorkerId,
    pub(super) socket: Fd,
    pub(super) results: Results,
    pub(super) inbox: Inbox,
    pub(super) arrivals: Arrivals,
    /// Those of the next result.
    pub(super) descriptors: Vec<Descriptor>,
    pub(super) outbox: VecDeque<Outgoing>,
    /// How much of the outbox's first entry is sent.
    pub(super) sent: usize,
    /// When something was last sent.
    pub(super) sent_at: Instant,
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
    pub(super) defined: HashMap<JobId, Weak<Job>>,
    /// It has descriptors of the bound arguments of one of these.
    pub(super) keeps_descriptors: bool,
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

    /// Whether it has tasks that have no result.
    pub(super) fn busy(&self) -> bool {
        self.expected != self.limit
    }

    /// How long the task that it runs can have been running at most.
    pub(super) fn since_moved(&self) -> Duration {
        self.moved.elapsed()
    }
}
