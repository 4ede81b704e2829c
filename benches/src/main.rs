//! Measures what ganger promises about speed and memory and prints it as a table of ratios; see `README.md` beside.
//!
//! It measures and never judges by its exit code: timings depend on the machine and on who else uses it. Whether the
//! library is right is for the tests to say.

mod args;
mod contest;
mod data;
mod helper;
mod machine;
mod measure;
mod memory;
mod pays;
mod pids;
mod python;
mod rows;
mod scratch;
mod stats;
mod table;

use std::error::Error;
use std::process::ExitCode;

use args::{Plots, Request};

/// What goes wrong here is shown to a person, once.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Wrong usage.
const USAGE: u8 = 2;
/// The `--json` file could not be written, or a helper could not do its work.
const FAILED: u8 = 74;

fn main() -> ExitCode {
    let request = match args::parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(text) => {
            eprintln!("ganger-benches: {text}\n{}", args::HELP);
            return ExitCode::from(USAGE);
        }
    };
    let result = match request {
        Request::Help => {
            println!("{}", args::HELP);
            Ok(())
        }
        Request::Measure(options) => measure::run(&options),
        Request::Plot(Plots { directory, page, redraw: true, .. }) => pays::redraw(&directory, page.as_deref()),
        Request::Plot(Plots { directory, page, quick, .. }) => pays::run(&directory, page.as_deref(), quick),
        Request::Helper(mode) => helper::run(&mode),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ganger-benches: {error}");
            ExitCode::from(FAILED)
        }
    }
}
