//! One connection of a client, as the server sees it.

use std::time::Instant;

use ganger_os::fd::Fd;
use ganger_os::socket::send_now;

use crate::manager::handshake::Nonce;
use crate::manager::protocol::Secret;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) fd: Fd,
    /// It came through the door, not from the network.
    pub(super) through_door: bool,
    pub(super) stage: Stage,
    /// What has come of a message.
    pub(super) partial: Vec<u8>,
    /// What of a reply the client has not taken yet.
    unsent: Vec<u8>,
    /// How much of that it has taken since.
    taken: usize,
    pub(super) parked: Option<Parked>,
    /// When it is to be looked at, even if nothing comes.
    pub(super) timer: Option<Instant>,
}

/// How far a client has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has to answer this challenge.
    Greeting(Nonce),
    /// It is let in; what seals its functions.
    Ready(Option<Secret>),
    /// It is told that it is refused, and then closed.
    Refused,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Parked {
    /// Its place in line.
    pub(super) ticket: u64,
    pub(super) object: u64,
    pub(super) op: Vec<u8>,
    /// How long at most.
    pub(super) end: Option<Instant>,
}

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Connection {
    pub(super) fn new(fd: Fd, stage: Stage, through_door: bool) -> Self {
        Self { fd, through_door, stage, partial: Vec::new(), unsent: Vec::new(), taken: 0, parked: None, timer: None }
    }

    /// Whether it waits for a reply, or for the rest of one: until then it has nothing to say.
    pub(super) fn owes_silence(&self) -> bool {
        self.parked.is_some() || !self.unsent.is_empty()
    }

    /// Sends what there is room for, and keeps the rest; whether all was sent.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<bool, Gone> {
        let mut sent = 0;
        if self.unsent.is_empty() {
            sent = send_now(&self.fd, &[bytes]).map_err(|_| Gone)?;
        }
        self.unsent.extend(&bytes[sent..]);
        Ok(self.unsent.is_empty())
    }

    /// Sends more of what was kept; whether that was all.
    pub(super) fn flush(&mut self) -> Result<bool, Gone> {
        self.taken += send_now(&self.fd, &[&self.unsent[self.taken..]]).map_err(|_| Gone)?;
        if self.taken == self.unsent.len() {
            (self.unsent, self.taken) = (Vec::new(), 0);
        }
        Ok(self.unsent.is_empty())
    }
}
