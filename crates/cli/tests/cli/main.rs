//! Drives the `ganger` binary as a shell would.

mod attributes;
mod bad_input;
mod binding;
mod doctor;
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
mod printing;
mod processes;
mod running;
mod same;
mod scoreboard;
mod settings;
mod signals;
mod streaming;
mod terminal;
mod troubles;
mod user_crate;
mod workers;
