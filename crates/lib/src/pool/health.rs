//! What a pool tells of workers that get nowhere.

use super::Pool;
use crate::Trouble;

impl Pool {
    /// The workers that get nowhere now, by their place in the gang: stopped or traced ones, and those whose task has been
    /// running for long. A worker is looked at once a second, from a second after its last sign of life.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// use ganger::TroubleKind;
    ///
    /// fn stop_here(_: u32) {
    ///     let own = std::process::id().to_string();
    ///     std::process::Command::new("kill").args(["-STOP", &own]).status().unwrap();
    /// }
    ///
    /// let pool = ganger::Pool::new(1)?;
    /// let stopped = pool.apply_async(stop_here, (0,));
    /// # let end = Instant::now() + Duration::from_secs(30);
    /// while pool.troubles().is_empty() {
    ///     assert!(stopped.get_timeout(Duration::from_millis(50)).is_err(), "it does not end");
    /// #   assert!(Instant::now() < end);
    /// }
    /// let trouble = &pool.troubles()[0];
    /// assert_eq!((trouble.what(), trouble.worker(), trouble.index()), (TroubleKind::Stopped, 0, Some(0)));
    /// println!("{trouble}"); // worker 0 (pid 4711) stopped for 1 s in task 0
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        if self.gang().foreign() { Vec::new() } else { self.gang().supervisor.with_core(|core| core.troubles()) }
    }
}
