//! What a task is sent: so many bytes, as a vector or as a part of a shared array.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A `Vec<u8>`, which is sent.
    Bytes,
    /// A `SharedArray`, of which a handle is sent.
    Shared,
}

/// The bytes of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Bytes, Self::Shared];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Shared => "shared",
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::SMALLEST
    }
}

impl Payload {
    /// The sizes that are measured, from a number to a picture.
    pub(crate) const SIZES: [usize; 5] = [8, 1 << 10, 64 << 10, 1 << 20, 16 << 20];
    /// A number: what is sent where payloads are not the question.
    pub(crate) const SMALLEST: Self = Self { kind: Kind::Bytes, bytes: Self::SIZES[0] };

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().flat_map(|kind| Self::SIZES.map(|bytes| Self { kind, bytes }))
    }
}

/// As helpers are told it: `shared:65536`.
impl Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.bytes)
    }
}

impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(kind, bytes)| {
            let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
            Some(Self { kind, bytes: bytes.parse().ok()? })
        });
        parts.ok_or_else(|| format!("not a payload: {text:?} (as bytes:8 or shared:65536)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_told_to_helpers() {
        for payload in Payload::all() {
            assert_eq!(payload.to_string().parse(), Ok(payload));
        }
        for text in ["", "bytes", "bytes:", "text:8", "bytes:-1"] {
            assert!(text.parse::<Payload>().is_err(), "{text}");
        }
    }
}
