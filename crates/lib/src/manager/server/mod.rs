//! The server: one process, one thread.
//!
//! * [`run`]: the loop. [`waiting`]: requests that wait. [`gate`]: who is let in. [`connection`]: what is known of a client.
//! * [`request`]: a request and its reply. [`object`]: the objects and which of them does what.
//! * [`dict`], [`list`], [`counter`], [`queue`], [`lock`], [`event`]: the objects. [`values`]: parts of answers.
//! * [`call`]: functions of the program.

mod call;
mod connection;
mod counter;
mod dict;
mod event;
mod gate;
mod list;
mod lock;
mod object;
mod queue;
mod request;
mod run;
mod values;
mod waiting;

#[cfg(test)]
mod hostile;

pub(super) use gate::{Gate, Socket};
pub(super) use run::{Setup, serve};
