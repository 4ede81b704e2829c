//! Inherited socket pairs: no address, no listener, nobody to authenticate.

mod message;
mod receive;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, setsockopt, socketpair,
};

use crate::child::writable_within;
use crate::fd::Fd;
pub use message::{
    Sent, connect_messages, end_one_way, hang_up, message_pair, peek_message, receive_message, send_message,
};
use receive::receive;

/// The most descriptors that travel with one message: the kernel's limit, `SCM_MAX_FD`.
pub const MOST_DESCRIPTORS: usize = 253;

/// What has come beside the bytes of a stream, and not been asked for yet: the descriptors of each message. Those of a
/// message are fewer than were sent when this process's table of descriptors was full.
pub type Arrivals = VecDeque<Vec<OwnedFd>>;

/// Makes a pair that carries a stream of bytes; both ends block.
///
/// # Errors
/// When the process is out of descriptors.
pub fn stream_pair() -> io::Result<(Fd, Fd)> {
    pair(SockType::Stream)
}

/// Makes a pair that carries packets, whole or not at all; both ends block.
///
/// # Errors
/// When the process is out of descriptors.
pub fn packet_pair() -> io::Result<(Fd, Fd)> {
    pair(SockType::SeqPacket)
}

fn pair(kind: SockType) -> io::Result<(Fd, Fd)> {
    let (a, b) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((a.into(), b.into()))
}

/// Writes what fits of `parts` without waiting; `Ok(0)` means that nothing fits now.
///
/// # Errors
/// When the other end is gone.
pub fn send_now(fd: impl AsFd, parts: &[&[u8]]) -> io::Result<usize> {
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    send(fd.as_fd(), &slices, &[], MsgFlags::MSG_DONTWAIT)
}

/// Writes what fits of `bytes` without waiting, and descriptors with the first of them; `Ok(0)` means that nothing fits
/// now, and no descriptor was sent.
///
/// # Errors
/// When the other end is gone, or so many descriptors are on their way that the kernel takes no more (`ETOOMANYREFS`).
pub fn send_now_with(fd: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    send(fd.as_fd(), &[IoSlice::new(bytes)], &raw(fds), MsgFlags::MSG_DONTWAIT)
}

