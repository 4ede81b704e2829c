//! Getting ready: what the process may use, then the user's `preload` and initializer.

use std::io;

use ganger_os::image::EntryPoint;
use ganger_os::{rlimit, scheduling};

use super::panics::{caught, install_hook};
use crate::wire::attributes::{Attributes, Limit};
use crate::wire::codec::decode;
use crate::wire::message::{Call, Failure, Setup, Status};

/// Runs the user's `preload` in the guardian, or in a worker that has none before it.
pub(super) fn preload(entry: EntryPoint, bound: &[u8]) -> Result<(), String> {
    call(entry, bound).map_err(|failure| match failure.location {
        Some(location) => format!("{} ({location})", failure.message),
        None => failure.message,
    })
}

/// Does what the first frame asks for, in the worker of this place.
pub(super) fn get_ready(setup: &Setup, slot: u32) -> Result<(), String> {
    adopt(&setup.attributes, slot)?;
    install_hook();
    super::context::set_seed(setup.seed);
    for (what, call) in [("preload", &setup.preload), ("the initializer", &setup.initializer)] {
        if let Some(Call { entry, bound }) = call {
            preload(EntryPoint::from_wire(*entry), bound).map_err(|text| format!("{what} failed: {text}"))?;
        }
    }
    Ok(())
}

/// Gives this process its attributes. It has one thread so far: whatever starts later inherits them.
pub(super) fn adopt(attributes: &Attributes, slot: u32) -> Result<(), String> {
    let failed = |what: String| move |error: io::Error| format!("cannot {what}: {error}");
    if let Some(cpu) = attributes.cpu_of(slot) {
        scheduling::pin_to(cpu).map_err(failed(format!("run on processor {cpu} only")))?;
    }
    if let Some(niceness) = attributes.niceness {
        scheduling::set_niceness(niceness).map_err(failed(format!("set the niceness to {niceness}")))?;
    }
    for Limit { resource, soft, hard } in &attributes.rlimits {
        let set = rlimit::set(resource.to_os(), *soft, *hard);
        set.map_err(failed(format!("set rlimit {resource} to {soft} (hard limit {hard})")))?;
    }
    Ok(())
}

/// Calls a function that has no result to send.
fn call(entry: EntryPoint, bound: &[u8]) -> Result<(), Failure> {
    let text = |message: &str| Failure { message: message.to_owned(), ..Failure::default() };
    let shim = entry.resolve().ok_or_else(|| text("the function is not in this executable"))?;
    let mut out = Vec::new();
    let status = caught(|| shim(bound, &[], &mut out))?;
    if status == Status::Value as u8 {
        return Ok(());
    }
    Err(decode(&out).unwrap_or_else(|_| text("it failed without a readable reason")))
}
