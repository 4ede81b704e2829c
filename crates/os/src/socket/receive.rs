//! Receiving bytes with descriptors beside them.
//!
//! nix gives no descriptor at all when not every one of a message fits into this process's table, and leaves those that did
//! open for ever. So this is the system call itself.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{NonNull, null_mut};

use super::{Arrivals, MOST_DESCRIPTORS, Received};
use crate::fd::adopt;

/// Room for the control message of as many descriptors as there can be; a multiple of a header's alignment.
const ROOM: usize = (size_of::<libc::cmsghdr>() + MOST_DESCRIPTORS * size_of::<RawFd>()).next_multiple_of(8);

#[repr(C, align(8))]
struct Control(MaybeUninit<[u8; ROOM]>);

/// Receives what is there; descriptors of at most one message are added to `arrivals`.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    arrivals: &mut Arrivals,
    flags: libc::c_int,
) -> io::Result<Received> {
    let mut control = Control(MaybeUninit::uninit());
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    loop {
        let mut message = libc::msghdr {
            msg_name: null_mut(),
            msg_namelen: 0,
            msg_iov: &raw mut slice,
            msg_iovlen: 1,
            msg_control: (&raw mut control).cast(),
            msg_controllen: ROOM,
            msg_flags: 0,
        };
        // SAFETY: the message points to one buffer of the length it says, and to room for control messages that is aligned
        // for them; both outlive the call.
        let count = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags | libc::MSG_CMSG_CLOEXEC) };
        if count >= 0 {
            let fds = descriptors(&message);
            if !fds.is_empty() || message.msg_flags & libc::MSG_CTRUNC != 0 {
                arrivals.push_back(fds);
            }
            return Ok(if count == 0 { Received::End } else { Received::Bytes(count.cast_unsigned()) });
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(Received::Nothing),
            Some(libc::ECONNRESET) => return Ok(Received::End),
            _ => return Err(error),
        }
    }
}

/// Takes over the descriptors that a received message has brought.
fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in the control messages and their length.
    let mut next = NonNull::new(unsafe { libc::CMSG_FIRSTHDR(message) });
    while let Some(header) = next {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return headers within the control messages only, and they are aligned.
        let found = unsafe { header.read() };
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let count = found.cmsg_len.saturating_sub(size_of::<libc::cmsghdr>()) / size_of::<RawFd>();
            // SAFETY: its data begin behind the header.
            let data = unsafe { libc::CMSG_DATA(header.as_ptr()) };
            fds.extend((0..count).map(|place| {
                // SAFETY: the message's length says that so many numbers follow; they need not be aligned.
                let raw = unsafe { data.cast::<RawFd>().wrapping_add(place).read_unaligned() };
                adopt(raw)
            }));
        }
        // SAFETY: the header is one of this message's.
        next = NonNull::new(unsafe { libc::CMSG_NXTHDR(message, header.as_ptr()) });
    }
    fds
}
