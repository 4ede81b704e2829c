//! The start method `fork`: the guardian is a copy of the calling process, with all its data.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::unistd::{ForkResult, Pid, fork, setpgid};

use super::control::{Hello, reports};
use super::guardian;
use super::supervisor::StartError;
use crate::child::{flush_c_streams, leave};
use crate::fd::{self, Fd};
use crate::takeover::Hooks;
use crate::thread::{Busy, quiet};
use crate::{signal, socket, title};

/// How long ganger's own threads get to come to rest: a callback of the user's may be running on one of them.
const REST: Duration = Duration::from_secs(5);

/// What the copy is to do.
#[derive(Clone, Copy)]
pub(super) struct Copied<'a> {
    pub(super) hello: &'a Hello,
    /// To be set where the caller has not set them.
    pub(super) variables: &'a [(String, String)],
    pub(super) hooks: &'static Hooks,
}

/// Forks the guardian; returns its process id in the caller, and not at all in the guardian.
pub(super) fn fork_guardian(copied: Copied<'_>, control: &Fd, strangers_allowed: bool) -> Result<i32, StartError> {
    let quiet = quiet(REST, strangers_allowed).map_err(|busy| match busy {
        Busy::Threads(count) => StartError::Threads(count),
        Busy::Callback => StartError::Callback,
    })?;
    // What is buffered now would be written twice.
    let _ = std::io::stdout().flush();
    flush_c_streams();
    crate::forks::count();
    // SAFETY: either this process has no thread besides this one and ganger's own, which are parked without locks, or the
    // caller has promised through an unsafe function that the others hold no lock that the gang will need.
    match unsafe { fork() } {
        Err(error) => Err(StartError::System("fork the guardian", error.into())),
        Ok(ForkResult::Parent { child }) => {
            let _ = setpgid(child, child);
            Ok(child.as_raw())
        }
        Ok(ForkResult::Child) => {
            let alone = quiet.alone();
            quiet.forget_threads();
            let outcome = std::panic::catch_unwind(|| {
                if alone {
                    set_missing(copied.variables);
                }
                serve(copied, control)
            });
            leave(outcome.unwrap_or(70));
        }
    }
}

/// Sets the variables in the copy, which has one thread. Not beside the caller's threads: one of them may have held the
/// environment's lock, which would then be locked here for ever.
fn set_missing(variables: &[(String, String)]) {
    for (name, value) in variables {
        if std::env::var_os(name).is_none() {
            // SAFETY: this process is a fresh fork with one thread, so nobody reads the environment meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

fn serve(Copied { hello, hooks, .. }: Copied<'_>, control: &Fd) -> i32 {
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    signal::for_guardian();
    title::set_title(&format!("ganger: guardian {}", hello.name));
    fd::close_own_except(&[control.as_fd().as_raw_fd()]);
    let Ok(copy) = control.as_fd().try_clone_to_owned() else { return 1 };
    let control = Fd::from(copy);
    if fd::stdin_from_null().is_err() {
        return 1;
    }
    if let Err(text) = guardian::join_group(hello) {
        // When the supervisor is gone, nobody is left to tell.
        let _ = socket::send_packet(&control, &reports::failed(&text), &[]);
        return 1;
    }
    if let Some((entry, arguments)) = &hello.preload
        && let Err(message) = (hooks.preload)(*entry, arguments)
    {
        let text = format!("preload failed: {message}");
        // When the supervisor is gone, nobody is left to tell.
        let _ = socket::send_packet(&control, &reports::failed(&text), &[]);
        return 1;
    }
    guardian::serve(control, hello.clone(), hooks)
}
