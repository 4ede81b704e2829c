//! Splits a JSON object into its members without reading their values.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Returns the members of a JSON object in order, each value as the text it has.
pub(crate) fn entries(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Members).and_then(|members| reader.end().map(|()| members)).map_err(|error| problem(&error))
}

/// Says what is wrong with a JSON text, and at which of its columns; it has only one line.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match message.strip_suffix(&place) {
        Some(message) if error.column() > 0 => {
            format!("{message} at byte {} of the line", error.column())
        }
        _ => message,
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &RawValue>()? {
            members.push((key, value.get()));
        }
        Ok(members)
    }
}

/// Borrows a key where it has no escapes; serde's own `Cow` always copies.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_text() {
        let members = entries(r#" {"b": 1.50, "a\n":[1, 2],"c":null} "#).unwrap();
        let members: Vec<_> = members.iter().map(|(key, value)| (key.as_ref(), *value)).collect();
        assert_eq!(members, [("b", "1.50"), ("a\n", "[1, 2]"), ("c", "null")]);
    }

    #[test]
    fn others_are_errors() {
        for (text, expected) in [
            ("[1]", "invalid type: sequence, expected a JSON object"),
            (r#"{"a":}"#, "expected value at byte 6 of the line"),
            (r#"{"a":1} x"#, "trailing characters at byte 9 of the line"),
        ] {
            let problem = entries(text).unwrap_err();
            assert!(problem.starts_with(expected), "{text}: {problem}");
        }
    }
}
