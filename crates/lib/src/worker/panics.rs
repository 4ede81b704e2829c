//! Panics as data: message, place and stack travel to whoever waits for the task.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use crate::wire::message::Failure;

thread_local! {
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Makes this process, which belongs to ganger, keep a panic's place and stack instead of printing them.
///
/// Panics of other threads, which a task may start, have nobody who waits for them: they are printed as always.
pub(crate) fn install_hook() {
    install_quiet_hook(stack);
}

/// Makes this process, which belongs to ganger, keep a panic's place and stack, and print it as always: whoever has started
/// a process may never ask how it ended.
pub(super) fn install_printing_hook() {
    let home = std::thread::current().id();
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        previous(info);
        if std::thread::current().id() == home {
            keep(info, stack());
        }
    }));
}

/// Makes this process, which belongs to ganger, keep a panic's place, and print nothing: whoever has asked a server for what
/// panicked is told. There is no stack, as reading the program's symbols takes up to a second, in which nobody else is
/// served.
pub(crate) fn install_server_hook() {
    install_quiet_hook(String::new);
}

fn install_quiet_hook(stack: fn() -> String) {
    let home = std::thread::current().id();
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if std::thread::current().id() != home {
            return previous(info);
        }
        keep(info, stack());
    }));
}

fn keep(info: &PanicHookInfo<'_>, backtrace: String) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    // The panic may come while another one is being kept; then the first one stays.
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some((location, backtrace))));
}

/// The stack of this thread as text.
///
/// The standard library holds a lock while it reads the program's symbols, and the handler of an allocation that fails takes
/// the same lock: under a limit of address space a panic would hang its worker for ever. So it is tried first whether
/// about as much memory is left as that takes. The symbols are mapped, unpacked and sorted into tables: three times
/// the program's size were enough in all builds that were tried.
fn stack() -> String {
    let program = std::fs::metadata("/proc/self/exe").map_or(0, |file| file.len());
    let need = usize::try_from(program).unwrap_or(usize::MAX).saturating_mul(3).saturating_add(16 << 20);
    // Given back before the memory is put to use.
    let there_is_room = Vec::<u8>::new().try_reserve_exact(need).is_ok();
    if there_is_room {
        return Backtrace::force_capture().to_string();
    }
    format!("no stack: less than {} MiB of memory were left to read the program's symbols", need >> 20)
}

/// Runs `body`; a panic becomes a failure.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let (location, backtrace) = LAST.take().unzip();
        Failure { message: panic_text(payload), location, backtrace, ..Failure::default() }
    })
}

/// The message of a panic; those that are no text are named as such.
///
/// What was thrown is taken, as dropping it runs code of others, which may panic again and take the thread with it. What
/// that throws is leaked: there is no end to such things.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_all_kinds_are_kept() {
        for (payload, expected) in [
            (Box::new("plain") as Box<dyn Any + Send>, "plain"),
            (Box::new(format!("with {}", 1)), "with 1"),
            (Box::new(17_u8), "a panic without a message"),
        ] {
            assert_eq!(panic_text(payload), expected);
        }
    }

    #[test]
    fn what_was_thrown_may_panic_when_it_is_dropped() {
        struct Bomb(u32);
        impl Drop for Bomb {
            fn drop(&mut self) {
                if self.0 > 0 {
                    std::panic::panic_any(Bomb(self.0 - 1));
                }
            }
        }
        assert_eq!(panic_text(Box::new(Bomb(3))), "a panic without a message");
    }
}
