//! A directory for the files of one row.

use std::path::{Path, PathBuf};

use crate::Result;

/// A new directory, which is removed with all that is in it. It is in memory where that can be: on a disk, files that were
/// removed a minute ago are most of what creating one costs (ext4 looks at each inode that was freed recently), and files
/// that are written again are written to the disk at once.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let name = format!("ganger-benches-{}-{name}", std::process::id());
        let in_memory = Path::new("/dev/shm").join(&name);
        if std::fs::create_dir(&in_memory).is_ok() {
            return Ok(Self(in_memory));
        }
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is in the directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
