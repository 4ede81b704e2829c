//! A value that every worker needs: one copy of it is made, and each worker is sent a descriptor of that, once.

use std::any::type_name;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};

use ganger_os::frozen::Frozen;
use ganger_os::image::{EntryPoint, Handler};
use ganger_os::memory::{create, forbid_writing, write_at};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::task::{Prepared, Returns, Task, Unfit, finish, unreadable};
use crate::wire::codec::{self, CodecError};
use crate::wire::descriptor::{self, Descriptor, Parcel, Part};

/// A function with a value that all workers share; [`broadcast`] makes it.
#[derive(Debug)]
pub struct Broadcast<F, S> {
    function: F,
    copy: Result<Copied, String>,
    value: PhantomData<fn() -> S>,
}

/// A function with bytes that all workers share; [`broadcast_bytes`] makes it.
#[derive(Debug)]
pub struct BroadcastBytes<F> {
    function: F,
    copy: Result<Copied, String>,
}

/// The one copy, and the descriptors of the handles in it.
#[derive(Clone, Debug)]
struct Copied {
    memory: Descriptor,
    length: u64,
    handles: Vec<Descriptor>,
}

impl Copied {
    fn of(bytes: &[u8], handles: Vec<Descriptor>) -> Result<Self, String> {
        let made = create(c"ganger-broadcast", bytes.len().max(1)).and_then(|memory| {
            write_at(memory.as_fd(), 0, bytes)?;
            forbid_writing(memory.as_fd())?;
            Ok(memory)
        });
        let memory = made.map_err(|error| format!("{} bytes for which there is no memory: {error}", bytes.len()))?;
        Ok(Self { memory: memory.into(), length: bytes.len() as u64, handles })
    }

    fn parcel(&self) -> Result<Parcel, Unfit> {
        // The handles first: among the value's bytes they have the numbers from 0 on.
        codec::encode_parcel(Part::Bound, &(&self.handles, &self.memory, self.length)).map_err(Unfit::Bound)
    }

    /// As it was sent to this worker.
    fn arrived(bound: &[u8]) -> Result<Self, CodecError> {
        let (handles, memory, length) = codec::decode_arguments(bound)?;
        Ok(Self { memory, length, handles })
    }

    /// The mapping, made once in this process.
    fn map(memory: BorrowedFd<'_>, length: u64) -> Result<Frozen, String> {
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        Frozen::open(memory, length.max(1)).map_err(|error| format!("it cannot be mapped: {error}"))
    }
}

/// Shares `value` with all workers: `function` gets a reference to it beside each item. It is encoded once, however many workers
/// there are, into memory that nobody can change afterwards; each worker gets a descriptor of that memory, and decodes the
/// value once, before its first task. What comes of it can be used as a task of one argument in every method of a pool, and in several
/// calls: there is one copy for all of them. mpire's `shared_objects`, with any start method.
///
/// A decoded value is a copy of the worker's own. Where the value is large, one copy for all is what [`broadcast_bytes`] gives,
/// and handles of shared memory, which can be the value or a part of it.
///
/// ```
/// use std::collections::HashMap;
/// fn look_up(prices: &HashMap<String, u32>, item: String) -> Result<u32, String> {
///     prices.get(&item).copied().ok_or(format!("there is no {item}"))
/// }
/// let prices = HashMap::from([("tea".to_owned(), 3), ("rice".to_owned(), 2)]);
/// let pool = ganger::Pool::new(2)?;
/// let found: Vec<u32> = pool.map(ganger::broadcast(look_up, &prices), ["rice", "tea"].map(str::to_owned))?;
/// assert_eq!(found, [2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What cannot be encoded, or finds no memory, is the outcome of every task, as with other arguments.
#[must_use]
pub fn broadcast<F, S>(function: F, value: &S) -> Broadcast<F, S>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let parcel = codec::encode_parcel(Part::Bound, value)
        .map_err(|error| format!("a value ({}) that cannot be serialized: {error}", type_name::<S>()));
    let copy = parcel.and_then(|Parcel { bytes, descriptors }| Copied::of(&bytes, descriptors));
    Broadcast { function, copy, value: PhantomData }
}

