//! Locks, semaphores and their kin across processes: Python's `multiprocessing` locks, as guards, that survive their holders.
//!
//! All of them live in shared memory without a name, and are gone with their last handle, even after SIGKILL. Handles are
//! small, cloneable, and travel as arguments; under the start method `fork` a captured one works as it is.
//!
//! A holder that dies is noticed by whoever waits, within 100 ms: a lock comes as [`Abandoned`], permits of a semaphore and
//! places of readers come back, a barrier is broken. Only death counts: what a stopped process holds it goes on to hold.
//!
//! Processes must be of one pid and one time namespace. A process that replaces its program (`exec`) while it holds something
//! holds it for as long as it lives.

mod abandoned;
mod barrier;
mod condition;
mod event;
mod handle;
mod lock;
mod rlock;
mod rwlock;
mod semaphore;

pub use abandoned::Abandoned;
pub use barrier::Barrier;
pub use condition::Condition;
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
