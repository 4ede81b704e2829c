//! A counter in a manager.

use super::handle::handle;
use super::protocol::{CounterOp, Op};
use crate::error::Error;

handle! {
    /// A number in a [`Manager`](super::Manager) that many processes count with. Python's `Manager().Value('q', 0)`, whose
    /// `v.value += 1` loses updates.
    ///
    /// It begins with 0.
    ///
    /// ```
    /// use ganger::{Manager, Pool};
    /// use ganger::manager::Counter;
    ///
    /// let manager = Manager::new()?;
    /// let done: Counter = manager.counter()?;
    /// let count = |done: Counter, _: u32| done.add(1);
    /// let counts: Vec<i64> = Pool::new(2)?.map(ganger::partial(count, (done.clone(),)), 0..100)?;
    /// assert_eq!(counts.iter().max(), Some(&100), "each got a number of its own");
    /// assert_eq!(done.get()?, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Counter
}

impl Counter {
    /// Adds `by`, which may be negative; returns the sum.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) when the sum is outside of the range of `i64`, and nothing is changed. As of every method:
    /// when the manager is gone ([`Disconnected`](crate::ErrorKind::Disconnected)) or the counter was discarded
    /// ([`Closed`](crate::ErrorKind::Closed)).
    pub fn add(&self, by: i64) -> Result<i64, Error> {
        self.proxy.call(&Op::Counter(CounterOp::Add(by)))
    }

    /// The number.
    ///
    /// # Errors
    /// See [`add`](Self::add).
    pub fn get(&self) -> Result<i64, Error> {
        self.proxy.call(&Op::Counter(CounterOp::Get))
    }

    /// Sets the number; returns what it was.
    ///
    /// # Errors
    /// See [`add`](Self::add).
    pub fn set(&self, value: i64) -> Result<i64, Error> {
        self.proxy.call(&Op::Counter(CounterOp::Set(value)))
    }

    /// Sets the number to `new` if it is `expected`; whether it was.
    ///
    /// # Errors
    /// See [`add`](Self::add).
    pub fn compare_and_swap(&self, expected: i64, new: i64) -> Result<bool, Error> {
        self.proxy.call(&Op::Counter(CounterOp::Swap(expected, new)))
    }
}
