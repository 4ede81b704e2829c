//! Starting processes: the guardian, and workers through it.
//!
//! | method | guardian | worker |
//! |---|---|---|
//! | `Forkserver` | a fresh image (`spawn.rs`) | forked from the guardian (`forkserver.rs`) |
//! | `Spawn` | a fresh image | a fresh image each |
//! | `Fork` | forked from the caller (`fork.rs`) | forked from the guardian |

pub(crate) mod boot;
pub(crate) mod control;
mod fork;
mod forkserver;
mod guardian;
mod spawn;
mod supervisor;
mod sweep;

pub use control::{Report, WorkerExit};
pub use supervisor::{Guardian, Plan, StartError};

/// Whether a start failed for want of something that others use now: descriptors, processes, memory.
///
/// ```
/// let full = std::io::Error::from_raw_os_error(24); // EMFILE
/// assert!(ganger_os::start::is_shortage(&full));
/// ```
#[must_use]
pub fn is_shortage(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS | libc::ETOOMANYREFS)
    )
}

/// How processes are started; names and meaning as in Python's `multiprocessing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Workers are forked from a fresh, small process.
    Forkserver,
    /// Every worker is a fresh image.
    Spawn,
    /// Workers are forked from a copy of the caller.
    Fork,
}

impl Method {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Forkserver => 0,
            Self::Spawn => 1,
            Self::Fork => 2,
        }
    }

    pub(crate) const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Forkserver),
            1 => Some(Self::Spawn),
            2 => Some(Self::Fork),
            _ => None,
        }
    }
}
