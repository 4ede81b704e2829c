//! What one fork of this process costs, and nothing else: the yardstick beside start method `fork`.
//!
//! The kernel copies the page tables of everything that the process has, so the answer grows with its memory. The
//! standard library cannot ask: its `Command` shares the memory with the child until `exec`.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use crate::child::leave;
use crate::thread::alone;

/// How long a fork took.
///
/// ```no_run
/// let ganger_os::measure::BareFork { call, whole } = ganger_os::measure::time_bare_fork()?;
/// println!("the fork took {call:?}, with the child's end {whole:?}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareFork {
    /// Until the call returned in the parent. A gang's processes live on, so this is what theirs compare with.
    pub call: Duration,
    /// Until the child, which exits at once, was waited for: it takes its copy of the page tables down again.
    pub whole: Duration,
}

/// Forks a child that exits at once, waits for it, and returns how long that took.
///
/// # Errors
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy) when the process has more than one thread, ganger's own included (join
/// every pool before); otherwise what the kernel says.
pub fn time_bare_fork() -> io::Result<BareFork> {
    if !alone() {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the process has more than one thread"));
    }
    let start = Instant::now();
    // SAFETY: this process has no other thread that could hold a lock, and the child only leaves.
    match unsafe { fork() }? {
        ForkResult::Child => leave(0),
        ForkResult::Parent { child } => {
            let call = start.elapsed();
            while let Err(error) = waitpid(child, None) {
                match error {
                    Errno::EINTR => {}
                    // The host ignores SIGCHLD: the kernel reaped the child, and said so only once it was gone.
                    Errno::ECHILD => break,
                    _ => return Err(error.into()),
                }
            }
            Ok(BareFork { call, whole: start.elapsed() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::mpsc::channel;

    #[test]
    fn refuses_beside_another_thread() {
        let (hold, held) = channel::<()>();
        let other = std::thread::spawn(move || held.recv());
        let refused = super::time_bare_fork().map_err(|error| error.kind());
        drop(hold);
        other.join().expect("it only waits").expect_err("nothing was sent");
        assert_eq!(refused, Err(ErrorKind::ResourceBusy));
    }
}
