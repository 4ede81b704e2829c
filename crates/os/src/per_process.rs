//! Values of which every process has its own: a forked child finds none, and makes a new one.
//!
//! A lock would not do: a child that is forked while another thread holds it would find it locked for ever.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A static value that each process has for itself. Those that a process has inherited stay in its memory, unused and
/// undropped: what they own belongs to another process.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(AtomicPtr<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    pid: u32,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// No value yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is for statics, which call this")]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value, made by `make` if there is none.
    ///
    /// ```
    /// use ganger_os::per_process::PerProcess;
    /// static NUMBER: PerProcess<u32> = PerProcess::new();
    /// assert_eq!((*NUMBER.get_or(|| 7), *NUMBER.get_or(|| 8)), (7, 7));
    /// ```
    pub fn get_or(&self, make: impl FnOnce() -> T) -> &'static T {
        match self.get() {
            Some(value) => value,
            None => self.put(make(), false),
        }
    }

    /// This process's value, if it has one.
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is null, or comes from a box that was leaked here.
        let entry: Option<&'static Entry<T>> = unsafe { self.0.load(Ordering::Acquire).as_ref() };
        entry.filter(|entry| entry.pid == std::process::id()).map(|entry| &entry.value)
    }

    /// Makes `value` this process's value; the one before is leaked.
    pub fn set(&self, value: T) -> &'static T {
        self.put(value, true)
    }

    /// Puts `value` in the place of none, or of any: who was faster has decided.
    fn put(&self, value: T, replace: bool) -> &'static T {
        let fresh = Box::into_raw(Box::new(Entry { pid: std::process::id(), value }));
        loop {
            let before = self.0.load(Ordering::Acquire);
            if !replace && let Some(value) = self.get() {
                // SAFETY: it was made above, and nobody else knows of it.
                drop(unsafe { Box::from_raw(fresh) });
                return value;
            }
            if self.0.compare_exchange(before, fresh, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                // SAFETY: it was made above, and is never dropped from here on.
                return unsafe { &(*fresh).value };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_get_the_first_value_and_set_replaces_it() {
        static NUMBER: PerProcess<usize> = PerProcess::new();
        assert_eq!(NUMBER.get(), None);
        let seen: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..5).map(|number| scope.spawn(move || *NUMBER.get_or(|| number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        assert!(seen.iter().all(|number| *number == seen[0] && *number > 0), "{seen:?}");
        NUMBER.set(70);
        assert_eq!(NUMBER.get(), Some(&70));
    }
}
