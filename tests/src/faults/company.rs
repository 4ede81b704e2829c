//! Processes that a task starts and does not wait for.

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, recvmsg, sendmsg};

use super::answers::{Answer, Outcome};
use super::bytes::links;
use crate::die;

/// Makes a copy of `fd` that children inherit: sent to ourselves, as a copy by number takes an unsafe function.
fn inheritable_copy(fd: RawFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let message = [ControlMessage::ScmRights(&[fd])];
    let bytes = [std::io::IoSlice::new(&[1])];
    sendmsg::<()>(ours.as_raw_fd(), &bytes, &message, MsgFlags::empty(), None).unwrap();
    let (mut byte, mut room) = ([0], nix::cmsg_space!(RawFd));
    let mut bytes = [std::io::IoSliceMut::new(&mut byte)];
    recvmsg::<()>(theirs.as_raw_fd(), &mut bytes, Some(&mut room), MsgFlags::empty()).unwrap();
}

/// The grandchild holds the link open: the link's end would come only when that process ends.
#[expect(clippy::zombie_processes, reason = "it is to outlive its parent")]
pub(super) fn heir_of_the_link() -> Outcome {
    links().into_iter().for_each(inheritable_copy);
    Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
    die(Signal::SIGKILL)
}

/// Runs a script that ends at once, whatever it leaves.
fn shell(script: &str) -> Outcome {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(shell.status().unwrap().success());
    Ok(Answer::Plain(7))
}

/// Its own session, its parent gone, and nothing of ours open.
pub(super) fn daemon() -> Outcome {
    shell("setsid sleep 1000 &")
}

/// A process that is another one every 10 ms, so as not to be caught; it gives up by itself after ten seconds.
pub(super) fn runner() -> Outcome {
    shell("run() { [ $1 -gt 0 ] || exit 0; sleep 0.01; (run $(($1 - 1))) & }; (run 1000) &")
}

#[expect(clippy::zombie_processes, reason = "that is the fault")]
pub(super) fn zombies() -> Outcome {
    for _ in 0..5 {
        Command::new("true").spawn().unwrap();
    }
    Ok(Answer::Plain(7))
}
