//! Queues that any number of processes put items in and take them out of.
//!
//! * [`handle`]: a queue of bytes, as one handle sees it: it travels, and knows whether there are others.
//! * [`typed`]: the queue of values. [`joinable`]: with counting of what is done. [`simple`]: with the least.

mod handle;
mod joinable;
mod simple;
mod typed;

pub use joinable::JoinableQueue;
pub use simple::SimpleQueue;
pub use typed::{Queue, QueueIter};
