//! Limits of memory: how much more a worker holds for itself than when it got ready.
//!
//! Measured is what is private to the process (its own pages and what is swapped out): what it shares with the guardian,
//! copy-on-write, costs nobody anything until it is written to, and then it counts. A measurement walks the page tables of
//! the worker, some milliseconds a gigabyte, so it is made without the core's lock, and as seldom as makes it a fiftieth
//! of the time. Only workers with tasks are measured, and once more when they come to rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ganger_os::process::Meter;

use super::core::Core;
use super::event::{Event, WorkerId};
use super::link::Link;

/// The least time between two measurements of a worker.
const PAUSE: Duration = Duration::from_millis(50);

/// A measurement is repeated after so many times of what it took.
const SHARE: u32 = 50;

/// What a worker may hold for itself, beyond what it held when it got ready, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryLimits {
    /// Above it, the worker is replaced after its task.
    pub(crate) soft: Option<u64>,
    /// Above it, the worker is killed.
    pub(crate) hard: Option<u64>,
}

impl MemoryLimits {
    pub(crate) fn any(self) -> bool {
        self.soft.is_some() || self.hard.is_some()
    }
}

/// What is known of a worker's memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    meter: Option<Arc<Meter>>,
    /// What it held when it got ready, by its own account.
    base: u64,
    due: Option<Instant>,
    /// How much more it held when that was last looked at.
    pub(super) growth: u64,
}

/// A measurement that is due, or made.
#[derive(Debug)]
pub(crate) struct Sample {
    worker: WorkerId,
    meter: Arc<Meter>,
    made: Option<(u64, Duration)>,
}

impl Sample {
    /// Measures.
    pub(crate) fn make(&mut self) {
        let start = Instant::now();
        // Of a dead process there is nothing to be said.
        self.made = self.meter.private().ok().map(|bytes| (bytes, start.elapsed()));
    }
}

impl Link {
    /// The worker is ready, and holds `base` bytes for itself.
    pub(super) fn begin_measuring(&mut self, base: u64) {
        let meter = self.pid.and_then(|pid| Meter::open(pid).ok()).map(Arc::new);
        self.memory = Memory { meter, base, due: None, growth: 0 };
    }

    /// It has something to do.
    pub(super) fn measure_soon(&mut self) {
        if self.memory.meter.is_some() {
            self.memory.due.get_or_insert_with(|| Instant::now() + PAUSE);
        }
    }
}

impl Core {
    /// When a measurement is due.
    pub(super) fn next_measurement(&self) -> Option<Instant> {
        self.links.values().filter_map(|link| link.memory.due).min()
    }

    /// The measurements that are due; they are to be made without the lock.
    pub(crate) fn due_measurements(&mut self) -> Vec<Sample> {
        if !self.memory_limits.any() {
            return Vec::new();
        }
        let now = Instant::now();
        let due = self.links.values_mut().filter(|link| link.memory.due.is_some_and(|due| due <= now));
        let sample = |link: &mut Link| {
            link.memory.due = None;
            Some(Sample { worker: link.id, meter: link.memory.meter.clone()?, made: None })
        };
        due.filter_map(sample).collect()
    }

    /// Takes note of a measurement.
    pub(crate) fn measured(&mut self, sample: &Sample) {
        let Some((bytes, took)) = sample.made else { return };
        let limits = self.memory_limits;
        let Some(link) = self.link(sample.worker).filter(|link| link.dead_since.is_none()) else { return };
        link.memory.growth = bytes.saturating_sub(link.memory.base);
        let growth = link.memory.growth;
        if link.busy() {
            link.memory.due = Some(Instant::now() + PAUSE.max(took * SHARE));
        }
        let over = |limit: Option<u64>| limit.is_some_and(|limit| growth > limit);
        if over(limits.hard) || over(limits.soft) {
            let (worker, hard) = (sample.worker, over(limits.hard));
            tracing::debug!(worker = worker.slot, growth, hard, "a worker holds more memory than its limit");
            self.handle(Event::MemoryExceeded { worker, hard });
        }
    }
}
