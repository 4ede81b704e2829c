//! Queues in shared memory: many processes put items in, many take them out, and none of them is missed when it dies.
//!
//! * `state`: the numbers that describe the queue, of which there are two sets, so that one store replaces all of them.
//! * `records`: the items, in a ring of bytes that grows and gives its memory back.
//! * `store`: the operations, and waiting for them to be possible.
//! * `ledger`: who has taken items and is not done with them.
//! * [`presence`]: whether anybody else has the queue.

mod ledger;
mod records;
mod state;

pub mod presence;
pub mod store;
