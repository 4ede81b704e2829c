//! Leaving in order: the exit hook, and the end of the worker's state.

use std::time::Instant;

use ganger_os::image::EntryPoint;

use super::context;
use super::panics::caught;
use super::run::{fail, put_failure};
use crate::wire::descriptor::{Descriptor, receiving, take_result};
use crate::wire::frame::MOST_BYTES;
use crate::wire::message::{Call, Status};

/// What to run in the end, and the descriptors of its arguments.
#[derive(Debug)]
pub(super) struct ExitHook {
    pub(super) call: Call,
    pub(super) descriptors: Vec<Descriptor>,
}

/// What the exit hook has made.
pub(super) struct Farewell {
    pub(super) status: u8,
    pub(super) nanos: u64,
    pub(super) bytes: Vec<u8>,
}

/// Runs the exit hook in the worker of this place.
pub(super) fn run_hook(hook: ExitHook, slot: u32) -> Farewell {
    let ExitHook { call, descriptors } = hook;
    let begun = Instant::now();
    // No call of the pool has this number: random numbers of the hook are not those of the last task.
    context::enter(u64::MAX, slot.into(), 0);
    let mut bytes = Vec::new();
    let status = match EntryPoint::from_wire(call.entry).resolve() {
        Some(shim) => {
            caught(|| receiving(descriptors, || shim(&call.bound, &[], &mut bytes))).unwrap_or_else(|failure| {
                bytes.clear();
                put_failure(&mut bytes, failure, Status::Panicked as u8)
            })
        }
        None => fail(&mut bytes, Status::NotDeserializable, "is not in this executable"),
    };
    let status = if take_result().is_some_and(|beside| !beside.descriptors.is_empty()) {
        let text = "has a result that holds an open descriptor, which only results of tasks may";
        fail(&mut bytes, Status::NotSerializable, text)
    } else if bytes.len() > MOST_BYTES {
        let text = format!("has a result of {} bytes; the limit is {MOST_BYTES}", bytes.len());
        bytes = Vec::new();
        fail(&mut bytes, Status::TooLarge, &text)
    } else {
        status
    };
    Farewell { status, nanos: begun.elapsed().as_nanos() as u64, bytes }
}

/// Drops what the initializer returned: files are flushed, connections closed. A panic in it has nobody left to be told.
pub(super) fn drop_state() {
    if let Err(failure) = caught(context::drop_state) {
        tracing::warn!(panic = failure.message, "the state of a worker panicked when it was dropped");
    }
}
