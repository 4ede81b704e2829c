//! Resource limits of this process, and whether the kernel would let it set others.

use std::io;

pub use nix::sys::resource::Resource;
use nix::sys::resource::{getrlimit, setrlimit};

use crate::probe::permits;

/// What `RLIM_INFINITY` is: no limit.
pub const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// The soft and the hard limit that hold for this process.
///
/// # Errors
/// When the kernel does not know the resource.
///
/// ```
/// use ganger_os::rlimit::{Resource, get};
/// let (soft, hard) = get(Resource::RLIMIT_NOFILE)?;
/// assert!(soft <= hard);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn get(resource: Resource) -> io::Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}

/// Limits this process, and what it starts from now on.
///
/// # Errors
/// When the soft limit is above the hard one, or the hard one is raised without the right to it.
pub fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    Ok(setrlimit(resource, soft, hard)?)
}

/// Whether [`set`] would work, found out in a child: a limit that is lowered here could not be raised again.
///
/// # Errors
/// When that could not be tried.
pub fn may_set(resource: Resource, soft: u64, hard: u64) -> io::Result<bool> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads a whole limit from a local variable, and it concerns the child alone.
    permits(|| unsafe { libc::setrlimit(resource as libc::__rlimit_resource_t, &raw const limit) } == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_changes_nothing_here() {
        let before = get(Resource::RLIMIT_NOFILE).expect("every Linux has it");
        assert!(may_set(Resource::RLIMIT_NOFILE, 7, 8).expect("it can be tried"), "lowering needs no right");
        assert!(!may_set(Resource::RLIMIT_NOFILE, 8, 7).expect("it can be tried"), "soft above hard");
        assert!(!may_set(Resource::RLIMIT_NOFILE, UNLIMITED, UNLIMITED).expect("it can be tried"), "above fs.nr_open");
        assert_eq!(get(Resource::RLIMIT_NOFILE).expect("every Linux has it"), before);
    }
}
