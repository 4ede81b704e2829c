//! How workers are started: the choices that a builder offers.

use ganger_os::start::Method;

use crate::{Error, ErrorKind};

/// Where worker processes come from; names and meaning as in Python.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// Workers are forked from a fresh, small process (the guardian), after the pool's `preload` function ran there.
    /// Starting one costs the same however much memory the caller has. The default.
    #[default]
    Forkserver,
    /// Every worker is a fresh image of the program: nothing is shared, not even what `preload` made.
    Spawn,
    /// Guardian and workers are copies of the calling process: they have all of its data, copy-on-write. Refused when
    /// the process runs threads that are not ganger's.
    Fork,
}

impl StartMethod {
    /// All methods, the default first.
    pub const ALL: [Self; 3] = [Self::Forkserver, Self::Spawn, Self::Fork];

    /// Its name: `"forkserver"`, `"spawn"`, `"fork"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forkserver => "forkserver",
            Self::Spawn => "spawn",
            Self::Fork => "fork",
        }
    }

    pub(super) const fn method(self) -> Method {
        match self {
            Self::Forkserver => Method::Forkserver,
            Self::Spawn => Method::Spawn,
            Self::Fork => Method::Fork,
        }
    }
}

impl std::fmt::Display for StartMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for StartMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
            let text = format!("there is no start method {text:?}: it is forkserver, spawn or fork");
            Error::new(ErrorKind::InvalidSetting, text)
        })
    }
}

/// Where the standard output of workers goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stdout {
    /// To the caller's standard output. The default, as in Python.
    #[default]
    Inherit,
    /// To the caller's standard error: for programs whose own output must stay clean.
    ToStderr,
}
