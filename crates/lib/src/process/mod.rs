//! Processes: Python's `multiprocessing.Process`.
//!
//! * [`handle`]: what the program holds. [`builder`]: how it is made. [`stdio`]: where its streams lead. [`call`]: what it is to do.
//! * [`child`]: a process that was started, its life and its end. [`outcome`]: what came of it.
//! * [`post`]: a guardian that starts them. [`context`]: what this process knows of its children. [`ending`]: what happens to them
//!   when it ends.
//!
//! No thread serves them: whoever asks after a child does the reading. Rules:
//!
//! 1. Nobody else has to read anything for a child to go on, or to end: large messages travel in memory of their own, and the
//!    guardian keeps what its socket has no room for.
//! 2. A death is what the pidfd says; what the guardian says of it is read under the lock of its post, by whoever noticed first.
//! 3. What a process inherits of this by a fork is dead there: it has a context, and children, of its own.

mod builder;
mod call;
mod child;
mod context;
mod ending;
mod handle;
mod outcome;
mod post;
mod stdio;

pub use builder::ProcessBuilder;
pub use child::ChildProcess;
pub use context::{active_children, dismiss_guardians};
pub use handle::Process;
pub use stdio::Stdio;
