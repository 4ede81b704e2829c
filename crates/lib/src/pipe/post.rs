//! Sending and receiving packets through one end of a pipe.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ganger_os::ready::{Awaited, wait_for};
use ganger_os::socket::{Arrivals, Received, Sent, peek_message, receive_message, send_message};

use super::packet::{HEADER, Header, LONGEST, Message, Place, malformed, open, put_beside};
use crate::wire::descriptor::{Descriptor, MOST};
use crate::{Error, ErrorKind};

/// How long a sender that has a deadline naps for room at the most: the kernel says that there is some only when three
/// quarters of the buffer are free, and there may be enough before.
const NAP: Duration = Duration::from_millis(20);

/// Sends a message, waiting for room until `end` at the most; without one until the other end reads or is gone. Whether it
/// was sent: if not, nothing of it was.
pub(super) fn send(
    end_of_pipe: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[Descriptor],
    end: Option<Instant>,
) -> Result<bool, Error> {
    if bytes.len() <= LONGEST {
        let header = Header { place: Place::Here, descriptors: descriptors.len() as u32, length: bytes.len() as u64 };
        match send_packet(end_of_pipe, [&header.to_bytes(), bytes], descriptors, end)? {
            Sent::Whole => return Ok(true),
            Sent::NoRoom => return Ok(false),
            // This system's buffers are smaller than usual.
            Sent::TooLong => {}
        }
    }
    send_beside(end_of_pipe, bytes, descriptors, end)
}

fn send_beside(
    end_of_pipe: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[Descriptor],
    end: Option<Instant>,
) -> Result<bool, Error> {
    if descriptors.len() >= MOST {
        let text = format!(
            "it holds {} open descriptors and has {} bytes: a message of more than {LONGEST} bytes needs one descriptor for \
             itself, and the kernel passes on {MOST}",
            descriptors.len(),
            bytes.len()
        );
        return Err(Error::new(ErrorKind::NotSerializable, text));
    }
    let all: Vec<Descriptor> = std::iter::once(put_beside(bytes)?).chain(descriptors.iter().cloned()).collect();
    let header = Header { place: Place::Beside, descriptors: descriptors.len() as u32, length: bytes.len() as u64 };
    Ok(send_packet(end_of_pipe, [&header.to_bytes(), &[]], &all, end)? == Sent::Whole)
}

fn send_packet(
    end_of_pipe: BorrowedFd<'_>,
    parts: [&[u8]; 2],
    descriptors: &[Descriptor],
    end: Option<Instant>,
) -> Result<Sent, Error> {
    let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    loop {
        let sent = send_message(end_of_pipe, parts, &fds, end.is_none()).map_err(|error| broken("send", error))?;
        let Some(end) = end.filter(|end| sent == Sent::NoRoom && Instant::now() < *end) else { return Ok(sent) };
        let nap = end.min(Instant::now() + NAP);
        wait_for(&[end_of_pipe], Awaited::Room, Some(nap)).map_err(|error| broken("send", error))?;
    }
}

/// For so long a thread looks for a message before it sleeps, if the last one came within the same time.
const AWAKE: Duration = Duration::from_micros(50);

thread_local! {
    /// Whether the last message that this thread has waited for came promptly.
    static PROMPT: Cell<bool> = const { Cell::new(false) };
    /// Where packets are received: one for a thread, as nobody keeps anything there.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Receives a message and has `take` make something of it; `None` when `end` has come before one. Without `end` it waits until
/// there is one, or the other end is gone.
pub(super) fn receive<R>(
    end_of_pipe: BorrowedFd<'_>,
    limit: u64,
    end: Option<Instant>,
    take: impl FnOnce(Message<'_>) -> Result<R, Error>,
) -> Result<Option<R>, Error> {
    // Taken away, not borrowed: what is decoded may be of a type that receives a message itself.
    let mut buffer = BUFFER.take();
    // One more than there can be: what fills it is too long.
    buffer.resize(HEADER + LONGEST + 1, 0);
    let mut arrivals = Arrivals::new();
    let received = receive_packet(end_of_pipe, &mut buffer, &mut arrivals, end);
    let result = received.and_then(|count| match count {
        None => Ok(None),
        Some(count) if count == buffer.len() => Err(malformed()),
        Some(count) => {
            let fds = arrivals.pop_front().unwrap_or_default();
            open(&buffer[..count], fds, limit).and_then(take).map(Some)
        }
    });
    BUFFER.set(buffer);
    result
}

fn receive_packet(
    end_of_pipe: BorrowedFd<'_>,
    buffer: &mut [u8],
    arrivals: &mut Arrivals,
    end: Option<Instant>,
) -> Result<Option<usize>, Error> {
    loop {
        let received = match end {
            None => receive_awake(end_of_pipe, buffer, arrivals),
            Some(_) => receive_message(end_of_pipe, buffer, arrivals, false),
        };
        match received.map_err(|error| broken("receive", error))? {
            Received::Bytes(count) => return Ok(Some(count)),
            Received::End => return Err(gone("receive")),
            Received::Nothing => {}
        }
        if !wait_until(end_of_pipe, end)? {
            return Ok(None);
        }
    }
}

/// Receives a message, waiting for it. As long as messages come promptly this thread looks again and again, and leaves the
/// processor to others between two looks: to fall asleep and to be woken takes longer than such a message takes to come.
fn receive_awake(end_of_pipe: BorrowedFd<'_>, buffer: &mut [u8], arrivals: &mut Arrivals) -> io::Result<Received> {
    let begun = Instant::now();
    while PROMPT.get() && begun.elapsed() < AWAKE {
        match receive_message(end_of_pipe, buffer, arrivals, false)? {
            Received::Nothing => std::thread::yield_now(),
            received => return Ok(received),
        }
    }
    let received = receive_message(end_of_pipe, buffer, arrivals, true);
    PROMPT.set(begun.elapsed() < AWAKE);
    received
}

/// Waits until there is a message or the other end is gone; `false` when `end` has come before.
pub(super) fn wait_until(end_of_pipe: BorrowedFd<'_>, end: Option<Instant>) -> Result<bool, Error> {
    let ready = wait_for(&[end_of_pipe], Awaited::Input, end).map_err(|error| broken("wait", error))?;
    Ok(!ready.is_empty())
}

/// How long the next message is, without taking it; `None` when there is none now, or when it is none.
pub(super) fn next_length(end_of_pipe: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    let mut header = [0; HEADER];
    match peek_message(end_of_pipe, &mut header).map_err(|error| broken("receive", error))? {
        Received::Bytes(count) => Ok(Header::from_bytes(&header[..count]).map(|header| header.length)),
        Received::Nothing => Ok(None),
        Received::End => Err(gone("receive")),
    }
}

fn gone(what: &str) -> Error {
    Error::new(
        ErrorKind::Disconnected,
        format!("cannot {what}: the other end of the pipe is closed, or its process dead"),
    )
}

fn broken(what: &str, error: io::Error) -> Error {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    if matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected) {
        return gone(what);
    }
    Error::new(ErrorKind::System, format!("cannot {what} through a pipe: {error}")).with_source(error)
}
