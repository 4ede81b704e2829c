//! What `ps` shows for a process: its name (15 bytes) and its command line.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

/// Where the kernel put this process's arguments: one block of bytes, one argument after the other.
#[derive(Debug)]
struct Arguments {
    start: usize,
    length: usize,
}

static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();

/// Remembers where the arguments are; called before `main`, when the block is known to be whole.
pub(crate) fn remember(count: i32, values: *const *const c_char) {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || values.is_null() {
        return;
    }
    // SAFETY: the C runtime passes `count` valid pointers to the arguments.
    let values = unsafe { std::slice::from_raw_parts(values, count) };
    let start = values[0] as usize;
    // SAFETY: each argument is a C string that the kernel wrote.
    let last = unsafe { CStr::from_ptr(values[count - 1]) };
    let end = values[count - 1] as usize + last.count_bytes() + 1;
    if end > start {
        let _ = ARGUMENTS.set(Arguments { start, length: end - start });
    }
}

/// Makes `ps` show `title` for this process, which must be one of ganger's own (or a forked copy).
pub fn set_title(title: &str) {
    if let Ok(name) = CString::new(title) {
        // It fails for no string; without it `ps` shows the program's name.
        let _ = nix::sys::prctl::set_name(&name);
    }
    if let Some(block) = ARGUMENTS.get() {
        write_over(block, title.as_bytes());
    }
}

/// The block has a fixed length: what is longer is cut, what is shorter is filled with zeros.
fn write_over(block: &Arguments, title: &[u8]) {
    let shown = title.len().min(block.length - 1);
    let start = block.start as *mut u8;
    // SAFETY: the block is this process's own argument memory, writable, `length` bytes long; Rust's runtime copies
    // arguments on every access and holds no reference into it.
    unsafe { std::ptr::copy_nonoverlapping(title.as_ptr(), start, shown) };
    // SAFETY: as above, for the rest of the block.
    unsafe { std::ptr::write_bytes(start.wrapping_add(shown), 0, block.length - shown) };
}
