//! The guardian's death, and its successor.
//!
//! Its workers die with it, which their pidfds report; nobody reports how. Under `spawn` and `forkserver` another guardian
//! is started. Under `fork` it would be a copy of this process as it is now, with threads, and not of the one that the
//! user had forked: the pool is broken.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ganger_os::poll::{Interest, Poller};
use ganger_os::start::{Guardian, Plan, StartError};

use super::core::{Core, SILENT};
use super::event::{Event, WorkerId};
use super::token::Token;
use crate::worker::HOOKS;

/// What is known of the guardian besides itself.
#[derive(Debug)]
pub(super) struct Post {
    /// How a successor is started; without it there is none.
    plan: Option<Plan>,
    /// A successor is to be started.
    wanted: bool,
    /// Since when a successor has been starting that has not said that it is ready.
    launched: Option<Instant>,
    /// It was killed for its silence, and its death is awaited.
    hurried: bool,
    /// What it gave as the reason why it cannot serve.
    pub(super) confession: Option<String>,
}

impl Post {
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self { plan, wanted: false, launched: None, hurried: false, confession: None }
    }
}

impl Core {
    /// By when the guardian must have said something.
    pub(super) fn guardian_limit(&self) -> Option<Instant> {
        if self.post.hurried {
            return None;
        }
        match (self.post.launched, &self.post.plan) {
            // A limit beyond what the clock can say is none.
            (Some(launched), Some(plan)) => launched.checked_add(plan.limit),
            _ => self.unanswered().map(|since| since + SILENT),
        }
    }

    /// Kills a guardian that says nothing for too long; its death is noticed as any other.
    pub(super) fn hurry_guardian(&mut self, now: Instant) {
        if let Some(guardian) = &self.guardian
            && self.guardian_limit().is_some_and(|limit| limit <= now)
        {
            tracing::error!(pid = guardian.pid(), "the guardian does not answer: killing it");
            let starting = self.post.launched.and(self.post.plan.as_ref());
            if let Some(plan) = starting {
                self.post.confession = Some(StartError::Silent(plan.limit).to_string());
            }
            guardian.pidfd().kill();
            self.post.hurried = true;
        }
    }

    /// The guardian is dead, or has closed its end, which it never does while it serves.
    pub(super) fn lose_guardian(&mut self) {
        if self.guardian.is_none() || self.finishing {
            return;
        }
        let died = || "its guardian process died, and all workers with it".to_owned();
        self.cause = Some(self.post.confession.take().unwrap_or_else(died));
        if self.post.plan.is_none() {
            return self.handle(Event::GuardianLost);
        }
        let Some(mut guardian) = self.guardian.take() else { return };
        let left = if guardian.group().is_some() { "is killed by its control group" } else { "is not swept" };
        tracing::warn!(
            pid = guardian.pid(),
            cause = self.cause,
            "the guardian is gone, and its workers with it: another is started; what their tasks left behind {left}"
        );
        unwatch(&self.poller, &guardian);
        guardian.finish(Duration::ZERO);
        self.post.launched = None;
        self.post.hurried = false;
        self.guardian_watched_for_room = false;
        for link in self.links.values_mut() {
            link.orphaned = true;
            // The kernel does that as well, unless a task has taken back its order.
            if let Some(pidfd) = &link.pidfd {
                pidfd.kill();
            }
        }
        self.handle(Event::GuardianDied);
        // Those that it was asked for and had not reported: they have no task, and their death is not to be seen.
        let unborn: Vec<WorkerId> =
            self.links.values().filter(|link| link.orphaned && link.pid.is_none()).map(|link| link.id).collect();
        unborn.into_iter().for_each(|id| self.bury(id));
    }

    /// Where the gang's control group is, if it has one and is there.
    pub(crate) fn group_directory(&self) -> Option<PathBuf> {
        self.guardian.as_ref().and_then(Guardian::group).map(|group| group.directory().to_owned())
    }

    /// Lets go of what only a successor would need, and of the control group with it: nobody will be started any more.
    pub(super) fn abandon_post(&mut self) -> Option<Plan> {
        self.post.plan.take()
    }

    /// Has a guardian started, by the driver's own thread: processors and niceness are passed on by whoever starts it, and
    /// that thread has those of the one that built the pool. Others that carry out actions may have any.
    pub(super) fn want_guardian(&mut self) {
        self.post.wanted = true;
    }

    /// Whether the driver is to start a guardian.
    pub(crate) fn wants_guardian(&self) -> bool {
        self.post.wanted && !self.finishing
    }

    /// Starts a guardian; it says later whether it is ready.
    pub(crate) fn start_guardian(&mut self) {
        self.post.wanted = false;
        let Some(plan) = self.post.plan.clone() else { return };
        if let Err(error) = self.try_start_guardian(plan) {
            let why = error.to_string();
            tracing::warn!(why, "the guardian did not start");
            self.cause = Some(why);
            self.handle(Event::GuardianDied);
        }
    }

    fn try_start_guardian(&mut self, plan: Plan) -> Result<(), StartError> {
        let guardian = Guardian::begin(plan, &HOOKS)?;
        watch(&self.poller, &guardian).map_err(|error| StartError::System("watch the guardian", error))?;
        tracing::debug!(pid = guardian.pid(), "starting a guardian");
        self.post.launched = Some(Instant::now());
        self.guardian_heard = Instant::now();
        self.guardian = Some(guardian);
        Ok(())
    }

    pub(super) fn guardian_ready(&mut self) {
        if self.post.launched.take().is_some() {
            tracing::info!(pid = self.guardian_pid(), "another guardian serves");
            self.handle(Event::GuardianReady);
        }
    }
}

/// Watches a guardian's socket and its life: both, or neither.
pub(super) fn watch(poller: &Poller, guardian: &Guardian) -> io::Result<()> {
    poller.add(guardian, Token::Guardian.to_u64(), Interest::Read)?;
    let death = poller.add(guardian.pidfd(), Token::GuardianDeath.to_u64(), Interest::Read);
    death.inspect_err(|_| poller.remove(guardian))
}

/// Stops watching a guardian, which must be done before it is dropped.
pub(super) fn unwatch(poller: &Poller, guardian: &Guardian) {
    poller.remove(guardian);
    poller.remove(guardian.pidfd());
}
