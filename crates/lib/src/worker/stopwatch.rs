//! How long tasks take, without spending as much on the clock as on them.
//!
//! Reading the clock costs 20 ns or more, a short task 50. So while tasks are short, only every 16th is timed, and what
//! passed is divided among all since the last reading.

use std::time::Instant;

/// Tasks shorter than this share readings.
const SHORT_NANOS: u64 = 2_000;

/// How many tasks share one.
const SHARED: u64 = 16;

/// Measures one task after the other.
#[derive(Debug)]
pub(super) struct Stopwatch {
    last: Instant,
    /// Tasks since the last reading.
    untimed: u64,
    /// What the last reading made of one task.
    nanos: u64,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { last: Instant::now(), untimed: 0, nanos: u64::MAX }
    }
}

impl Stopwatch {
    /// Begins to measure after a rest. The first task after it is timed alone: its kind may be another.
    pub(super) fn start(&mut self) {
        *self = Self::default();
    }

    /// A task has ended: how long it took, as far as is known.
    pub(super) fn lap(&mut self) -> u64 {
        self.untimed += 1;
        if self.nanos >= SHORT_NANOS || self.untimed >= SHARED {
            let now = Instant::now();
            self.nanos = now.duration_since(self.last).as_nanos() as u64 / self.untimed;
            (self.last, self.untimed) = (now, 0);
        }
        self.nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_long_task_is_timed_and_short_ones_share_a_reading() {
        let mut watch = Stopwatch { last: Instant::now() - Duration::from_secs(3), ..Stopwatch::default() };
        assert!(watch.lap() >= 3_000_000_000);
        watch.nanos = 100;
        watch.last = Instant::now() - Duration::from_millis(16);
        let laps: Vec<u64> = (0..16).map(|_| watch.lap()).collect();
        assert_eq!(laps[..15], [100; 15]);
        assert!(laps[15] >= 1_000_000, "{laps:?}");
    }
}
