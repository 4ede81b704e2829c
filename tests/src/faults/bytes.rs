//! A worker that has gone mad: what it may write into its link and its shared page.
//!
//! The bytes are those of version 1 (`crates/lib/src/wire/frame.rs`); written out here, as this is what an evil worker
//! would do, and as nothing but the frames' own module can make wrong ones.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, send, sendmsg};

use super::answers::{Answer, Outcome};
use super::page;
use crate::{Gate, descriptors, die, wait_until};

/// The numbers of kinds of frames.
const TASKS: u8 = 3;
const BELL: u8 = 7;
const RESULT: u8 = 8;
/// The number of no kind.
const NO_KIND: u8 = 99;

/// The bytes of `Answer::Plain(7)`.
const SEVEN: [u8; 8] = [0, 0, 0, 0, 7, 0, 0, 0];

/// The descriptors of this process that are sockets: of a worker, its link.
#[must_use]
pub fn links() -> Vec<RawFd> {
    descriptors().into_iter().filter(|(_, target)| target.starts_with("socket:")).map(|(number, _)| number).collect()
}

/// Waits to be killed.
fn wait() -> ! {
    Gate::new("never").pass();
    unreachable!("nobody opens that gate");
}

fn write(bytes: &[u8]) {
    for link in links() {
        send(link, bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
    }
}

/// A header whose body has `length` bytes, for the task at `position`, with a status for results.
fn header(kind: u8, length: u32, position: u32, status: u8) -> Vec<u8> {
    let length = length.to_le_bytes();
    let [version, epoch] = [[1, kind], [0, 0]];
    [&length[..], &version, &epoch, &position.to_le_bytes(), &u32::from(status).to_le_bytes(), &[0; 8]].concat()
}

/// A whole and honest frame: the result of the task that is running.
fn own_result(status: u8, body: &[u8]) -> Vec<u8> {
    [header(RESULT, body.len() as u32, page::own_position(), status).as_slice(), body].concat()
}

pub(super) fn closes_its_link() -> Outcome {
    links().into_iter().for_each(|link| nix::unistd::close(link).unwrap());
    wait()
}

pub(super) fn closes_everything() -> Outcome {
    // Some belong to the runtime; that closing them fails, or that they fail afterwards, is what this is about.
    descriptors().into_keys().for_each(|number| _ = nix::unistd::close(number));
    // Not at a gate, which would need a descriptor.
    loop {
        std::thread::park();
    }
}

pub(super) fn closes_standard_streams() -> Outcome {
    // A task before this one may have closed them.
    (0..3).for_each(|number| _ = nix::unistd::close(number));
    Ok(Answer::Plain(7))
}

/// Nobody has said that they would come: each is one more open file in the supervisor.
pub(super) fn sends_descriptors_for_nothing() -> Outcome {
    let bell = header(BELL, 0, 0, 0);
    let null = std::fs::File::open("/dev/null").unwrap();
    let fds = [null.as_raw_fd(); 20];
    for link in links() {
        for _ in 0..10 {
            let slices = [IoSlice::new(&bell)];
            // Once it is found out, the other end is closed.
            let _ = sendmsg::<()>(link, &slices, &[ControlMessage::ScmRights(&fds)], MsgFlags::MSG_NOSIGNAL, None);
        }
    }
    wait()
}

pub(super) fn zeros() -> Outcome {
    write(&[0; 4000]);
    wait()
}

pub(super) fn ones() -> Outcome {
    write(&[0xFF; 4000]);
    wait()
}

pub(super) fn text() -> Outcome {
    write(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    wait()
}

pub(super) fn other_version() -> Outcome {
    let mut frame = own_result(0, &SEVEN);
    frame[4] = 2;
    write(&frame);
    wait()
}

pub(super) fn unknown_kind() -> Outcome {
    write(&header(NO_KIND, 0, 0, 0));
    wait()
}

/// What only a supervisor may say.
pub(super) fn orders() -> Outcome {
    write(&header(TASKS, 8, 0, 0));
    wait()
}

pub(super) fn half_a_header_then_death() -> Outcome {
    write(&own_result(0, &SEVEN)[..11]);
    die(Signal::SIGKILL)
}

pub(super) fn half_a_body_then_death() -> Outcome {
    let mut frame = own_result(0, &SEVEN);
    frame.truncate(frame.len() - 3);
    write(&frame);
    die(Signal::SIGKILL)
}

pub(super) fn huge_length() -> Outcome {
    write(&header(RESULT, u32::MAX, page::own_position(), 0));
    wait()
}

/// The largest length that is allowed, of which nothing comes.
pub(super) fn largest_length_then_death() -> Outcome {
    write(&header(RESULT, (1 << 31) - 1, page::own_position(), 0));
    die(Signal::SIGKILL)
}

/// The first of two equal results counts; the second one ends the worker.
pub(super) fn answers_twice() -> Outcome {
    let frame = own_result(0, &SEVEN);
    write(&[frame.as_slice(), frame.as_slice()].concat());
    wait()
}

pub(super) fn answers_for_another() -> Outcome {
    let another = page::own_position() + 1000;
    write(&[header(RESULT, SEVEN.len() as u32, another, 0).as_slice(), &SEVEN].concat());
    wait()
}

/// A result that is whole, and then death: it was delivered, and so it counts.
pub(super) fn answers_and_dies() -> Outcome {
    write(&own_result(0, &SEVEN));
    die(Signal::SIGKILL)
}

/// It says that the task failed, which is believed; what it says of why is noise.
pub(super) fn unreadable_failure() -> Outcome {
    write(&own_result(1, &[0xFF; 40]));
    die(Signal::SIGKILL)
}

pub(super) fn unknown_status() -> Outcome {
    write(&own_result(200, &SEVEN));
    die(Signal::SIGKILL)
}

/// Once the ring is empty: what is still in it could not be read any more, and is lost with this task.
pub(super) fn corrupts_the_ring() -> Outcome {
    wait_until("the ring is empty", Duration::from_secs(10), page::is_ring_empty, |empty| *empty);
    page::corrupt_ring();
    write(&header(BELL, 0, 0, 0));
    wait()
}

/// In the midst of publishing a result.
pub(super) fn dies_in_a_record() -> Outcome {
    page::begin_a_record();
    die(Signal::SIGKILL)
}

/// A corpse that claims to have begun every task there is: it had been given one.
pub(super) fn scribbles_and_dies() -> Outcome {
    page::scribble_over_claims();
    die(Signal::SIGKILL)
}

/// The memory is sealed: whoever could shrink it would kill the supervisor with SIGBUS.
pub(super) fn shrinks_the_page() -> Outcome {
    let file = std::fs::OpenOptions::new().write(true).open(page::path()).unwrap();
    assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(nix::Error::EPERM as i32));
    Ok(Answer::Plain(7))
}
