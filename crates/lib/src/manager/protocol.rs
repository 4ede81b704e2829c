//! What travels between a proxy and the server: frames of one request and of its reply.
//!
//! A frame is the length of its body (4 bytes) and the body. A request's body is the object (8 bytes) and one operation
//! after the other; a reply's body is an answer to each: a status, a length (4 bytes), and the value or the reason. A
//! client has one request on its way at a time. Keys, values and arguments are bytes here: only proxies know types.

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::wire::codec::{decode_first, encode};

/// The size of what stands before a body.
pub(super) const PREFIX: usize = 4;

/// The size of what stands before the bytes of an answer.
const ANSWER: usize = 5;

/// What is encoded already, or not decoded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob<'a>(pub(super) &'a [u8]);

/// A function of the program, as its offset in the executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Function {
    pub(super) offset: u64,
    /// Proves that the offset was made by a client that was let in, and is not chance: see [`seal`].
    pub(super) seal: u64,
}

/// How long an operation may wait in the server, in nanoseconds: not at all is 0, for ever is `None`.
pub(super) type Patience = Option<u64>;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Op<'a> {
    /// Makes an object, or finds the one of that name.
    Make(#[serde(borrow)] Make<'a>),
    /// Ends an object, whoever else has a proxy of it.
    Discard,
    Dict(DictOp),
    /// The key, and what to do there.
    Entry(#[serde(borrow)] Blob<'a>, #[serde(borrow)] EntryOp<'a>),
    List(#[serde(borrow)] ListOp<'a>),
    Counter(CounterOp),
    Queue(#[serde(borrow)] QueueOp<'a>),
    Lock(LockOp),
    Event(EventOp),
    /// Calls a function with an object of the user's type.
    Call(Function, #[serde(borrow)] Blob<'a>),
}

/// What object to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Make<'a> {
    #[serde(borrow)]
    pub(super) kind: Kind<'a>,
    /// The proxy's type, in words: proxies of another type are refused under the same name.
    pub(super) types: &'a str,
    pub(super) name: Option<&'a str>,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind<'a> {
    Dict,
    List,
    Counter,
    Queue {
        capacity: u64,
    },
    Lock,
    Event,
    /// What this function makes of these arguments.
    User(Function, #[serde(borrow)] Blob<'a>),
}

/// Operations of dictionaries and namespaces with one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EntryOp<'a> {
    Get,
    Insert(#[serde(borrow)] Blob<'a>),
    /// As `Insert`, for those who do not ask what was there.
    Put(#[serde(borrow)] Blob<'a>),
    OrInsert(#[serde(borrow)] Blob<'a>),
    /// What must be there; what shall be there.
    Swap(#[serde(borrow)] Option<Blob<'a>>, #[serde(borrow)] Option<Blob<'a>>),
    Remove,
    /// As `Remove`, for those who only ask whether something was there.
    Delete,
    Contains,
    /// What stands before the number; the number's type; the number.
    Add(#[serde(borrow)] Blob<'a>, u8, #[serde(borrow)] Blob<'a>),
    /// What to do; the value where there is none; arguments.
    Alter(Function, #[serde(borrow)] Option<Blob<'a>>, #[serde(borrow)] Blob<'a>),
}

/// Operations of whole dictionaries and namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DictOp {
    Len,
    Keys,
    Values,
    Items,
    Clear,
}

/// Operations of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ListOp<'a> {
    Push(#[serde(borrow)] Blob<'a>),
    Pop,
    Insert(u64, #[serde(borrow)] Blob<'a>),
    Remove(u64),
    Get(u64),
    Set(u64, #[serde(borrow)] Blob<'a>),
    Add(u64, u8, #[serde(borrow)] Blob<'a>),
    Alter(u64, Function, #[serde(borrow)] Blob<'a>),
    AlterAll(Function, #[serde(borrow)] Blob<'a>),
    Slice(u64, u64),
    Len,
    Clear,
}

/// Operations of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CounterOp {
    Add(i64),
    Get,
    Set(i64),
    Swap(i64, i64),
}

/// Operations of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum QueueOp<'a> {
    Put(#[serde(borrow)] Blob<'a>, Patience),
    Get(Patience),
    Len,
}

/// Operations of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LockOp {
    /// How long to wait, and after how many nanoseconds it is taken back.
    Acquire(Patience, Option<u64>),
    /// The number that the taking of it had.
    Release(u64),
    IsLocked,
}

/// Operations of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EventOp {
    Set,
    Clear,
    IsSet,
    Wait(Patience),
}

/// What the server tells a client that it has let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// The largest body of a frame.
    pub(super) limit: u64,
    /// What seals functions; only for clients that are the same executable.
    pub(super) secret: Option<Secret>,
}

/// What only the server and one client know.
pub(super) type Secret = [u8; 16];

/// Bytes that are no request, or no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// An operation that was refused or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

/// What an operation has returned, or why it has not.
pub(super) type Answer<'a> = Result<&'a [u8], Fault>;

/// The kinds of faults that travel, each by its place, counted from 1: 0 is a value.
const FAULTS: [ErrorKind; 11] = [
    ErrorKind::Remote,
    ErrorKind::Mismatch,
    ErrorKind::NotOwner,
    ErrorKind::TimedOut,
    ErrorKind::Full,
    ErrorKind::Empty,
    ErrorKind::TooLarge,
    ErrorKind::Closed,
    ErrorKind::WouldDeadlock,
    ErrorKind::InvalidSetting,
    ErrorKind::System,
];

impl Fault {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind, fault.message)
    }
}

/// What makes an offset more than a number: bytes that were never meant as one do not pass, however they come about.
pub(super) fn seal(secret: &Secret, offset: u64) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(secret);
    hasher.write_u64(offset);
    hasher.finish()
}

/// Starts a frame in `out`, which is cleared.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.extend([0; PREFIX]);
}

/// Writes the length of the frame that was begun in `out`.
pub(super) fn end(out: &mut [u8]) {
    let length = (out.len() - PREFIX) as u32;
    out[..PREFIX].copy_from_slice(&length.to_le_bytes());
}

/// The length that a frame claims, once there are enough bytes to know it.
pub(super) fn claimed(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

/// Appends an operation.
pub(super) fn append(op: &Op<'_>, out: &mut Vec<u8>) {
    encode(op, out).expect("operations are plain data");
}

/// Splits a request's body into its object and the bytes of its operations.
pub(super) fn object_of(body: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (object, ops) = body.split_first_chunk().ok_or(Malformed)?;
    Ok((u64::from_le_bytes(*object), ops))
}

/// Reads the first operation; what is left begins with the next.
pub(super) fn first_op(bytes: &[u8]) -> Result<(Op<'_>, &[u8]), Malformed> {
    let (op, used) = decode_first(bytes).map_err(|_| Malformed)?;
    Ok((op, &bytes[used..]))
}

/// Appends an answer: what `write` appends, or its fault, or that it is larger than `room`.
pub(super) fn answer<T>(
    out: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T, Fault>,
) -> Option<T> {
    let start = out.len();
    out.extend([0; ANSWER]);
    let mut written = write(out);
    let size = out.len() - start;
    if written.is_ok() && size > room {
        let text =
            format!("an answer of {size} bytes does not fit into the manager's message limit: ask for less at once");
        written = Err(Fault::new(ErrorKind::TooLarge, text));
    }
    let (status, done) = match written {
        Ok(done) => (0, Some(done)),
        Err(fault) => {
            out.truncate(start + ANSWER);
            // Behind an answer that did not fit there may be thousands that do not either.
            if ANSWER + fault.message.len() <= room {
                out.extend(fault.message.as_bytes());
            }
            let place = FAULTS.iter().position(|kind| *kind == fault.kind);
            (place.expect("the server's faults are in the table") as u8 + 1, None)
        }
    };
    let length = (out.len() - start - ANSWER) as u32;
    out[start] = status;
    out[start + 1..start + ANSWER].copy_from_slice(&length.to_le_bytes());
    done
}

/// Reads the first answer of a reply; what is left begins with the next.
pub(super) fn first_answer(bytes: &[u8]) -> Result<(Answer<'_>, &[u8]), Malformed> {
    let (status, rest) = bytes.split_first().ok_or(Malformed)?;
    let (length, rest) = rest.split_first_chunk().ok_or(Malformed)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Malformed)?;
    let Some(place) = usize::from(*status).checked_sub(1) else { return Ok((Ok(value), rest)) };
    let kind = *FAULTS.get(place).ok_or(Malformed)?;
    let message = match String::from_utf8_lossy(value) {
        text if text.is_empty() => {
            "the reply does not fit into the manager's message limit: ask for less at once".into()
        }
        text => text,
    };
    Ok((Err(Fault::new(kind, message)), rest))
}

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = &'de [u8];

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(bytes)
            }

            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
                Err(E::custom("only requests that are there as a whole are read"))
            }
        }
        deserializer.deserialize_bytes(Borrowed).map(Blob).map_err(D::Error::custom)
    }
}
