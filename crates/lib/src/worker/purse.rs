//! The tokens of a worker: what the pools that its task builds may run.
//!
//! A worker that runs a task has one token for it, which it lends to its own pools: a task that waits for them does not run. So
//! one of its pools can always run one task, and nothing waits for ever, however deep pools are nested. More tokens come from
//! the pool that the worker belongs to (see [`wire::tokens`](crate::wire::tokens)), and go back as soon as they are not used.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::uplink::Uplink;
use crate::wire::tokens;

/// The purse of this process, if it is a worker.
static PURSE: Mutex<Option<Purse>> = Mutex::new(None);

fn purse() -> MutexGuard<'static, Option<Purse>> {
    PURSE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Purse {
    /// The process whose purse it is: a copy that was forked off has neither the page nor the link.
    pid: u32,
    word: &'static AtomicU64,
    uplink: Arc<Uplink>,
    shares: BTreeMap<u64, Share>,
    next: u64,
}

/// What one pool in this process has.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    wanted: u32,
    held: u32,
}

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many tasks it may run at a time.
    pub(crate) held: u32,
    /// It has all that it wants, and nobody is left to be told.
    pub(crate) settled: bool,
}

/// A pool that shares the budget of the one that this worker belongs to.
#[derive(Debug)]
pub(crate) struct Member(u64);

/// Makes the purse of this process.
pub(super) fn install(word: &'static AtomicU64, uplink: Arc<Uplink>) {
    let purse_of_this = Purse { pid: std::process::id(), word, uplink, shares: BTreeMap::new(), next: 0 };
    // That of the process which this one was forked from has a descriptor whose number may be another's by now.
    std::mem::forget(purse().replace(purse_of_this));
}

impl Purse {
    fn total(&self, what: impl Fn(&Share) -> u32) -> u32 {
        self.shares.values().map(what).fold(0, u32::saturating_add)
    }

    fn update(&mut self, member: u64, wanted: u32) -> Standing {
        let share = self.shares.entry(member).or_default();
        *share = Share { wanted, held: share.held.min(wanted) };
        // One is the task's own.
        let (before, after) = tokens::want(self.word, self.total(|share| share.wanted).saturating_sub(1));
        let free = (after.held + 1).saturating_sub(self.total(|share| share.held));
        let share = self.shares.entry(member).or_default();
        share.held += free.min(wanted - share.held);
        let news = before.wanted != after.wanted && (after.wanted > after.held || before.held > after.held);
        let told = if news || self.uplink.is_missed() { self.uplink.ring() } else { true };
        Standing { held: share.held, settled: told && share.held == wanted }
    }
}

impl Member {
    /// A new one; `None` when this process is no worker.
    pub(crate) fn join() -> Option<Self> {
        let mut purse = purse();
        let purse = purse.as_mut().filter(|purse| purse.pid == std::process::id())?;
        purse.next += 1;
        Some(Self(purse.next))
    }

    /// Says how many tasks the pool could run at a time now, and takes what there is of that.
    pub(crate) fn update(&self, wanted: u32) -> Standing {
        let mut purse = purse();
        match purse.as_mut().filter(|purse| purse.pid == std::process::id()) {
            Some(purse) => purse.update(self.0, wanted),
            // A forked copy of the process, in which the pool does nothing.
            None => Standing { held: 0, settled: true },
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut purse = purse();
        if let Some(purse) = purse.as_mut().filter(|purse| purse.pid == std::process::id()) {
            purse.update(self.0, 0);
            purse.shares.remove(&self.0);
        }
    }
}
