//! Where a manager listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a manager can be reached by programs that it did not start: a Unix socket or a TCP port.
///
/// ```
/// use ganger::manager::Address;
/// let local = Address::from(std::path::Path::new("/run/totals.socket"));
/// let remote: Address = "127.0.0.1:7000".parse::<std::net::SocketAddr>()?.into();
/// assert_eq!((local.to_string(), remote.to_string()), ("/run/totals.socket".into(), "127.0.0.1:7000".into()));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Address {
    /// The path of a socket on this machine.
    Unix(PathBuf),
    /// An address and a port; port 0 stands for any that is free.
    Tcp(SocketAddr),
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
