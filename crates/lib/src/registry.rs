//! Tasks that can be called by name.
//!
//! [`#[ganger::task]`](crate::task) enters a function into the registry under a stable name, with its argument names and
//! types and its doc comment. The command line finds it here, converts each record into its arguments
//! ([`TaskEntry::encode`]) and a worker calls it with them ([`TaskEntry::call`]):
//!
//! ```
//! use ganger::registry::{self, Field};
//!
//! /// Adds two numbers.
//! #[ganger::task]
//! fn add_up(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! let task = registry::find("add-up").expect("registered above");
//! let payload = task.encode(&[Field::text("40"), Field::text("2")])?;
//! let mut result = Vec::new();
//! task.call(&payload, &mut result)?;
//! assert_eq!(result, b"42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A crate that nothing refers to is not linked, and its tasks with it: a library of tasks needs one `use` of anything it
//! holds in the program that wants them.

mod convert;
mod entry;
mod error;
mod expansion;
mod field;
mod lookup;
mod named;
#[cfg(doctest)]
mod refused;

#[doc(hidden)]
pub use entry::Parts;
pub use entry::{Argument, Failure, TaskEntry};
pub use error::ArgumentError;
#[doc(hidden)]
pub use expansion::{Arguments, Returned, ValueOrError, WriteResult, WriteValue, check_argument, decode_arguments};
pub use field::{Field, Json, Record};
#[doc(hidden)]
pub use lookup::TASKS;
pub use lookup::{DuplicateTask, find, tasks};
pub use named::{JsonText, Named, Payload};
