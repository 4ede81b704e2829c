//! How many rows a gang holds: enough that no worker waits, and no more, so that other gangs get their share.

use std::time::{Duration, Instant};

/// Decides how many rows to claim.
#[derive(Debug)]
pub(super) struct Appetite {
    least: usize,
    /// So many rows are to be held.
    target: usize,
    /// Since when, and from which number of outcomes on, the pace is measured.
    since: Instant,
    base: u64,
    /// The size of a row, about.
    bytes: usize,
}

/// Each worker has one row that it runs, one that it finds when it is done with that, and one that is on its way.
const EACH: usize = 3;
/// What is held is to last for longer than this,
const SHORT: Duration = Duration::from_millis(500);
/// and not for longer than this.
const LONG: Duration = Duration::from_secs(2);
/// No statement claims more rows,
const MOST_ROWS: usize = 2_000;
/// or more bytes, about.
const MOST_BYTES: usize = 4 << 20;

impl Appetite {
    /// Begins with a few rows for each worker.
    pub(super) fn new(workers: usize, now: Instant) -> Self {
        let least = workers.max(1).saturating_mul(EACH);
        Self { least, target: least, since: now, base: 0, bytes: 0 }
    }

    /// Returns how many rows to claim when so many are held, and so many outcomes have come so far; 0 is enough for now.
    pub(super) fn portion(&mut self, held: usize, outcomes: u64, now: Instant) -> usize {
        self.adapt(outcomes, now);
        let room = self.target.saturating_sub(held);
        // Not row by row: a claim costs a round trip.
        if room * EACH < self.target { 0 } else { room.min((MOST_BYTES / self.bytes.max(1)).max(1)) }
    }

    /// Takes note of how large rows are.
    pub(super) fn learn(&mut self, rows: usize, bytes: usize) {
        self.bytes = bytes.checked_div(rows).unwrap_or(self.bytes);
    }

    /// Holds more if all was done soon, and less if much of it was not done for long.
    fn adapt(&mut self, outcomes: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let done = usize::try_from(outcomes.saturating_sub(self.base)).unwrap_or(usize::MAX);
        if done < self.target && elapsed < LONG {
            return;
        }
        if done >= self.target && elapsed < SHORT {
            self.target = (2 * self.target).min(MOST_ROWS.max(self.least));
        } else if done < self.target / 2 {
            self.target = (self.target / 2).max(self.least);
        }
        (self.since, self.base) = (now, outcomes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs tasks of this length in two workers for a while; returns how many rows are held then.
    fn held_with(task: Duration) -> usize {
        let start = Instant::now();
        let mut appetite = Appetite::new(2, start);
        let (mut held, mut outcomes, mut now) = (0, 0, Duration::ZERO);
        for _ in 0..10_000 {
            held += appetite.portion(held, outcomes, start + now);
            now += task;
            let done = held.min(2);
            (held, outcomes) = (held - done, outcomes + done as u64);
        }
        held
    }

    #[test]
    fn short_tasks_are_claimed_ahead_and_long_ones_are_not() {
        for (millis, range) in [(10_000, 2..=6), (400, 2..=12), (1, 300..=2_000), (0, 1_000..=2_000)] {
            let held = held_with(Duration::from_millis(millis));
            assert!(range.contains(&held), "with tasks of {millis} ms it holds {held}");
        }
    }

    #[test]
    fn it_claims_in_portions_of_a_third_and_large_rows_few_at_a_time() {
        let now = Instant::now();
        let mut appetite = Appetite::new(3, now);
        let mut portions = |held| appetite.portion(held, 0, now);
        assert_eq!([0, 1, 6, 7, 9, 100].map(&mut portions), [9, 8, 3, 0, 0, 0]);
        appetite.learn(2, 4 << 20);
        assert_eq!(appetite.portion(0, 0, now), 2);
        appetite.learn(1, 1 << 30);
        assert_eq!(appetite.portion(0, 0, now), 1);
    }
}
