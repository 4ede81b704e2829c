//! Where processes come from: the start methods, and the one that is used when none is named.

use std::sync::atomic::{AtomicUsize, Ordering};

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

    pub(crate) const fn method(self) -> Method {
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

/// The place of the default in [`StartMethod::ALL`], and one more; 0 while nobody has set it. A forked child inherits it.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);

/// The start method that pools and processes of this program use when none is named. Python's `get_start_method`; asking does
/// not fix it.
#[must_use]
pub fn start_method() -> StartMethod {
    chosen_start_method().unwrap_or_default()
}

/// Sets the start method that pools and processes of this program use when none is named; a process that is started by a
/// [`Process`](crate::Process) has its parent's. Python's `set_start_method`.
///
/// ```
/// use ganger::StartMethod;
/// ganger::set_start_method(StartMethod::Spawn)?;
/// assert_eq!(ganger::start_method(), StartMethod::Spawn);
/// assert!(ganger::set_start_method(StartMethod::Forkserver).is_err());
/// ganger::force_start_method(StartMethod::Forkserver);
/// # Ok::<(), ganger::Error>(())
/// ```
///
/// # Errors
/// [`InvalidSetting`](ErrorKind::InvalidSetting) when it was set before: two parts of a program that each want another one should
/// name theirs where they start something. [`force_start_method`] sets it nevertheless.
pub fn set_start_method(method: StartMethod) -> Result<(), Error> {
    match DEFAULT.compare_exchange(0, number(method), Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(_) => {
            let text = format!("the start method was set to {} before: it is set once (or forced)", start_method());
            Err(Error::new(ErrorKind::InvalidSetting, text))
        }
    }
}

/// As [`set_start_method`], whether it was set before or not. Python's `set_start_method(method, force=True)`.
pub fn force_start_method(method: StartMethod) {
    DEFAULT.store(number(method), Ordering::Relaxed);
}

/// All start methods, the default first. Python's `get_all_start_methods`.
#[must_use]
pub const fn all_start_methods() -> [StartMethod; 3] {
    StartMethod::ALL
}

/// The default, if somebody has set one.
pub(crate) fn chosen_start_method() -> Option<StartMethod> {
    let place = DEFAULT.load(Ordering::Relaxed).checked_sub(1)?;
    StartMethod::ALL.get(place).copied()
}

fn number(method: StartMethod) -> usize {
    StartMethod::ALL.iter().position(|known| *known == method).map_or(0, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_and_its_number() {
        for method in all_start_methods() {
            assert_eq!(method.as_str().parse::<StartMethod>().expect("it is one"), method);
            assert_eq!(StartMethod::ALL[number(method) - 1], method);
        }
    }
}
