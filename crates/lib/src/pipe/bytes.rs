//! Messages that are plain bytes: no codec, no copies that a codec would make.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::{Connection, late};
use super::packet::Message;
use super::post::{next_length, receive, send, wait_until};
use crate::{Error, ErrorKind};

impl<S: Serialize, R> Connection<S, R> {
    /// Sends bytes as they are; the other end receives them with [`recv_bytes`](Connection::recv_bytes). Python's `send_bytes`.
    ///
    /// ```
    /// let (one, other) = ganger::pipe::<(), ()>()?;
    /// one.send_bytes(b"as they are")?;
    /// assert_eq!(other.recv_bytes()?, b"as they are");
    /// # Ok::<(), ganger::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Connection::send).
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        send(self.socket(), bytes, &[], None).map(|_sent| ())
    }

    /// As [`send_bytes`](Self::send_bytes), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Connection::send_timeout).
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), Error> {
        let sent = send(self.socket(), bytes, &[], Instant::now().checked_add(timeout))?;
        if sent { Ok(()) } else { Err(late("no room for the message", timeout)) }
    }
}

impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Receives a message as bytes. Python's `recv_bytes`, with [`with_limit`](Connection::with_limit) for its `maxlength`.
    ///
    /// # Errors
    /// As [`recv`](Connection::recv).
    pub fn recv_bytes(&self) -> Result<Vec<u8>, Error> {
        let received = receive(self.socket(), self.limit(), None, copy)?;
        Ok(received.expect("without a deadline it waits for a message"))
    }

    /// As [`recv_bytes`](Self::recv_bytes), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Connection::recv_timeout).
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, Error> {
        let received = receive(self.socket(), self.limit(), Instant::now().checked_add(timeout), copy)?;
        received.ok_or_else(|| late("no message", timeout))
    }

    /// Receives a message into `buffer` and returns its length. Python's `recv_bytes_into`.
    ///
    /// # Errors
    /// As [`recv`](Connection::recv). `TooLarge` when the message is longer than the buffer: it stays in the pipe, to be received with a larger one.
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            wait_until(self.socket(), None)?;
            match next_length(self.socket())? {
                // Somebody else was faster.
                None => {}
                Some(length) if length > buffer.len() as u64 => return Err(too_small(length, buffer.len())),
                Some(_) => {
                    let into = |message: Message<'_>| copy_into(&message, buffer);
                    if let Some(length) = receive(self.socket(), self.limit(), Some(Instant::now()), into)? {
                        return Ok(length);
                    }
                }
            }
        }
    }
}

fn copy(message: Message<'_>) -> Result<Vec<u8>, Error> {
    let from = message.body.bytes();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(from.len()).map_err(|error| {
        let text = format!("there is no memory for a message of {} byte(s)", from.len());
        Error::new(ErrorKind::System, text).with_source(error)
    })?;
    bytes.extend_from_slice(from);
    Ok(bytes)
}

/// Another receiver may have taken the message whose length was looked at, and this may be a longer one.
fn copy_into(message: &Message<'_>, buffer: &mut [u8]) -> Result<usize, Error> {
    let from = message.body.bytes();
    let to = buffer.get_mut(..from.len()).ok_or_else(|| too_small(from.len() as u64, 0))?;
    to.copy_from_slice(from);
    Ok(from.len())
}

fn too_small(length: u64, buffer: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("a message of {length} byte(s) does not fit into a buffer of {buffer}"))
}
