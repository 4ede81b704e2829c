//! Sockets that users hold: messages that are sent and received whole, or not at all, by one system call each.
//!
//! Their descriptors are plain ones. Those on ganger's own list are closed in forked workers, and a closure may have
//! captured these.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, connect, recv, shutdown, socket, socketpair,
};

use super::receive::receive;
use super::{Arrivals, Received, raw, send};

/// Makes a pair that carries messages both ways; both ends block.
///
/// # Errors
/// When the process is out of descriptors.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Connects to a socket that carries messages and listens at that path.
///
/// # Errors
/// When nobody listens there.
pub fn connect_messages(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it is on its way.
    Whole,
    /// There is no room for it now.
    NoRoom,
    /// There never will be: it is larger than the socket's buffer.
    TooLong,
}

/// Sends one message, which must not be empty, and descriptors with it. With `wait` it waits for room: until the other end
/// reads, or is gone.
///
/// # Errors
/// When the other end is gone, or so many descriptors are on their way that the kernel takes no more (`ETOOMANYREFS`).
pub fn send_message(fd: BorrowedFd<'_>, parts: [&[u8]; 2], fds: &[BorrowedFd<'_>], wait: bool) -> io::Result<Sent> {
    match send(fd, &parts.map(IoSlice::new), &raw(fds), flags(wait)) {
        Ok(0) => Ok(Sent::NoRoom),
        Ok(_) => Ok(Sent::Whole),
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => Ok(Sent::TooLong),
        Err(error) => Err(error),
    }
}

/// Receives one message; what does not fit into `buffer` is lost. With `wait` it waits until there is one, or the other end is
/// gone.
///
/// # Errors
/// When the socket is broken.
pub fn receive_message(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    arrivals: &mut Arrivals,
    wait: bool,
) -> io::Result<Received> {
    match receive(fd, buffer, arrivals, flags(wait).bits())? {
        // The kernel reports once that the other end has left messages unread (ECONNRESET), before those that it has sent.
        Received::End => receive(fd, buffer, arrivals, flags(wait).bits()),
        received => Ok(received),
    }
}

/// Copies the beginning of the next message, which stays where it is. It does not wait.
///
/// # Errors
/// When the socket is broken.
pub fn peek_message(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut reset = false;
    loop {
        match recv(fd.as_raw_fd(), buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Ok(Received::End),
            Ok(count) => return Ok(Received::Bytes(count)),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return Ok(Received::Nothing),
            // See `receive_message`.
            Err(nix::Error::ECONNRESET) if !reset => reset = true,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends the connection at once, whoever else has descriptors of it. What was sent before can still be received.
pub fn hang_up(fd: impl AsFd) {
    // It fails only when there is no connection any more, which is what was wanted.
    let _ = shutdown(fd.as_fd().as_raw_fd(), Shutdown::Both);
}

/// Makes the connection one that `reader` can only receive from.
///
/// # Errors
/// When it is no connection.
pub fn end_one_way(reader: impl AsFd) -> io::Result<()> {
    Ok(shutdown(reader.as_fd().as_raw_fd(), Shutdown::Write)?)
}

fn flags(wait: bool) -> MsgFlags {
    if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fd: &OwnedFd) -> Result<String, Received> {
        let (mut buffer, mut arrivals) = ([0; 16], Arrivals::new());
        match receive_message(fd.as_fd(), &mut buffer, &mut arrivals, false).expect("sound") {
            Received::Bytes(count) => Ok(String::from_utf8_lossy(&buffer[..count]).into_owned()),
            other => Err(other),
        }
    }

    fn post(fd: &OwnedFd, text: &str) -> Sent {
        send_message(fd.as_fd(), [text.as_bytes(), b"!"], &[], false).expect("sound")
    }

    #[test]
    fn messages_keep_their_boundaries_and_survive_their_sender() {
        let (one, other) = message_pair().expect("descriptors");
        assert_eq!(text(&other), Err(Received::Nothing));
        for message in ["a", "bc"] {
            assert_eq!(post(&one, message), Sent::Whole);
        }
        let mut first = [0; 1];
        assert_eq!(peek_message(other.as_fd(), &mut first).expect("sound"), Received::Bytes(1));
        // The one who leaves has not read this.
        assert_eq!(post(&other, "x"), Sent::Whole);
        drop(one);
        assert_eq!(peek_message(other.as_fd(), &mut first).expect("sound"), Received::Bytes(1));
        assert_eq!([text(&other), text(&other), text(&other)], [Ok("a!".into()), Ok("bc!".into()), Err(Received::End)]);
        assert_eq!(peek_message(other.as_fd(), &mut first).expect("sound"), Received::End);
        assert!(send_message(other.as_fd(), [b"x", b""], &[], false).is_err());
    }

    #[test]
    fn hanging_up_ends_copies_as_well() {
        let (one, other) = message_pair().expect("descriptors");
        let copy = one.try_clone().expect("descriptors");
        assert_eq!(post(&one, "last"), Sent::Whole);
        hang_up(&one);
        assert_eq!([text(&other), text(&other)], [Ok("last!".into()), Err(Received::End)]);
        assert_eq!(text(&copy), Err(Received::End));
    }

    #[test]
    fn a_full_socket_refuses_without_waiting() {
        let (one, _other) = message_pair().expect("descriptors");
        let sent = (0..100_000).take_while(|_| post(&one, "a message") == Sent::Whole);
        assert!((10..100_000).contains(&sent.count()));
        let all = vec![0; 64 << 20];
        assert_eq!(send_message(one.as_fd(), [&all, b""], &[], true).expect("sound"), Sent::TooLong);
    }
}
