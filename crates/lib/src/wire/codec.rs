//! Values to bytes and back: bincode 2 through serde, with integers of fixed width.
//!
//! This file is the whole seam: bincode is no longer maintained (`docs/decisions.md`), and another codec would replace
//! these two functions.

use std::any::Any;
use std::fmt;

use bincode::config::{Config, Configuration, Fixint, Limit, LittleEndian, NoLimit};
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use ganger_os::huge::make_room;
use ganger_os::mutant::{Protection, without};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::aside::LARGE;
use super::descriptor::{self, Parcel, Part};
use super::frame::MOST_BYTES;

/// Fixed width costs bytes for small numbers and saves time for all.
const PLAIN: Configuration<LittleEndian, Fixint, NoLimit> = bincode::config::standard().with_fixed_int_encoding();

/// As `PLAIN`, with a limit on what a length in the bytes may claim: without it, a corrupt one would have memory allocated
/// that does not exist, which ends the process. Checking costs 10 ns a number.
const LIMITED: Configuration<LittleEndian, Fixint, Limit<MOST_BYTES>> = PLAIN.with_limit::<MOST_BYTES>();

/// The limit for nearly all values, which are not larger than this: 8 bytes of them cannot claim 2 GiB.
const SMALL: usize = 1 << 20;
const LIMITED_MORE: Configuration<LittleEndian, Fixint, Limit<SMALL>> = PLAIN.with_limit::<SMALL>();

/// Why a value could not be turned into bytes or back.
#[derive(Debug)]
pub struct CodecError(String);

impl CodecError {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodecError {}

impl From<EncodeError> for CodecError {
    fn from(error: EncodeError) -> Self {
        Self(match error {
            EncodeError::OtherString(text) => text,
            EncodeError::Other(text) => text.to_owned(),
            other => other.to_string(),
        })
    }
}

impl From<DecodeError> for CodecError {
    fn from(error: DecodeError) -> Self {
        Self(match error {
            DecodeError::OtherString(text) => text,
            DecodeError::Other(text) => text.to_owned(),
            DecodeError::UnexpectedEnd { additional } => format!("{additional} more byte(s) were expected"),
            other => other.to_string(),
        })
    }
}

struct Out<'a>(&'a mut Vec<u8>);

impl Writer for Out<'_> {
    // Called with arrays of known size: inlined, a number is one store instead of a call of memmove.
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends the bytes of `value` to `out`; after an error, `out` may hold a part of them.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    Ok(bincode::serde::encode_into_writer(value, Out(out), PLAIN)?)
}

/// As [`encode`], for what users send: an argument or a result that is a vector of bytes is copied as a whole. serde knows
/// it as a sequence, which costs 1.4 ns a byte; the bytes are the same. Within [`descriptor::sending_large`] a large one leaves a
/// gap.
#[inline]
pub(crate) fn encode_value<T: Serialize + 'static>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let Some(bytes) = (value as &dyn Any).downcast_ref::<Vec<u8>>() else { return encode(value, out) };
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    if !(bytes.len() >= LARGE && descriptor::leave_gap(out.len(), bytes)) {
        make_room(out, bytes.len());
        out.extend_from_slice(bytes);
    }
    Ok(())
}

/// The bytes of `value`, and the descriptors of the handles in it.
pub(crate) fn encode_parcel<T: Serialize + ?Sized>(part: Part, value: &T) -> Result<Parcel, CodecError> {
    let mut bytes = Vec::new();
    let (encoded, descriptors) = descriptor::sending(part, || encode(value, &mut bytes));
    encoded.map(|()| Parcel { bytes, descriptors })
}

/// Reads a value back that another process sent; bytes that are left over are an error, as they mean that the types
/// differ.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if without(Protection::ValueLimit) {
        return decode_by(bytes, PLAIN);
    }
    // A limit is part of a type, so it cannot be the number of bytes. What a value claims is no more than it has.
    if bytes.len() <= SMALL { decode_by(bytes, LIMITED_MORE) } else { decode_by(bytes, LIMITED) }
}

