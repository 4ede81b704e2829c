//! Whether this process is still the one that made something, or a forked copy of it.
//!
//! A process id does not tell for certain: a copy in another namespace can have the same one. A page that the kernel wipes
//! in forked children does, and costs a load instead of a system call.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("above zero");

/// Where the number of this process is; there it is 0 in a copy that has not asked yet. Not a `OnceLock`: a copy that is
/// forked while another thread fills it would wait for that thread for ever.
static WIPED: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());
/// The last number that was given. It is ordinary memory, which a copy takes over, so no ancestor's number comes again.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A process, as distinct from its forked copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation(u64);

impl Incarnation {
    /// This process.
    pub(crate) fn here() -> io::Result<Self> {
        let word = match word() {
            Some(word) => word,
            None => make_word()?,
        };
        let mut number = word.load(Ordering::Relaxed);
        if number == 0 {
            number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            // Another thread may have been first: its number is this process's.
            number = word.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(number);
        }
        Ok(Self(number))
    }

    /// Whether this process is that one, and not a copy of it.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        word().is_some_and(|word| word.load(Ordering::Relaxed) == self.0)
    }
}

fn word() -> Option<&'static AtomicU64> {
    // SAFETY: the pointer is null or that of a page which is never unmapped, begins with the word, and whose only user this
    // module is.
    unsafe { WIPED.load(Ordering::Acquire).as_ref() }
}

fn make_word() -> io::Result<&'static AtomicU64> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
    let page = unsafe { mmap_anonymous(None, PAGE, protection, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the advice covers the new mapping only.
    unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    let mine = page.cast::<AtomicU64>().as_ptr();
    if WIPED.compare_exchange(std::ptr::null_mut(), mine, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: another thread was first, and nobody has seen this page.
        let _ = unsafe { munmap(page, PAGE.get()) };
    }
    Ok(word().expect("just made"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_stays_itself() {
        let here = Incarnation::here().expect("memory");
        assert!(here.is_here());
        assert_eq!(std::thread::spawn(Incarnation::here).join().expect("runs").expect("memory"), here);
    }
}
