//! Something that happens, and that many wait for.

use std::fmt;
use std::time::Duration;

use ganger_os::lock::event::{self as words, WORDS};
use ganger_os::memory::Memory;
use serde::{Deserialize, Serialize};

use super::handle::{Handle, Kind, tag, within};
use crate::Error;

#[derive(Debug)]
enum Layout {}

impl Kind for Layout {
    const NAME: &'static std::ffi::CStr = c"ganger-event";
    const TAG: u64 = tag(*b"evnt");
    const LEAST: usize = WORDS;
}

/// A flag that processes set, clear and wait for. Python's `Event`.
///
/// Who waits while it is set goes on, even if it is cleared in the next instant (in Python `wait` may then return `False`
/// without having waited long enough). One store sets it, so no death leaves it half set.
///
/// ```
/// let ready = ganger::Event::new()?;
/// assert!(!ready.wait_timeout(std::time::Duration::from_millis(1)));
/// ready.set();
/// ready.wait();
/// ready.clear();
/// assert!(!ready.is_set());
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Event(Handle<Layout>);

impl Event {
    /// Makes an event that is not set.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) when memory or descriptors are short.
    pub fn new() -> Result<Self, Error> {
        Handle::create(WORDS).map(Self)
    }

    /// Sets it: all who wait go on.
    pub fn set(&self) {
        self.words().set();
    }

    /// Takes it back.
    pub fn clear(&self) {
        self.words().clear();
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.words().is_set()
    }

    /// Waits until it is set, for ever if nobody does that: nobody is bound to, so nobody's death ends the wait.
    pub fn wait(&self) {
        let set = self.words().wait(None);
        debug_assert!(set, "without a limit it comes to be set");
    }

    /// Waits until it is set, no longer than `limit`: whether it was.
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.words().wait(within(limit))
    }

    fn words(&self) -> words::Event<'_, Memory> {
        words::Event(self.0.memory())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish_non_exhaustive()
    }
}
