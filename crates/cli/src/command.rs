//! The commands.

mod doctor;
mod tasks;
#[cfg(feature = "tutorial")]
mod tutorial;

use crate::config::{self, MapOptions, Settings};
use crate::exit::{self, Abort};
use crate::nearest::suggestion;
use crate::say::{say, say_escaped};
use crate::{args, hint, log, run};
use clap::ArgMatches;
use ganger::registry::{self, TaskEntry};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    ExitCode::from(guarded(|| match command() {
        Ok(code) => code,
        Err(abort) => {
            if let Some(message) = &abort.message {
                say_escaped(&format!("error: {message}"));
            }
            abort.code
        }
    }))
}

/// Turns a panic, which is our own bug, into its exit code.
fn guarded(command: impl FnOnce() -> u8 + std::panic::UnwindSafe) -> u8 {
    std::panic::catch_unwind(command).unwrap_or_else(|_| {
        say("error: this is a bug of ganger; please report it with the message above");
        exit::BUG
    })
}

fn command() -> Result<u8, Abort> {
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(mut error) => {
            hint::add(&mut error, |word| registry::find(word).is_some());
            return Ok(usage(&error));
        }
    };
    log::install()?;
    config::warn_about_unknown();
    match matches.subcommand() {
        Some(("map", matches)) => map(matches),
        #[cfg(feature = "tutorial")]
        Some(("tutorial", matches)) => tutorial::run(matches),
        Some(("tasks", _)) => print(&tasks::list(&registered()?)),
        Some(("doctor", _)) => print(&doctor::examine()),
        Some(("config", matches)) => show_config(matches),
        other => unreachable!("the parser knows no command {other:?}"),
    }
}

/// Prints what clap has to say: the help or version to standard output, an error to standard error.
fn usage(error: &clap::Error) -> u8 {
    // Who closed the stream does not want to read this.
    let _ = error.print();
    if error.use_stderr() { exit::USAGE } else { exit::OK }
}

fn map(matches: &ArgMatches) -> Result<u8, Abort> {
    let settings = Settings::gather(matches, |name| std::env::var_os(name))?;
    let name = matches.get_one::<String>("task").expect("the parser requires it");
    let task = find(name)?;
    let options = MapOptions::parse(&settings)?;
    if options.database.is_none() && settings.list("input").is_empty() && io::stdin().is_terminal() {
        let help = args::map().bin_name(format!("{} map", hint::program())).render_help();
        say(&format!("no --input is given and nobody is piping records in\n\n{help}"));
        return Ok(exit::USAGE);
    }
    run::map(task, &options)
}

fn show_config(matches: &ArgMatches) -> Result<u8, Abort> {
    let settings = Settings::gather(matches, |name| std::env::var_os(name))?;
    print(&config::show(&settings))?;
    MapOptions::parse(&settings).map(|_| exit::OK)
}

fn registered() -> Result<Vec<&'static TaskEntry>, Abort> {
    registry::tasks().map_err(|error| Abort::usage(error.to_string()))
}

fn find(name: &str) -> Result<&'static TaskEntry, Abort> {
    let tasks = registered()?;
    registry::find(name).ok_or_else(|| {
        let near = suggestion(name, tasks.iter().map(|task| task.name));
        Abort::usage(format!("there is no task {name:?}{near} (`{} tasks` lists them)", hint::program()))
    })
}

fn print(text: &str) -> Result<u8, Abort> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map(|()| exit::OK).map_err(|error| Abort::writing("standard output", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_ours_has_its_own_code() {
        assert_eq!(guarded(|| panic!("tried in a test")), exit::BUG);
        assert_eq!(guarded(|| 7), 7);
    }
}
