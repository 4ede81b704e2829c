//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Arg, Command, value_parser};
use ganger::StartMethod;

/// What the program was told.
pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) database: PathBuf,
    /// How many sales a new database gets.
    pub(crate) rows: u32,
    /// As many as there are processors, if nothing is said.
    pub(crate) workers: Option<usize>,
    pub(crate) start_method: Option<StartMethod>,
    /// How many requests may wait for tasks at a time.
    pub(crate) in_flight: usize,
    /// How long a request may wait for its tasks.
    pub(crate) deadline: Duration,
    /// How long requests that are under way have after the signal that ends the program.
    pub(crate) grace: Duration,
}

impl Options {
    /// Reads them; explains wrong ones, and leaves.
    pub(crate) fn parse() -> Self {
        let matches = command().get_matches();
        // clap knows the types and the defaults from `command`.
        let number = |name| matches.get_one::<u64>(name).copied();
        Self {
            address: matches.get_one("address").cloned().unwrap_or_default(),
            database: matches.get_one("database").cloned().unwrap_or_default(),
            rows: matches.get_one("rows").copied().unwrap_or_default(),
            workers: matches.get_one("workers").copied(),
            start_method: matches.get_one("start-method").copied(),
            in_flight: matches.get_one("in-flight").copied().unwrap_or_default(),
            deadline: Duration::from_secs(number("deadline").unwrap_or_default()),
            grace: Duration::from_secs(number("grace").unwrap_or_default()),
        }
    }
}

fn command() -> Command {
    let option = |name, value, help| Arg::new(name).long(name).value_name(value).help(help);
    let method = |text: &str| text.parse::<StartMethod>().map_err(|error| error.to_string());
    let count = || RangedU64ValueParser::<usize>::new();
    let seconds = || value_parser!(u64);
    Command::new("web_totals").about("Totals over the rows of a database, by HTTP").args([
        option("address", "HOST:PORT", "Where to listen; port 0 is a free one").default_value("127.0.0.1:8080"),
        option("database", "FILE", "File of SQLite; it is made if it is not there")
            .default_value("web_totals.db")
            .value_parser(value_parser!(PathBuf)),
        option("rows", "N", "How many sales a new database gets")
            .default_value("100000")
            .value_parser(value_parser!(u32).range(1..=10_000_000)),
        option("workers", "N", "How many worker processes [default: one per processor]")
            .value_parser(count().range(1..=1024)),
        option("start-method", "METHOD", "forkserver, spawn or fork").value_parser(method),
        option("in-flight", "N", "How many requests may wait for tasks; more are refused with 503")
            .default_value("64")
            .value_parser(count().range(1..=10_000)),
        option("deadline", "SECONDS", "How long a request may wait for its tasks; then it gets 504")
            .default_value("10")
            .value_parser(seconds().range(1..=3600)),
        option("grace", "SECONDS", "How long requests under way have after SIGTERM or SIGINT")
            .default_value("10")
            .value_parser(seconds().range(0..=3600)),
    ])
}
