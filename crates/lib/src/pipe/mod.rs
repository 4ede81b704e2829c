//! Pipes: typed connections between two processes, which travel themselves.
//!
//! * [`packet`]: a message as one packet of a socket, with what is too large for one beside it in sealed memory.
//! * [`post`]: sending and receiving packets, with deadlines.
//! * [`connection`]: the typed ends that users hold. [`bytes`]: messages that are plain bytes.
//! * [`wait`]: waiting for several of them.

mod bytes;
mod connection;
mod packet;
mod post;
mod wait;

pub use connection::{Connection, Nothing, Receiver, Sender, one_way, pipe};
pub use wait::wait;
