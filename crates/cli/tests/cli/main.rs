//! Drives the `ganger` binary as a shell would.

mod attributes;
mod bad_input;
mod binding;
mod claim;
mod doctor;
mod encrypted;
mod endings;
mod events;
mod failures;
mod flags;
mod harness;
mod input;
mod limits;
mod newcomer;
mod output;
mod pool_failures;
mod postgres;
mod printing;
mod processes;
mod running;
mod same;
mod scoreboard;
mod settings;
mod signals;
mod sqlite;
mod streaming;
mod terminal;
mod troubles;
#[cfg(feature = "tutorial")]
mod tutorial;
mod user_crate;
mod workers;
mod wrong_values;
