//! Writes tracing events to standard error, as `GANGER_LOG` and `GANGER_LOG_FORMAT` ask.

use crate::exit::Abort;
use crate::say::LogWriter;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

/// Names the variable that selects events, such as `debug` or `ganger=trace`.
pub(crate) const FILTER: &str = "GANGER_LOG";
/// Names the variable that selects `text` or `json`.
pub(crate) const FORMAT: &str = "GANGER_LOG_FORMAT";

/// Starts writing events; does nothing when that has happened, or when `GANGER_LOG` is not set.
pub(crate) fn install() -> Result<(), Abort> {
    let format = variable(FORMAT)?.unwrap_or_else(|| "text".to_owned());
    if !["text", "json"].contains(&format.as_str()) {
        return Err(Abort::usage(format!("{FORMAT}: {format:?} is neither text nor json")));
    }
    let Some(directives) = variable(FILTER)? else {
        return Ok(());
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| Abort::usage(format!("{FILTER}: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer((|| LogWriter) as fn() -> LogWriter)
        .with_ansi(std::io::stderr().is_terminal() && !no_color())
        .log_internal_errors(false);
    start(builder, format == "json");
    Ok(())
}

type Builder = SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    EnvFilter,
    fn() -> LogWriter,
>;

fn start(builder: Builder, json: bool) {
    // A subscriber that is there already stays: it is this one, or the user's own.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn variable(name: &str) -> Result<Option<String>, Abort> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Abort::usage(format!("{name}: is not UTF-8"))),
    }
}
