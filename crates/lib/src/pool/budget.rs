//! The budget that a pool shares with the pools that its tasks build.

use super::builder::{Builder, invalid};
use crate::Error;
use crate::supervisor::budget::Source;
use crate::worker::purse::Member;

impl Builder {
    /// How many tasks may run at a time in this pool and in all pools that its tasks build, and so on, together. Without it,
    /// that is the number of workers of the outermost pool; a pool that is built in a worker shares the budget of the pool to
    /// which the worker belongs. (Python forbids pools in workers of a pool; elsewhere eight workers with eight
    /// each are 64 processes.)
    ///
    /// A task that waits for a pool that it has built is not counted beside the task that runs for it: so one task of
    /// that pool can always run, and nothing waits for ever. More run as far as the budget has room, and only as many
    /// processes are started as can run tasks. Tasks of one pool that wait *for each other* may then wait in vain, as in any pool that
    /// has fewer workers than they are. A pool that is given a budget of its own in a worker shares nothing, and is not
    /// counted.
    ///
    /// ```
    /// fn inner(x: u64) -> u64 { x * x }
    /// fn outer(x: u64) -> Result<u64, Box<dyn std::error::Error>> {
    ///     // At most two tasks run at a time, whether this is called by one worker or by both.
    ///     Ok(ganger::Pool::new(2)?.map(inner, 0..x)?.iter().sum())
    /// }
    /// let pool = ganger::Pool::new(2)?;
    /// let sums: Vec<u64> = pool.map(outer, [3, 4])?;
    /// assert_eq!(sums, [5, 14]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn budget(mut self, tasks: usize) -> Self {
        self.budget = Some(tasks);
        self
    }

    pub(super) fn check_budget(&self) -> Result<(), Error> {
        if self.budget == Some(0) {
            return Err(invalid("budget is 0: at least 1 task must be able to run".to_owned()));
        }
        Ok(())
    }

    /// Where the pool has its tokens from.
    pub(super) fn source(&self) -> Source {
        match self.budget {
            Some(tasks) => Source::Given(u32::try_from(tasks).unwrap_or(u32::MAX)),
            None => Member::join().map_or(Source::Workers, Source::Shared),
        }
    }
}
