//! Fresh images of our own executable, by `posix_spawn`: its cost does not grow with the caller's memory.

use std::ffi::{CString, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use crate::fd::{Fd, duplicate_above};
use crate::takeover::BOOT;

/// The lowest number that a descriptor to pass on may have before it is put into its slot: above all slots.
const ABOVE_SLOTS: RawFd = 10;

/// The running executable, held open: the path may lead to another program by now, this descriptor does not.
#[derive(Debug)]
pub(crate) struct Executable(Fd);

impl Executable {
    pub(crate) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open("/proc/self/exe")?;
        Ok(Self(Fd::from(duplicate_above(file.as_fd(), ABOVE_SLOTS)?)))
    }

    /// Starts it with `order` in the boot variable, `defaults` in the environment, and `fds` at 3, 4, and so on. The new process closes everything
    /// above them itself, first thing: descriptors that the host left inheritable must not stay.
    pub(crate) fn spawn(
        &self,
        title: &str,
        order: &str,
        defaults: &[(String, String)],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<i32> {
        let mut actions = PosixSpawnFileActions::init()?;
        // Above the slots first: otherwise filling one slot could overwrite the source of the next.
        let high: Vec<_> = fds.iter().map(|fd| duplicate_above(*fd, ABOVE_SLOTS)).collect::<io::Result<_>>()?;
        for (source, target) in high.iter().zip(3..) {
            actions.add_dup2(source.as_raw_fd(), target)?;
        }
        let path = format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd());
        let environment = environment(order, defaults);
        let pid = posix_spawn(path.as_str(), &actions, &attributes()?, &[argument_zero(title)], &environment)?;
        Ok(pid.as_raw())
    }
}

/// An own process group, so that the terminal's signals miss it; all signals blocked until the new process has set its
/// dispositions, as a stop between the two would leave the caller of `posix_spawn` waiting for ever.
fn attributes() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETPGROUP | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::all())?;
    Ok(attributes)
}

/// Workers forked from this image rename themselves within the room that the first argument has: make some.
fn argument_zero(title: &str) -> CString {
    CString::new(format!("{title:<48}").replace('\0', " ")).expect("no zero bytes are left")
}

/// What this process has, the order, and those of `defaults` that it has not, were they empty.
fn environment(order: &str, defaults: &[(String, String)]) -> Vec<CString> {
    let missing = defaults.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    let added = missing.cloned().chain([(BOOT.to_owned(), order.to_owned())]);
    let added = added.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    std::env::vars_os()
        .filter(|(name, _)| name != BOOT)
        .chain(added)
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_added_once_to_what_the_caller_has() {
        let variables = environment("guardian", &[]);
        assert_eq!(variables.last().map(CString::as_bytes), Some(&b"GANGER_BOOT=guardian"[..]));
        assert_eq!(variables.len(), std::env::vars_os().count() + 1);
    }

    #[test]
    fn defaults_are_added_where_nothing_is_set() {
        let set = std::env::vars().next().expect("cargo sets some").0;
        let default = |name: &str| (name.to_owned(), "7".to_owned());
        let variables = environment("guardian", &[default(&set), default("GANGER_TEST_UNSET")]);
        let count = |text: &str| variables.iter().filter(|variable| variable.as_bytes() == text.as_bytes()).count();
        assert_eq!(count("GANGER_TEST_UNSET=7"), 1);
        assert_eq!((count(&format!("{set}=7")), variables.len()), (0, std::env::vars_os().count() + 2));
    }
}
