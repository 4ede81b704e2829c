//! The pool: Python's `multiprocessing.Pool`, without its traps.
//!
//! * [`builder`], [`limits`], [`attributes`], [`start`]: how a pool is made. [`gang`]: what its handles share. [`methods`]: its calls;
//!   [`life`]: its end. [`output`]: what tasks print.
//! * [`terms`]: what calls ask for. [`job`]: one call of a method. [`sink`]: where its outcomes arrive. [`feed`]: where lazy input comes from.
//! * [`handle`], [`wait`](self::wait()), [`imap`], [`read`]: how outcomes become values. [`callbacks`]: who is told. [`output`]: where
//!   captured output goes. [`health`]: which workers get nowhere.
//! * [`status`]: what workers are doing.

mod attributes;
mod builder;
mod callbacks;
pub(crate) mod feed;
mod gang;
mod handle;
mod health;
mod imap;
pub(crate) mod job;
mod life;
mod limits;
mod methods;
pub(crate) mod output;
mod read;
pub(crate) mod sink;
mod start;
pub(crate) mod status;
mod terms;
mod wait;

pub(crate) use attributes::Attributes;
pub use builder::Builder;
pub(crate) use builder::start_error;
pub use callbacks::Callbacks;
pub use handle::AsyncResult;
pub use imap::{IMap, IMapUnordered, Indexed};
pub use methods::Pool;
pub use start::Stdout;
pub use status::{RunningTask, WorkerStatus};
pub use terms::{Retry, RetryOn};
pub use wait::{ReturnWhen, Waited, wait};
