//! Drives the built server as its clients, its operator and bad luck would.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod client;
mod crashes;
mod endings;
mod limits;
mod readme;
mod requests;
mod server;
mod starts;
mod totals;
