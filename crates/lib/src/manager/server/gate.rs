//! Who is let in: through the door, and from the network.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use ganger_os::fd::Fd;
use ganger_os::socket::{Packet, keep_alive};

use super::connection::Stage;
use crate::manager::client::Key;
use crate::manager::handshake::{CHALLENGE, Image, Nonce, PROOF, challenge, fresh_nonce, judge, own_image};
use crate::manager::protocol::{Secret, Welcome, begin, end};
use crate::wire::codec::encode;

/// Where a server listens, and for whom.
#[derive(Debug)]
pub(in crate::manager) struct Gate {
    pub(in crate::manager) socket: Socket,
    pub(in crate::manager) key: Key,
}

/// A socket that listens.
#[derive(Debug)]
pub(in crate::manager) enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A gate in use.
#[derive(Debug)]
pub(super) struct Listener(Gate);

/// What a proof leads to.
pub(super) struct Verdict {
    pub(super) bytes: Vec<u8>,
    pub(super) stage: Stage,
}

/// What somebody at the door has brought: the connection, and what seals its functions.
pub(super) fn visit(packet: Packet) -> Option<(Fd, Option<Secret>)> {
    let Packet { bytes, mut fds } = packet;
    let image = Image::try_from(bytes).ok()?;
    let fd = fds.pop()?;
    Some((fd, secret_for(&image)))
}

/// The frame that a client gets that is let in.
pub(super) fn welcome(limit: usize, secret: Option<Secret>) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(&mut bytes);
    encode(&Welcome { limit: limit as u64, secret }, &mut bytes).expect("plain data");
    end(&mut bytes);
    bytes
}

/// A new secret for a client that is the same executable; without random numbers there is none.
fn secret_for(image: &Image) -> Option<Secret> {
    if *image != own_image() {
        return None;
    }
    fresh_nonce().ok()?.first_chunk().copied()
}

impl Listener {
    pub(super) fn new(gate: Gate) -> Self {
        Self(gate)
    }

    /// Takes a connection, with the nonce of its challenge and that; none when it is gone already.
    pub(super) fn accept(&self) -> io::Result<Option<(Fd, Nonce, [u8; CHALLENGE])>> {
        let accepted = match &self.0.socket {
            Socket::Unix(listener) => listener.accept().map(|(stream, _)| OwnedFd::from(stream)),
            Socket::Tcp(listener) => listener.accept().map(|(stream, _)| {
                // Without it a reply waits for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                // A machine that vanishes says nothing: so its locks are released after some minutes.
                let _ = keep_alive(&stream);
                OwnedFd::from(stream)
            }),
        };
        let fd = match accepted {
            Ok(fd) => Fd::from(fd),
            Err(error) if is_theirs(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(nonce) = fresh_nonce() else { return Ok(None) };
        Ok(Some((fd, nonce, challenge(&nonce))))
    }

    /// Judges a client's proof.
    pub(super) fn judge(&self, nonce: Nonce, proof: &[u8; PROOF], limit: usize) -> Verdict {
        let (verdict, image) = judge(&self.0.key.0, nonce, proof);
        let mut bytes = verdict.to_vec();
        let Some(image) = image else {
            tracing::warn!("a client with another key was refused");
            return Verdict { bytes, stage: Stage::Refused };
        };
        let secret = secret_for(&image);
        bytes.extend(welcome(limit, secret));
        Verdict { bytes, stage: Stage::Ready(secret) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0.socket {
            Socket::Unix(listener) => listener.as_fd(),
            Socket::Tcp(listener) => listener.as_fd(),
        }
    }
}

/// Whether an error of `accept` is of the connection, which is gone, and not of this process.
fn is_theirs(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
}
