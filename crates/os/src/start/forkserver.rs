//! Workers forked from the guardian, which has one thread: the only place where a fork needs no further thought.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::unistd::{ForkResult, Pid, fork, setpgid};

use super::Method;
use super::boot::{close_on_exec, die_with, offer_to_oom_killer, worker_title};
use crate::child::leave;
use crate::fd::{self, Fd, adopt};
use crate::page::Page;
use crate::takeover::{Hooks, Seat};
use crate::{signal, title};

/// What a new worker needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth<'a> {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) method: Method,
    pub(crate) pool: &'a str,
    pub(crate) hooks: &'static Hooks,
}

/// Forks a worker; returns its process id in the guardian, and not at all in the worker.
pub(crate) fn fork_worker(birth: Birth<'_>, link: &Fd, memory: Option<&Fd>) -> io::Result<i32> {
    let guardian = std::process::id().cast_signed();
    // SAFETY: the guardian has one thread (checked when it began to serve, after `preload`), so no lock is held by a
    // thread that the child lacks.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            // Both sides do it: whoever comes first, the group exists before anybody signals it.
            let _ = setpgid(child, child);
            Ok(child.as_raw())
        }
        ForkResult::Child => {
            let outcome = std::panic::catch_unwind(|| run(birth, guardian, link, memory));
            // Reached only when the worker could not begin; never unwind into the guardian's code.
            drop(outcome);
            leave(70)
        }
    }
}

fn run(birth: Birth<'_>, guardian: i32, link: &Fd, memory: Option<&Fd>) -> io::Result<()> {
    die_with(guardian);
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    signal::for_worker();
    title::set_title(&worker_title(birth.slot, memory.is_some()));
    offer_to_oom_killer();
    let page = memory.map(|memory| Page::open(memory.as_fd())).transpose()?;
    let link = keep_only(birth.method, link)?;
    let Birth { slot, generation, pool, hooks, .. } = birth;
    (hooks.worker)(Seat { link, page, slot, generation, pool: pool.to_owned() })
}

/// Closes what is not the worker's: everything but 0, 1, 2 and its link; under `fork` only what is ganger's, as the
/// captured data may own the rest.
fn keep_only(method: Method, link: &Fd) -> io::Result<Fd> {
    match method {
        Method::Fork => {
            let copy: OwnedFd = link.as_fd().try_clone_to_owned()?;
            fd::close_own_except(&[copy.as_raw_fd()]);
            Ok(Fd::from(copy))
        }
        Method::Forkserver | Method::Spawn => {
            fd::place(link.as_fd(), 3)?;
            fd::close_from(4);
            fd::forget_own();
            let link = adopt(3);
            close_on_exec(&link);
            Ok(Fd::from(link))
        }
    }
}
