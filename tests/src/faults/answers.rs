//! What tasks of the matrix return, and results that go wrong on their way.

use std::fmt;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The size of a large answer: more than the ring holds.
pub(super) const LARGE: usize = 1_200_000;

/// What a task returns.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The task's own index.
    Plain(u32),
    /// More than fits into the shared ring.
    Large(Vec<u8>),
    /// Cannot be turned into bytes.
    Locked(Locked),
    /// Cannot be turned back into a value.
    Sealed(Sealed),
}

/// Fails to serialize, or panics in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Locked {
    panics: bool,
}

impl Serialize for Locked {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "not this one");
        Err(S::Error::custom("not this one"))
    }
}

impl<'de> Deserialize<'de> for Locked {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("it was never serialized"))
    }
}

/// Serializes, and fails to deserialize.
#[derive(Debug, PartialEq, Eq)]
pub struct Sealed;

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(0)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("not that one"))
    }
}

/// An error of a task that could not be deserialized, were it ever tried: only its text travels.
#[derive(Debug)]
pub struct Untold(pub &'static str);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

pub(super) type Outcome = Result<Answer, Untold>;

pub(super) fn large() -> Outcome {
    Ok(Answer::Large(vec![7; LARGE]))
}

pub(super) fn unserializable() -> Outcome {
    Ok(Answer::Locked(Locked { panics: false }))
}

pub(super) fn panics_in_serialize() -> Outcome {
    Ok(Answer::Locked(Locked { panics: true }))
}

pub(super) fn undecodable() -> Outcome {
    Ok(Answer::Sealed(Sealed))
}

pub(super) fn fails() -> Outcome {
    Err(Untold("not today"))
}
