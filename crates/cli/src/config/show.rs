//! Prints the settings.

use super::settings::{Origin, Setting, Settings};
use crate::flags::Kind;
use crate::log;

/// Returns a table of every setting, its value and where it came from.
pub(crate) fn show(settings: &Settings) -> String {
    let mut rows: Vec<[String; 3]> = settings.iter().map(row).collect();
    rows.push(variable_row("log", log::FILTER, ""));
    rows.push(variable_row("log-format", log::FORMAT, "text"));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, values) = (width(0), width(1).min(40));
    rows.iter().map(|[name, value, origin]| format!("{name:names$}  {value:values$}  {origin}\n")).collect()
}

fn row(setting: &Setting) -> [String; 3] {
    let flag = setting.flag;
    let origin = match setting.origin {
        Origin::Flag => format!("flag --{}", flag.name),
        Origin::Environment => format!("environment {}", flag.variable()),
        Origin::Default => "default".to_owned(),
    };
    [flag.name.to_owned(), value(setting), origin]
}

/// Writes a value as its variable would be set.
fn value(setting: &Setting) -> String {
    if setting.flag.name == "db"
        && let Some(url) = setting.values.first()
    {
        return ganger_db::Url::parse(url).map_or_else(|error| error.to_string(), |url| url.to_string());
    }
    match (setting.flag.kind, setting.values.first()) {
        (Kind::List(_), Some(_)) => serde_json::json!(setting.values).to_string(),
        (Kind::Commas(_), Some(_)) => crate::say::one_line(&setting.values.join(",")),
        (_, Some(value)) => crate::say::one_line(value),
        (_, None) => "-".to_owned(),
    }
}

fn variable_row(name: &str, variable: &str, default: &str) -> [String; 3] {
    let (value, origin) = match std::env::var(variable).ok().filter(|value| !value.is_empty()) {
        Some(value) => (crate::say::one_line(&value), format!("environment {variable}")),
        None if default.is_empty() => ("-".to_owned(), "default".to_owned()),
        None => (default.to_owned(), "default".to_owned()),
    };
    [name.to_owned(), value, origin]
}
