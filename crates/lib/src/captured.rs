//! Under `fork`: a task that captures what cannot be serialized.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use ganger_os::image::EntryPoint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::task::{Prepared, Returns, Task, Unfit};
use crate::wire::codec::{self, CodecError};
use crate::wire::descriptor::{self, Parcel};
use crate::wire::message::Status;
use crate::worker::run_fail;

type Erased = dyn Fn(&[u8], &mut Vec<u8>) -> u8;

thread_local! {
    /// The closure of the pool that this thread is forking, and, in the gang's processes, of the pool they belong to.
    /// The forked child goes on in the same thread, so that the closure needs to be neither `Send` nor `Sync`.
    static CLOSURE: RefCell<Option<Rc<Erased>>> = const { RefCell::new(None) };
}

/// The task of a pool that was built by [`Builder::fork_with`](crate::Builder::fork_with).
///
/// It is a small token for the closure, which the workers have since they were forked; only that pool can run it.
#[derive(Debug)]
pub struct Captured<A, R> {
    pool: u64,
    name: &'static str,
    // Sent and shared freely: it holds none of them.
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Clone for Captured<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Captured<A, R> {}

impl<A, R> Captured<A, R> {
    pub(crate) fn new(pool: u64, name: &'static str) -> Self {
        Self { pool, name, types: PhantomData }
    }
}

impl<A, R> Task<(A,), R> for Captured<A, R>
where
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    fn prepare(&self, pool: u64) -> Result<Prepared, Unfit> {
        if pool != self.pool {
            return Err(Unfit::ForeignPool);
        }
        let entry = EntryPoint::of_shim(run_captured).map_err(Unfit::Image)?;
        Ok(Prepared::new(entry, Parcel::default(), self.name))
    }

    fn encode(arguments: &(A,), out: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::encode_value(&arguments.0, out)
    }

    fn decode(bytes: &[u8]) -> Result<R, CodecError> {
        codec::decode_value(bytes)
    }
}

/// Keeps `closure` where a forked child finds it while `build` runs, and no longer.
pub(crate) fn with_closure<A, O, R, T>(closure: impl Fn(A) -> O + 'static, build: impl FnOnce() -> T) -> T
where
    A: DeserializeOwned + 'static,
    O: Returns<R>,
    R: Serialize + 'static,
{
    let erased = move |arguments: &[u8], out: &mut Vec<u8>| match codec::decode_only_argument::<A>(arguments) {
        Ok(argument) => {
            descriptor::arrived();
            crate::task::finish(closure(argument).outcome(), out)
        }
        Err(error) => crate::task::unreadable::<(A,)>("arguments", &error, out),
    };
    let before = CLOSURE.replace(Some(Rc::new(erased)));
    let result = build();
    CLOSURE.set(before);
    result
}

/// As [`with_closure`], for a closure that is called once, without arguments, in one of the processes that `build` forks.
pub(crate) fn with_once<O, R, T>(
    closure: impl FnOnce() -> O + 'static,
    build: impl FnOnce(Prepared) -> T,
) -> Result<T, Unfit>
where
    O: Returns<R>,
    R: Serialize + 'static,
{
    let entry = EntryPoint::of_shim(run_captured).map_err(Unfit::Image)?;
    let prepared = Prepared::new(entry, Parcel::default(), std::any::type_name_of_val(&closure));
    let closure = RefCell::new(Some(closure));
    let erased = move |_: &[u8], out: &mut Vec<u8>| match closure.take() {
        Some(closure) => crate::task::finish(closure().outcome(), out),
        None => run_fail(out, Status::NotDeserializable, "was called before, and is gone with that"),
    };
    let before = CLOSURE.replace(Some(Rc::new(erased)));
    let result = build(prepared);
    CLOSURE.set(before);
    Ok(result)
}

/// The shim of all captured tasks.
fn run_captured(_bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
    match CLOSURE.with_borrow(Clone::clone) {
        Some(closure) => closure(arguments, out),
        None => run_fail(out, Status::NotDeserializable, "captures data that this worker does not have"),
    }
}
