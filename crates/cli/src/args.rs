//! The parser of the command line, made from the flag table.

use crate::config::checked_pin;
#[cfg(feature = "tutorial")]
use crate::flags::flag;
use crate::flags::{FLAGS, Flag, Kind};
use crate::{exit, hint};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

const MAP_EXAMPLES: &str = "\
Examples:
  seq 5 | ganger map square
  ganger map count-in-range --input weather.csv --columns temp,dewp,humid --missing NA --arg min=30 --arg max=60
  find . -name '*.rs' -print0 | ganger map word-count -0 --output-format csv --keep all";

/// Returns the parser of the whole command line.
pub(crate) fn command() -> Command {
    Command::new("ganger")
        .about("Runs tasks over records in a gang of isolated worker processes")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(exit_codes())
        .subcommand(map())
        .subcommands(tutorial())
        .subcommand(Command::new("tasks").about("Lists the tasks with signature and description"))
        .subcommand(
            Command::new("doctor")
                .about("Tells what keeps processes from being left behind on this machine, and its limits"),
        )
        .subcommand(
            with_flags(Command::new("config"))
                .about("Prints every setting, its value and where it came from")
                .after_help("Flags are taken into account as `ganger map` would."),
        )
}

/// Returns the parser of `ganger map`.
pub(crate) fn map() -> Command {
    with_flags(Command::new("map"))
        .about("Runs a task once for each record and writes one result for each")
        .arg(
            Arg::new("task")
                .value_name("TASK")
                .required(true)
                .help(format!("The task's name, as `{} tasks` lists it", hint::program())),
        )
        .before_help(MAP_EXAMPLES.replace("ganger map", &format!("{} map", hint::program())))
        .after_help(format!("{BINDING}\n\n{}", exit_codes()))
}

/// Returns the parser of `ganger tutorial`.
#[cfg(feature = "tutorial")]
fn tutorial() -> Option<Command> {
    use clap::builder::{PossibleValue, TypedValueParser};
    use ganger_tutorial::Tutorial;

    let known = Tutorial::ALL.map(|it| PossibleValue::new(it.as_str()).help(it.subject()));
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let command = Command::new("tutorial")
        .about("Runs what the tutorials on multiprocessing do, in one process and in a gang, and compares")
        .arg(
            Arg::new("tutorials")
                .value_name("T1..T5")
                .num_args(0..)
                .ignore_case(true)
                .value_parser(PossibleValuesParser::new(known).try_map(|name| name.parse::<Tutorial>()))
                .help("Run these; without any, all"),
        )
        .arg(switch("quick", "Run small workloads, which takes about a second").conflicts_with("full"))
        .arg(switch("full", "Run the largest workloads that the tutorials have, which takes minutes"))
        .arg(
            Arg::new("timeline")
                .long("timeline")
                .value_name("FILE")
                .value_parser(clap::value_parser!(std::path::PathBuf))
                .help("Draw which worker ran what when, as a page of HTML"),
        )
        .args(TUTORIAL_SETTINGS.iter().map(|name| argument(flag(name)).help_heading(None::<&str>)))
        .after_help("Files that are needed are made in the temporary directory (TMPDIR), and removed at the end.");
    Some(command)
}

/// There is none in a program without it.
#[cfg(not(feature = "tutorial"))]
fn tutorial() -> Option<Command> {
    None
}

/// Holds the names of the settings that `ganger tutorial` shares with `ganger map`.
#[cfg(feature = "tutorial")]
pub(crate) const TUTORIAL_SETTINGS: [&str; 2] = ["workers", "start-method"];

const BINDING: &str = "\
Each flag has an environment twin: GANGER_ and its name, such as GANGER_START_METHOD. Flags win. A repeatable flag's twin \
takes a JSON array of strings, that of --rlimit a list with commas.

Arguments of the task that --arg does not fix come from the record. A single one gets the line, the JSON value or the \
columns: one column as a value, several as a list (or by name, for a struct). Several get the columns or keys of their \
names, or the --columns in order. Text is converted to the declared type and never guessed.";

fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for (code, meaning) in exit::CODES {
        text.push_str(&format!("\n  {code:<4} {meaning}"));
    }
    text
}

fn with_flags(command: Command) -> Command {
    command.args(FLAGS.iter().map(argument))
}

fn argument(flag: &'static Flag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).help(help(flag)).help_heading(flag.section);
    let arg = match flag.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match flag.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::Choice(words) => arg.value_name("CHOICE").value_parser(PossibleValuesParser::new(words)),
        // `-1s` is a wrong time, and not a flag that nobody knows.
        Kind::Value(name) => arg.value_name(name).allow_hyphen_values(is_quantity(name)),
        // Read already here: the task's name behind a bare flag would be taken for its value, and then be missing.
        Kind::Optional { name, bare } => {
            arg.value_name(name).num_args(0..=1).default_missing_value(bare).value_parser(checked_pin)
        }
        Kind::List(name) | Kind::Commas(name) => {
            arg.value_name(name).action(ArgAction::Append).allow_negative_numbers(true)
        }
    }
}

/// Whether a value of this name begins with a number.
fn is_quantity(name: &str) -> bool {
    ["N", "TIME", "SIZE"].iter().any(|quantity| name.starts_with(quantity))
}

fn help(flag: &Flag) -> String {
    let default = match flag.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let repeatable = if matches!(flag.kind, Kind::List(_) | Kind::Commas(_)) { "; may be repeated" } else { "" };
    format!("{}{repeatable}{default} [env: {}]", flag.help, flag.variable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_help_names_every_flag_and_twin() {
        let help = map().render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for flag in FLAGS {
            assert!(help.contains(&format!("--{}", flag.name)), "{}", flag.name);
            assert!(help.contains(&format!("[env: {}]", flag.variable())), "{}", flag.name);
        }
    }
}
