//! One end of a pipe.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ganger_os::forks::generation;
use ganger_os::socket::{end_one_way, hang_up, message_pair};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packet::Message;
use super::post::{receive, send, wait_until};
use crate::wire::codec::{self, encode_parcel};
use crate::wire::descriptor::{Descriptor, Part, receiving};
use crate::wire::frame::MOST_BYTES;
use crate::{Error, ErrorKind};

/// One end of a pipe: it sends values of type `S` to the other end and receives values of type `R` from there. Python's
/// `multiprocessing.connection.Connection`.
///
/// It can be shared between threads, and it travels: as an argument or a result of a task, as an argument of a process,
/// through another pipe, and into a forked process by capture. **It moves there**, as values do in Rust: this process has it
/// no longer, so that each end is in one place, and its process's death is an error at the other end. (In Python both keep
/// it, and whoever receives waits for ever for the end of what the receiver holds open itself.) With
/// [`try_clone`](Self::try_clone) an end can be in several places; it ends with the last of them.
///
/// Dropping an end hangs up: the other end gets what was sent before, and then [`Disconnected`](ErrorKind::Disconnected).
/// An end that a task was given lives until the task has ended, as a task whose worker dies may have to be sent again.
/// Under start method `fork` the forked processes have copies of all ends: one that this process has used since is hung up
/// for them, too; one that it has never used is open until they end.
///
/// A message is sent whole or not at all. It may have any length; what is longer than 64 KiB travels in memory of its own, so
/// such a message does not wait for its reader. As many as fit into a socket's buffer may be on their way (some 280
/// short ones); then senders wait, each as long as it wants to.
///
/// ```
/// use ganger::Connection;
///
/// fn double(pipe: Connection<i64, i64>) -> Result<(), ganger::Error> {
///     while let Ok(number) = pipe.recv() {
///         pipe.send(2 * number)?;
///     }
///     Ok(())
/// }
///
/// let pool = ganger::Pool::new(1)?;
/// let (ours, theirs) = ganger::pipe::<i64, i64>()?;
/// let task = pool.apply_async::<_, _, ()>(double, (theirs,));
/// ours.send(21)?;
/// assert_eq!(ours.recv()?, 42);
/// drop(ours);
/// task.get()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection<S, R> {
    open: Descriptor,
    limit: u64,
    /// The [generation](generation) of forks in which this process has last used it; 0 for never. Between a fork and that,
    /// the end may be the forked process's, who must not be hung up for.
    used: AtomicU64,
    /// It may be in several places: it ends with the last descriptor of it.
    elsewhere: AtomicBool,
    types: PhantomData<fn(S) -> R>,
}

/// What cannot be sent: the type of the direction that a one-way pipe does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {}

/// The end of a one-way pipe that sends.
pub type Sender<T> = Connection<T, Nothing>;

/// The end of a one-way pipe that receives.
pub type Receiver<T> = Connection<Nothing, T>;

/// Makes a pipe that carries values both ways, and returns its ends. Python's `Pipe()`.
///
/// # Errors
/// `System` when the process is out of descriptors.
///
/// ```
/// let (one, other) = ganger::pipe::<String, usize>()?;
/// one.send("seven".to_owned())?;
/// other.send(other.recv()?.len())?;
/// assert_eq!(one.recv()?, 5);
/// # Ok::<(), ganger::Error>(())
/// ```
#[expect(clippy::type_complexity, reason = "that the two types change places is what it says")]
pub fn pipe<S, R>() -> Result<(Connection<S, R>, Connection<R, S>), Error> {
    let (one, other) = message_pair().map_err(cannot_make)?;
    Ok((Connection::new(one.into(), u64::MAX, false), Connection::new(other.into(), u64::MAX, false)))
}

/// Makes a pipe that carries values one way. Python's `Pipe(duplex=False)`, which returns its ends in the same order. That the one cannot
/// send and the other not receive is said by their types.
///
/// # Errors
/// `System` when the process is out of descriptors.
///
/// ```
/// let (receiver, sender) = ganger::one_way::<Vec<u8>>()?;
/// sender.send(vec![1, 2, 3])?;
/// drop(sender);
/// assert_eq!(receiver.recv()?, [1, 2, 3]);
/// assert_eq!(receiver.recv().unwrap_err().kind(), ganger::ErrorKind::Disconnected);
/// # Ok::<(), ganger::Error>(())
/// ```
pub fn one_way<T>() -> Result<(Receiver<T>, Sender<T>), Error> {
    let (receiver, sender) = message_pair().map_err(cannot_make)?;
    end_one_way(&receiver).map_err(cannot_make)?;
    Ok((Connection::new(receiver.into(), u64::MAX, false), Connection::new(sender.into(), u64::MAX, false)))
}

fn cannot_make(error: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot make a pipe: {error}")).with_source(error)
}

