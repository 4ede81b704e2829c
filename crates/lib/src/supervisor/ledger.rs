//! Where the time goes: of every place in the gang, and of the slowest tasks.
//!
//! It is always kept: of each result one more number is compared, of each reading of a link two are added.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::event::{Span, WorkerId};
use super::link::Link;
use crate::pool::insights::{SlowTask, WorkTimes};

/// So many of the slowest tasks are remembered.
pub(super) const SLOWEST: usize = 10;

/// Arguments of more bytes are not kept.
const MOST_BYTES: usize = 4096;

/// The account of all that has ended.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By place. Their `wait` is the time that workers which are gone had been ready.
    places: Vec<WorkTimes>,
    /// The slowest first.
    slowest: Vec<SlowTask>,
}

impl Ledger {
    fn place(&mut self, slot: u32) -> &mut WorkTimes {
        let slot = slot as usize;
        if self.places.len() <= slot {
            self.places.resize(slot + 1, WorkTimes::default());
        }
        &mut self.places[slot]
    }

    /// Tasks that took no longer than so many nanoseconds need not be looked at.
    pub(super) fn remarkable(&self) -> u64 {
        let last = self.slowest.get(SLOWEST - 1);
        last.map_or(0, |task| u64::try_from(task.duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn ready(&mut self, link: &Link, now: Instant) {
        let times = self.place(link.id.slot);
        times.processes += 1;
        times.init += link.init;
        times.start_up += now.saturating_duration_since(link.asked).saturating_sub(link.init);
    }

    pub(super) fn worked(&mut self, slot: u32, tasks: u32, time: Duration) {
        let times = self.place(slot);
        times.tasks += u64::from(tasks);
        times.work = times.work.saturating_add(time);
    }

    /// A worker is gone.
    pub(super) fn gone(&mut self, link: &Link) {
        let Some(ready) = link.ready_since else { return };
        let now = Instant::now();
        let end = link.told.unwrap_or(now);
        let times = self.place(link.id.slot);
        times.wait += end.saturating_duration_since(ready);
        times.exit += now.saturating_duration_since(end);
    }

    fn remember(&mut self, task: SlowTask) {
        let place = self.slowest.partition_point(|known| known.duration >= task.duration);
        self.slowest.insert(place, task);
        self.slowest.truncate(SLOWEST);
    }
}

impl Core {
    /// Takes note of those tasks of `span`, whose results are handed over next, that are among the slowest.
    pub(super) fn note_slow(&mut self, span: Span, worker: WorkerId) {
        let (from, haul) = (self.haul_used, self.haul.clone());
        for (place, nanos) in haul.slow(from, from.saturating_add(span.count)) {
            self.note_one(span, place - from, worker, Duration::from_nanos(*nanos));
        }
    }

    /// Takes note of a task of which its worker has died.
    pub(super) fn note_last(&mut self, span: Span, link: &Link) {
        let time = link.since_moved();
        self.ledger.worked(link.id.slot, 1, time);
        if let Some(stored) = self.chunks.get(&span.chunk) {
            let (task, index) = (stored.job.name.clone(), stored.first + u64::from(span.first));
            self.record_last(&task, index, link.id, time);
        }
        if time.as_nanos() > u128::from(self.ledger.remarkable()) {
            self.note_one(span, 0, link.id, time);
        }
    }

    fn note_one(&mut self, span: Span, number: u32, worker: WorkerId, duration: Duration) {
        let Some(stored) = self.chunks.get(&span.chunk) else { return };
        let place = (span.first + number) as usize;
        // Behind their length.
        let arguments = stored.offsets[place] as usize + 4..stored.offsets[place + 1] as usize;
        let kept = arguments.len() <= MOST_BYTES;
        let arguments = kept.then(|| Arc::from(&stored.bytes[arguments]));
        let (task, index) = (stored.job.name.clone(), stored.first + place as u64);
        self.ledger.remember(SlowTask { task, index, worker: worker.slot, duration, arguments });
    }

    /// Where the time went until now.
    pub(crate) fn insights(&mut self) -> (Vec<WorkTimes>, Vec<SlowTask>) {
        self.collect_all();
        let mut places = self.ledger.places.clone();
        places.resize(places.len().max(self.state.places() as usize), WorkTimes::default());
        for link in self.links.values().filter(|link| link.dead_since.is_none()) {
            let Some(ready) = link.ready_since else { continue };
            if let Some(times) = places.get_mut(link.id.slot as usize) {
                times.wait += link.told.unwrap_or_else(Instant::now).saturating_duration_since(ready);
            }
        }
        places.iter_mut().for_each(|times| times.wait = times.wait.saturating_sub(times.work));
        (places, self.ledger.slowest.clone())
    }
}
