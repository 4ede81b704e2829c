//! Where a process's standard streams lead.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Where a standard stream of a [`Process`](crate::Process) leads; as `std::process::Stdio`, without pipes: a
/// process returns values.
///
/// ```
/// use ganger::{Process, Stdio};
/// let mut process = Process::builder().stdout(Stdio::null()).build(|| println!("nobody reads this"), ());
/// process.start()?;
/// process.join()?;
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Debug)]
pub struct Stdio(Leads);

#[derive(Debug)]
enum Leads {
    ToNull,
    Inherited,
    To(OwnedFd),
}

impl Stdio {
    /// To `/dev/null`: the default of standard input.
    #[must_use]
    pub const fn null() -> Self {
        Self(Leads::ToNull)
    }

    /// To where this process's stream leads at the start of the other: the default of standard output and standard error.
    #[must_use]
    pub const fn inherit() -> Self {
        Self(Leads::Inherited)
    }

    /// What is to be passed on for stream `number`; `None` when it is closed here.
    pub(super) fn open(&self, number: usize) -> io::Result<Option<OwnedFd>> {
        match &self.0 {
            Leads::ToNull => Ok(Some(File::options().read(true).write(true).open("/dev/null")?.into())),
            Leads::To(fd) => Ok(Some(fd.try_clone()?)),
            Leads::Inherited => match own(number) {
                Ok(fd) => Ok(Some(fd)),
                Err(error) if error.raw_os_error() == Some(EBADF) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

const EBADF: i32 = 9;

/// Another descriptor of this process's own stream.
fn own(number: usize) -> io::Result<OwnedFd> {
    match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        _ => io::stderr().as_fd().try_clone_to_owned(),
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        Self(Leads::To(file.into()))
    }
}

impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Self {
        Self(Leads::To(fd))
    }
}
