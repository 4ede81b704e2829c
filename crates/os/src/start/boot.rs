//! What a fresh image does with its order: it becomes a guardian or a worker.

use std::os::fd::{AsFd, BorrowedFd};

use super::control::{Hello, reports};
use super::guardian;
use crate::fd::{self, Fd, adopt};
use crate::mutant::{Protection, without};
use crate::page::Page;
use crate::takeover::{Hooks, Seat, TAKEOVER};
use crate::{child, image, signal, socket, thread, title};

/// The exit code of a process that was told to boot but cannot: most likely a user set the variable.
const REFUSED: i32 = 2;

/// What the variable says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Guardian,
    Worker(WorkerOrder),
}

/// Which worker a fresh image becomes; the guardian's process id is what its parent must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerOrder {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) guardian: i32,
    /// Whether it shares memory with its supervisor.
    pub(crate) page: bool,
    pub(crate) pool: String,
}

impl Order {
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Guardian => "guardian".to_owned(),
            Self::Worker(order) => {
                let page = u8::from(order.page);
                format!("worker:{}:{}:{}:{page}:{}", order.slot, order.generation, order.guardian, order.pool)
            }
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if text == "guardian" {
            return Some(Self::Guardian);
        }
        let mut parts = text.strip_prefix("worker:")?.splitn(5, ':');
        Some(Self::Worker(WorkerOrder {
            slot: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
            guardian: parts.next()?.parse().ok()?,
            page: match parts.next()? {
                "0" => false,
                "1" => true,
                _ => return None,
            },
            pool: parts.next()?.to_owned(),
        }))
    }
}

/// Follows the order; returns an exit code only when that is impossible.
pub(crate) fn take_over(order: &str) -> i32 {
    let (Some(order), [hooks]) = (Order::from_text(order), &*TAKEOVER) else {
        return refuse(&format!("GANGER_BOOT={order:?} is not an order that this program knows"));
    };
    if !is_socket(3) {
        return refuse("GANGER_BOOT is set, but descriptor 3 is no socket");
    }
    match order {
        Order::Guardian => become_guardian(hooks),
        Order::Worker(order) => become_worker(hooks, order),
    }
}

fn refuse(why: &str) -> i32 {
    use std::io::Write;
    // Whoever closed standard error does not want to know.
    let _ = writeln!(
        std::io::stderr(),
        "ganger: {why}. The variable GANGER_BOOT is private to ganger: unset it and start the program again."
    );
    REFUSED
}

fn is_socket(raw: i32) -> bool {
    // SAFETY: the borrow lasts for one fstat call, which fails with EBADF when nothing is open there.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    nix::sys::stat::fstat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

fn become_guardian(hooks: &'static Hooks) -> i32 {
    signal::for_guardian();
    fd::close_from(4);
    if fd::stdin_from_null().is_err() {
        return REFUSED;
    }
    let control = Fd::from(adopt(3));
    close_on_exec(&control);
    // Without a deadline: the supervisor sends it right after the start, and its end is the end of the stream.
    let Ok(()) = wait_readable(&control) else { return REFUSED };
    let Ok(Some(packet)) = socket::receive_packet(&control) else { return REFUSED };
    let Ok(hello) = Hello::from_packet(&packet.bytes) else { return REFUSED };
    title::set_title(&format!("ganger: guardian {}", hello.name));
    if image::identity().ok() != Some(hello.image) {
        return fail(&control, "the guardian runs another executable than its supervisor");
    }
    if let Err(text) = guardian::join_group(&hello) {
        return fail(&control, &text);
    }
    if let Some((entry, arguments)) = &hello.preload
        && let Err(message) = (hooks.preload)(*entry, arguments)
    {
        return fail(&control, &format!("preload failed: {message}"));
    }
    if !thread::alone() {
        return fail(&control, "preload started threads: forking beside them would hang workers, so start none there");
    }
    guardian::serve(control, hello, hooks)
}

fn fail(control: &Fd, text: &str) -> i32 {
    // When the supervisor is gone, nobody is left to tell.
    let _ = socket::send_packet(control, &reports::failed(text), &[]);
    REFUSED
}

fn wait_readable(control: &Fd) -> nix::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    loop {
        match poll(&mut [PollFd::new(control.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Err(nix::Error::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// What a task executes must not inherit ganger's descriptors.
pub(crate) fn close_on_exec(fd: impl AsFd) {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    // It fails only for a descriptor that is not open.
    let _ = fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
}

fn become_worker(hooks: &'static Hooks, order: WorkerOrder) -> i32 {
    fd::close_from(if order.page { 5 } else { 4 });
    die_with(order.guardian);
    signal::for_worker();
    title::set_title(&worker_title(order.slot, order.page));
    offer_to_oom_killer();
    let memory = order.page.then(|| adopt(4));
    let Ok(page) = memory.as_ref().map(|memory| Page::open(memory.as_fd())).transpose() else { return REFUSED };
    drop(memory);
    let link = Fd::from(adopt(3));
    close_on_exec(&link);
    (hooks.worker)(Seat { link, page, slot: order.slot, generation: order.generation, pool: order.pool })
}

/// What `ps` shows for a process that has not been told more about itself.
pub(crate) fn worker_title(slot: u32, page: bool) -> String {
    if page { format!("ganger: worker {slot}") } else { "ganger: process".to_owned() }
}

/// Makes this process die when `parent` does.
///
/// The signal is only sent for deaths that come later, so the parent is checked afterwards: without that, a parent that
/// dies in between orphans its child (352 of 3,000 in a test).
pub(crate) fn die_with(parent: i32) {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    if nix::unistd::getppid().as_raw() != parent && !without(Protection::ParentCheck) {
        child::leave(REFUSED);
    }
}

/// When memory runs out, the kernel shall take a worker, not the supervisor.
pub(crate) fn offer_to_oom_killer() {
    // Raising the score needs no privilege; where it is forbidden nevertheless, nothing is lost but the preference.
    let _ = std::fs::write("/proc/self/oom_score_adj", "800");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_journey() {
        let worker = WorkerOrder { slot: 2, generation: 7, guardian: 123, page: true, pool: "a:b".to_owned() };
        let process = WorkerOrder { page: false, ..worker.clone() };
        for order in [Order::Guardian, Order::Worker(worker), Order::Worker(process)] {
            assert_eq!(Order::from_text(&order.to_text()), Some(order));
        }
    }

    #[test]
    fn what_a_user_may_have_set_is_no_order() {
        for text in ["", "1", "worker", "worker:", "worker:1:2", "worker:x:1:1:1:p", "worker:1:1:1:2:p", "guardian "] {
            assert_eq!(Order::from_text(text), None, "{text:?}");
        }
    }
}
