//! How long tasks take, without spending as much on the clock as on them.
//!
//! Reading the clock costs 20 ns or more, a short task 50. So while tasks are short, only every 16th is timed, and what
//! passed is divided among all since the last reading. A clock that costs less tells whether there is a long one among them.

use std::time::Instant;

use ganger_os::clock;

/// Tasks shorter than this share readings.
const SHORT_NANOS: u64 = 2_000;

/// How many tasks share one.
const SHARED: u64 = 16;

/// Measures one task after the other.
#[derive(Debug)]
pub(super) struct Stopwatch {
    last: Instant,
    /// The coarse time of the last reading.
    tick: u64,
    /// Tasks since the last reading.
    untimed: u64,
    /// What the last reading made of one task.
    nanos: u64,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { last: Instant::now(), tick: clock::coarse(), untimed: 0, nanos: u64::MAX }
    }
}

impl Stopwatch {
    /// Begins to measure after a rest. The first task after it is timed alone: its kind may be another.
    pub(super) fn start(&mut self) {
        *self = Self::default();
    }

    /// A task has ended: how long it took, as far as is known.
    ///
    /// A long one among short ones is not missed: the coarse clock has moved on then. It is said to have taken what has passed
    /// without what was said of those before, so the sum is right.
    pub(super) fn lap(&mut self) -> u64 {
        self.untimed += 1;
        let tick = clock::coarse();
        if self.nanos < SHORT_NANOS && self.untimed < SHARED && tick == self.tick {
            return self.nanos;
        }
        let now = Instant::now();
        let passed = now.duration_since(self.last).as_nanos() as u64;
        let said = self.nanos.saturating_mul(self.untimed - 1);
        self.nanos = passed / self.untimed;
        (self.last, self.tick, self.untimed) = (now, tick, 0);
        passed.saturating_sub(said)
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
        assert!(laps.iter().sum::<u64>() >= 16_000_000, "{laps:?}");
        assert!(laps.iter().filter(|lap| **lap == 100).count() >= 10, "{laps:?}");
    }

    #[test]
    fn a_long_task_among_short_ones_is_found() {
        let mut watch = Stopwatch::default();
        watch.lap();
        watch.nanos = 100;
        watch.lap();
        std::thread::sleep(Duration::from_millis(30));
        assert!(watch.lap() >= 29_000_000, "the coarse clock has moved on");
    }
}
