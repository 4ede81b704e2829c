//! The tasks that every command line has.

mod files;
mod number;
mod numbers;
mod trouble;
