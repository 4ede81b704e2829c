//! Inherited socket pairs: no address, no listener, nobody to authenticate.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockFlag, SockType, recv, recvmsg, sendmsg,
    socketpair,
};

use crate::child::writable_within;
use crate::fd::{Fd, adopt};

/// The most descriptors that travel with one packet: the kernel's own limit (`SCM_MAX_FD`).
pub const MOST_DESCRIPTORS: usize = 253;

/// Makes a pair that carries a stream of bytes; both ends block.
///
/// # Errors
/// When the process is out of descriptors.
pub fn stream_pair() -> io::Result<(Fd, Fd)> {
    pair(SockType::Stream)
}

/// Makes a pair that carries packets, whole or not at all.
pub(crate) fn packet_pair() -> io::Result<(Fd, Fd)> {
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

/// Writes `bytes`, and descriptors with them, to a stream that has room for them.
///
/// # Errors
/// When it has not, or the other end is gone.
pub fn send_with(fd: impl AsFd, bytes: &[u8], fds: &[Fd]) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
    let sent = send(fd.as_fd(), &[IoSlice::new(bytes)], &raw, MsgFlags::MSG_DONTWAIT)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
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

/// Writes all of `bytes`, which are not empty, and `fds` with the first of them, waiting up to `limit` for room; without a limit
/// for somebody whose death is the end of the wait.
///
/// # Errors
/// When the other end is gone, or makes no room in time.
pub fn send_all_with(
    fd: impl AsFd,
    mut bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    limit: Option<Duration>,
) -> io::Result<()> {
    let mut raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    while !bytes.is_empty() {
        let flags = if limit.is_some() { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
        let sent = send(fd.as_fd(), &[IoSlice::new(bytes)], &raw, flags)?;
        if sent > 0 {
            raw.clear();
            bytes = bytes.get(sent..).unwrap_or_default();
        } else if !limit.is_some_and(|limit| writable_within(fd.as_fd(), limit)) {
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

/// A packet as it arrived.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<Fd>,
}

/// Receives one packet without waiting; `None` when there is none, an empty packet at the end.
pub(crate) fn receive_packet(fd: impl AsFd) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0; 16 * 1024];
    let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let (length, fds) = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        match recvmsg::<()>(fd.as_fd().as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) => break (message.bytes, descriptors(&message)),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    };
    bytes.truncate(length);
    Ok(Some(Packet { bytes, fds }))
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

/// Reads what is there without waiting.
///
/// # Errors
/// When the socket is broken; a peer that reset the connection counts as the end.
pub fn receive_now(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    receive(fd.as_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

/// Reads what is there, waiting until there is something. Only workers do: they wait for a supervisor whose end they
/// see as the end of the stream.
///
/// # Errors
/// When the socket is broken.
pub fn receive_waiting(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    receive(fd.as_fd(), buffer, MsgFlags::empty())
}

/// As [`receive_waiting`], with the descriptors that travel with the bytes.
///
/// # Errors
/// When the socket is broken.
pub fn receive_with(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<(Received, Vec<Fd>)> {
    receive_both(fd.as_fd(), buffer, MsgFlags::empty())
}

/// As [`receive_now`], with the descriptors that travel with the bytes.
///
/// # Errors
/// When the socket is broken; a peer that reset the connection counts as the end.
pub fn receive_now_with(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<(Received, Vec<Fd>)> {
    receive_both(fd.as_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

fn receive_both(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> io::Result<(Received, Vec<Fd>)> {
    let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(fd.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) if message.bytes > 0 => {
                return Ok((Received::Bytes(message.bytes), descriptors(&message)));
            }
            Ok(_) | Err(nix::Error::ECONNRESET) => return Ok((Received::End, Vec::new())),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return Ok((Received::Nothing, Vec::new())),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The descriptors of a message; none when not all of them fit into this process's table: what needs them fails then, not
/// the whole connection.
fn descriptors(message: &RecvMsg<'_, '_, ()>) -> Vec<Fd> {
    let Ok(controls) = message.cmsgs() else { return Vec::new() };
    let rights = controls.filter_map(|control| match control {
        ControlMessageOwned::ScmRights(raw) => Some(raw),
        _ => None,
    });
    rights.flatten().map(|raw| Fd::from(adopt(raw))).collect()
}

fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Received> {
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
