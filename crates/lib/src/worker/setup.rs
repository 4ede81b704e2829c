//! Getting ready: what the process may use, then the user's `preload` and initializer.

use std::io;

use ganger_os::image::EntryPoint;
use ganger_os::process::own_private_memory;
use ganger_os::{rlimit, scheduling};

use super::leaving::ExitHook;
use super::panics::{caught, install_hook};
use crate::wire::attributes::{Attributes, Limit};
use crate::wire::codec::decode;
use crate::wire::descriptor::{Descriptor, receiving};
use crate::wire::message::{Call, Failure, Setup, Status};

/// Blocks above this size are mapped by themselves as before: a task that needs some has enough to do with them.
const KEPT: usize = 1 << 20;

/// Runs the user's `preload` in the guardian, or in a worker that has none before it.
pub(super) fn preload(entry: EntryPoint, bound: &[u8]) -> Result<(), String> {
    call(entry, bound).map_err(|failure| match failure.location {
        Some(location) => format!("{} ({location})", failure.message),
        None => failure.message,
    })
}

/// Does what the first frame asks for, in the worker of this place, with the descriptors that have come with it. Returns
/// what is to be done in the end.
pub(super) fn get_ready(setup: Setup, slot: u32, mut descriptors: Vec<Descriptor>) -> Result<Option<ExitHook>, String> {
    adopt(&setup.attributes, slot)?;
    keep_freed_memory();
    install_hook();
    super::context::set_seed(setup.seed);
    for (what, call) in [("preload", setup.preload), ("the initializer", setup.initializer)] {
        if let Some(Call { entry, bound, descriptors: count }) = call {
            let own = descriptors.drain(..descriptors.len().min(count as usize)).collect();
            let called = receiving(own, || preload(EntryPoint::from_wire(entry), &bound));
            called.map_err(|text| format!("{what} failed: {text}"))?;
        }
    }
    Ok(setup.exit.map(|call| ExitHook { call, descriptors }))
}

/// Has the allocator keep what a task frees for the next one.
///
/// glibc gives memory back as soon as 128 KiB are free at the end of its heap, and the next task has it mapped and zeroed
/// again, page by page: 60 page faults for an image that is compressed, which take as long as compressing it. It keeps twice as much as
/// the largest block that was ever mapped by itself and freed (`mallopt(3)`: the thresholds are dynamic), so one is, of which a single
/// page is touched. Where the user has set a threshold (`MALLOC_TRIM_THRESHOLD_` and its kin), they are not dynamic, and other
/// allocators do not care: then this does nothing.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT)));
}

/// How many bytes this process holds for itself, if it is to say. A number that is made up instead would have its first
/// task pay for what it held before.
pub(super) fn own_memory(wanted: bool) -> Result<u64, String> {
    let own = if wanted { own_private_memory() } else { Ok(0) };
    own.map_err(|error| format!("cannot measure its memory, which has a limit: {error}"))
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
