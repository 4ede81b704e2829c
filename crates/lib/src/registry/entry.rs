//! One registered task.

use super::error::ArgumentError;
use super::field::Field;
use std::fmt;

/// Starts every payload, so that no payload is empty and a later layout can be told apart.
pub(super) const PAYLOAD_VERSION: u8 = 1;

/// Describes a function that [`#[ganger::task]`](crate::task) registered, and calls it.
#[derive(Debug)]
#[non_exhaustive]
pub struct TaskEntry {
    /// The function's name with `-` for `_`, or what `#[task(name = "...")]` says.
    pub name: &'static str,
    /// The heading under which the task is listed: empty, or what `#[task(group = "...")]` says.
    pub group: &'static str,
    /// The function's doc comment.
    pub doc: &'static str,
    /// The function's arguments in order.
    pub arguments: &'static [Argument],
    /// The return type as written in the source.
    pub returns: &'static str,
    /// Where the function is, as `file:line`.
    pub location: &'static str,
    pub(super) encode_arguments: fn(&[Field<'_>], &mut Vec<u8>) -> Result<(), ArgumentError>,
    pub(super) run: fn(&[u8], &mut Vec<u8>) -> Result<(), Failure>,
}

/// Describes one argument of a task.
#[derive(Debug)]
#[non_exhaustive]
pub struct Argument {
    /// The argument's name as written in the source.
    pub name: &'static str,
    /// The argument's type as written in the source.
    pub type_name: &'static str,
    check: fn(&'static str, &Field<'_>) -> Result<(), ArgumentError>,
}

/// Holds what the expansion of `#[task]` knows of a function.
#[doc(hidden)]
#[derive(Debug)]
pub struct Parts {
    pub name: &'static str,
    pub group: &'static str,
    pub doc: &'static str,
    pub returns: &'static str,
    pub arguments: &'static [Argument],
    pub location: &'static str,
    pub encode_arguments: fn(&[Field<'_>], &mut Vec<u8>) -> Result<(), ArgumentError>,
    pub run: fn(&[u8], &mut Vec<u8>) -> Result<(), Failure>,
}

impl Argument {
    #[doc(hidden)]
    pub const fn __new(
        name: &'static str,
        type_name: &'static str,
        check: fn(&'static str, &Field<'_>) -> Result<(), ArgumentError>,
    ) -> Self {
        Self { name, type_name, check }
    }

    /// Finds out whether `field` converts to this argument's type.
    ///
    /// # Errors
    /// When it does not; the error says why.
    pub fn check(&self, field: &Field<'_>) -> Result<(), ArgumentError> {
        (self.check)(self.name, field)
    }
}

impl TaskEntry {
    #[doc(hidden)]
    pub const fn __new(parts: Parts) -> Self {
        let Parts { name, group, doc, returns, arguments, location, encode_arguments, run } = parts;
        Self { name, group, doc, arguments, returns, location, encode_arguments, run }
    }

    /// Converts one field per argument to the declared types and encodes them as a payload for [`call`](Self::call).
    ///
    /// # Errors
    /// When a field does not convert; the error names the argument, the value and what was expected.
    ///
    /// # Panics
    /// When there are not as many fields as arguments.
    pub fn encode(&self, fields: &[Field<'_>]) -> Result<Vec<u8>, ArgumentError> {
        let mut payload = Vec::new();
        self.encode_into(fields, &mut payload)?;
        Ok(payload)
    }

    /// Does what [`encode`](Self::encode) does, at the end of `payload`.
    ///
    /// # Errors
    /// As `encode`; what `payload` then holds beyond its former length is meaningless.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_into(&self, fields: &[Field<'_>], payload: &mut Vec<u8>) -> Result<(), ArgumentError> {
        assert_eq!(fields.len(), self.arguments.len(), "task {} takes one field per argument", self.name);
        payload.push(PAYLOAD_VERSION);
        (self.encode_arguments)(fields, payload)
    }

    /// Calls the function with the arguments in `payload` and appends its result as JSON text to `out`. JSON has no
    /// infinities and no NaN: they become `null`.
    ///
    /// An empty payload is never an argument list: it fails as [`Failure::NotDeserializable`] and the function does not
    /// run.
    ///
    /// # Errors
    /// When the function returns `Err`, or when its arguments or result do not fit; `out` is then as before.
    pub fn call(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let start = out.len();
        (self.run)(payload, out).inspect_err(|_| out.truncate(start))
    }
}

impl fmt::Display for TaskEntry {
    /// Writes the signature: `count-in-range(row: Vec<Option<f64>>, min: f64, max: f64) -> u64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (position, argument) in self.arguments.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", argument.name, argument.type_name)?;
        }
        write!(f, ") -> {}", self.returns)
    }
}

/// Says why a call by name gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The function returned `Err` with this text.
    Failed(String),
    /// The payload holds no arguments for this function.
    NotDeserializable(String),
    /// The result cannot be written as JSON.
    NotSerializable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(text) => f.write_str(text),
            Failure::NotDeserializable(cause) => write!(f, "the arguments cannot be read: {cause}"),
            Failure::NotSerializable(cause) => {
                write!(f, "the result cannot be written as JSON: {cause}")
            }
        }
    }
}

impl std::error::Error for Failure {}
