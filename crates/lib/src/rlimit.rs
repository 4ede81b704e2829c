//! Resource limits of the kernel, in the words of `setrlimit`.

use std::fmt;
use std::str::FromStr;

use ganger_os::rlimit::{Resource, UNLIMITED};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// A resource that the kernel limits for each process; [`Builder::rlimit`](crate::Builder::rlimit) sets the limit of
/// workers. The names are those of `setrlimit`, and of Python's `resource` module.
///
/// ```
/// use ganger::Rlimit;
/// assert_eq!("nofile".parse::<Rlimit>()?, Rlimit::Nofile);
/// assert_eq!(Rlimit::Nofile.as_str(), "nofile");
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rlimit {
    /// Address space, in bytes. What does not fit is an allocation that fails, which in Rust ends the process by SIGABRT.
    As,
    /// The size of core files, in bytes; 0 for none.
    Core,
    /// Processor time of one worker process, in seconds. Above the soft limit it is sent SIGXCPU, which ends it, above the
    /// hard one SIGKILL. A single value is the soft limit, with the hard one a second above it, so that the outcome
    /// of the task names SIGXCPU.
    Cpu,
    /// Memory that is written to (heap, private mappings), in bytes. What does not fit fails as of [`As`](Self::As).
    Data,
    /// The size of files written, in bytes. Beyond it comes SIGXFSZ, which ends the process.
    Fsize,
    /// Memory locked against swapping, in bytes.
    Memlock,
    /// The highest number of a descriptor, plus one.
    Nofile,
    /// Processes and threads of the *user* (not of the worker), beyond which none can be started. The kernel does not
    /// apply it to root.
    Nproc,
    /// The stack of a worker's first thread, in bytes. More than 128 MiB are certain only for programs that it executes.
    Stack,
}

impl Rlimit {
    /// No limit; Python's `resource.RLIM_INFINITY`.
    pub const UNLIMITED: u64 = UNLIMITED;

    /// All resources, in alphabetical order.
    pub const ALL: [Self; 9] = [
        Self::As,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Memlock,
        Self::Nofile,
        Self::Nproc,
        Self::Stack,
    ];

    /// Its name: `"as"`, `"core"`, `"cpu"`, and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Memlock => "memlock",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Stack => "stack",
        }
    }

    pub(crate) const fn to_os(self) -> Resource {
        match self {
            Self::As => Resource::RLIMIT_AS,
            Self::Core => Resource::RLIMIT_CORE,
            Self::Cpu => Resource::RLIMIT_CPU,
            Self::Data => Resource::RLIMIT_DATA,
            Self::Fsize => Resource::RLIMIT_FSIZE,
            Self::Memlock => Resource::RLIMIT_MEMLOCK,
            Self::Nofile => Resource::RLIMIT_NOFILE,
            Self::Nproc => Resource::RLIMIT_NPROC,
            Self::Stack => Resource::RLIMIT_STACK,
        }
    }
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Rlimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidSetting, format!("there is no rlimit {text:?}: it is one of {names}"))
        })
    }
}

/// How much of an [`Rlimit`] there is: one value for both bounds, or the soft and the hard one. A process may raise its
/// soft limit up to the hard one.
///
/// ```
/// use ganger::{Rlimit, RlimitBounds};
/// assert_eq!(RlimitBounds::from(8).to_string(), "8");
/// assert_eq!(RlimitBounds::from((8, Rlimit::UNLIMITED)).to_string(), "8:unlimited");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RlimitBounds {
    pub(crate) soft: u64,
    /// Without it the soft one holds for both.
    pub(crate) hard: Option<u64>,
}

impl From<u64> for RlimitBounds {
    fn from(value: u64) -> Self {
        Self { soft: value, hard: None }
    }
}

impl From<(u64, u64)> for RlimitBounds {
    /// The soft limit and the hard one.
    fn from((soft, hard): (u64, u64)) -> Self {
        Self { soft, hard: Some(hard) }
    }
}

impl fmt::Display for RlimitBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&amount(self.soft))?;
        self.hard.map_or(Ok(()), |hard| write!(f, ":{}", amount(hard)))
    }
}

/// A bound as people write it.
pub(crate) fn amount(value: u64) -> String {
    if value == UNLIMITED { "unlimited".to_owned() } else { value.to_string() }
}
