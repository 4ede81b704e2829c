//! The child's side of a [`Process`](crate::Process): one call, its result, and the end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU32;

use ganger_os::child::{PidFd, leave};
use ganger_os::fd::{self, Fd};
use ganger_os::image::EntryPoint;
use ganger_os::thread::ForkCheck;
use ganger_os::{Seat, ending, set_title};

use super::output::flush;
use super::panics::{caught, install_printing_hook};
use super::run::{UNABLE, fail, put_failure};
use super::setup::adopt;
use crate::identity::{Identity, Parent, identity, set_identity};
use crate::start_method::force_start_method;
use crate::wire::codec::decode;
use crate::wire::descriptor::{Descriptor, let_results_have_gaps, receiving_call, take_result};
use crate::wire::frame::MOST_BYTES;
use crate::wire::letter::{Arrived, Letter, Progress, Reader};
use crate::wire::message::{Failure, Status};
use crate::wire::order::Order;

/// Makes the call that comes on the link, and leaves with its exit code.
pub(super) fn run(seat: Seat) -> ! {
    let Seat { link, .. } = seat;
    // Waits without a limit: whoever sends it has just asked for this process, and its death is this one's.
    let code = match Reader::default().read_waiting(&link) {
        Progress::Whole(arrived) => obey(&link, *arrived),
        Progress::Broken(text) => {
            let mut out = Vec::new();
            let status = fail(&mut out, Status::NotDeserializable, &format!("has arguments that did not come: {text}"));
            answer(&link, status, &out, &[])
        }
        // Whoever wanted it does so no longer.
        Progress::End | Progress::Unfinished => UNABLE,
    };
    flush();
    // It waits for the processes that this one has started: as long as they take, as Python does.
    ending::end();
    flush();
    leave(code)
}

fn obey(link: &Fd, mut arrived: Arrived) -> i32 {
    let Ok(order) = decode::<Order>(&arrived.head) else { return UNABLE };
    install_printing_hook();
    // A worker's child that was forked has what the worker has said.
    let_results_have_gaps(false);
    let beside = std::mem::take(&mut arrived.beside);
    if let Err(text) = get_ready(&order, beside) {
        let mut out = Vec::new();
        let status = fail(&mut out, Status::Failed, &text);
        return answer(link, status, &out, &[]);
    }
    let Ok(fork_check) = ForkCheck::new() else { return UNABLE };
    let (status, out, descriptors) = call(&order, arrived);
    if !fork_check.same_process() {
        // The function forked, and this is the child: its parent will answer.
        flush();
        leave(0);
    }
    answer(link, status, &out, &descriptors)
}

/// Makes this process what the order says, before any of the user's code runs.
fn get_ready(order: &Order, beside: Vec<OwnedFd>) -> Result<(), String> {
    let mut beside = beside.into_iter();
    let parent = beside.next().ok_or("nobody said who its parent is")?;
    let (pid, name) = order.parent.clone();
    let parent = Parent { name, pid, pidfd: PidFd::from(Fd::from(parent)) };
    for number in (0..3).filter(|number| order.streams[*number]) {
        let stream = beside.next().ok_or("a standard stream did not come")?;
        fd::replace_standard(number, stream.as_fd())
            .map_err(|error| format!("cannot replace standard stream {number}: {error}"))?;
    }
    set_title(&format!("ganger: {}", order.name));
    set_identity(Identity {
        name: order.name.clone(),
        path: order.path.clone(),
        daemon: order.daemon,
        parent: Some(parent),
        children: AtomicU32::new(0),
    });
    if let Some(method) = order.method.as_deref().and_then(|name| name.parse().ok()) {
        force_start_method(method);
    }
    adopt(&order.attributes, 0)
}

/// Calls the function; what it leaves are a status, bytes, and the descriptors in them.
fn call(order: &Order, mut arrived: Arrived) -> (u8, Vec<u8>, Vec<Descriptor>) {
    let mut out = Vec::new();
    let Some(shim) = EntryPoint::from_wire(order.entry).resolve() else {
        let status = fail(&mut out, Status::NotDeserializable, "calls a function that is not in this executable");
        return (status, out, Vec::new());
    };
    let mut own = std::mem::take(&mut arrived.descriptors);
    let rest = own.split_off(own.len().min(order.bound_descriptors as usize));
    let (bound_ones, own) = (own, rest);
    let payload = match arrived.payload() {
        Ok(payload) => payload,
        Err(error) => {
            let text = format!("has arguments that cannot be read: {error}");
            let status = fail(&mut out, Status::NotDeserializable, &text);
            return (status, out, Vec::new());
        }
    };
    let bytes = payload.bytes();
    let (bound, arguments) = bytes.split_at(bytes.len().min(order.bound as usize));
    let called = caught(|| receiving_call(own, bound_ones, || shim(bound, arguments, &mut out)));
    let mut descriptors = take_result().map_or_else(Vec::new, |beside| beside.descriptors);
    let mut status = called.unwrap_or_else(|failure: Failure| {
        out.clear();
        put_failure(&mut out, failure, Status::Panicked as u8)
    });
    if status == Status::Value as u8 && out.len() > MOST_BYTES {
        let text = format!("has a result of {} bytes; the limit is {MOST_BYTES}", out.len());
        out = Vec::new();
        status = fail(&mut out, Status::TooLarge, &text);
    }
    if status != Status::Value as u8 {
        descriptors.clear();
    }
    (status, out, descriptors)
}

/// Sends what came of the call, says on standard error what nobody else may ever say, and gives the exit code.
fn answer(link: &Fd, status: u8, out: &[u8], descriptors: &[Descriptor]) -> i32 {
    // Without a limit: whoever does not read what has no room is waited for, and its death is this process's. An error
    // means that nobody wants the result.
    let _ = Letter { status, head: &[], beside: &[], payload: out, descriptors }.send(link, None);
    if status == Status::Value as u8 {
        return 0;
    }
    if status != Status::Panicked as u8
        && let Ok(failure) = decode::<Failure>(out)
    {
        eprintln!("ganger: {} {}{}", identity().name, prefix(status), failure.message);
    }
    UNABLE
}

/// An `Err` says what is wrong, but not that anything is.
fn prefix(status: u8) -> &'static str {
    if status == Status::Failed as u8 { "failed: " } else { "" }
}
