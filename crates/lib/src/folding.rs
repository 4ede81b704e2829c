//! Folding in workers: one task is made of several items, and only their sum travels.

use std::marker::PhantomData;

use ganger_os::image::{EntryPoint, Handler};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::task::{Prepared, Task, Unfit, finish, unreadable};
use crate::wire::codec::{CodecError, decode, encode};
use crate::wire::descriptor::{Beside, Descriptor, receiving, take_result};
use crate::wire::gap::fill;
use crate::wire::message::{Call, Failure, Status};
use crate::worker::{caught, context, put_failure, run_fail};

/// Items that are folded by one task, as they travel: the index of the first (8 bytes), then the arguments of each, after
/// their length (4 bytes).
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) first: u64,
    pub(crate) items: Vec<u8>,
    /// Those of its only item, if it has some.
    pub(crate) descriptors: Vec<Descriptor>,
}

impl Piece {
    pub(crate) fn append(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // They travel with the piece in the order in which the item has numbered them: encoding them makes them known.
        encode(&self.descriptors, &mut Vec::new())?;
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.items);
        Ok(())
    }
}

/// Makes the task that folds what `task` makes of items with `merge`.
pub(crate) fn prepare<F, A, R, M>(task: &F, merge: M, pool: u64) -> Result<Prepared, Unfit>
where
    F: Task<(A,), R> + 'static,
    A: 'static,
    R: Serialize + DeserializeOwned + 'static,
    M: Fn(R, R) -> R + Copy + Send + Sync + 'static,
{
    let Prepared { call, descriptors, name, function } = task.prepare(pool)?;
    let entry = EntryPoint::new::<M, Folds<F, A, R>>(merge).map_err(Unfit::Image)?;
    let bound = [&call.entry.to_le_bytes(), call.bound.as_slice()].concat();
    // A piece takes longer than an item: what is known of the times of the one says nothing of the other.
    let call = Call::new(entry, bound, &descriptors);
    Ok(Prepared { call, descriptors, name, function: function.rotate_left(32) ^ entry.to_wire() })
}

/// Marks the handler of a piece.
struct Folds<F, A, R>(PhantomData<(F, A, R)>);

impl<F, A, R, M> Handler<M> for Folds<F, A, R>
where
    F: Task<(A,), R>,
    R: Serialize + 'static,
    M: Fn(R, R) -> R,
{
    fn handle(merge: M, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        let Some((entry, bound)) = bound.split_first_chunk() else { return malformed(out) };
        let Some((first, items)) = arguments.split_first_chunk() else { return malformed(out) };
        let Some(shim) = EntryPoint::from_wire(u64::from_le_bytes(*entry)).resolve() else { return malformed(out) };
        let mut sum = None;
        let mut value = Vec::new();
        for (index, item) in (u64::from_le_bytes(*first)..).zip(Items(items)) {
            context::enter_item(index);
            value.clear();
            let folded = caught(|| match shim(bound, item, &mut value) {
                status if status != Status::Value as u8 => status,
                status => match taken(&mut value).and_then(|with| receiving(with, || F::decode(&value))) {
                    Ok(one) => {
                        sum = Some(match sum.take() {
                            None => one,
                            Some(sum) => merge(sum, one),
                        });
                        status
                    }
                    Err(error) => unreadable::<R>("a result", &error, &mut value),
                },
            });
            match folded {
                Ok(status) if status == Status::Value as u8 => {}
                Ok(status) => return of_item(decode(&value).unwrap_or_default(), index, status, out),
                Err(failure) => return of_item(failure, index, Status::Panicked as u8, out),
            }
        }
        match sum {
            Some(sum) => finish(Ok(sum), out),
            None => malformed(out),
        }
    }
}

/// Has the value of an item whole, and returns the descriptors that belong to it.
fn taken(value: &mut Vec<u8>) -> Result<Vec<Descriptor>, CodecError> {
    let Beside { descriptors, gap } = take_result().map_or_else(Beside::default, |beside| *beside);
    fill(gap, value, 0).map_err(|error| CodecError::new(error.to_string()))?;
    Ok(descriptors)
}

/// Says which item failed, and how.
fn of_item(failure: Failure, index: u64, status: u8, out: &mut Vec<u8>) -> u8 {
    out.clear();
    put_failure(out, Failure { item: Some(index), ..failure }, status)
}

fn malformed(out: &mut Vec<u8>) -> u8 {
    run_fail(out, Status::NotDeserializable, "is to fold something that makes no sense")
}

/// The arguments of one item after the other.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(item)
    }
}