fn raw(fds: &[BorrowedFd<'_>]) -> Vec<RawFd> {
    fds.iter().map(AsRawFd::as_raw_fd).collect()
}

/// As [`send_all`], with descriptors that travel with the first byte.
///
/// # Errors
/// When the other end is gone.
pub fn send_all_with(fd: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw = raw(fds);
    loop {
        let sent = send(fd.as_fd(), &[IoSlice::new(bytes)], &raw, MsgFlags::empty())?;
        // Nothing was sent, and no descriptor: the first byte is still to bring them.
        if sent > 0 || bytes.is_empty() {
            return send_all(fd, bytes.get(sent..).unwrap_or_default());
        }
    }
}

/// Writes all of `bytes`, waiting for room. Only workers do: they wait for a supervisor that always reads, and whose
/// death ends them.
///
/// # Errors
/// When the other end is gone.
pub fn send_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(fd.as_fd(), &[IoSlice::new(bytes)], &[], MsgFlags::empty())?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Writes all of `bytes`, which are not empty, and descriptors with the first of them, waiting up to `limit` each time that there
/// is no room.
///
/// # Errors
/// When the other end is gone, or `TimedOut` when it makes no room.
pub fn send_within(fd: impl AsFd, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>], limit: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send_now_with(&fd, bytes, fds)?;
        if sent > 0 {
            (bytes, fds) = (bytes.get(sent..).unwrap_or_default(), &[]);
        } else if !writable_within(fd.as_fd(), limit) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

fn send(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>], fds: &[RawFd], flags: MsgFlags) -> io::Result<usize> {
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    loop {
        match sendmsg::<()>(fd.as_raw_fd(), slices, control, flags | MsgFlags::MSG_NOSIGNAL, None) {
            Ok(sent) => return Ok(sent),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends one packet with descriptors, without waiting. `false` means that there is no room now.
pub(crate) fn send_packet(fd: impl AsFd, packet: &[u8], fds: &[RawFd]) -> io::Result<bool> {
    Ok(send(fd.as_fd(), &[IoSlice::new(packet)], fds, MsgFlags::MSG_DONTWAIT)? > 0)
}

/// Sends one packet with one descriptor, waiting for room. Only clients of a server do, which takes packets in until it
/// ends, and whose end ends the wait.
///
/// # Errors
/// When the other end is gone.
pub fn send_packet_waiting(fd: impl AsFd, packet: &[u8], passed: impl AsFd) -> io::Result<()> {
    let passed = [passed.as_fd().as_raw_fd()];
    send(fd.as_fd(), &[IoSlice::new(packet)], &passed, MsgFlags::empty()).map(drop)
}

/// Has the kernel ask a silent peer on another machine whether it is still there: after a minute, then six times, ten
/// seconds apart.
///
/// # Errors
/// When it is no TCP socket.
pub fn keep_alive(fd: impl AsFd) -> io::Result<()> {
    use nix::sys::socket::sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval};
    let fd = fd.as_fd();
    setsockopt(&fd, KeepAlive, &true)?;
    setsockopt(&fd, TcpKeepIdle, &60)?;
    setsockopt(&fd, TcpKeepInterval, &10)?;
    Ok(setsockopt(&fd, TcpKeepCount, &6)?)
}

/// A packet as it arrived.
#[derive(Debug)]
pub struct Packet {
    /// What it holds; nothing at the end.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it.
    pub fds: Vec<Fd>,
}

/// Receives one packet without waiting; `None` when there is none, an empty packet at the end.
///
/// # Errors
/// When the socket is broken.
pub fn receive_packet(fd: impl AsFd) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0; 16 * 1024];
    let mut arrivals = Arrivals::new();
    let length = match receive(fd.as_fd(), &mut bytes, &mut arrivals, libc::MSG_DONTWAIT)? {
        Received::Bytes(length) => length,
        Received::End => 0,
        Received::Nothing => return Ok(None),
    };
    bytes.truncate(length);
    // Where not all of them fitted into this process's table, what needs them fails, not the whole connection.
    Ok(Some(Packet { bytes, fds: arrivals.into_iter().flatten().map(Fd::from).collect() }))
}

/// What a read that does not wait found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The other end is closed and all was read.
    End,
}

/// Reads what is there without waiting. Descriptors that come with it are closed.
///
/// # Errors
/// When the socket is broken; a peer that reset the connection counts as the end.
pub fn receive_now(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    receive_bytes(fd.as_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

/// As [`receive_now`], waiting until there is something. Only clients of a server do: they wait for an answer, or for the
/// server's end, which they see as the end of the stream.
///
/// # Errors
/// When the socket is broken.
pub fn receive_waiting(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    receive_bytes(fd.as_fd(), buffer, MsgFlags::empty())
}

/// Whether the other end is closed and all was read, without waiting nor reading.
pub fn has_ended(fd: impl AsFd) -> bool {
    matches!(
        receive_bytes(fd.as_fd(), &mut [0], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK),
        Ok(Received::End) | Err(_)
    )
}

fn receive_bytes(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Received> {
    loop {
        match recv(fd.as_raw_fd(), buffer, flags) {
            Ok(0) | Err(nix::Error::ECONNRESET) => return Ok(Received::End),
            Ok(count) => return Ok(Received::Bytes(count)),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return Ok(Received::Nothing),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads what is there without waiting, and the descriptors that travel with the bytes: those of one message at the most,
/// as the kernel ends a reading behind them.
///
/// # Errors
/// When the socket is broken; a peer that reset the connection counts as the end.
pub fn receive_now_with(fd: impl AsFd, buffer: &mut [u8], arrivals: &mut Arrivals) -> io::Result<Received> {
    receive(fd.as_fd(), buffer, arrivals, libc::MSG_DONTWAIT)
}

/// As [`receive_now_with`], waiting until there is something. Only workers do: they wait for a supervisor whose end they
/// see as the end of the stream.
///
/// # Errors
/// When the socket is broken.
pub fn receive_waiting_with(fd: impl AsFd, buffer: &mut [u8], arrivals: &mut Arrivals) -> io::Result<Received> {
    receive(fd.as_fd(), buffer, arrivals, 0)
}
