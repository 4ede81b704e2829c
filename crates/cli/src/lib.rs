//! The `ganger` command line, for the stock binary and for yours.
//!
//! A program whose `main` calls [`main`] has every command of the stock binary, and its own tasks beside the built-in ones:
//!
//! ```no_run
//! /// Doubles a number.
//! #[ganger::task]
//! fn double(x: i64) -> i64 {
//!     2 * x
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     ganger_cli::main()
//! }
//! ```
//!
//! The way of a run: arguments and environment become settings (`config`), settings become readers of records (`input`),
//! records become arguments of the task (`bind`), the engine calls it (`run`), results are written (`output`).

mod args;
mod bind;
mod builtin;
mod command;
mod config;
mod exit;
mod flags;
mod halt;
mod hint;
mod input;
mod log;
mod nearest;
mod output;
mod progress;
mod run;
mod say;
mod signals;

pub use command::main;
