//! Files for the time of a run: they go with it, however it ends, unless it is killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// A temporary directory, which is made when it is first needed and removed with the last handle.
///
/// A thread that ends the process early, as one that waits for signals, holds a handle and calls [`remove`](Self::remove).
#[derive(Clone, Debug, Default)]
pub struct Scratch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unused,
    Made(TempDir),
    /// There will be none any more.
    Removed,
}

/// How often removing is tried again. A worker that is about to make a file makes none in a directory that has
/// another name; only one that had opened the directory before can, and each has one file.
const ATTEMPTS: usize = 100;

impl Scratch {
    /// Makes an empty directory of this name.
    ///
    /// # Errors
    /// It cannot be made, is there already, or all were removed.
    pub(crate) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let mut state = self.state();
        if let State::Unused = *state {
            let made = tempfile::Builder::new().prefix("ganger-tutorial-").tempdir();
            let place = std::env::temp_dir();
            let told = |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot make a directory in {}: {error}", place.display()))
            };
            *state = State::Made(made.map_err(told)?);
        }
        let State::Made(root) = &*state else { return Err(io::Error::other("the run is at its end")) };
        let path = root.path().join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Removes the directory with all that is in it, also while others still write there; no other is made. When it returns, all is
    /// gone, whoever has removed it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        // Held until it is done: whoever else wants it removed, as a signal does that comes just now, has to wait for that.
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Removed) {
            State::Made(root) => remove_for_good(&root.keep()),
            State::Unused | State::Removed => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renames the directory, so that whoever still has its name finds nothing, and removes it.
fn remove_for_good(path: &Path) -> io::Result<()> {
    let mut moved = path.as_os_str().to_owned();
    moved.push("-removed");
    let moved = PathBuf::from(moved);
    fs::rename(path, &moved)?;
    let mut attempts = 0..ATTEMPTS;
    loop {
        match fs::remove_dir_all(&moved) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempts.next().is_some() => {}
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_go_with_the_last_handle_or_when_they_are_told_to() {
        let scratch = Scratch::default();
        let path = scratch.clone().directory("a").unwrap();
        fs::write(path.join("file"), "text").unwrap();
        assert_eq!(scratch.directory("a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(scratch);
        assert!(!path.parent().unwrap().exists());

        let scratch = Scratch::default();
        let path = scratch.directory("a").unwrap();
        scratch.remove().unwrap();
        assert!(!path.parent().unwrap().exists());
        assert!(scratch.directory("b").unwrap_err().to_string().contains("at its end"));
        scratch.remove().unwrap();
        Scratch::default().remove().unwrap();
    }

    #[test]
    fn whoever_removes_second_waits_for_the_first() {
        let scratch = Scratch::default();
        let path = scratch.directory("a").unwrap();
        (0..500).for_each(|number| fs::write(path.join(number.to_string()), "text").unwrap());
        let root = path.parent().unwrap();
        let gone = || !root.exists() && !Path::new(&format!("{}-removed", root.display())).exists();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    scratch.remove().unwrap();
                    assert!(gone());
                });
            }
        });
    }

    #[test]
    fn removal_does_not_mind_who_still_writes() {
        let scratch = Scratch::default();
        let path = scratch.directory("a").unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (path, stop) = (&path, &stop);
                scope.spawn(move || {
                    for number in 0.. {
                        let written = fs::write(path.join(format!("{writer}-{number}")), "text");
                        if written.is_err() || stop.load(std::sync::atomic::Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            while fs::read_dir(&path).unwrap().count() < 10 {
                std::thread::yield_now();
            }
            let removed = scratch.remove();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            removed.unwrap();
        });
        let root = path.parent().unwrap();
        assert!(!root.exists() && !Path::new(&format!("{}-removed", root.display())).exists());
    }
}
