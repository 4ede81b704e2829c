//! An event in a manager.

use std::time::Duration;

use super::handle::handle;
use super::patience::for_at_most;
use super::protocol::{EventOp, Op, Patience};
use crate::error::Error;

handle! {
    /// A flag in a [`Manager`](super::Manager) that processes wait for. Python's `Manager().Event()`.
    ///
    /// ```
    /// use ganger::{AsyncResult, Manager, Pool};
    /// use ganger::manager::Event;
    ///
    /// let manager = Manager::new()?;
    /// let go: Event = manager.event()?;
    /// let pool = Pool::new(1)?;
    /// let waiting: AsyncResult<()> = pool.apply_async(|go: Event| go.wait(), (go.clone(),));
    /// go.set()?;
    /// waiting.get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Event
}

impl Event {
    /// Sets the flag; all who wait go on.
    ///
    /// # Errors
    /// As of every method: when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)) or the event was discarded
    /// ([`Closed`](crate::ErrorKind::Closed)).
    pub fn set(&self) -> Result<(), Error> {
        self.proxy.call(&Op::Event(EventOp::Set))
    }

    /// Takes the flag back.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub fn clear(&self) -> Result<(), Error> {
        self.proxy.call(&Op::Event(EventOp::Clear))
    }

    /// Whether the flag is set.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub fn is_set(&self) -> Result<bool, Error> {
        self.proxy.call(&Op::Event(EventOp::IsSet))
    }

    /// Waits until the flag is set, or the manager is gone.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_for(None).map(drop)
    }

    /// Waits at most for `limit`; whether the flag is set. The manager keeps the limit.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub fn wait_timeout(&self, limit: Duration) -> Result<bool, Error> {
        self.wait_for(for_at_most(limit))
    }

    fn wait_for(&self, patience: Patience) -> Result<bool, Error> {
        self.proxy.call(&Op::Event(EventOp::Wait(patience)))
    }
}
