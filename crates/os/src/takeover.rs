//! How a process that ganger starts takes over before `main`.
//!
//! A fresh image runs the user's program, and must become a guardian or a worker before the program's `main` does
//! anything. A constructor in `.init_array` looks for a private variable; when it is there, and the descriptor that it
//! promises is a socket, the constructor never returns. So users write no `init()` and no guard around `main`, and pools
//! work inside test binaries.

use std::ffi::{c_char, c_int};

use linkme::distributed_slice;

use crate::child::leave;
use crate::fd::Fd;
use crate::page::Page;
use crate::start::boot;
use crate::{image, title};

/// What the library does in processes that this layer starts.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Runs tasks until the link ends, or, in a seat without a page, the one call that comes on it.
    pub worker: fn(Seat) -> !,
    /// Runs the user's `preload` function, given its shim's offset and arguments; the error is its message.
    pub preload: fn(image::EntryPoint, &[u8]) -> Result<(), String>,
}

/// The library's hooks; it registers exactly one set.
#[distributed_slice]
pub static TAKEOVER: [Hooks];

/// What a worker finds when it starts.
#[derive(Debug)]
pub struct Seat {
    /// The stream to the supervisor.
    pub link: Fd,
    /// The memory shared with the supervisor; a process that makes a single call has none.
    pub page: Option<Page>,
    /// Which place in the gang it has.
    pub slot: u32,
    /// The how-many-th worker of that place it is.
    pub generation: u32,
    /// The pool's name.
    pub pool: String,
}

/// The variable that makes a fresh image a guardian or a worker.
pub(crate) const BOOT: &str = "GANGER_BOOT";

// Miri calls constructors without arguments, and takes over nothing.
#[used]
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = before_main;

extern "C" fn before_main(count: c_int, values: *const *const c_char, _environment: *const *const c_char) {
    title::remember(count, values);
    // An empty variable counts as none, as everywhere in ganger.
    let Some(order) = std::env::var_os(BOOT).filter(|order| !order.is_empty()) else { return };
    if image::secure() {
        return;
    }
    // Nesting needs it gone: this process may start gangs of its own.
    // SAFETY: no thread exists yet besides this one.
    unsafe { std::env::remove_var(BOOT) };
    let outcome = std::panic::catch_unwind(|| boot::take_over(&order.to_string_lossy()));
    // Reached only when the order could not be followed; it was said on standard error.
    leave(outcome.unwrap_or(70));
}
