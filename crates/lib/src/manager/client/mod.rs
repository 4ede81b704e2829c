//! The client's side of a connection.
//!
//! * [`route`]: how to reach a manager. [`open`]: how a connection is made. [`connection`]: the connections of a thread.
//! * [`proxy`]: what all proxies are.

mod connection;
mod open;
mod proxy;
mod route;

pub(super) use proxy::{Proxy, unreadable};
pub(super) use route::{Key, Route};
