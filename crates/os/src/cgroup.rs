//! A control group (version 2) of a gang's own: whatever is started in it stays in it, unless it has a right to others,
//! and one write kills it all.
//!
//! The guardian joins before it runs anything of the user's, so all that descends from it is inside; the supervisor stays
//! where it is. Joining may take the kernel 20 ms, as it waits until no process is being forked anywhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};

/// What was killed is gone after so long, unless the kernel itself is stuck in it.
const LIMIT: Duration = Duration::from_secs(1);

/// A group below this process's own. Its drop kills who is in it, and removes it.
#[derive(Debug)]
pub struct Group {
    directory: PathBuf,
    /// The process that made it. A forked copy of that must not remove the group.
    creator: u32,
}

impl Group {
    /// Makes a group, which nobody is in.
    ///
    /// # Errors
    /// Why this process may not divide its own group; there is nothing left then.
    pub fn create() -> io::Result<Self> {
        let parent = own()?;
        let context = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", parent.display()));
        let group = Self { directory: make_below(&parent).map_err(context)?, creator: std::process::id() };
        if group.directory.join("cgroup.kill").exists() {
            return Ok(group);
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "there is no cgroup.kill, which needs Linux 5.14"))
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Kills everything in it, at once, and all that is being forked meanwhile.
    pub fn kill(&self) {
        kill(&self.directory);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::process::id() == self.creator {
            remove(&self.directory);
        }
    }
}

/// Makes a directory with a name that nobody has; a process of the same number may live in another pid namespace.
fn make_below(parent: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("ganger-{}-{number}", std::process::id()));
        match fs::create_dir(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Has this process, and what it starts from now on, be in the group.
pub(crate) fn join(directory: &Path) -> io::Result<()> {
    fs::write(directory.join("cgroup.procs"), "0")
}

/// Leaves the group and removes it, with all who are left in it: nobody else is there any more to do it.
pub(crate) fn abandon(directory: &Path) {
    // Where that is refused this process dies with the others, and the empty directory stays.
    let _ = directory.parent().map(join);
    remove(directory);
}

fn kill(directory: &Path) {
    // It fails when the group is gone, and those in it with it.
    let _ = fs::write(directory.join("cgroup.kill"), "1");
}

fn remove(directory: &Path) {
    kill(directory);
    let end = Instant::now() + LIMIT;
    while remove_with_inner(directory).is_err() && directory.exists() && Instant::now() < end {
        // The dead leave the group when they are reaped, by whomever: look again shortly.
        let _ = poll(&mut [], PollTimeout::from(1_u8));
    }
}

/// Gangs of tasks may have made groups below.
fn remove_with_inner(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_with_inner(&entry.path())?;
    }
    fs::remove_dir(directory)
}

/// The directory of this process's own group.
pub(crate) fn own() -> io::Result<PathBuf> {
    let missing = |what: &str| io::Error::new(io::ErrorKind::NotFound, what.to_owned());
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or_else(|| missing("no group of version 2"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    // The fields behind the dash are the file system's type and source; the fifth from the front is where it is mounted.
    let is_v2 = |line: &&str| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with("cgroup2 "));
    let mount = mounts.lines().find(is_v2).and_then(|line| line.split(' ').nth(4));
    let mount = mount.ok_or_else(|| missing("version 2 is not mounted"))?;
    Ok(Path::new(mount).join(path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_goes_with_who_is_in_it_and_with_groups_below() {
        // Whether this machine lets us is not what is tested.
        let Ok(group) = Group::create() else { return };
        let directory = group.directory().to_owned();
        fs::create_dir(directory.join("below")).expect("it is ours");
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep is there");
        fs::write(directory.join("below/cgroup.procs"), child.id().to_string()).expect("it is ours");
        let waiter = std::thread::spawn(move || child.wait());
        drop(group);
        assert!(!directory.exists());
        assert!(!waiter.join().expect("no panic").expect("it was a child").success());
    }
}
