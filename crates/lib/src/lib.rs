//! Process pools that never hang, never lose a task and never leave an orphan: Python's `multiprocessing`, rebuilt.
//!
//! ```
//! fn count_words(text: String) -> usize {
//!     text.split_whitespace().count()
//! }
//!
//! let pool = ganger::Pool::new(2)?;
//! let texts = ["one", "two words", "and three words"].map(str::to_owned);
//! assert_eq!(pool.map(count_words, texts)?, [1, 2, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every task runs in a process of its own gang: one that crashes costs that task, and nothing else. No `init` call and
//! no guard around `main` is needed, under any [start method](StartMethod).

mod broadcast;
mod captured;
mod containment;
mod cpu;
mod error;
mod folding;
mod identity;
#[cfg(feature = "ipc-channel")]
pub mod ipc;
pub mod manager;
mod outcome;
mod output;
mod pipe;
mod pool;
mod process;
mod queue;
pub mod registry;
mod rlimit;
mod rng;
mod shared;
mod start_method;
mod supervisor;
mod sync;
mod task;
mod trouble;
mod wire;
mod worker;

pub use broadcast::{Broadcast, BroadcastBytes, broadcast, broadcast_bytes};
pub use captured::Captured;
pub use containment::{Containment, Measure, Scope, containment};
pub use cpu::cpu_count;
pub use error::{Error, ErrorKind, Timeout};
pub use ganger_macros::{managed, task};
pub use identity::{CurrentProcess, ParentProcess, current_process, parent_process};
pub use manager::{Manager, ManagerBuilder};
pub use outcome::{TaskError, TaskErrorKind};
pub use output::{TaskOutput, Written};
pub use pipe::{Connection, one_way, pipe};
pub use pool::{
    AsyncResult, Builder, Callbacks, ExitResult, IMap, IMapUnordered, Indexed, Insights, Pool, Retry, RetryOn,
    ReturnWhen, RunningTask, SlowTask, Stdout, TaskSpan, Timeline, Waited, WorkTimes, WorkerStatus, wait,
};
pub use process::{ChildProcess, Process, ProcessBuilder, Stdio, active_children};
pub use queue::{JoinableQueue, Queue, QueueIter, SimpleQueue};
pub use rlimit::{Rlimit, RlimitBounds};
pub use rng::TaskRng;
pub use shared::{Array, Element, Integer, Number, Plain, Rows, RowsMut, SealedArray, SharedArray, Value};
pub use start_method::{StartMethod, all_start_methods, force_start_method, set_start_method, start_method};
pub use sync::{
    Abandoned, Barrier, BoundedSemaphore, Condition, Event, Lock, LockGuard, Permit, RLock, RLockGuard, ReadGuard,
    RwLock, Semaphore, WriteGuard,
};
pub use task::{Partial, Returns, Setup, Task, partial};
pub use trouble::{Trouble, TroubleKind};
pub use wire::descriptor::Descriptor;
pub use worker::context::{as_task, attempt, cancel_requested, task_rng, with_worker_state, worker_id};

/// The ends of [pipes](crate::pipe()), and waiting for several of them. Python's `multiprocessing.connection`.
pub mod connection {
    pub use crate::pipe::{Connection, Nothing, Receiver, Sender, one_way, pipe, wait};
}

/// Names that the expansion of [`task`] and the command line need; no part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use crate::process::dismiss_guardians;
    pub use crate::registry::{
        Argument, ArgumentError, Arguments, Failure, Field, Parts, Returned, TASKS, TaskEntry, ValueOrError,
        WriteResult, WriteValue, check_argument, decode_arguments,
    };
}

/// What `fuzz/` tries; in no other build.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    /// See `wire/hostile.rs`.
    pub fn frames(bytes: &[u8]) {
        crate::wire::hostile::frames(bytes);
    }

    /// See `wire/hostile.rs`.
    pub fn values(bytes: &[u8]) {
        crate::wire::hostile::values(bytes);
    }

    /// See `wire/hostile.rs`.
    pub fn words(word: u64, number: u32) {
        crate::wire::hostile::words(word, number);
    }
}

/// The guide for those who know Python's `multiprocessing`: its links are checked like all others, its programs run.
#[cfg(doc)]
#[doc = include_str!("../../../docs/guide/from-python.md")]
pub mod from_python {
    // The guide says `Pool::map`, as a program does that imports what it names; links are resolved from this module.
    #[allow(unused_imports, reason = "only links use them")]
    use super::*;
}

/// The programs of the README and of the tutorials' pages are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/guide/t1-transactions.md")]
    mod t1 {}
    #[doc = include_str!("../../../docs/guide/t2-frames.md")]
    mod t2 {}
    #[doc = include_str!("../../../docs/guide/t3-first-pool.md")]
    mod t3 {}
    #[doc = include_str!("../../../docs/guide/t4-sums.md")]
    mod t4 {}
    #[doc = include_str!("../../../docs/guide/t5-images.md")]
    mod t5 {}
    #[doc = include_str!("../../../docs/guide/when-it-pays.md")]
    mod when_it_pays {}
}
