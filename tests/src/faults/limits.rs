//! Running into the limits of a process.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};

use super::answers::{Answer, Outcome};
use crate::scratch;

/// An allocation that fails ends a Rust program.
pub(super) fn memory() -> Outcome {
    setrlimit(Resource::RLIMIT_AS, 1 << 30, 1 << 30).unwrap();
    // Or an optimizer would see that nobody needs it.
    let bytes = std::hint::black_box(vec![1_u8; 2 << 30]);
    panic!("{} bytes were there", bytes.len())
}

pub(super) fn file_size() -> Outcome {
    setrlimit(Resource::RLIMIT_FSIZE, 1000, 1000).unwrap();
    let written = File::create(scratch("large")).unwrap().write_all(&[1; 2000]);
    panic!("the limit was not enforced: {written:?}")
}

/// Whoever runs out of descriptors still answers, and goes on.
pub(super) fn descriptors() -> Outcome {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    assert!(files.len() < 64);
    std::mem::forget(files);
    Ok(Answer::Plain(7))
}

/// The system refuses the task's own children.
pub(super) fn processes() -> Outcome {
    setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
    let error = Command::new("true").status().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::Error::EAGAIN as i32));
    Ok(Answer::Plain(7))
}
