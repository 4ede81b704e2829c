//! The pool: Python's `multiprocessing.Pool`, without its traps.
//!
//! * [`builder`], [`limits`], [`attributes`], [`budget`], [`start`]: how a pool is made. [`gang`]: what its handles share. [`methods`]: its calls;
//!   [`size`]: how many workers it has; [`life`]: its end. [`exit`]: what workers do before they leave. [`output`]: what tasks print.
//! * [`terms`]: what calls ask for. [`job`]: one call of a method. [`sink`]: where its outcomes arrive. [`feed`]: where lazy input comes from.
//!   [`fold`]: calls of which only a sum comes back. [`share`]: calls with a value for all workers.
//! * [`handle`], [`wait`](self::wait()), [`imap`], [`read`]: how outcomes become values. [`callbacks`]: who is told. [`output`]: where
//!   captured output goes. [`health`]: which workers get nowhere.
//! * [`status`]: what workers are doing. [`insights`]: where the time went. [`timeline`]: who ran what when.

mod attributes;
mod budget;
mod builder;
mod callbacks;
mod exit;
pub(crate) mod feed;
mod fold;
mod gang;
mod handle;
mod health;
mod imap;
pub(crate) mod insights;
pub(crate) mod job;
mod life;
mod limits;
mod methods;
pub(crate) mod output;
mod read;
mod share;
pub(crate) mod sink;
mod size;
mod start;
pub(crate) mod status;
mod terms;
pub(crate) mod timeline;
mod wait;

pub(crate) use attributes::Attributes;
pub use builder::Builder;
pub(crate) use builder::start_error;
pub use callbacks::Callbacks;
pub use exit::ExitResult;
pub use handle::AsyncResult;
pub use imap::{IMap, IMapUnordered, Indexed};
pub use insights::{Insights, SlowTask, WorkTimes};
pub use methods::Pool;
pub use start::Stdout;
pub use status::{RunningTask, WorkerStatus};
pub use terms::{Retry, RetryOn};
pub use timeline::{TaskSpan, Timeline};
pub use wait::{ReturnWhen, Waited, wait};
