//! Why a field is no argument.

use serde::de;
use std::fmt;

/// Says which argument could not be made from a field, and why.
///
/// ```
/// use ganger::registry::{self, Field};
///
/// #[ganger::task]
/// fn total(numbers: Vec<f64>) -> f64 {
///     numbers.iter().sum()
/// }
///
/// let task = registry::find("total").expect("registered above");
/// let error = task.encode(&[Field::List(vec![Field::text("1"), Field::text("abc")])]).unwrap_err();
/// assert_eq!(error.to_string(), r#"argument "numbers", element 1: "abc" is not a number (f64)"#);
/// assert_eq!((error.argument(), error.element()), ("numbers", Some(1)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    argument: &'static str,
    mismatch: Mismatch,
}

impl ArgumentError {
    pub(super) fn new(argument: &'static str, mismatch: Mismatch) -> Self {
        Self { argument, mismatch }
    }

    /// Returns the argument's name.
    pub fn argument(&self) -> &'static str {
        self.argument
    }

    /// Returns the position of the value within a list or record, counted from zero.
    pub fn element(&self) -> Option<usize> {
        self.mismatch.0.element
    }

    /// Returns what is wrong without its place: `"abc" is not a number (f64)`.
    pub fn problem(&self) -> &str {
        &self.mismatch.0.problem
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument {:?}", self.argument)?;
        if let Some(element) = self.element() {
            write!(f, ", element {element}")?;
        }
        write!(f, ": {}", self.problem())
    }
}

impl std::error::Error for ArgumentError {}

/// Carries a problem out of a conversion; boxed, because a number's conversion should not pay for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch(Box<Detail>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Detail {
    element: Option<usize>,
    problem: String,
}

impl Mismatch {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(Box::new(Detail { element: None, problem: problem.into() }))
    }

    /// Says that `text` is not what was expected.
    pub(super) fn of(text: &str, problem: fmt::Arguments<'_>) -> Self {
        Self::new(format!("{} {problem}", quoted(text)))
    }

    /// Names the element. The outermost list is named last and counts: its elements are the record's columns.
    pub(super) fn at(mut self, element: usize) -> Self {
        self.0.element = Some(element);
        self
    }

    /// Takes over what serde_json says, without its "at line 1 column 5": the record has another line.
    pub(super) fn json(text: &str, error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let problem = message.strip_suffix(&place).unwrap_or(&message);
        Self::of(text, format_args!("does not fit: {problem}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.problem)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

/// Quotes and escapes a value, and cuts it to a length that a message can bear.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_cut() {
        for (text, expected) in [
            ("abc", r#""abc""#.to_owned()),
            ("a\u{1b}[31m\n\"", r#""a\u{1b}[31m\n\"""#.to_owned()),
            (&"ä".repeat(41), format!("\"{}\"...", "ä".repeat(40))),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn the_message_names_argument_and_element() {
        let mismatch = Mismatch::of("abc", format_args!("is not a number (f64)"));
        assert_eq!(
            ArgumentError::new("row", mismatch.at(2)).to_string(),
            r#"argument "row", element 2: "abc" is not a number (f64)"#
        );
    }
}
