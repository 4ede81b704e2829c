//! Values on their way between rows and tasks.

use std::fmt;

/// Is one value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number of SQLite.
    Integer(i64),
    /// A number of SQLite with a fraction.
    Real(f64),
    /// A text, and everything of PostgreSQL but JSON as it writes it; `true` and `false` are spelt out.
    Text(String),
    /// A value of the types `json` and `jsonb`.
    Json(String),
    /// So many bytes that are no text, which no task takes.
    Bytes(usize),
}

impl Value {
    /// Returns how much memory it takes, about.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len() + 24,
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Bytes(_) => 24,
        }
    }

    /// Returns its text; a missing value has none.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Null | Self::Bytes(_) => None,
            value => Some(value.to_string()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => write!(f, "{number}"),
            // With its fraction, as SQLite writes it: 1.0 is no whole number.
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Bytes(count) => write!(f, "{count} bytes"),
        }
    }
}

/// Is a JSON value as far as a column cares.
#[derive(Debug, PartialEq)]
pub(crate) enum Plain<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    /// An array or an object, as JSON.
    Compound(&'a str),
}

impl<'a> Plain<'a> {
    /// Reads the text of one JSON value.
    pub(crate) fn of(json: &'a str) -> Self {
        let json = json.trim();
        match json.as_bytes().first() {
            _ if json == "null" => Self::Null,
            _ if json == "true" || json == "false" => Self::Bool(json == "true"),
            // What is no JSON after all stays what it is.
            Some(b'"') => serde_json::from_str(json).map_or(Self::Compound(json), Self::Text),
            Some(b'-' | b'0'..=b'9') => Self::Number(json),
            _ => Self::Compound(json),
        }
    }
}

/// Writes a name as an identifier of SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Lists names for a message.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_apart() {
        for (json, plain) in [
            ("null", Plain::Null),
            (" true", Plain::Bool(true)),
            ("-1.50", Plain::Number("-1.50")),
            ("18446744073709551615", Plain::Number("18446744073709551615")),
            (r#""a\nb""#, Plain::Text("a\nb".to_owned())),
            ("[1, 2]", Plain::Compound("[1, 2]")),
            (r#"{"a":1}"#, Plain::Compound(r#"{"a":1}"#)),
        ] {
            assert_eq!(Plain::of(json), plain, "{json}");
        }
    }

    #[test]
    fn values_are_written_as_their_database_does() {
        for (value, text) in [
            (Value::Integer(-7), "-7"),
            (Value::Real(1.0), "1.0"),
            (Value::Real(0.1), "0.1"),
            (Value::Text("a b".to_owned()), "a b"),
        ] {
            assert_eq!(value.to_string(), text);
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
