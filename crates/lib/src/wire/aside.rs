//! Large payloads beside their frames: in memory of their own that nobody can write to any more, of which only the descriptor
//! travels. A socket would have the kernel copy them twice, in pieces, with a change of processes for each.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ganger_os::frozen::Frozen;
use ganger_os::memory::{create, forbid_writing, write_at};

use super::descriptor::Descriptor;
use super::frame::MOST_BYTES;

/// Payloads of this size and more go aside. Below it the socket is as fast, and needs no descriptor.
pub(crate) const LARGE: usize = 1 << 20;

/// Stands in the place of the arguments' length when they are aside, in the last descriptor of their message.
pub(crate) const ASIDE: u32 = u32::MAX;

/// A payload that was put aside.
#[derive(Debug)]
pub(crate) struct Aside(Frozen);

impl Aside {
    /// Puts `bytes` aside; whoever gets the descriptor can [open](Self::open) it.
    ///
    /// # Errors
    /// When memory or descriptors are short: then the bytes have to travel in their frame.
    pub(crate) fn put(bytes: &[u8]) -> io::Result<OwnedFd> {
        let memory = create(c"ganger-payload", bytes.len())?;
        write_at(memory.as_fd(), 0, bytes)?;
        forbid_writing(memory.as_fd())?;
        Ok(memory)
    }

    /// Opens what another process has put aside, after a look at its seals and its size.
    ///
    /// # Errors
    /// When it could still be changed, is too large, or cannot be mapped.
    pub(crate) fn open(memory: &Descriptor) -> io::Result<Self> {
        let frozen = Frozen::open(memory.as_fd(), 1)?;
        if frozen.len() > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a payload of {} bytes", frozen.len())));
        }
        // One call instead of a fault for each 16 pages.
        frozen.read_ahead();
        Ok(Self(frozen))
    }

    /// The payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.values(0, self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_change_is_opened() {
        let sound = Descriptor::new(Aside::put(b"large").expect("memory"));
        assert_eq!(Aside::open(&sound).expect("sealed").bytes(), b"large");
        let open = Descriptor::new(create(c"test", 5).expect("memory"));
        let plain = Descriptor::new(std::fs::File::open("/proc/self/exe").expect("opens"));
        let (pipe, _writer) = std::io::pipe().expect("descriptors");
        for foreign in [open, plain, Descriptor::new(pipe)] {
            assert!(Aside::open(&foreign).is_err(), "{foreign:?}");
        }
    }
}
