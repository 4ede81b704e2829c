//! Gathers the text of every setting from flag, environment or default, in this order.

use crate::exit::Abort;
use crate::flags::{FLAGS, Flag, Kind, flag};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::ffi::OsString;

/// Says where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    Default,
}

/// Holds the text of one setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) flag: &'static Flag,
    /// One text, several for a list, none when it is not set.
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// Holds every setting in the order of the flag table.
#[derive(Debug)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    /// Reads all settings; `variable` looks up the environment.
    pub(crate) fn gather(matches: &ArgMatches, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Abort> {
        FLAGS.iter().map(|flag| setting(flag, matches, &variable)).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the settings of these names only, for a command that has no other flags.
    #[cfg(feature = "tutorial")]
    pub(crate) fn gather_some(
        names: &[&str],
        matches: &ArgMatches,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Abort> {
        names.iter().map(|name| setting(flag(name), matches, &variable)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// Returns all texts of a list.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        &self.get(name).values
    }

    /// Returns the text of a setting, unless it is not set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).values.first().map(String::as_str)
    }

    /// Tells whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// Tells whether a setting was asked for on this command line.
    pub(crate) fn is_flag(&self, name: &str) -> bool {
        let setting = self.get(name);
        setting.origin == Origin::Flag && setting.values.first().is_some_and(|value| value != "false")
    }

    /// Tells whether a setting was asked for, by flag or variable.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.get(name).origin != Origin::Default
    }

    /// Makes the error that a setting's value is wrong; it names what the user wrote, flag or variable.
    pub(crate) fn wrong(&self, name: &str, problem: impl std::fmt::Display) -> Abort {
        let source = match self.get(name).origin {
            Origin::Environment => flag(name).variable(),
            Origin::Flag | Origin::Default => format!("--{name}"),
        };
        Abort::usage(format!("{source}: {problem}"))
    }

    fn get(&self, name: &str) -> &Setting {
        self.0.iter().find(|setting| setting.flag.name == name).expect("only names of the table are asked for")
    }
}

fn setting(
    flag: &'static Flag,
    matches: &ArgMatches,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Setting, Abort> {
    if matches.value_source(flag.name) == Some(ValueSource::CommandLine) {
        return Ok(Setting { flag, values: given(flag, matches), origin: Origin::Flag });
    }
    // An empty variable counts as none, as in most programs: that is how a shell user "unsets" one for a command.
    match variable(&flag.variable()).filter(|value| !value.is_empty()) {
        Some(value) => {
            let wrong = |problem: String| Abort::usage(format!("{}: {problem}", flag.variable()));
            let text = value.into_string().map_err(|_| wrong("is not UTF-8".to_owned()))?;
            let values = from_variable(flag, text).map_err(wrong)?;
            Ok(Setting { flag, values, origin: Origin::Environment })
        }
        None => Ok(Setting { flag, values: default(flag), origin: Origin::Default }),
    }
}

fn given(flag: &Flag, matches: &ArgMatches) -> Vec<String> {
    match flag.kind {
        Kind::Switch => vec![matches.get_flag(flag.name).to_string()],
        Kind::Value(_) | Kind::Optional { .. } | Kind::List(_) | Kind::Commas(_) | Kind::Choice(_) => {
            matches.get_many::<String>(flag.name).into_iter().flatten().cloned().collect()
        }
    }
}

fn from_variable(flag: &Flag, text: String) -> Result<Vec<String>, String> {
    match flag.kind {
        Kind::Switch => match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(vec!["true".to_owned()]),
            "0" | "false" => Ok(vec!["false".to_owned()]),
            _ => Err(format!("{text:?} is none of 1, 0, true, false")),
        },
        Kind::List(_) => serde_json::from_str(&text)
            .map_err(|_| format!("{text:?} is not a JSON array of strings such as [\"one\",\"two\"]")),
        Kind::Choice(words) if !words.contains(&text.as_str()) => {
            Err(format!("{text:?} is none of {}", words.join(", ")))
        }
        Kind::Commas(_) => Ok(text.split(',').map(str::to_owned).collect()),
        Kind::Choice(_) | Kind::Value(_) | Kind::Optional { .. } => Ok(vec![text]),
    }
}

fn default(flag: &Flag) -> Vec<String> {
    match (flag.kind, flag.default) {
        (Kind::Switch, _) => vec!["false".to_owned()],
        (_, "") => Vec::new(),
        (_, text) => vec![text.to_owned()],
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Parses the flags of `ganger map`, with these variables.
    pub(crate) fn settings(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, Abort> {
        let matches = crate::args::map().no_binary_name(true).get_matches_from([flags, &["square"]].concat());
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Settings::gather(&matches, find)
    }

    #[test]
    fn every_flag_wins_over_its_twin_and_the_twin_over_the_default() {
        for flag in FLAGS {
            let (flags, twin, from_flag, from_twin) = match flag.kind {
                Kind::Switch => (vec![format!("--{}", flag.name)], "0", "true", "false"),
                Kind::Value(_) => (vec![format!("--{}=1", flag.name)], "2", "1", "2"),
                Kind::Optional { .. } => (vec![format!("--{}=1", flag.name)], "auto", "1", "auto"),
                Kind::List(_) => (vec![format!("--{}=1", flag.name)], r#"["2"]"#, "1", "2"),
                Kind::Commas(_) => (vec![format!("--{}=1", flag.name)], "2,3", "1", "2"),
                Kind::Choice(words) => (vec![format!("--{}={}", flag.name, words[1])], words[0], words[1], words[0]),
            };
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let variable = flag.variable();
            let both = settings(&flags, &[(&variable, twin)]).unwrap();
            assert_eq!(both.text(flag.name), Some(from_flag), "{}", flag.name);
            assert_eq!(both.get(flag.name).origin, Origin::Flag);
            let one = settings(&[], &[(&variable, twin)]).unwrap();
            assert_eq!(one.text(flag.name), Some(from_twin), "{}", flag.name);
            assert_eq!(one.get(flag.name).origin, Origin::Environment);
            let none = settings(&[], &[(&variable, "")]).unwrap();
            assert_eq!(none.get(flag.name).origin, Origin::Default, "{}", flag.name);
        }
    }

    #[test]
    fn wrong_variables_are_named() {
        for (variable, value, problem) in [
            ("GANGER_SERIAL", "yes", "GANGER_SERIAL: \"yes\" is none of 1, 0, true, false"),
            ("GANGER_FORMAT", "xml", "GANGER_FORMAT: \"xml\" is none of auto, lines, csv, tsv, jsonl"),
            ("GANGER_ARG", "min=3", "GANGER_ARG: \"min=3\" is not a JSON array of strings such as [\"one\",\"two\"]"),
        ] {
            assert_eq!(settings(&[], &[(variable, value)]).unwrap_err(), Abort::usage(problem));
        }
    }
}