/// As [`decode`], for what [`encode_value`] wrote.
#[inline]
pub(crate) fn decode_value<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, CodecError> {
    match whole_bytes::<T>(bytes) {
        Some((value, rest)) => at_end(rest).map(|()| value),
        None => decode(bytes),
    }
}

/// Takes one argument off the front of what [`encode_value`] wrote for each.
#[inline]
pub(crate) fn decode_argument<T: DeserializeOwned + 'static>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    if let Some((value, rest)) = whole_bytes::<T>(bytes) {
        *bytes = rest;
        return Ok(value);
    }
    let (value, used) = bincode::serde::decode_from_slice(bytes, PLAIN)?;
    *bytes = &bytes[used..];
    Ok(value)
}

/// The argument of a task that has one.
pub(crate) fn decode_only_argument<T: DeserializeOwned + 'static>(mut bytes: &[u8]) -> Result<T, CodecError> {
    let argument = decode_argument(&mut bytes)?;
    at_end(bytes).map(|()| argument)
}

/// Whether all was used that there was.
#[inline]
pub(crate) fn at_end(rest: &[u8]) -> Result<(), CodecError> {
    match rest.len() {
        0 => Ok(()),
        left => Err(CodecError(format!("{left} byte(s) were left over"))),
    }
}

/// The value, if `T` is a vector of bytes and all of them are there, and what follows it.
#[inline]
fn whole_bytes<T: 'static>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let mut slot = None::<T>;
    let vector = (&mut slot as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>()?;
    let (length, rest) = bytes.split_first_chunk()?;
    // A length that is not there is for the general way to refuse.
    let (own, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut copy = Vec::new();
    make_room(&mut copy, own.len());
    copy.extend_from_slice(own);
    *vector = Some(copy);
    slot.map(|value| (value, rest))
}

/// Reads the value at the start of `bytes`, which may point into them, and tells how many of them it has taken.
pub(crate) fn decode_first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, usize), CodecError> {
    Ok(if bytes.len() <= SMALL {
        bincode::serde::borrow_decode_from_slice(bytes, LIMITED_MORE)?
    } else {
        bincode::serde::borrow_decode_from_slice(bytes, LIMITED)?
    })
}

/// Reads arguments back in a worker. They come from its own supervisor, and the worst that corrupt ones could do is to
/// end the worker, so they are not checked against a limit.
#[inline]
pub(crate) fn decode_arguments<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_by(bytes, PLAIN)
}

#[inline]
fn decode_by<T: DeserializeOwned>(bytes: &[u8], config: impl Config) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, config)?;
    at_end(&bytes[used..]).map(|()| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_and_leftovers_do_not() {
        let value = (7_i64, "seven".to_owned(), vec![Some(1.5), None], Err::<u8, String>("no".to_owned()));
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).expect("encodes");
        assert_eq!(decode::<(i64, String, Vec<Option<f64>>, Result<u8, String>)>(&bytes).expect("decodes"), value);
        bytes.push(0);
        let error = decode::<(i64, String, Vec<Option<f64>>, Result<u8, String>)>(&bytes).expect_err("one too many");
        assert_eq!(error.to_string(), "1 byte(s) were left over");
    }

    #[test]
    fn a_lying_length_is_an_error_and_no_allocation() {
        let bytes = u64::MAX.to_le_bytes();
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
    }

    #[test]
    fn values_of_every_size_are_within_the_limit() {
        for length in [SMALL - 9, SMALL - 8, SMALL - 7, 2 * SMALL] {
            for text in [true, false] {
                let (string, numbers) =
                    if text { ("x".repeat(length), Vec::new()) } else { (String::new(), vec![7; length]) };
                let mut bytes = Vec::new();
                encode(&(&string, &numbers), &mut bytes).expect("encodes");
                assert_eq!(decode::<(String, Vec<u8>)>(&bytes).expect("decodes"), (string, numbers), "{length} bytes");
            }
        }
    }

    #[test]
    fn the_bytes_of_version_1_are_fixed() {
        let mut bytes = Vec::new();
        encode(&(1_u32, -2_i16, "ab", Some(true), [3_u8; 2]), &mut bytes).expect("encodes");
        assert_eq!(bytes, [1, 0, 0, 0, 254, 255, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 1, 1, 3, 3]);
    }
}
