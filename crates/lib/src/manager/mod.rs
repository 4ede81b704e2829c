//! Values that many processes share, in a server process of their own: dictionaries, lists, counters, queues, locks, events,
//! and objects of the program's own types. Python's `multiprocessing.Manager`.
//!
//! [`Manager`] starts the server and is the place to begin.
//
// * `manager`: the server process and its owner. `objects`: making objects. `address`: where one listens.
// * `dict`, `list`, `counter`, `namespace`, `queue`, `lock`, `event`, `managed`: the proxies. `handle`: what all have.
// * `batch`: many operations at once. `addend`: what is added. `functions`: what runs in the server. `patience`: limits.
// * `client`: connections. `server`: the other side. `protocol`, `frame`: what travels between. `handshake`: proof of a key.

mod addend;
mod address;
mod batch;
mod client;
mod counter;
mod dict;
mod event;
mod frame;
mod functions;
mod handle;
mod handshake;
mod list;
mod lock;
mod managed;
#[expect(clippy::module_inception, reason = "the module is named after what it has")]
mod manager;
mod namespace;
mod objects;
mod patience;
mod protocol;
mod queue;
mod server;

#[cfg(test)]
mod tests;

pub use addend::Addend;
pub use address::Address;
pub use batch::{Batch, Replies, Slot};
pub use counter::Counter;
pub use dict::{Dict, Entry};
pub use event::Event;
pub use functions::{Maker, Method};
pub use list::List;
pub use lock::{Lock, LockGuard};
pub use managed::Managed;
pub use manager::{Manager, ManagerBuilder};
pub use namespace::Namespace;
pub use objects::Client;
pub use queue::Queue;
