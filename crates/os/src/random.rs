//! Bytes that nobody can guess.

use std::io;

/// Fills `bytes` from the kernel's generator.
///
/// # Errors
/// When the kernel has none: before 3.17, or where a filter of system calls refuses it.
///
/// ```
/// let (mut one, mut other) = ([0; 32], [0; 32]);
/// ganger_os::random::fill(&mut one)?;
/// ganger_os::random::fill(&mut other)?;
/// assert_ne!(one, other);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        // SAFETY: the kernel writes at most `room.len()` bytes to memory that is exclusively ours.
        let count = unsafe { libc::getrandom(room.as_mut_ptr().cast(), room.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}
