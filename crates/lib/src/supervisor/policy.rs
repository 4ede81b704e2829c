//! How many tasks to send at once: enough to hide the cost of sending, few enough to share the work fairly.

use std::time::Duration;

/// A batch shall be about this much work.
const BATCH_NANOS: u64 = 1_000_000;

/// The largest batch, however short the tasks are.
const MOST: u32 = 8192;

/// The smallest piece of work that is worth a batch of its own: some times as long as it takes to send it, to wake a worker for it, and
/// to book its results.
const WORTH_NANOS: u64 = 20_000;

/// Tasks up to this length cost whoever sends them about as much as whoever runs them.
const TINY_NANOS: u64 = 300;

/// Results of tasks shorter than this are collected instead of announced one by one: an announcement costs the worker
/// about 2 us, and the supervisor a wake-up, as it does the reader: 15 us and more in all. The supervisor looks for collected ones as often as this.
const EAGER_NANOS: u64 = 1_000_000;

/// While a worker runs a task shorter than this, the next one already waits beside it: otherwise the way back and forth
/// (about 0.1 ms) would be idle time. Longer ones are not worth the risk of waiting behind the wrong neighbour.
const PREFETCH_NANOS: u64 = 20_000_000;

/// Tasks that take longer are not told apart. It is also the most that is believed: the number comes from a worker's
/// memory, and whatever it is, nothing here overflows.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// What is known about how long one function's tasks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// A moving average; zero when nothing is known.
    nanos: u64,
    /// Batches grow only as fast as they prove themselves: the first task may not be like the others.
    grown: u32,
}

impl Pace {
    /// Learns from `count` tasks that took `nanos` together.
    pub(super) fn learn(&mut self, count: u32, nanos: u64) {
        let sample = (nanos / u64::from(count.max(1))).clamp(1, LONGEST_NANOS);
        self.nanos = if self.nanos == 0 { sample } else { (3 * self.nanos + sample) / 4 };
        self.grown = (self.grown.max(1) * 2).max(count.saturating_mul(2)).min(MOST);
    }

    /// Nanoseconds a task; `None` when no task has ended yet.
    pub(super) fn nanos(self) -> Option<u64> {
        (self.nanos > 0).then_some(self.nanos)
    }

    /// Whether a task takes no longer than sending it and reading its result does.
    pub(super) fn is_tiny(self) -> bool {
        self.nanos().is_some_and(|nanos| nanos <= TINY_NANOS)
    }

    /// How long so many tasks take; `None` when no task has ended yet.
    pub(super) fn takes(self, count: u32) -> Option<Duration> {
        self.nanos().map(|nanos| Duration::from_nanos(nanos.saturating_mul(count.into())))
    }

    /// Whether results shall be announced one by one.
    pub(super) fn eager(self) -> bool {
        self.nanos().is_none_or(|nanos| nanos >= EAGER_NANOS)
    }

    /// How many tasks are worth a batch of their own.
    pub(super) fn worth(self) -> u32 {
        self.nanos().map_or(1, |nanos| (WORTH_NANOS / nanos).clamp(1, MOST.into()) as u32)
    }

    /// How many tasks to send to one worker now, when `queued` wait for all `workers`.
    pub(super) fn batch(self, queued: u64, workers: u32) -> u32 {
        let Some(nanos) = self.nanos() else { return 1 };
        let by_time = u32::try_from(BATCH_NANOS / nanos).unwrap_or(u32::MAX).clamp(1, MOST);
        // Towards the end the pieces get smaller, so that all workers end together.
        let fair = queued.div_ceil(2 * u64::from(workers.max(1))).min(MOST.into()) as u32;
        let fair = fair.max(self.worth());
        by_time.min(self.grown.max(1)).min(fair)
    }

    /// Whether a worker with `ahead` tasks in flight takes more.
    pub(super) fn takes_more(self, ahead: u32) -> bool {
        match self.nanos() {
            _ if ahead == 0 => true,
            None => false,
            Some(nanos) => nanos * u64::from(ahead) < BATCH_NANOS || (ahead == 1 && nanos < PREFETCH_NANOS),
        }
    }

    /// How many tasks an input may be ahead of its reader, so that `workers` never wait for it.
    pub(super) fn look_ahead(self, workers: u32) -> u32 {
        let each = self.nanos().map_or(2, |nanos| (4 * BATCH_NANOS / nanos).clamp(4, 2 * u64::from(MOST)) as u32);
        each.saturating_mul(workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(nanos: u64) -> Pace {
        Pace { nanos, grown: MOST }
    }

    #[test]
    fn long_tasks_travel_alone_and_short_ones_by_the_millisecond() {
        for (nanos, expected) in [(0, 1), (1, MOST), (1_000, 1_000), (400_000, 2), (1_000_000, 1), (60_000_000_000, 1)]
        {
            assert_eq!(pace(nanos).batch(1_000_000, 2), expected, "{nanos} ns");
        }
    }

    #[test]
    fn the_last_tasks_are_shared() {
        assert_eq!(pace(1_000).batch(100, 2), 25);
        assert_eq!(pace(20_000).batch(3, 2), 1);
    }

    #[test]
    fn no_piece_is_smaller_than_what_it_costs_to_send() {
        assert_eq!(pace(1_000).batch(3, 2), 20, "there are three: all go to one worker");
        assert_eq!(pace(100).batch(1_000, 64), 200);
        assert_eq!(pace(1).worth(), MOST);
        assert_eq!(Pace::default().worth(), 1);
    }

    #[test]
    fn batches_grow_as_they_prove_themselves() {
        let mut pace = Pace::default();
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let size = pace.batch(u64::MAX, 1);
            sizes.push(size);
            pace.learn(size, u64::from(size) * 10);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn whatever_a_worker_says_is_survived() {
        let mut pace = Pace::default();
        for (count, nanos) in [(1, u64::MAX), (1, u64::MAX), (u32::MAX, 0), (0, u64::MAX)] {
            pace.learn(count, nanos);
            pace.takes_more(crate::wire::claim::POSITIONS);
            pace.look_ahead(u32::MAX);
        }
        assert_eq!(pace.batch(u64::MAX, 1), 1);
    }

    #[test]
    fn an_unknown_task_has_no_company() {
        assert!(Pace::default().takes_more(0));
        assert!(!Pace::default().takes_more(1));
        assert!(pace(2_000_000).takes_more(1));
        assert!(!pace(2_000_000).takes_more(2));
        assert!(!pace(30_000_000).takes_more(1));
    }
}
