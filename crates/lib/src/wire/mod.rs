//! What travels between supervisor and worker.
//!
//! * [`bell`]: the words in shared memory by which results are announced to a supervisor that is awake.
//! * [`codec`]: values to bytes and back.
//! * [`frame`]: bytes to the frames of a link.
//! * [`claim`]: the word in shared memory by which a task is claimed.
//! * [`aside`]: large payloads beside their frames; [`gap`]: what of them is put there at once.
//! * [`descriptor`]: open descriptors beside a message.
//! * [`letter`]: a message with descriptors, to and from a process that makes one call; [`order`]: what it is told.
//! * [`tokens`]: the word by which a worker's own pools share a budget.
//! * [`message`]: the contents of the frames that are not task arguments. [`attributes`]: of these, what a worker may use.

pub(crate) mod aside;
pub(crate) mod attributes;
pub(crate) mod bell;
pub(crate) mod claim;
pub(crate) mod codec;
pub(crate) mod descriptor;
pub(crate) mod frame;
pub(crate) mod gap;
pub(crate) mod letter;
pub(crate) mod message;
pub(crate) mod order;
pub(crate) mod tokens;

#[cfg(test)]
mod bell_model;
#[cfg(test)]
mod claim_model;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
