//! The scoreboard: sixteen faults that were run against seven Python engines, run against this library, and our column
//! beside theirs. `scoreboard [--method NAME] [--row NAME] [--json FILE]`; with `--matrix`, the whole fault matrix.
//!
//! * [`rows`]: the faults, and how each has to end. [`published`]: how it ended for others.
//! * [`cell`]: one fault under one start method, in a process of its own; [`initializer`], [`unanswered`]: the odd ones.
//! * [`watch`]: that process, seen from outside: how long it takes, and what it leaves.
//! * [`board`], [`matrix`]: the tables.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed cell")]

mod board;
mod cell;
mod initializer;
mod matrix;
mod options;
mod published;
mod rows;
mod told;
mod unanswered;
mod watch;

use std::process::ExitCode;

use options::{Options, What};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Options { what: What::Cell(name), .. }) => {
            cell::run(&name);
            ExitCode::SUCCESS
        }
        Ok(Options { what: What::Matrix, methods, row, .. }) => matrix::run(&methods, row.as_deref()),
        Ok(Options { what: What::Board, methods, row, json }) => board::run(&methods, row.as_deref(), json.as_deref()),
        Err(text) => {
            eprintln!("scoreboard: {text}");
            ExitCode::from(2)
        }
    }
}
