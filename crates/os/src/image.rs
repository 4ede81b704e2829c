//! Functions as offsets in the executable.
//!
//! Every process of a gang executes the same open file, so a place in its text names the same code in all of them,
//! whatever address the loader chose. Offsets are never identity: the linker merges functions with equal code.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// What every function that travels looks like from outside: (bound arguments, arguments, where the result goes) and a
/// status whose meaning the library fixes.
pub type Shim = fn(&[u8], &[u8], &mut Vec<u8>) -> u8;

/// How a function of type `F` is called behind a [`Shim`].
pub trait Handler<F> {
    /// Decodes, calls `function`, encodes.
    fn handle(function: F, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8;
}

/// A function, as the offset of its shim in the executable: small, and valid in every process of the gang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryPoint(u64);

/// Why a function cannot travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Its code is not in the main executable: ganger was loaded as a plugin.
    NotInExecutable,
    /// The process runs with raised privileges (AT_SECURE), where it must not take orders from its environment.
    Secure,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInExecutable => {
                "the code is not part of the main executable (ganger cannot run from a plugin or an extension module): \
                 build the program that uses it as an executable of its own"
            }
            Self::Secure => {
                "the process runs with raised privileges (set-user-id or file capabilities): start it without them"
            }
        })
    }
}

impl std::error::Error for ImageError {}

impl EntryPoint {
    /// Makes `function` callable from the gang's other processes.
    ///
    /// `F` must be zero-sized, a function or a closure that captures nothing, as its value is not sent: the other
    /// process makes one up. That is sound for every function item. A closure over a copyable zero-sized *proof token*
    /// would be made up in a process where its proof may not hold; such a token must not be captured (`docs/decisions.md`).
    ///
    /// # Errors
    /// When the code is not part of the main executable.
    pub fn new<F, H>(_function: F) -> Result<Self, ImageError>
    where
        F: Copy + Send + Sync + 'static,
        H: Handler<F>,
    {
        const {
            assert!(
                size_of::<F>() == 0,
                "a task must not capture: bind values with `ganger::partial`, or capture under fork with `Pool::builder().fork_with`"
            );
        }
        Self::of_shim(shim::<F, H>)
    }

    /// The entry point of a function that is a shim already.
    ///
    /// # Errors
    /// When the code is not part of the main executable.
    pub fn of_shim(shim: Shim) -> Result<Self, ImageError> {
        let address = shim as *const () as usize;
        let text = text().ok_or(ImageError::NotInExecutable)?;
        if text.contains(&address) { Ok(Self((address - text.start) as u64)) } else { Err(ImageError::NotInExecutable) }
    }

    /// The number that travels.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// An entry point as it arrived on a private socket from this gang's own supervisor, which is trusted.
    #[must_use]
    pub const fn from_wire(offset: u64) -> Self {
        Self(offset)
    }

    /// The function itself; `None` when the offset lies outside of the executable's text.
    #[must_use]
    pub fn resolve(self) -> Option<Shim> {
        let text = text()?;
        let address = text.start.checked_add(usize::try_from(self.0).ok()?)?;
        if !text.contains(&address) {
            return None;
        }
        // SAFETY: the offset was taken from a `Shim` by `of_shim` in a process that executes the same open file (checked
        // at the handshake), and lies in this process's mapping of that file's text.
        Some(unsafe { std::mem::transmute::<usize, Shim>(address) })
    }
}

fn shim<F, H>(bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8
where
    F: Copy + Send + Sync + 'static,
    H: Handler<F>,
{
    // SAFETY: `EntryPoint::new` is the only place that hands out this shim: there `F` was zero-sized, and a value of it
    // existed, so that it is inhabited; `Copy` says that another one may exist. See there for proof tokens.
    let function = unsafe { std::ptr::NonNull::<F>::dangling().read() };
    H::handle(function, bound, arguments, out)
}

/// Checks that processes can be started from this one's executable and that functions in it can be named.
///
/// # Errors
/// See [`ImageError`].
pub fn check() -> Result<(), ImageError> {
    if secure() {
        return Err(ImageError::Secure);
    }
    let here = check as *const () as usize;
    if text().is_some_and(|text| text.contains(&here)) { Ok(()) } else { Err(ImageError::NotInExecutable) }
}

pub(crate) fn secure() -> bool {
    // SAFETY: getauxval only reads the vector that the kernel gave to the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Device and inode of the running executable: what two processes compare before they trust each other's offsets.
pub(crate) fn identity() -> std::io::Result<(u64, u64)> {
    let meta = std::fs::metadata("/proc/self/exe")?;
    Ok((meta.dev(), meta.ino()))
}

/// Everything that tells the running executable from any other, of another build or on another machine: offsets from a
/// process that says the same are valid in this one.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn fingerprint() -> std::io::Result<Vec<u8>> {
    let meta = std::fs::metadata("/proc/self/exe")?;
    // The boot tells machines, and containers on different ones, apart: numbers of files are small and alike everywhere.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let file = [meta.dev(), meta.ino(), meta.size(), meta.mtime().cast_unsigned(), meta.mtime_nsec().cast_unsigned()];
    let numbers = file.iter().flat_map(|number| number.to_le_bytes());
    Ok(numbers.chain(boot.trim_end().bytes()).collect())
}

/// Where the main executable's code is mapped.
fn text() -> Option<Range<usize>> {
    static TEXT: OnceLock<Option<Range<usize>>> = OnceLock::new();
    TEXT.get_or_init(find_text).clone()
}

fn find_text() -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    // SAFETY: `first_object` matches the callback's type, and `found` outlives the call that writes to it.
    unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut found).cast()) };
    found
}

/// The loader reports the main executable first; stopping there makes it the only one.
extern "C" fn first_object(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid description for the duration of the call.
    let info = unsafe { &*info };
    // SAFETY: the description holds `dlpi_phnum` program headers at `dlpi_phdr`.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let code = headers.iter().find(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0);
    let range = code.map(|header| {
        let start = (info.dlpi_addr + header.p_vaddr) as usize;
        start..start + header.p_memsz as usize
    });
    // SAFETY: `find_text` passes a pointer to its own variable of this type and waits for this call.
    unsafe { data.cast::<Option<Range<usize>>>().write(range) };
    1
}
