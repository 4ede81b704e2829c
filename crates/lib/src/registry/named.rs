//! Tasks by name in a pool: arguments come as a payload, results go as JSON text.

use std::cell::Cell;
use std::sync::Arc;

use ganger_os::image::EntryPoint;

use super::{Failure, TaskEntry, find};
use crate::task::{Prepared, Task, Unfit};
use crate::wire::codec::{CodecError, decode, encode};
use crate::wire::message::{Call, Status};
use crate::worker::run_fail;

/// A registered task, to be given to the methods of a pool: its argument is a [`Payload`], its value [`JsonText`].
///
/// ```
/// use ganger::registry::{self, Field, Named, Payload};
///
/// /// Adds two numbers.
/// #[ganger::task]
/// fn plus(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let task = registry::find("plus").expect("registered above");
/// let payload = Payload::new(task.encode(&[Field::text("40"), Field::text("2")])?);
/// let sum = ganger::Pool::new(1)?.apply(Named::new(task), (payload,))?;
/// assert_eq!(sum.as_bytes(), b"42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Named(&'static TaskEntry);

impl Named {
    /// The task to call.
    #[must_use]
    pub const fn new(task: &'static TaskEntry) -> Self {
        Self(task)
    }
}

/// The encoded arguments of one call, as [`TaskEntry::encode`] makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// The bytes that [`TaskEntry::encode`] made. Others are the outcome `NotDeserializable`.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// A result as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Vec<u8>);

impl JsonText {
    /// The text's bytes; UTF-8, as JSON always is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text's bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Task<(Payload,), JsonText> for Named {
    fn prepare(&self, _pool: u64) -> Result<Prepared, Unfit> {
        let entry = EntryPoint::of_shim(run_named).map_err(Unfit::Image)?;
        let mut bound = Vec::new();
        encode(self.0.name, &mut bound).map_err(Unfit::Bound)?;
        // All named tasks have one shim: what tells them apart is where their entry lies.
        let function = std::ptr::from_ref(self.0) as u64;
        let call = Call::new(entry, bound, &[]);
        Ok(Prepared { call, descriptors: Vec::new(), name: Arc::from(self.0.name), function })
    }

    fn encode(arguments: &(Payload,), out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&arguments.0.0);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<JsonText, CodecError> {
        Ok(JsonText(bytes.to_vec()))
    }
}

thread_local! {
    /// The task that was called last: most calls are of the same one.
    static LAST: Cell<Option<&'static TaskEntry>> = const { Cell::new(None) };
}

fn lookup(bound: &[u8]) -> Option<&'static TaskEntry> {
    // The name follows its length, 8 bytes.
    let name = bound.get(8..)?;
    if let Some(task) = LAST.get().filter(|task| task.name.as_bytes() == name) {
        return Some(task);
    }
    let task = find(&decode::<String>(bound).ok()?)?;
    LAST.set(Some(task));
    Some(task)
}

/// The shim of all named tasks.
fn run_named(bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
    let Some(task) = lookup(bound) else {
        return run_fail(out, Status::NotDeserializable, "has a name that this program does not know");
    };
    match task.call(arguments, out) {
        Ok(()) => Status::Value as u8,
        Err(Failure::Failed(text)) => run_fail(out, Status::Failed, &text),
        Err(failure @ Failure::NotDeserializable(_)) => run_fail(out, Status::NotDeserializable, &failure.to_string()),
        Err(failure @ Failure::NotSerializable(_)) => run_fail(out, Status::NotSerializable, &failure.to_string()),
    }
}
