//! Tells a newcomer what was probably meant where the parser only knows that something is wrong.

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::path::PathBuf;

/// Names that other programs have for `--workers`.
const WORKERS: [&str; 8] =
    ["--jobs", "--threads", "--processes", "--procs", "--parallel", "--cores", "--concurrency", "--max-workers"];

/// The length of flags, dashes included, that are like some other by chance.
const SHORT: usize = 6;

/// Returns the name of this program, which may be a user's.
pub(crate) fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "ganger".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Adds a hint to an error of the parser, in place of the parser's own where that would mislead.
pub(crate) fn add(error: &mut Error, is_task: impl Fn(&str) -> bool) {
    if let Some(hint) = hint(error, is_task) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(hint)]));
    }
}

/// Whether the command that was asked for is about a task, which has arguments of its own.
fn has_task() -> bool {
    std::env::args_os().nth(1).is_some_and(|command| command == "map" || command == "config")
}

fn hint(error: &Error, is_task: impl Fn(&str) -> bool) -> Option<String> {
    let program = program();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => Some(format!("`{program} tasks` lists the tasks")),
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand)?;
            if word == "tutorial" {
                return Some("this program was built without the feature `tutorial` of ganger-cli".to_owned());
            }
            is_task(word).then(|| format!("`{program} map {word}` runs the task {word}"))
        }
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg)?;
            // A slip in a flag's name has a hint already, and a good one unless the name is short: --min is no slip for --pin.
            if error.get(ContextKind::SuggestedArg).is_some() && word.len() > SHORT {
                return None;
            }
            Some(match word.strip_prefix("--") {
                _ if WORKERS.contains(&word) => "--workers N, or -j N, says how many workers run".to_owned(),
                _ if !has_task() => return None,
                Some(name) => format!("an argument of the task is fixed by --arg {name}=VALUE"),
                None if word.starts_with('-') || is_task(word) => return None,
                None => format!("a file is read by --input {word}, an argument of the task fixed by --arg NAME={word}"),
            })
        }
        _ => None,
    }
}
