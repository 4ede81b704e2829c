//! Values of types that the server does not know, as parts of an answer: encoded as the type that has them as parts.

use serde::Serialize;

use crate::wire::codec::encode;

/// An `Option` of what these bytes are.
pub(super) fn append_option(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(u8::from(value.is_some()));
    out.extend(value.unwrap_or_default());
}

/// The length of a `Vec`, whose elements follow, or a number of elements.
pub(super) fn append_count(count: usize, out: &mut Vec<u8>) {
    append_plain(&(count as u64), out);
}

/// A value of the server's own.
pub(super) fn append_plain(value: &impl Serialize, out: &mut Vec<u8>) {
    encode(value, out).expect("plain data");
}