/// Shares bytes with all workers: `function` gets them as a slice beside each item. They are copied once, when this is called;
/// all workers look at that one copy, which is gone with the last of them and of what uses it. Otherwise as [`broadcast`].
///
/// ```
/// fn count(text: &[u8], byte: u8) -> usize { text.iter().filter(|other| **other == byte).count() }
/// let pool = ganger::Pool::new(2)?;
/// let text = "abracadabra".repeat(1000);
/// assert_eq!(pool.map(ganger::broadcast_bytes(count, text), [b'a', b'r'])?, [5000, 2000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn broadcast_bytes<F>(function: F, bytes: impl AsRef<[u8]>) -> BroadcastBytes<F> {
    BroadcastBytes { function, copy: Copied::of(bytes.as_ref(), Vec::new()) }
}

fn prepared<F, H>(function: F, copy: &Result<Copied, String>) -> Result<Prepared, Unfit>
where
    F: Copy + Send + Sync + 'static,
    H: Handler<F>,
{
    let entry = EntryPoint::new::<F, H>(function).map_err(Unfit::Image)?;
    let copy = copy.as_ref().map_err(|error| Unfit::Shared(error.clone()))?;
    Ok(Prepared::new(entry, copy.parcel()?, type_name::<F>()))
}

impl<F, S, O, R, A> Task<(A,), R> for Broadcast<F, S>
where
    F: Fn(&S, A) -> O + Copy + Send + Sync + 'static,
    S: DeserializeOwned + Send + Sync + 'static,
    O: Returns<R>,
    R: Serialize + DeserializeOwned + 'static,
    A: Serialize + DeserializeOwned + 'static,
{
    fn prepare(&self, _pool: u64) -> Result<Prepared, Unfit> {
        prepared::<F, Value<S, A, R>>(self.function, &self.copy)
    }

    fn encode(arguments: &(A,), out: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::encode_value(&arguments.0, out)
    }

    fn decode(bytes: &[u8]) -> Result<R, CodecError> {
        codec::decode_value(bytes)
    }
}

impl<F, O, R, A> Task<(A,), R> for BroadcastBytes<F>
where
    F: Fn(&[u8], A) -> O + Copy + Send + Sync + 'static,
    O: Returns<R>,
    R: Serialize + DeserializeOwned + 'static,
    A: Serialize + DeserializeOwned + 'static,
{
    fn prepare(&self, _pool: u64) -> Result<Prepared, Unfit> {
        prepared::<F, Bytes<A, R>>(self.function, &self.copy)
    }

    fn encode(arguments: &(A,), out: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::encode_value(&arguments.0, out)
    }

    fn decode(bytes: &[u8]) -> Result<R, CodecError> {
        codec::decode_value(bytes)
    }
}

/// Marks the handler of a function with a value.
struct Value<S, A, R>(PhantomData<(S, A, R)>);

impl<F, S, O, R, A> Handler<F> for Value<S, A, R>
where
    F: Fn(&S, A) -> O,
    S: DeserializeOwned + Send + Sync + 'static,
    O: Returns<R>,
    R: Serialize + 'static,
    A: DeserializeOwned + 'static,
{
    fn handle(function: F, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        let decoded = |memory: BorrowedFd<'_>, length| {
            let mapping = Copied::map(memory, length).map_err(CodecError::new)?;
            codec::decode_arguments::<S>(mapping.values(0, length as usize))
        };
        let value = Copied::arrived(bound).and_then(|copy| copy.memory.made(|memory| decoded(memory, copy.length)));
        match value {
            Ok(value) => call(arguments, out, |item| function(&value, item).outcome()),
            Err(error) => unreadable::<S>("a shared value", &error, out),
        }
    }
}

/// Marks the handler of a function with bytes.
struct Bytes<A, R>(PhantomData<(A, R)>);

impl<F, O, R, A> Handler<F> for Bytes<A, R>
where
    F: Fn(&[u8], A) -> O,
    O: Returns<R>,
    R: Serialize + 'static,
    A: DeserializeOwned + 'static,
{
    fn handle(function: F, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        let mapped = Copied::arrived(bound).and_then(|copy| {
            let mapping = copy.memory.made(|memory| Copied::map(memory, copy.length).map_err(CodecError::new))?;
            Ok((mapping, copy.length as usize))
        });
        match mapped {
            Ok((mapping, length)) => call(arguments, out, |item| function(mapping.values(0, length), item).outcome()),
            Err(error) => unreadable::<[u8; 0]>("shared bytes", &error, out),
        }
    }
}

fn call<A, R>(arguments: &[u8], out: &mut Vec<u8>, function: impl FnOnce(A) -> Result<R, String>) -> u8
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    match codec::decode_only_argument::<A>(arguments) {
        Ok(item) => {
            descriptor::arrived();
            finish(function(item), out)
        }
        Err(error) => unreadable::<(A,)>("arguments", &error, out),
    }
}