impl<S: Serialize, R> Connection<S, R> {
    /// Sends a value, waiting for room for as long as the other end is there. Python's `send`.
    ///
    /// Handles in it (other connections, locks, queues) travel with it, at most 253.
    ///
    /// # Errors
    /// `NotSerializable` when the value cannot be turned into bytes; `Disconnected` when the other end is gone; `System` when the
    /// system refuses. Whatever the error is, nothing was sent, and the connection is as it was.
    pub fn send(&self, value: S) -> Result<(), Error> {
        self.encode_and_send(value, None).map(|_sent| ())
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As `send`; `TimedOut` when there was no room in time.
    pub fn send_timeout(&self, value: S, timeout: Duration) -> Result<(), Error> {
        let sent = self.encode_and_send(value, Instant::now().checked_add(timeout))?;
        if sent { Ok(()) } else { Err(late("no room for the message", timeout)) }
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    /// As `send`; `Full` when there is no room now.
    pub fn try_send(&self, value: S) -> Result<(), Error> {
        let sent = self.encode_and_send(value, Some(Instant::now()))?;
        let full = || Error::new(ErrorKind::Full, "the pipe is full: the other end has not read what was sent before");
        sent.then_some(()).ok_or_else(full)
    }

    fn encode_and_send(&self, value: S, end: Option<Instant>) -> Result<bool, Error> {
        let parcel = encode_parcel(Part::Own, &value).map_err(|error| {
            let text = format!("a {} cannot be sent: {error}", type_name::<S>());
            Error::new(ErrorKind::NotSerializable, text).with_source(error)
        })?;
        send(self.socket(), &parcel.bytes, &parcel.descriptors, end)
    }
}

impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Receives a value, waiting for one for as long as the other end is there. Python's `recv`.
    ///
    /// # Errors
    /// `Disconnected` when the other end is gone and everything was received that it had sent (Python's `EOFError`);
    /// `NotDeserializable` when the message is none of an `R`; `TooLarge` when it is longer than the [limit](Self::with_limit);
    /// `System` when the system refuses. The message is dropped then, and the next one can be received.
    pub fn recv(&self) -> Result<R, Error> {
        let received = receive(self.socket(), self.limit, None, decode)?;
        Ok(received.expect("without a deadline it waits for a message"))
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// As `recv`; `TimedOut` when no message came in time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, Error> {
        let received = receive(self.socket(), self.limit, Instant::now().checked_add(timeout), decode)?;
        received.ok_or_else(|| late("no message", timeout))
    }

    /// As [`recv`](Self::recv), without waiting.
    ///
    /// # Errors
    /// As `recv`; `Empty` when there is no message now.
    pub fn try_recv(&self) -> Result<R, Error> {
        let received = receive(self.socket(), self.limit, Some(Instant::now()), decode)?;
        received.ok_or_else(|| Error::new(ErrorKind::Empty, "there is no message in the pipe now"))
    }

    /// Whether there is something to receive, waiting for it at most `timeout`: a message, or the news that there will be
    /// none. Python's `poll`.
    ///
    /// # Errors
    /// `System` when the system refuses to wait.
    pub fn poll(&self, timeout: Duration) -> Result<bool, Error> {
        wait_until(self.socket(), Instant::now().checked_add(timeout))
    }
}

fn decode<R: DeserializeOwned>(message: Message<'_>) -> Result<R, Error> {
    let bytes = message.body.bytes();
    let decoded = receiving(message.descriptors, || {
        // Whoever has sent so much could have used up all memory anyway: no limit is known that would help.
        if bytes.len() > MOST_BYTES { codec::decode_arguments(bytes) } else { codec::decode(bytes) }
    });
    decoded.map_err(|error| {
        let text = format!("a message of {} byte(s) is no {}: {error}", bytes.len(), type_name::<R>());
        Error::new(ErrorKind::NotDeserializable, text).with_source(error)
    })
}

pub(super) fn late(what: &str, timeout: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("{what} within {timeout:?}"))
}

impl<S, R> Connection<S, R> {
    fn new(open: Descriptor, limit: u64, elsewhere: bool) -> Self {
        Self { open, limit, used: AtomicU64::new(0), elsewhere: AtomicBool::new(elsewhere), types: PhantomData }
    }

    /// The socket, to be used.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.used.store(generation(), Ordering::Relaxed);
        self.open.as_fd()
    }

    /// Has this end refuse messages of more than `bytes` bytes. Without it any length is accepted: no more memory is used than
    /// the sender has filled. The limit travels with this end.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes another handle of this end. Messages that are sent by both do not mix, and each message is received by one of
    /// them. The end is closed with the last one; whoever holds one must not wait for that.
    ///
    /// # Errors
    /// `System` when the process is out of descriptors.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let open = self.open.as_fd().try_clone_to_owned().map_err(cannot_make)?;
        self.elsewhere.store(true, Ordering::Relaxed);
        Ok(Self::new(open.into(), self.limit, true))
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

impl<S, R> Drop for Connection<S, R> {
    fn drop(&mut self) {
        // Closing alone would not do under `fork`: forked processes have copies of all descriptors, and would keep the pipe
        // open until they end.
        let used_here = *self.used.get_mut() == generation();
        if used_here && !*self.elsewhere.get_mut() && self.open.is_last() {
            hang_up(&self.open);
        }
    }
}

impl<S, R> AsFd for Connection<S, R> {
    /// The descriptor to [wait](crate::connection::wait) for. Its bytes are not to be read: they would be missing from a message.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.as_fd()
    }
}

impl<S, R> Serialize for Connection<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let elsewhere = self.elsewhere.swap(true, Ordering::Relaxed);
        (&self.open, self.limit, elsewhere).serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = <(Descriptor, u64, bool)>::deserialize(deserializer);
        parts.map(|(open, limit, elsewhere)| Self::new(open, limit, elsewhere))
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { open, limit, used: _, elsewhere: _, types: PhantomData } = self;
        let mut shown = f.debug_struct("Connection");
        shown.field("sends", &type_name::<S>()).field("receives", &type_name::<R>());
        shown.field("descriptor", &open.as_fd().as_raw_fd()).field("limit", limit).finish()
    }
}
