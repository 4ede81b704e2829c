//! What the expansion of `#[ganger::task]` is made of.

use super::convert::Reader;
use super::entry::{Failure, PAYLOAD_VERSION};
use super::error::{ArgumentError, Mismatch};
use super::field::Field;
use crate::wire::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// Hands out the converted arguments of one call in order.
#[derive(Debug)]
pub struct Arguments<'a> {
    names: std::slice::Iter<'a, &'static str>,
    fields: std::slice::Iter<'a, Field<'a>>,
}

impl<'a> Arguments<'a> {
    /// Starts with the first of `names`; there is one field for each.
    pub fn new(names: &'a [&'static str], fields: &'a [Field<'a>]) -> Self {
        Self { names: names.iter(), fields: fields.iter() }
    }

    /// Converts the next field.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, ArgumentError> {
        let name = self.names.next().copied().unwrap_or_default();
        convert(name, self.fields.next().unwrap_or(&Field::Missing))
    }

    /// Encodes the tuple of all arguments.
    ///
    /// # Errors
    /// When a value refuses to be serialized.
    pub fn encode<T: Serialize>(&self, arguments: &T, out: &mut Vec<u8>) -> Result<(), ArgumentError> {
        codec::encode(arguments, out)
            .map_err(|error| ArgumentError::new("", Mismatch::new(format!("the arguments cannot be encoded: {error}"))))
    }
}

/// Converts a field only to see whether it can be done.
///
/// # Errors
/// When it is no `T`.
pub fn check_argument<T: DeserializeOwned>(name: &'static str, field: &Field<'_>) -> Result<(), ArgumentError> {
    convert::<T>(name, field).map(drop)
}

fn convert<T: DeserializeOwned>(name: &'static str, field: &Field<'_>) -> Result<T, ArgumentError> {
    T::deserialize(Reader(field)).map_err(|mismatch| ArgumentError::new(name, locate::<T>(field, mismatch)))
}

/// Names the element at fault within a JSON array, whose own parser does not tell: the conversion runs once more, element
/// by element. Only failures pay for it.
fn locate<T: DeserializeOwned>(field: &Field<'_>, mismatch: Mismatch) -> Mismatch {
    match field.elements() {
        Some(list) => T::deserialize(Reader(&list)).err().unwrap_or(mismatch),
        None => mismatch,
    }
}

/// Decodes the argument tuple of a payload.
///
/// # Errors
/// When the payload is none of this task's.
pub fn decode_arguments<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Failure> {
    match payload.split_first() {
        Some((&PAYLOAD_VERSION, arguments)) => {
            codec::decode(arguments).map_err(|error| Failure::NotDeserializable(error.to_string()))
        }
        Some((version, _)) => Err(Failure::NotDeserializable(format!("layout {version} is unknown"))),
        None => Err(Failure::NotDeserializable("the payload is empty".to_owned())),
    }
}

/// Wraps what a task returned, so that method lookup finds out whether it is a `Result`.
///
/// A macro sees only the written type, and `anyhow::Result<T>` or an alias may hide a `Result`. Method lookup tries
/// [`WriteResult`], which takes `&Returned`, before [`WriteValue`], which takes `&&Returned`; so a `Result` with an error that can
/// be displayed always ends in the former.
#[derive(Debug)]
pub struct Returned<T>(pub T);

/// Writes a returned `Result`.
pub trait WriteResult {
    /// Appends the value as JSON, or fails with the error's text.
    ///
    /// # Errors
    /// When the task failed or its value cannot be written.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Failure>;
}

impl<T: Serialize, E: Display> WriteResult for Returned<Result<T, E>> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match &self.0 {
            Ok(value) => write_json(value, out),
            Err(error) => Err(Failure::Failed(error.to_string())),
        }
    }
}

/// Writes a returned value that is no `Result`.
pub trait WriteValue {
    /// Appends the value as JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Failure>;
}

impl<T: Serialize> WriteValue for &Returned<T> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        write_json(&self.0, out)
    }
}

/// Requires what a task that is written to return a `Result` must return; gives the better compiler error of the two.
pub trait ValueOrError {}

impl<T: Serialize, E: Display> ValueOrError for Result<T, E> {}

fn write_json<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Failure> {
    serde_json::to_writer(out, value).map_err(|error| Failure::NotSerializable(error.to_string()))
}
